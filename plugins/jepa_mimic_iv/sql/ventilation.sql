-- What breathing support was in force: stay, start, stop, status, supported; times in hours since admission to intensive care.
--
-- Items: 226732 oxygen delivery device, 223849 ventilator mode, 229314 Hamilton mode; table `respiratory_word` says which word means
-- which status and which status wins where several are charted at one time (tracheostomy, invasive ventilation, mask ventilation,
-- high flow, supplemental oxygen, none). Words of no status are passed over.
-- Supported means that a ventilator breathes through a tube: the status is invasive ventilation, or it is a tracheostomy and an invasive
-- mode was charted with it or in the 14 h before, and since then neither a device that needs no ventilator (a trach mask, a cannula) nor a
-- mode of mask ventilation.
-- Source: MIMIC Code Repository, concepts/treatment/ventilation (statuses and the limit of 14 h).
-- Departures, because the published episodes are drawn in hindsight: a status lasts until another charting, for 14 h at most, where the
-- published one ends at its last charting if none follows within 14 h; and an episode of a single charting counts, which only the next
-- charting could rule out. A status charted before admission is in force at hour 0 for as long. Of several devices charted at one time each
-- is looked at, not the first alone.
WITH
    charting AS (
        SELECT stay, hour, arg_min(status, rank) AS status, bool_or(ventilated) AS ventilated
        FROM charted JOIN respiratory_word ON charted.item = respiratory_word.item AND charted.text = word
        WHERE stay BETWEEN $low AND $high GROUP BY stay, hour
    ),
    told AS (
        SELECT
            *, lead(hour) OVER charted_in_order AS next,
            last_value(ventilated IGNORE NULLS) OVER charted_in_order AS last_told,
            last_value(CASE WHEN ventilated IS NOT NULL THEN hour END IGNORE NULLS) OVER charted_in_order AS told_at
        FROM charting WINDOW charted_in_order AS (PARTITION BY stay ORDER BY hour)
    )

SELECT
    stay, hour AS start, least(coalesce(next, horizon), hour + 14, horizon) AS stop, status,
    status = 'InvasiveVent' OR status = 'Tracheostomy' AND last_told IS NOT DISTINCT FROM true
        AND as_charted(hour - told_at) <= 14 AS supported
FROM told JOIN member USING (stay)
