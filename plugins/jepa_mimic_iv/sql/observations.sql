-- What was observed in the stays $low to $high: stay, hour, channel, value, text.
-- An observation is timed at the moment from which everything that it is derived from was known. Laboratory values of the week before
-- admission to intensive care and chartings of the time before it (concepts.py: LOOK_BACK, Variable.lasts) are among them, at negative
-- hours: scores need them; shown.sql says which of them hour 0 shows.
WITH
    reading AS (
        SELECT * FROM charted WHERE stay BETWEEN $low AND $high
        UNION ALL
        SELECT * FROM output WHERE stay BETWEEN $low AND $high
    ),
    result AS (SELECT * FROM lab WHERE stay BETWEEN $low AND $high),

    -- Readings of one variable charted for one time are one observation.
    believed AS (
        SELECT stay, hour, channel, item, reduction, rank, value * scale + shift AS value
        FROM reading JOIN measure USING (item)
        WHERE NOT is_text AND value BETWEEN low AND high
    ),
    number_charted AS (
        SELECT
            stay, hour, channel,
            CASE reduction
                WHEN 'mean' THEN avg(value ORDER BY value)
                WHEN 'max' THEN max(value)
                WHEN 'sum' THEN sum(value ORDER BY value)
                WHEN 'first' THEN arg_min(value, (rank, value))
            END AS value
        FROM believed GROUP BY stay, hour, channel, reduction
    ),
    words_charted AS (
        SELECT DISTINCT stay, hour, channel, text
        FROM reading JOIN measure USING (item) WHERE is_text AND text IS NOT NULL
    ),
    weight_kind AS (
        SELECT stay, hour, CASE WHEN bool_or(item = 224639) THEN 'daily' ELSE 'admit' END AS text
        FROM believed WHERE channel = (SELECT channel FROM variable WHERE name = 'weight/weight')
        GROUP BY stay, hour
    ),

    -- Glasgow coma scale: a component that is not charted is carried forward for less than 6 h from the charting before;
    -- an endotracheal tube makes the verbal answer 0 and the total 15, as published.
    coma_charted AS (
        SELECT
            stay, hour,
            max(value) FILTER (item = 223901) AS motor,
            max(CASE WHEN text = 'No Response-ETT' THEN 0 ELSE value END) FILTER (item = 223900) AS verbal,
            max(value) FILTER (item = 220739) AS eyes,
            coalesce(bool_or(item = 223900 AND text = 'No Response-ETT'), false)::DOUBLE AS unable
        FROM reading WHERE item IN (223900, 223901, 220739) GROUP BY stay, hour
    ),
    coma_before AS (
        SELECT
            *, as_charted(hour - lag(hour) OVER charting) < 6 AS recent,
            lag(motor) OVER charting AS motor_before,
            lag(verbal) OVER charting AS verbal_before,
            lag(eyes) OVER charting AS eyes_before
        FROM coma_charted WINDOW charting AS (PARTITION BY stay ORDER BY hour)
    ),
    coma AS (
        SELECT
            stay, hour, unable,
            coalesce(motor, CASE WHEN recent THEN motor_before END) AS motor,
            coalesce(verbal, CASE WHEN recent THEN verbal_before END) AS verbal,
            coalesce(eyes, CASE WHEN recent THEN eyes_before END) AS eyes,
            CASE
                WHEN coalesce(verbal, CASE WHEN recent THEN verbal_before END) = 0 THEN 15
                WHEN recent AND verbal_before = 0 THEN coalesce(motor, 6) + coalesce(verbal, 5) + coalesce(eyes, 4)
                ELSE coalesce(motor, CASE WHEN recent THEN motor_before END, 6)
                    + coalesce(verbal, CASE WHEN recent THEN verbal_before END, 5)
                    + coalesce(eyes, CASE WHEN recent THEN eyes_before END, 4)
            END AS total
        FROM coma_before
    ),
    coma_scale AS (
        UNPIVOT (SELECT stay, hour, total AS "gcs/gcs", motor AS "gcs/gcs_motor", verbal AS "gcs/gcs_verbal",
                 eyes AS "gcs/gcs_eyes", unable AS "gcs/gcs_unable" FROM coma)
        ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value
    ),

    -- Blood gases: a specimen counts once it is known to be arterial and its oxygen tension is known. Here and below the first
    -- result of a specimen is used, so that a later one changes nothing that was seen before.
    specimen AS (
        SELECT
            stay, specimen, greatest(min(hour) FILTER (item = 52033), min(hour) FILTER (item = 50821)) AS known,
            arg_min(drawn, (hour, value, drawn)) FILTER (item = 50821) AS drawn,
            arg_min(value, (hour, value)) FILTER (item = 50821) AS po2
        FROM result WHERE specimen IS NOT NULL AND (item = 50821 AND value > 0 OR item = 52033 AND text IS NOT NULL)
        GROUP BY stay, specimen
        HAVING arg_min(text, (hour, text)) FILTER (item = 52033) = 'ART.' AND count(*) FILTER (item = 50821) > 0
    ),
    gas AS (
        SELECT
            result.stay, greatest(result.hour, known) AS hour, channel, result.specimen, item, known, specimen.drawn, po2,
            value * scale + shift AS value
        FROM result JOIN specimen USING (stay, specimen) JOIN gas_measure USING (item)
        WHERE value BETWEEN low AND high
    ),
    oxygen_charted AS (
        SELECT stay, hour, max(value) AS value FROM believed
        WHERE channel = (SELECT channel FROM variable WHERE name = 'ventilator_setting/fio2') GROUP BY stay, hour
    ),
    gas_at_bedside AS (
        SELECT
            specimen.stay, known, po2, specimen.specimen,
            CASE WHEN as_charted(specimen.drawn - oxygen_charted.hour) <= 4 THEN oxygen_charted.value END AS fio2_charted
        FROM specimen ASOF LEFT JOIN oxygen_charted
            ON specimen.stay = oxygen_charted.stay AND specimen.drawn >= oxygen_charted.hour
    ),
    gas_complete AS (
        SELECT
            stay, specimen, known AS hour, po2, fio2_charted,
            coalesce(max(gas.value) FILTER (item = 50816 AND gas.hour <= known), fio2_charted) AS fio2,
            max(gas.value) FILTER (item = 50818 AND gas.hour <= known) AS pco2
        FROM gas_at_bedside LEFT JOIN (SELECT stay, specimen, item, hour, value FROM gas) AS gas USING (stay, specimen)
        GROUP BY stay, specimen, known, po2, fio2_charted
    ),
    gas_derived AS (
        UNPIVOT (SELECT stay, hour, fio2_charted AS "bg/fio2_chartevents", 100 * po2 / fio2 AS "bg/pao2fio2ratio",
                 fio2 / 100 * (760 - 47) - pco2 / 0.8 - po2 AS "bg/aado2_calc" FROM gas_complete)
        ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value
    ),

    lab_reported AS (
        SELECT stay, hour, channel, specimen, value * scale + shift AS value
        FROM result JOIN lab_measure USING (item) WHERE value BETWEEN low AND high
    ),

    -- A differential reported in percent becomes counts once the white cell count of its specimen is known.
    white_cells AS (
        SELECT stay, specimen, arg_min(value, (hour, value)) AS value, min(hour) AS hour FROM result
        WHERE item IN (SELECT item FROM white_cell) AND value > 0 GROUP BY stay, specimen
    ),
    share AS (
        SELECT *, sum(value ORDER BY value) OVER (PARTITION BY stay, specimen, hour) AS total
        FROM result JOIN percentage USING (item) WHERE value >= 0
    ),
    counted AS (
        SELECT share.stay, greatest(share.hour, white_cells.hour) AS hour, channel, share.specimen,
            share.value * white_cells.value / 100 AS value
        FROM share JOIN white_cells USING (stay, specimen)
        WHERE total > 0 AND NOT EXISTS (
            SELECT 1 FROM lab_reported WHERE lab_reported.stay = share.stay AND lab_reported.specimen = share.specimen
                AND lab_reported.channel = share.channel AND lab_reported.hour <= greatest(share.hour, white_cells.hour))
    ),
    differential_seen AS (
        SELECT stay, specimen, min(hour) AS hour
        FROM (
            SELECT stay, specimen, hour FROM share
            UNION ALL
            SELECT stay, specimen, hour FROM lab_reported WHERE channel IN (SELECT channel FROM percentage)
        ) GROUP BY stay, specimen
    ),
    white_cells_of_differential AS (
        SELECT white_cells.stay, greatest(white_cells.hour, differential_seen.hour) AS hour, white_cells.value
        FROM white_cells JOIN differential_seen USING (stay, specimen)
    )

SELECT stay, hour, channel, value, NULL::VARCHAR AS text FROM number_charted
UNION ALL
SELECT stay, hour, (SELECT channel FROM variable WHERE name = 'urine_output/irrigant_alone'), -value, NULL FROM number_charted
WHERE value < 0 AND channel = (SELECT channel FROM variable WHERE name = 'urine_output/urineoutput')
UNION ALL
SELECT stay, hour, channel, NULL, text FROM words_charted
UNION ALL
SELECT stay, hour, (SELECT channel FROM variable WHERE name = 'weight/weight_type'), NULL, text FROM weight_kind
UNION ALL
SELECT stay, hour, channel, value, NULL FROM coma_scale JOIN variable USING (name)
UNION ALL
SELECT DISTINCT stay, hour, channel, value, NULL FROM gas
UNION ALL
SELECT stay, hour, channel, value, NULL FROM gas_derived JOIN variable USING (name)
UNION ALL
SELECT DISTINCT stay, hour, channel, value, NULL FROM lab_reported
UNION ALL
SELECT DISTINCT stay, hour, channel, value, NULL FROM counted
UNION ALL
SELECT DISTINCT stay, hour, (SELECT channel FROM variable WHERE name = 'blood_differential/wbc'), value, NULL
FROM white_cells_of_differential
