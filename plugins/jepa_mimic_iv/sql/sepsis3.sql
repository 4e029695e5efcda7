-- Who met Sepsis-3 and since when, in hindsight (for labels only): stay, onset (whole hour of the stay).
--
-- A suspicion of infection with a SOFA of 2 or more (the baseline is taken as 0) known from 48 h before to 24 h after it. The onset is the
-- first such hour of the stay.
-- Source: Singer et al., JAMA 2016, as in the MIMIC Code Repository, concepts/sepsis/sepsis3, whose sofa_time is this hour's end.
-- Departure: the earliest hour over all suspicions of the stay, where the published table takes the first of the earliest suspicion.
SELECT stay, min(begins) AS onset
FROM suspicion_of_infection JOIN sofa USING (stay)
WHERE sofa_24hours >= 2 AND as_charted(begins + 1 - suspected) BETWEEN -48 AND 24
GROUP BY stay
