-- What was done in the stays $low to $high: stay, hour, channel, value, text, and what keeps an amount beside its rate.
--
-- An infusion shows in each step the amount of that step. Where the pump's rate can be turned into the unit of the amount (with the
-- weight that the order names, for rates per kg), the amount is rate * hours, so nothing that happens later in the segment is in it.
-- Where there is no such rate (additives of a bag), it is total * hours / duration. Total and duration are charted when the segment
-- ends, but a segment that ends early is charted with what it delivered until then, so their ratio is the concentration in the bag
-- times the bag's rate, which were set when it began. Only an inconsistent record (a total that was not delivered) would let an
-- hour know something of what follows it. Pushes and boluses count once, when they are given.
WITH
    segment AS (
        SELECT
            input.*, row_number() OVER () AS segment, a.channel AS amount_channel, r.channel AS rate_channel,
            coalesce(rate * factor * CASE WHEN per_kg THEN nullif(weight, 0) ELSE 1 END, mean_rate) AS per_hour
        FROM input
            JOIN amount_channel AS a ON input.label = a.label AND amount_unit = a.unit
            LEFT JOIN rate_channel AS r ON input.label = r.label AND rate_unit = r.unit AND rate > 0
            LEFT JOIN factor USING (rate_unit, amount_unit)
        WHERE stay BETWEEN $low AND $high
    ),
    push AS (
        SELECT *, start AS hour, amount AS delivered FROM segment
        WHERE (stop IS NULL OR category IN ('Drug Push', 'Bolus', 'Non Iv Meds')) AND began >= 0 AND amount > 0
    ),
    infusion AS (
        SELECT *, unnest(range(step_of(start, $step_hours), steps_until(stop, $step_hours))) AS step
        FROM segment WHERE stop > start AND category IS DISTINCT FROM 'Drug Push' AND category IS DISTINCT FROM 'Bolus'
            AND category IS DISTINCT FROM 'Non Iv Meds'
    ),
    slice AS (
        SELECT * EXCLUDE (step), greatest(start, step * $step_hours) AS hour,
            per_hour * (least(stop, (step + 1) * $step_hours) - greatest(start, step * $step_hours)) AS delivered
        FROM infusion WHERE per_hour > 0
    ),
    given AS (
        SELECT stay, hour, amount_channel, rate_channel, delivered, rate, category, segment FROM push
        UNION ALL
        SELECT stay, hour, amount_channel, rate_channel, delivered, rate, category, segment FROM slice
    ),
    ordered AS (
        SELECT
            prescription.stay, hour, channel, CASE WHEN value > 0 THEN value END AS value,
            tidy(concat_ws(' ', CASE WHEN value IS NULL THEN concat_ws(' ', dose, CASE WHEN dose IS NOT NULL THEN prescription.unit END) END,
                strength, route)) AS text
        FROM prescription JOIN drug_channel ON drug = label AND prescription.unit = drug_channel.unit
        WHERE stay BETWEEN $low AND $high
    )

SELECT
    stay, hour, amount_channel AS channel, delivered AS value, CASE WHEN rate_channel IS NULL THEN category END AS text,
    amount_channel AS place, category, rate, delivered, segment, 0 AS part
FROM given
UNION ALL
SELECT stay, hour, rate_channel, rate, category, amount_channel, category, rate, delivered, segment, 1
FROM given WHERE rate_channel IS NOT NULL
UNION ALL
SELECT DISTINCT stay, hour, channel, value, text, channel, NULL, NULL, NULL, NULL, 0 FROM ordered
UNION ALL
SELECT DISTINCT stay, hour, channel, NULL, text, channel, NULL, NULL, NULL, NULL, 0
FROM administration JOIN given_channel ON drug = label WHERE stay BETWEEN $low AND $high
UNION ALL
SELECT stay, hour, channel, value, text, channel, NULL, NULL, NULL, NULL, 0 FROM treatment
