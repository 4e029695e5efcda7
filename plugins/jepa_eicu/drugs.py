"""What runs into a patient: rates out of the texts of `infusionDrug`, and how long each holds.

A row charts the rate that a pump has. It holds until the next row of that drug, or for as long as `HOLDS`, whichever
comes first; so an hour knows no rate that was charted after it. The unit stands at the end of the drug's name.
"""

from __future__ import annotations

from jepa_core.io.workspace import Workspace

HOLDS = 6.0
"""Hours after which a rate that nobody charted again counts as over."""

LOCAL_ROUTES = r"ophth|\beye|\bear\b|otic|topical|nasal|vaginal"

DRUGS: tuple[tuple[str, str], ...] = (
    ("norepinephrine", r"norepi|levophed"),
    ("epinephrine", r"epine|adrenalin|^epi\b"),
    ("dopamine", r"dopamine"),
    ("dobutamine", r"dobu"),
    ("phenylephrine", r"phenyle|neo-? ?syn"),
    ("vasopressin", r"vasopressin"),
    ("milrinone", r"milri|milro|primacor"),
    ("insulin", r"insulin"),
)
"""Drugs by a part of their names in lower case; of several that fit, the first."""

UNITS: tuple[tuple[str, str, float, int], ...] = (
    ("mcg", "mcg/kg/min", 1.0, 0),
    ("mcg", "mcg/kg/hr", 1 / 60, 0),
    ("mcg", "mcg/min", 1.0, -1),
    ("mcg", "mcg/hr", 1 / 60, -1),
    ("mcg", "mg/kg/min", 1000.0, 0),
    ("mcg", "mg/min", 1000.0, -1),
    ("mcg", "mg/hr", 1000 / 60, -1),
    ("mcg", "nanograms/kg/min", 0.001, 0),
    ("units", "units/hr", 1.0, 0),
    ("units", "units/min", 60.0, 0),
    ("units", "units/kg/hr", 1.0, 1),
    ("units", "units/kg/min", 60.0, 1),
)
"""Unit in the name, the factor to mcg/kg/min or units/hour, and the power of the weight in kg that goes with it. Rates
of a fluid (ml/hr), and without a unit, say no dose and are left out."""

IN_UNITS = ("vasopressin", "insulin")

EQUIVALENT = (
    ("norepinephrine", 1.0),
    ("epinephrine", 1.0),
    ("phenylephrine", 0.1),
    ("dopamine", 0.01),
    ("vasopressin", 2.5 / 60),
)
"""Norepinephrine equivalent dose (Goradia et al., J Crit Care 2020), as `mimic_iv` has it."""

_CASES = " ".join(f"WHEN regexp_matches(name, '{pattern}') THEN '{drug}'" for drug, pattern in DRUGS)

_RATES = f"""
CREATE TABLE rate AS
SELECT stay, horizon, drug, minute / 60 AS start, max(rate) AS rate FROM (
    SELECT stay, horizon, minute, drug, told * factor * CASE WHEN power = 0 THEN 1 ELSE kg ** power END AS rate
    FROM (
        SELECT *, CASE {_CASES} END AS drug,
            CASE WHEN CASE {_CASES} END IN {IN_UNITS} THEN 'units' ELSE 'mcg' END AS kind,
            coalesce(CASE WHEN charted BETWEEN 20 AND 400 THEN charted END,
                CASE WHEN weight BETWEEN 20 AND 400 THEN weight END) AS kg
        FROM (
            SELECT stay, horizon, weight, infusionoffset AS minute, lower(drugname) AS name,
                try_cast(drugrate AS DOUBLE) AS told, try_cast(patientweight AS DOUBLE) AS charted,
                trim(regexp_extract(lower(drugname), '\\(([^()]*)\\)$', 1)) AS unit
            FROM {{table}} AS pump JOIN stay ON patientunitstayid = stay_id
        ) WHERE told >= 0 AND NOT regexp_matches(name, 'volume')
    ) JOIN dose_unit USING (kind, unit)
    WHERE drug IS NOT NULL
) WHERE rate IS NOT NULL AND minute / 60 < horizon
GROUP BY stay, horizon, drug, minute
"""

_RUNNING = """
CREATE TABLE running AS
SELECT stay, drug, rate, step, greatest(start, step) AS begins, least(stop, step + 1) - greatest(start, step) AS hours
FROM (
    SELECT *, unnest(range(floor(greatest(start, 0))::BIGINT, ceil(stop)::BIGINT))::INTEGER AS step FROM (
        SELECT *, least(coalesce(lead(start) OVER (PARTITION BY stay, drug ORDER BY start), horizon), start + $holds,
            horizon) AS stop
        FROM rate
    ) WHERE rate > 0 AND stop > greatest(start, 0)
)
"""

_GIVEN = """
CREATE TABLE given AS
WITH
    average AS (
        SELECT stay, step, drug, min(begins) AS hour,
            sum(rate * hours ORDER BY begins) / sum(hours ORDER BY begins) AS rate,
            sum(rate * hours ORDER BY begins) AS amount
        FROM running GROUP BY stay, step, drug
    ),
    equal AS (
        SELECT stay, step, min(hour) AS hour, round(sum(rate * factor ORDER BY drug), 4) AS dose
        FROM average JOIN equivalent USING (drug) GROUP BY stay, step
    )
SELECT stay, step, min(begins) AS hour, 'vasoactive_agent/' || drug AS name, rate AS value
FROM running WHERE drug <> 'insulin' GROUP BY stay, step, drug, rate
UNION ALL SELECT stay, step, hour, 'mean_rate/' || drug, rate FROM average WHERE drug <> 'insulin'
UNION ALL SELECT stay, step, hour, 'norepinephrine_equivalent_dose/norepinephrine_equivalent_dose', dose FROM equal
UNION ALL SELECT stay, step, hour, 'mean_rate/norepinephrine_equivalent_dose', dose FROM equal
UNION ALL SELECT stay, step, hour, 'inputevents/Insulin - Regular [units]', amount FROM average WHERE drug = 'insulin'
"""


def stage_infusions(work: Workspace) -> None:
    """Make the table `given` of (stay, step, hour, name, value) of what ran in each hour. Needs `stay`."""
    work.give_rows("dose_unit", ("kind", "unit", "factor", "power"), UNITS)
    work.give_rows("equivalent", ("drug", "factor"), EQUIVALENT)
    work.execute(_RATES, reads="infusionDrug")
    work.execute(_RUNNING, {"holds": HOLDS})
    work.execute(_GIVEN)
