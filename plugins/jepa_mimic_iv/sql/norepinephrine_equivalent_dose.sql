-- Vasopressors as one dose of norepinephrine: stay, start, stop, dose in mcg/kg/min, to four decimals.
--
-- norepinephrine + epinephrine + phenylephrine / 10 + dopamine / 100 (all mcg/kg/min) + vasopressin * 2.5 / 60 (units/hour).
-- Source: Goradia et al., J Crit Care 2020 (doi 10.1016/j.jcrc.2020.11.002), as in the MIMIC Code Repository,
-- concepts/medication/norepinephrine_equivalent_dose. Bounds: none published. Metaraminol and angiotensin II are not in the tables.
WITH
    pressor AS (
        SELECT stay, start, stop, rate * CASE drug
            WHEN 'norepinephrine' THEN 1 WHEN 'epinephrine' THEN 1 WHEN 'phenylephrine' THEN 0.1 WHEN 'dopamine' THEN 0.01
            WHEN 'vasopressin' THEN 2.5 / 60 END AS dose
        FROM vasoactive_agent WHERE drug IN ('norepinephrine', 'epinephrine', 'phenylephrine', 'dopamine', 'vasopressin')
    ),
    change AS (SELECT stay, start AS moment FROM pressor UNION SELECT stay, stop FROM pressor),
    span AS (SELECT stay, moment AS start, lead(moment) OVER (PARTITION BY stay ORDER BY moment) AS stop FROM change)

SELECT stay, span.start, span.stop, round(sum(dose ORDER BY dose), 4) AS dose
FROM span JOIN pressor USING (stay)
WHERE pressor.start <= span.start AND pressor.stop >= span.stop
GROUP BY stay, span.start, span.stop
