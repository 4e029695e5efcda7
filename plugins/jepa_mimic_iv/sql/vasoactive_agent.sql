-- Rates of vasoactive drugs: stay, drug, start, stop, rate; mcg/kg/min, vasopressin units/hour. A new row wherever a rate changes.
--
-- Items, units and what counts once at a change of the bag: drip.sql.
-- Source: MIMIC Code Repository, concepts/medication/vasoactive_agent and the drugs it names.
-- Departures: segments that were rewritten are left out; two pumps of one drug at a time are added up, where the published table has a
-- row for each; a row is cut where the rate of its own drug changes, not where any drug's does.
WITH
    running AS (SELECT stay, drug, start, stop, rate FROM drip WHERE kind = 'vasoactive'),
    change AS (
        SELECT stay, drug, start AS moment FROM running UNION SELECT stay, drug, stop FROM running
    ),
    span AS (
        SELECT stay, drug, moment AS start, lead(moment) OVER (PARTITION BY stay, drug ORDER BY moment) AS stop FROM change
    )

SELECT stay, drug, span.start, span.stop, sum(rate ORDER BY rate) AS rate
FROM span JOIN running USING (stay, drug)
WHERE running.start <= span.start AND running.stop >= span.stop
GROUP BY stay, drug, span.start, span.stop
