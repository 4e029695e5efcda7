-- Rates of vasoactive drugs: stay, drug, start, stop, rate; mcg/kg/min, vasopressin units/hour. A new row wherever a rate changes.
--
-- Items of icu/inputevents are in the table `vasoactive_item`. Units as published: mg/kg/min times 1000 (as it stands where the weight is
-- written as 1, an error of documentation), mcg/min over the weight, units/min times 60; mg/min and mg/hour likewise are ours. A rate in
-- another unit is not read.
-- Source: MIMIC Code Repository, concepts/medication/vasoactive_agent and the drugs it names.
-- Departures: segments that were rewritten are left out; two pumps of one drug at a time are added up, where the published table has a
-- row for each; a row is cut where the rate of its own drug changes, not where any drug's does.
WITH
    drip AS (
        SELECT
            stay, drug, start, stop,
            CASE
                WHEN drug = 'vasopressin' THEN CASE rate_unit WHEN 'units/hour' THEN rate WHEN 'units/min' THEN rate * 60 END
                WHEN rate_unit = 'mcg/kg/min' THEN rate
                WHEN rate_unit = 'mg/kg/min' THEN CASE WHEN weight = 1 THEN rate ELSE rate * 1000 END
                WHEN rate_unit = 'mcg/min' THEN rate / nullif(weight, 0)
                WHEN rate_unit = 'mg/min' THEN rate * 1000 / nullif(weight, 0)
                WHEN rate_unit = 'mg/hour' THEN rate * 1000 / 60 / nullif(weight, 0)
            END AS rate
        FROM input JOIN vasoactive_item USING (item)
        WHERE stay BETWEEN $low AND $high AND stop > start AND rate > 0
    ),
    change AS (
        SELECT stay, drug, start AS moment FROM drip UNION SELECT stay, drug, stop FROM drip
    ),
    span AS (
        SELECT stay, drug, moment AS start, lead(moment) OVER (PARTITION BY stay, drug ORDER BY moment) AS stop FROM change
    )

SELECT stay, drug, span.start, span.stop, sum(rate ORDER BY rate) AS rate
FROM span JOIN drip USING (stay, drug)
WHERE drip.start <= span.start AND drip.stop >= span.stop AND rate IS NOT NULL
GROUP BY stay, drug, span.start, span.stop
