-- What is being done in each step, from the derived tables: stay, hour, channel, value, text. Something that lasts shows in every step that it
-- lasts in, from the moment that it began or the beginning of the step; never for how long it will. What is equal shows once in a step; amounts
-- add up.
WITH
    lasting AS (
        SELECT stay, start, stop, channel, rate AS value, NULL::VARCHAR AS text, false AS by_time
        FROM vasoactive_agent JOIN variable ON name = 'vasoactive_agent/' || drug
        UNION ALL
        SELECT stay, start, stop, channel, dose, NULL, false FROM norepinephrine_equivalent_dose JOIN variable
            ON name = 'norepinephrine_equivalent_dose/norepinephrine_equivalent_dose'
        UNION ALL
        SELECT stay, start, stop, channel, NULL, status, false
        FROM ventilation JOIN variable ON name = 'ventilation/ventilation_status'
        UNION ALL
        SELECT stay, start, stop, channel, rate, NULL, false FROM neuroblock JOIN variable ON name = 'neuroblock/drug_rate'
        UNION ALL
        SELECT stay, start, stop, channel, per_hour, NULL, true FROM neuroblock JOIN variable ON name = 'neuroblock/drug_amount'
        WHERE per_hour IS NOT NULL
        UNION ALL
        SELECT stay, start, stop, channel, NULL, kind, false FROM invasive_line JOIN variable ON name = 'invasive_line/line_type'
        UNION ALL
        SELECT stay, start, stop, channel, NULL, site, false FROM invasive_line JOIN variable ON name = 'invasive_line/line_site'
        WHERE site IS NOT NULL
        UNION ALL
        SELECT stay, start, stop, channel, NULL, category, false FROM procedure JOIN procedure_channel USING (label)
        WHERE stay BETWEEN $low AND $high
    ),
    in_step AS (
        SELECT *, unnest(range(
            greatest(step_of(start, $step_hours), 0), greatest(steps_until(stop, $step_hours), step_of(start, $step_hours) + 1)
        )) AS step FROM lasting
    ),
    -- The rate of a step, weighted by the time that each rate ran in it.
    running AS (
        SELECT stay, drug AS name, start, stop, rate FROM vasoactive_agent
        UNION ALL
        SELECT stay, 'norepinephrine_equivalent_dose', start, stop, dose FROM norepinephrine_equivalent_dose
        UNION ALL
        SELECT stay, 'drug_rate', start, stop, rate FROM neuroblock
    ),
    run AS (
        SELECT *, unnest(range(step_of(start, $step_hours), steps_until(stop, $step_hours))) AS step,
            greatest(start, step * $step_hours) AS begins, least(stop, (step + 1) * $step_hours) - begins AS hours
        FROM running
    ),
    mean_rate AS (
        SELECT stay, min(begins) AS hour, channel, sum(rate * hours ORDER BY begins, rate) / sum(hours ORDER BY begins, rate) AS value
        FROM run JOIN variable ON variable.name = 'mean_rate/' || run.name
        GROUP BY stay, step, channel HAVING sum(hours) > 0
    ),
    portion AS (
        SELECT
            stay, step, channel, text, by_time, greatest(start, step * $step_hours) AS hour,
            value * CASE WHEN by_time THEN least(stop, (step + 1) * $step_hours) - greatest(start, step * $step_hours) ELSE 1 END
                AS value
        FROM in_step
    ),
    dialysis AS (
        SELECT stay, step, max(hour) AS hour, max(present)::DOUBLE AS "rrt/dialysis_present",
            max(active)::DOUBLE AS "rrt/dialysis_active"
        FROM rrt GROUP BY stay, step
    ),
    named AS (
        SELECT stay, hour, name, value FROM (
            UNPIVOT (SELECT * EXCLUDE (step) FROM dialysis) ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value)
        UNION ALL
        SELECT stay, hour, 'crrt/' || name, value FROM (
            UNPIVOT crrt ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value)
    )

SELECT stay, min(hour) AS hour, channel, value, text FROM portion WHERE NOT by_time GROUP BY stay, step, channel, value, text
UNION ALL
SELECT stay, min(hour), channel, sum(value ORDER BY hour, value), text FROM portion WHERE by_time GROUP BY stay, step, channel, text
UNION ALL
SELECT stay, hour, channel, value, NULL FROM mean_rate
UNION ALL
SELECT stay, hour, channel, value, NULL FROM named JOIN variable USING (name)
UNION ALL
SELECT stay, hour, channel, NULL, kind FROM rrt JOIN variable ON name = 'rrt/dialysis_type' WHERE kind IS NOT NULL
UNION ALL
SELECT stay, hour, channel, NULL, drug FROM prescription JOIN variable ON name = 'antibiotic/antibiotic'
WHERE stay BETWEEN $low AND $high AND is_antibiotic
UNION ALL
SELECT stay, hour, channel, NULL, route FROM prescription JOIN variable ON name = 'antibiotic/route'
WHERE stay BETWEEN $low AND $high AND is_antibiotic AND route IS NOT NULL
UNION ALL
SELECT stay, hour, channel, value, text FROM shown WHERE is_action
