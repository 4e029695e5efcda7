-- Urine of the last 6, 12 and 24 h at each charting of urine: stay, hour, and a column for each variable (mL, mL/kg/h, kg); and hours,
-- the hours that the charting covers, and hours_24hr, those that the sum of 24 h covers, which no channel shows.
--
-- A charting covers the time since the one before, the first the time since the first heart rate (item 220045). A charting is taken to
-- stand for the hour before it, so that the sums reach back 5, 11 and 23 h; a rate is given once the time covered is 6, 12 or 24 h.
-- Urine items and bounds are those of the variable urine_output; weight: 224639 (daily) and 226512 (at admission), kg.
-- Source: MIMIC Code Repository, concepts/measurement/urine_output_rate.
-- Departures: the weight is the last one charted until then, before admission too (concepts.py says for how long). The published query also
-- carries the first weight back to times before it was charted. Urine charted before admission is not counted.
WITH
    charting AS (
        SELECT stay, hour, round(hour * 3600)::BIGINT AS second, value AS uo FROM observed
        WHERE hour >= 0 AND channel = (SELECT channel FROM variable WHERE name = 'urine_output/urineoutput')
    ),
    heart AS (
        SELECT stay, min(hour) AS first FROM observed
        WHERE hour >= 0 AND channel = (SELECT channel FROM variable WHERE name = 'vitalsign/heart_rate') GROUP BY stay
    ),
    weighed AS (
        SELECT stay, hour, value FROM observed
        WHERE channel = (SELECT channel FROM variable WHERE name = 'weight/weight')
    ),
    covered AS (
        SELECT charting.*, hour - coalesce(lag(hour) OVER (PARTITION BY stay ORDER BY hour), least(first, hour)) AS hours
        FROM charting LEFT JOIN heart USING (stay)
    ),
    summed AS (
        SELECT
            stay, hour, uo, hours,
            sum(uo) OVER last_6 AS sum_6, sum(uo) OVER last_12 AS sum_12, sum(uo) OVER last_24 AS sum_24,
            round(sum(hours) OVER last_6, 6) AS hours_6, round(sum(hours) OVER last_12, 6) AS hours_12,
            round(sum(hours) OVER last_24, 6) AS hours_24
        FROM covered
        WINDOW
            last_6 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 18000 PRECEDING AND CURRENT ROW),
            last_12 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 39600 PRECEDING AND CURRENT ROW),
            last_24 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 82800 PRECEDING AND CURRENT ROW)
    )

SELECT
    summed.stay, summed.hour, hours, hours_24 AS hours_24hr, uo, sum_6 AS urineoutput_6hr, sum_12 AS urineoutput_12hr,
    sum_24 AS urineoutput_24hr, weighed.value AS weight,
    CASE WHEN hours_6 >= 6 THEN round(sum_6 / weighed.value / hours_6, 4) END AS uo_mlkghr_6hr,
    CASE WHEN hours_12 >= 12 THEN round(sum_12 / weighed.value / hours_12, 4) END AS uo_mlkghr_12hr,
    CASE WHEN hours_24 >= 24 THEN round(sum_24 / weighed.value / hours_24, 4) END AS uo_mlkghr_24hr
FROM summed ASOF LEFT JOIN weighed ON summed.stay = weighed.stay AND summed.hour >= weighed.hour
