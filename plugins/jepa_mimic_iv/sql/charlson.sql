-- Charlson comorbidity index from the codes of earlier admissions: stay, value. No row where there was no earlier admission.
--
-- Codes and weights are in the table `comorbidity` (see comorbidity.py); of two grades of one disease the heavier counts. Age points: 1
-- from 50, 2 from 60, 3 from 70, 4 from 80 years (Charlson et al. 1994, doi 10.1016/0895-4356(94)90129-5).
-- Source: MIMIC Code Repository, concepts/comorbidity/charlson, whose age points began a year late until August 2026.
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
    coalesce(burden.weight, 0) + CASE WHEN age >= 80 THEN 4 WHEN age >= 70 THEN 3 WHEN age >= 60 THEN 2 WHEN age >= 50 THEN 1
        ELSE 0 END AS value
FROM member LEFT JOIN burden USING (stay)
WHERE stay BETWEEN $low AND $high AND stay IN (SELECT stay FROM earlier_admission)
