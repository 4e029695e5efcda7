-- Neuromuscular blockers while they run: stay, start, stop, rate (mcg/kg/min), per_hour (mg given in an hour).
--
-- Items 222062 (vecuronium) and 221555 (cisatracurium) of icu/inputevents with a rate.
-- Source: MIMIC Code Repository, concepts/medication/neuroblock.
-- Departure: the amount is that of the hours shown so far, by the rate; the published one is the total of the segment, which is not known
-- before it ends.
WITH drip AS (
    SELECT
        stay, start, stop,
        CASE rate_unit WHEN 'mcg/kg/min' THEN rate WHEN 'mcg/kg/hour' THEN rate / 60 WHEN 'mg/kg/hour' THEN rate * 1000 / 60
            WHEN 'mg/hour' THEN rate * 1000 / 60 / nullif(weight, 0) END AS rate,
        nullif(weight, 0) AS weight
    FROM input WHERE stay BETWEEN $low AND $high AND item IN (222062, 221555) AND rate > 0 AND stop > start
)

SELECT stay, start, stop, rate, rate * weight * 60 / 1000 AS per_hour FROM drip WHERE rate IS NOT NULL
