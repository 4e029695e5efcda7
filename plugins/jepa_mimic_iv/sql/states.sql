-- What was observed and what was derived of it, as events of the state: stay, hour, channel, value, text.
WITH named AS (
    SELECT stay, hour, 'sofa/' || name AS name, value FROM (
        UNPIVOT (SELECT * EXCLUDE (begins) FROM sofa) ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value)
    UNION ALL
    SELECT stay, hour, 'urine_output_rate/' || name, value FROM (
        UNPIVOT (SELECT * EXCLUDE (hours, hours_24hr) FROM urine_output_rate)
        ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value)
    UNION ALL
    SELECT stay, hour, 'kdigo_stages/' || name, value FROM (
        UNPIVOT (SELECT stay, hour, COLUMNS(* EXCLUDE (stay, hour))::DOUBLE FROM kdigo_stages)
        ON COLUMNS(* EXCLUDE (stay, hour)) INTO NAME name VALUE value)
)

SELECT stay, hour, channel, value, NULL::VARCHAR AS text FROM named JOIN variable USING (name) WHERE hour >= 0
UNION ALL
SELECT stay, hour, channel, value, text FROM shown WHERE NOT is_action
