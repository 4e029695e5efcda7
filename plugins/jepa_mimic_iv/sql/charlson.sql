-- Charlson comorbidity index from the codes of earlier admissions: stay, value. No row where there was no earlier admission.
--
-- Codes and weights are in the table `comorbidity` (see comorbidity.py); of two grades of one disease the heavier counts. Age points: 1
-- above 50, 2 above 60, 3 above 70, 4 above 80 years.
-- Source: MIMIC Code Repository, concepts/comorbidity/charlson.
-- Departure: the published index uses the codes of the same admission, which are written after discharge and tell how the stay went. Only
-- admissions that ended before this one began are looked at.
WITH
    disease AS (
        SELECT stay, grade.disease, max(weight) AS weight
        FROM earlier_code JOIN comorbidity AS grade
            ON earlier_code.version = grade.version AND starts_with(earlier_code.code, grade.prefix)
        WHERE stay BETWEEN $low AND $high GROUP BY stay, grade.disease
    ),
    burden AS (SELECT stay, sum(weight) AS weight FROM disease GROUP BY stay)

SELECT
    stay,
    coalesce(burden.weight, 0) + CASE WHEN age > 80 THEN 4 WHEN age > 70 THEN 3 WHEN age > 60 THEN 2 WHEN age > 50 THEN 1
        ELSE 0 END AS value
FROM member LEFT JOIN burden USING (stay)
WHERE stay BETWEEN $low AND $high AND stay IN (SELECT stay FROM earlier_admission)
