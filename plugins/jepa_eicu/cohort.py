"""Who is studied: adults' first unit stays of a hospital stay, long enough, with vital signs."""

from __future__ import annotations

from jepa_core.data.splits import divide
from jepa_core.errors import DataError
from jepa_core.io.workspace import Workspace
from jepa_eicu.config import EICUConfig

Attrition = list[dict[str, str | int | float]]

OLDEST = 91
"""What '> 89' counts as: as old as MIMIC-IV makes everybody who is older than 89."""
_RACES = {
    "Caucasian": "WHITE",
    "African American": "BLACK/AFRICAN AMERICAN",
    "Hispanic": "HISPANIC OR LATINO",
    "Asian": "ASIAN",
    "Native American": "AMERICAN INDIAN/ALASKA NATIVE",
    "Other/Unknown": "UNKNOWN",
}
"""Words of eICU, in those of MIMIC-IV."""

_STAYS = f"""
CREATE TABLE every_stay AS
SELECT
    row_number() OVER () AS number, patientunitstayid AS stay_id, uniquepid,
    try_cast(split_part(uniquepid, '-', 1) AS BIGINT) * 1000000000 + try_cast(split_part(uniquepid, '-', 2) AS BIGINT)
        AS subject,
    CASE WHEN age = '> 89' THEN {OLDEST} ELSE try_cast(age AS INTEGER) END AS age, age AS told_age,
    CASE gender WHEN 'Male' THEN 'M' WHEN 'Female' THEN 'F' END AS gender,
    word AS race, admissionheight AS height, admissionweight AS weight,
    unitdischargeoffset / 60 AS hours,
    CASE hospitaldischargestatus WHEN 'Expired' THEN 1 WHEN 'Alive' THEN 0 END AS died,
    CASE unitdischargestatus WHEN 'Expired' THEN 1 WHEN 'Alive' THEN 0 END AS died_in_unit,
    count(*) OVER (PARTITION BY patientunitstayid) AS copies,
    row_number() OVER (
        PARTITION BY patienthealthsystemstayid ORDER BY unitvisitnumber NULLS LAST, patientunitstayid
    ) AS turn
FROM {{table}} LEFT JOIN race_word ON ethnicity = told
"""
_BROKEN = (
    ("stay_id IS NULL", "patientunitstayid is empty"),
    ("copies > 1", "its patientunitstayid stands in another row too"),
    (
        "subject IS NULL OR NOT regexp_full_match(uniquepid, '\\d+-\\d{1,9}')",
        "uniquepid is not two numbers with a dash",
    ),
    ("told_age IS NOT NULL AND age IS NULL", "age is neither a number of years nor '> 89'"),
)
"""Conditions that no row of patient may fulfil, and how each is said."""

_MEMBERS = """
CREATE TABLE stay AS
SELECT
    (row_number() OVER (ORDER BY stay_id) - 1)::INTEGER AS stay, *,
    least($max_steps, greatest(1, ceil(hours)))::INTEGER AS steps, least(hours, $max_steps) AS horizon
FROM every_stay WHERE {rules}
"""


def select_stays(work: Workspace, config: EICUConfig) -> Attrition:
    """Make the table `stay` of the stays that fulfil every rule that the table patient can answer.

    Returns the attrition so far. Raises DataError if a row is broken, or if no stay is left.
    """
    work.give("race_word", {"told": list(_RACES), "word": list(_RACES.values())})
    work.execute(_STAYS, reads="patient")
    for condition, meaning in _BROKEN:
        ((count, first),) = work.rows(f"SELECT count(*), min(number) FROM every_stay WHERE {condition}")
        if count:
            raise DataError(
                f"{work.path('patient')}, row {first} (counted from 1 below the header): {meaning}; there are {count} "
                "such rows; correct or remove them, or copy the table again"
            )
    attrition: Attrition = []
    held = "true"
    for name, rule in _rules(config):
        held = f"{held} AND {rule}"
        attrition.append(_count(work, name, f"every_stay WHERE {held}"))
    work.execute(_MEMBERS.replace("{rules}", held), {"max_steps": config.max_steps})
    return attrition


def select_observed(work: Workspace, config: EICUConfig, attrition: Attrition) -> Attrition:
    """Of the stays, keep those with vital signs as the table `member`, with the split of each. Needs the events."""
    work.execute(
        "CREATE TABLE observed AS SELECT * FROM stay WHERE stay IN "
        "(SELECT DISTINCT stay FROM event JOIN variable USING (channel) WHERE is_vital)"
    )
    attrition = [*attrition, _count(work, "has vital signs", "observed")]
    told = work.columns("SELECT stay, subject, coalesce(died, 0) AS died FROM observed ORDER BY stay")
    split = divide(told["subject"], told["died"], config.split)
    work.give("division", {"stay": told["stay"].tolist(), "split": split.tolist()})
    work.execute("CREATE TABLE member AS SELECT * FROM observed JOIN division USING (stay)")
    return attrition


def _rules(config: EICUConfig) -> list[tuple[str, str]]:
    rules = [
        ("unit stays", "true"),
        ("time of discharge known, and not before admission", "hours >= 0"),
        (f"at least {config.min_age} years old", f"age >= {config.min_age}"),
    ]
    if config.first_icu_stay:
        rules.append(("first unit stay of the hospital stay", "turn = 1"))
    return [*rules, (f"at least {config.min_hours:g} h long", f"hours >= {config.min_hours}")]


def _count(work: Workspace, name: str, where: str) -> dict[str, str | int | float]:
    ((stays, subjects),) = work.rows(f"SELECT count(*), count(DISTINCT subject) FROM {where}")
    if stays == 0:
        raise DataError(f"no stay is left after the rule '{name}'; loosen that rule of the source, or check the tables")
    return {"step": name, "trajectories": stays, "subjects": subjects}
