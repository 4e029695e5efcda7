-- When an infection was suspected, in hindsight (for labels only): stay, antibiotic (hour of the order), suspected (hour).
--
-- An order of a systemic antibiotic that begins in the stay together with a culture: drawn in the 72 h before the order (then the suspicion
-- is timed at the culture, the earliest one), or in the 24 h after it (then at the order). A culture known by its day alone counts within
-- 3 days before, or on the day of the order or the day after it, and is timed at the beginning of its
-- day; of one day, a culture that is known to the minute goes before it.
-- Source: Seymour et al., JAMA 2016, as in the MIMIC Code Repository, concepts/sepsis/suspicion_of_infection. Which drugs are antibiotics is
-- decided as in concepts/medication/antibiotic, by name and route.
-- Departure: an order that was withdrawn before it began counts only if the administration record shows it given (staging.py); the published
-- query takes it as any other.
WITH
    antibiotic AS (
        SELECT DISTINCT stay, begins AS hour, day FROM prescription WHERE stay BETWEEN $low AND $high AND is_antibiotic
    ),
    pair AS (
        SELECT
            a.stay, a.hour, c.culture_hour, c.culture_day, c.exact,
            CASE WHEN c.exact THEN c.culture_hour < a.hour AND as_charted(a.hour - c.culture_hour) <= 72
                ELSE a.day - c.culture_day BETWEEN 0 AND 3 END AS before,
            CASE WHEN c.exact THEN c.culture_hour > a.hour AND as_charted(c.culture_hour - a.hour) <= 24
                ELSE c.culture_day - a.day BETWEEN 0 AND 1 END AS after
        FROM antibiotic AS a JOIN culture AS c USING (stay) WHERE c.stay BETWEEN $low AND $high
    )

SELECT
    stay, hour AS antibiotic,
    coalesce(arg_min(culture_hour, (culture_day, NOT exact, culture_hour)) FILTER (before), hour) AS suspected
FROM pair WHERE before OR after GROUP BY stay, hour
