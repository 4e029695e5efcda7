-- Neuromuscular blockers while they run: stay, start, stop, rate (mcg/kg/min), per_hour (mg given in an hour).
--
-- Items 222062 (vecuronium) and 221555 (cisatracurium) of icu/inputevents with a rate; units and what counts once at a change of the bag:
-- drip.sql.
-- Source: MIMIC Code Repository, concepts/medication/neuroblock.
-- Departure: the amount is that of the hours shown so far, by the rate; the published one is the total of the segment, which is not known
-- before it ends.
SELECT stay, start, stop, rate, rate * weight * 60 / 1000 AS per_hour FROM drip WHERE kind = 'blocker'
