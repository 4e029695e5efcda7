-- Stages of acute kidney injury at each creatinine, each charting of urine and each charting of a mode of continuous dialysis: stay, hour,
-- and a column for each variable (creatinine mg/dL, urine rates mL/kg/h, stages 0 to 3).
--
-- Creatinine (lab item 50912, 0 to 150 mg/dL): stage 3 from 3 times the lowest of the last 7 days, or from 4 mg/dL with a rise (0.3 above the
-- lowest of the last 48 h, or 1.5 times the lowest of 7 days); 2 from 2 times; 1 from 1.5 times or 0.3 above the lowest of 48 h; else 0.
-- Rises and ratios are compared in decimals, as they were charted: in binary, 1.1 + 0.3 is more than 1.4.
-- Urine: rates over 6 h (6 to 12 h covered), 12 h and 24 h; none in the first 6 h; 3 below 0.3 over 24 h or 0 over 12 h; 2 below 0.5 over
-- 12 h; 1 below 0.5 over 6 h. Dialysis: 3. The stage is the highest of the three, the smoothed one the highest of the last 6 h.
-- Source: KDIGO guideline 2012 as in the MIMIC Code Repository, concepts/organfailure/kdigo_{creatinine,uo,stages}.
-- Departures: from 4 mg/dL on the guideline's rise of 0.3 counts, where the published query wants a lowest of 3.7 at most, so that 7.1 and
-- then 7.5 is stage 3; a creatinine counts from when it was seen (see the option lab_visibility) and is compared with those that were drawn
-- before it and seen by then; of several that are seen at one moment the last one drawn is shown; no weight is carried back; the smoothing
-- does not reach into another stay of the patient.
WITH
    creatinine AS (
        SELECT stay, drawn, max(hour) AS seen, avg(value ORDER BY value) AS creat FROM lab
        WHERE stay BETWEEN $low AND $high AND item = 50912 AND value > 0 AND value <= 150 GROUP BY stay, drawn
    ),
    creatinine_compared AS (
        SELECT
            now.stay, now.drawn, now.seen, now.creat,
            min(earlier.creat) FILTER (as_charted(now.drawn - earlier.drawn) <= 48) AS low_48, min(earlier.creat) AS low_7
        FROM creatinine AS now LEFT JOIN creatinine AS earlier ON earlier.stay = now.stay AND earlier.drawn < now.drawn
            AND as_charted(now.drawn - earlier.drawn) <= 168 AND earlier.seen <= now.seen
        GROUP BY ALL
    ),
    creatinine_lowest AS (
        SELECT DISTINCT ON (stay, second) stay, round(seen * 3600)::BIGINT AS second, creat, low_48, low_7
        FROM creatinine_compared ORDER BY stay, second, drawn DESC
    ),
    creatinine_change AS (
        SELECT *, as_charted(creat - low_48) AS rise, as_charted(creat / low_7) AS ratio FROM creatinine_lowest
    ),
    by_creatinine AS (
        SELECT
            stay, second, creat, low_48, low_7,
            CASE
                WHEN ratio >= 3 THEN 3
                WHEN as_charted(creat) >= 4 AND (rise >= 0.3 OR ratio >= 1.5) THEN 3
                WHEN ratio >= 2 THEN 2
                WHEN rise >= 0.3 OR ratio >= 1.5 THEN 1
                ELSE 0
            END AS stage
        FROM creatinine_change
    ),
    charting AS (
        SELECT stay, hour, round(hour * 3600)::BIGINT AS second, uo, weight,
            coalesce(hour - lag(hour) OVER (PARTITION BY stay ORDER BY hour), 1) AS hours
        FROM urine_output_rate
    ),
    summed AS (
        SELECT
            stay, second, weight,
            sum(uo) OVER last_6 AS sum_6, sum(uo) OVER last_12 AS sum_12, sum(uo) OVER last_24 AS sum_24,
            round(sum(hours) OVER last_6, 6) AS hours_6, round(sum(hours) OVER last_12, 6) AS hours_12,
            round(sum(hours) OVER last_24, 6) AS hours_24
        FROM charting
        WINDOW
            last_6 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 21600 PRECEDING AND CURRENT ROW),
            last_12 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 43200 PRECEDING AND CURRENT ROW),
            last_24 AS (PARTITION BY stay ORDER BY second RANGE BETWEEN 86400 PRECEDING AND CURRENT ROW)
    ),
    rated AS (
        SELECT
            stay, second,
            CASE WHEN hours_6 >= 6 AND hours_6 < 12 THEN round(sum_6 / weight / hours_6, 4) END AS rate_6,
            CASE WHEN hours_12 >= 12 THEN round(sum_12 / weight / hours_12, 4) END AS rate_12,
            CASE WHEN hours_24 >= 24 THEN round(sum_24 / weight / hours_24, 4) END AS rate_24
        FROM summed
    ),
    by_urine AS (
        SELECT
            *,
            CASE
                WHEN rate_6 IS NULL THEN NULL
                WHEN second <= 21600 THEN 0
                WHEN rate_24 < 0.3 OR rate_12 = 0 THEN 3
                WHEN rate_12 < 0.5 THEN 2
                WHEN rate_6 < 0.5 THEN 1
                ELSE 0
            END AS stage
        FROM rated
    ),
    by_dialysis AS (
        SELECT DISTINCT stay, round(hour * 3600)::BIGINT AS second, 3 AS stage FROM observed
        WHERE channel = (SELECT channel FROM variable WHERE name = 'crrt/crrt_mode')
    ),
    moment AS (
        SELECT stay, second FROM by_creatinine UNION SELECT stay, second FROM by_urine
        UNION SELECT stay, second FROM by_dialysis
    ),
    staged AS (
        SELECT
            moment.*, creat, low_7, low_48, c.stage AS creatinine_stage, rate_6, rate_12, rate_24, u.stage AS urine_stage,
            d.stage AS dialysis_stage,
            greatest(coalesce(c.stage, 0), coalesce(u.stage, 0), coalesce(d.stage, 0)) AS stage
        FROM moment LEFT JOIN by_creatinine AS c USING (stay, second) LEFT JOIN by_urine AS u USING (stay, second)
            LEFT JOIN by_dialysis AS d USING (stay, second)
    )

SELECT
    stay, second / 3600.0 AS hour, creat, low_7 AS creat_low_past_7day, low_48 AS creat_low_past_48hr,
    creatinine_stage AS aki_stage_creat, rate_6 AS uo_rt_6hr, rate_12 AS uo_rt_12hr, rate_24 AS uo_rt_24hr,
    urine_stage AS aki_stage_uo, dialysis_stage AS aki_stage_crrt, stage AS aki_stage,
    max(stage) OVER (PARTITION BY stay ORDER BY second RANGE BETWEEN 21600 PRECEDING AND CURRENT ROW) AS aki_stage_smoothed
FROM staged
