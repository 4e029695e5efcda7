-- Dialysis in every step in which there is a sign of it: stay, hour, present (1), active (0 or 1), kind.
--
-- Signs are charted items (table `dialysis_item`: whether each means that it runs, and which kind), the procedures of the table
-- `dialysis_procedure` while they last (a catheter or a filter change: present, not active), and what is given through the circuit (inputs
-- 227536 and 227525). Item 225965 (peritoneal dialysis catheter) means active where it reads "In use"; item 227290 names the kind itself.
-- Source: MIMIC Code Repository, concepts/treatment/rrt.
-- Departure: the published table has a row for each charting and each start; here a step has one row for each kind that shows in it.
WITH
    sign AS (
        SELECT
            stay, hour AS start, hour AS stop, active OR (item = 225965 AND text = 'In use') AS active,
            CASE WHEN item = 227290 THEN text ELSE kind END AS kind
        FROM charted JOIN dialysis_item USING (item) WHERE stay BETWEEN $low AND $high AND hour >= 0 AND text IS NOT NULL
        UNION ALL
        SELECT stay, start, stop, kind IS NOT NULL, kind FROM procedure JOIN dialysis_procedure USING (item)
        WHERE stay BETWEEN $low AND $high AND counted
        UNION ALL
        SELECT stay, start, coalesce(stop, start), true, 'CRRT' FROM input
        WHERE stay BETWEEN $low AND $high AND item IN (227536, 227525) AND amount > 0
    ),
    in_step AS (
        SELECT *, unnest(range(
            step_of(start, $step_hours), greatest(steps_until(stop, $step_hours), step_of(start, $step_hours) + 1)
        )) AS step FROM sign
    )

SELECT stay, step, max(greatest(start, step * $step_hours)) AS hour, 1 AS present, max(active::INTEGER) AS active, kind
FROM in_step GROUP BY stay, step, kind
