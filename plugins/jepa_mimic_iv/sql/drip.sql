-- What runs at a rate that is known by dose: stay, drug, kind (vasoactive, blocker), start, stop, rate (mcg/kg/min, vasopressin units/hour),
-- weight (kg, as the order names it).
--
-- Items of icu/inputevents are in the table `drip_item`. Units as published: mg/kg/min times 1000 (as it stands where the weight is
-- written as 1, an error of documentation), mcg/min over the weight, units/min times 60; mg/min and mg/hour likewise are ours, and so are
-- rates of an hour of a blocker. A rate in another unit is not read.
--
-- A change of the bag is charted as two orders that overlap for minutes, and counts once: the second order is new (no part of a linked
-- order that ran before), begins while the first still runs, and at its rate within 1 %. From then on the first counts no more, if it ends
-- within half an hour. If it does not, there are two pumps and both count, from the beginning of the second; but a step that ended within
-- that half hour could not tell, and has the rate once. Of several that the second could replace it replaces the one that began first.
-- (In the demo 2 of 1,750 segments overlap, by 3 and 10 minutes: both at one rate, the first the last of its line, the second a new order.)
WITH
    converted AS (
        SELECT
            row_number() OVER (ORDER BY stay, drug, began, stop, rate, rate_unit, weight, order_id, linked_order) AS place,
            stay, drug, kind, began, start, stop, order_id, linked_order, nullif(weight, 0) AS weight,
            CASE
                WHEN drug = 'vasopressin' THEN CASE rate_unit WHEN 'units/hour' THEN rate WHEN 'units/min' THEN rate * 60 END
                WHEN rate_unit = 'mcg/kg/min' THEN rate
                WHEN rate_unit = 'mg/kg/min' THEN CASE WHEN weight = 1 THEN rate ELSE rate * 1000 END
                WHEN rate_unit = 'mcg/min' THEN rate / nullif(weight, 0)
                WHEN rate_unit = 'mg/min' THEN rate * 1000 / nullif(weight, 0)
                WHEN rate_unit = 'mg/hour' THEN rate * 1000 / 60 / nullif(weight, 0)
                WHEN kind = 'blocker' AND rate_unit = 'mcg/kg/hour' THEN rate / 60
                WHEN kind = 'blocker' AND rate_unit = 'mg/kg/hour' THEN rate * 1000 / 60
            END AS rate
        FROM input JOIN drip_item USING (item)
        WHERE stay BETWEEN $low AND $high AND stop > start AND rate > 0
    ),
    bag AS (SELECT * FROM converted WHERE rate IS NOT NULL),
    taken_over AS (
        SELECT first.place, next.began, row_number() OVER (PARTITION BY next.place ORDER BY first.began, first.place) AS turn
        FROM bag AS first JOIN bag AS next USING (stay, drug)
        WHERE next.began > first.began AND next.began < first.stop AND coalesce(next.linked_order = next.order_id, true)
            AND abs(as_charted(next.rate / first.rate) - 1) <= 0.01
    ),
    change AS (SELECT place, min(began) AS moment FROM taken_over WHERE turn = 1 GROUP BY place),
    counted AS (
        SELECT
            bag.*, moment, CASE WHEN moment IS NULL THEN stop ELSE greatest(moment, start) END AS until,
            CASE
                WHEN as_charted(stop - moment) <= 0.5 THEN stop
                ELSE greatest(moment, step_of(moment + 0.5, $step_hours) * $step_hours)
            END AS again
        FROM bag LEFT JOIN change USING (place)
    )

SELECT stay, drug, kind, start, until AS stop, rate, weight FROM counted WHERE until > start
UNION ALL
SELECT stay, drug, kind, greatest(again, start), stop, rate, weight FROM counted WHERE moment IS NOT NULL AND again < stop
