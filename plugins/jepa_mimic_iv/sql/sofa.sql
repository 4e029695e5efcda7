-- Sequential Organ Failure Assessment at the end of every hour: stay, hour (when it is known: the last second of the hour), begins (the
-- whole hour), and a column for each variable: six parts of 0 to 4 points, each the worst of the last 24 h, and their sum.
--
-- Respiration: PaO2/FiO2 below 400, 300 (1, 2 points); on a ventilator through a tube below 200, 100 (3, 4). Coagulation: platelets below 150,
-- 100, 50, 20 K/uL. Liver: total bilirubin from 1.2, 2, 6, 12 mg/dL. Cardiovascular: mean pressure below 70 mmHg (1); dopamine or
-- dobutamine (2); dopamine above 5 or any norepinephrine or epinephrine (3); dopamine above 15 or the others above 0.1 mcg/kg/min (4);
-- what runs at the end of the hour counts. Nervous system: coma scale below 15, 13, 10, 6. Kidney: creatinine from 1.2, 2, 3.5, 5 mg/dL,
-- urine of 24 h below 500 (3), 200 mL (4). A part without a measurement in 24 h has 0 points. What was measured and charted in the 24 h
-- before admission to intensive care counts, but urine, which counts from admission on. Means, ratios and sums are compared in decimals, as their values were charted.
-- Source: Vincent et al. 1996 as in the MIMIC Code Repository, concepts/score/sofa.
-- Departures: hours are counted from admission to intensive care, not from the full hour after the first heart rate; results count from when
-- they were seen; ventilation is as in ventilation.sql, and a tracheostomy on a ventilator is respiratory support (Vincent), which the
-- published query forgets.
WITH
    every_hour AS (
        SELECT stay, unnest(range(-24, ceil(horizon)::BIGINT)) AS begins, horizon FROM member WHERE stay BETWEEN $low AND $high
    ),
    measured AS (
        SELECT
            stay, step_of(hour, 1) AS begins,
            as_charted(min(value) FILTER (name = 'vitalsign/mbp')) AS pressure,
            min(value) FILTER (name = 'gcs/gcs') AS coma,
            as_charted(max(value) FILTER (name = 'enzyme/bilirubin_total')) AS bilirubin,
            as_charted(max(value) FILTER (name = 'chemistry/creatinine')) AS creatinine,
            as_charted(min(value) FILTER (name = 'complete_blood_count/platelet')) AS platelets
        FROM observed JOIN variable USING (channel)
        WHERE name IN ('vitalsign/mbp', 'gcs/gcs', 'enzyme/bilirubin_total', 'chemistry/creatinine',
            'complete_blood_count/platelet')
        GROUP BY ALL
    ),
    gas AS (
        SELECT stay, hour, value, EXISTS (
            SELECT 1 FROM ventilation WHERE ventilation.stay = observed.stay AND supported
                AND as_charted(observed.hour - start) >= 0 AND as_charted(stop - observed.hour) > 0) AS ventilated
        FROM observed WHERE channel = (SELECT channel FROM variable WHERE name = 'bg/pao2fio2ratio')
    ),
    oxygenation AS (
        SELECT
            stay, step_of(hour, 1) AS begins,
            as_charted(min(value) FILTER (ventilated)) AS helped, as_charted(min(value) FILTER (NOT ventilated)) AS unhelped
        FROM gas GROUP BY ALL
    ),
    urine AS (
        SELECT
            stay, step_of(hour, 1) AS begins,
            as_charted(max(urineoutput_24hr / hours_24hr * 24) FILTER (hours_24hr BETWEEN 22 AND 30)) AS urine
        FROM urine_output_rate GROUP BY ALL
    ),
    running AS (
        SELECT
            stay, begins,
            as_charted(max(rate) FILTER (drug = 'dopamine')) AS dopamine,
            as_charted(max(rate) FILTER (drug = 'dobutamine')) AS dobutamine,
            as_charted(max(rate) FILTER (drug IN ('norepinephrine', 'epinephrine'))) AS strong
        FROM every_hour JOIN vasoactive_agent USING (stay)
        WHERE start < least(begins + 1, horizon) AND stop >= least(begins + 1, horizon) GROUP BY ALL
    ),
    scored AS (
        SELECT
            stay, begins, horizon,
            CASE
                WHEN helped < 100 THEN 4
                WHEN helped < 200 THEN 3
                WHEN least(helped, unhelped) < 300 THEN 2
                WHEN least(helped, unhelped) < 400 THEN 1
                WHEN least(helped, unhelped) IS NOT NULL THEN 0
            END AS respiration,
            CASE WHEN platelets < 20 THEN 4 WHEN platelets < 50 THEN 3 WHEN platelets < 100 THEN 2 WHEN platelets < 150 THEN 1
                WHEN platelets IS NOT NULL THEN 0 END AS coagulation,
            CASE WHEN bilirubin >= 12 THEN 4 WHEN bilirubin >= 6 THEN 3 WHEN bilirubin >= 2 THEN 2 WHEN bilirubin >= 1.2 THEN 1
                WHEN bilirubin IS NOT NULL THEN 0 END AS liver,
            CASE
                WHEN dopamine > 15 OR strong > 0.1 THEN 4
                WHEN dopamine > 5 OR strong > 0 THEN 3
                WHEN dopamine > 0 OR dobutamine > 0 THEN 2
                WHEN pressure < 70 THEN 1
                WHEN pressure IS NOT NULL THEN 0
            END AS cardiovascular,
            CASE WHEN coma < 6 THEN 4 WHEN coma < 10 THEN 3 WHEN coma < 13 THEN 2 WHEN coma < 15 THEN 1
                WHEN coma IS NOT NULL THEN 0 END AS cns,
            CASE
                WHEN creatinine >= 5 OR urine < 200 THEN 4
                WHEN creatinine >= 3.5 OR urine < 500 THEN 3
                WHEN creatinine >= 2 THEN 2
                WHEN creatinine >= 1.2 THEN 1
                WHEN coalesce(creatinine, urine) IS NOT NULL THEN 0
            END AS renal
        FROM every_hour LEFT JOIN measured USING (stay, begins) LEFT JOIN oxygenation USING (stay, begins)
            LEFT JOIN urine USING (stay, begins) LEFT JOIN running USING (stay, begins)
    ),
    worst AS (
        SELECT
            stay, begins, horizon,
            coalesce(max(respiration) OVER day, 0) AS respiration_24hours,
            coalesce(max(coagulation) OVER day, 0) AS coagulation_24hours,
            coalesce(max(liver) OVER day, 0) AS liver_24hours,
            coalesce(max(cardiovascular) OVER day, 0) AS cardiovascular_24hours,
            coalesce(max(cns) OVER day, 0) AS cns_24hours,
            coalesce(max(renal) OVER day, 0) AS renal_24hours
        FROM scored WINDOW day AS (PARTITION BY stay ORDER BY begins ROWS BETWEEN 23 PRECEDING AND CURRENT ROW)
    )

SELECT
    * EXCLUDE (horizon), greatest(least(begins + 1, horizon) - 1 / 3600, begins) AS hour,
    respiration_24hours + coagulation_24hours + liver_24hours + cardiovascular_24hours + cns_24hours + renal_24hours
        AS sofa_24hours
FROM worst WHERE begins >= 0
