-- How the stays ended: a row for each, in order. hospital_mortality: died before discharge from the hospital, as the hospital recorded it.
-- icu_mortality: died before leaving intensive care. mortality_<n>d: died within n days of admission to intensive care; a death after
-- discharge is known by its day alone and counts from the beginning of that day. The state's records of death are complete to one year after
-- the last discharge, so a patient without a day of death was alive at 90 days; where no discharge is recorded either, nobody can tell.
-- prolonged_stay_7d: more than 168 h in intensive care. sepsis: met Sepsis-3 at some hour of the stay (sepsis3.sql).
SELECT
    death.stay, died::FLOAT AS hospital_mortality,
    CASE WHEN died = 0 THEN 0 WHEN deathtime IS NOT NULL THEN (deathtime <= outtime)::INTEGER END::FLOAT AS icu_mortality,
    dead_within(7, death, intime, died, dischtime) AS mortality_7d, dead_within(14, death, intime, died, dischtime) AS mortality_14d, dead_within(30, death, intime, died, dischtime) AS mortality_30d, dead_within(90, death, intime, died, dischtime) AS mortality_90d,
    (hours > 168)::INTEGER::FLOAT AS prolonged_stay_7d, (sepsis3.stay IS NOT NULL)::INTEGER::FLOAT AS sepsis
FROM (SELECT *, coalesce(deathtime, dod::TIMESTAMP) AS death FROM member WHERE stay BETWEEN $low AND $high) AS death
    LEFT JOIN sepsis3 ON death.stay = sepsis3.stay
ORDER BY death.stay
