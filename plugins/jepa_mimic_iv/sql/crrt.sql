-- State of the circuit of continuous dialysis, from the words charted under item 224146 (System Integrity): stay, hour, and a column
-- for each variable, 1 or 0. The settings of the circuit are read as they stand (variables of the group crrt).
-- Source: MIMIC Code Repository, concepts/treatment/crrt.
WITH word AS (SELECT stay, hour, text FROM charted WHERE stay BETWEEN $low AND $high AND hour >= 0 AND item = 224146)

SELECT
    stay, hour,
    max(CASE WHEN text IN ('Active', 'Initiated', 'Reinitiated', 'New Filter') THEN 1
        WHEN text IN ('Recirculating', 'Discontinued') THEN 0 END) AS system_active,
    max(CASE text WHEN 'Clots Present' THEN 1 WHEN 'No Clot Present' THEN 0 END) AS clots,
    max(CASE WHEN text IN ('Clots Increasing', 'Clot Increasing') THEN 1 END) AS clots_increasing,
    max(CASE WHEN text = 'Clotted' THEN 1 END) AS clotted
FROM word GROUP BY stay, hour
