"""Who is studied: adults' first intensive care stays of an admission, long enough, with vital signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.data.splits import divide
from jepa_core.errors import DataError
from jepa_core.io.workspace import Workspace
from jepa_mimic_iv.config import MimicIVConfig

_STAYS = """
CREATE TABLE every_stay AS
WITH
    numbered AS (SELECT row_number() OVER () AS number, * FROM icustays),
    person AS (SELECT DISTINCT ON (subject_id) * FROM patients ORDER BY ALL),
    visit AS (SELECT DISTINCT ON (hadm_id) * FROM admissions ORDER BY ALL)
SELECT
    numbered.number, stay_id, numbered.subject_id, numbered.hadm_id, intime, outtime,
    (epoch(outtime) - epoch(intime)) / 3600 AS hours,
    anchor_age + year(intime) - anchor_year AS age,
    gender, race, hospital_expire_flag AS died, admittime, dischtime, deathtime, dod,
    person.subject_id IS NOT NULL AS has_person, visit.hadm_id IS NOT NULL AS has_visit,
    count(*) OVER (PARTITION BY stay_id) AS copies,
    row_number() OVER (PARTITION BY numbered.hadm_id ORDER BY intime NULLS LAST, stay_id) AS turn
FROM numbered LEFT JOIN person USING (subject_id) LEFT JOIN visit USING (hadm_id)
"""

_CANDIDATES = """
CREATE TABLE stay AS
SELECT
    (row_number() OVER (ORDER BY stay_id) - 1)::INTEGER AS stay, stay_id, subject_id, hadm_id, intime, outtime, hours,
    least($max_steps, greatest(1, steps_until(hours, $step_hours)))::INTEGER AS steps,
    least(hours, $max_steps * $step_hours) AS horizon,
    age, gender, race, coalesce(died, 0) AS died, admittime, dischtime, deathtime, dod
FROM every_stay WHERE {rules}
"""

_BROKEN: tuple[tuple[str, str], ...] = (
    ("stay_id IS NULL OR subject_id IS NULL OR hadm_id IS NULL", "stay_id, subject_id or hadm_id is empty"),
    ("copies > 1", "its stay_id stands in another row too"),
    ("NOT has_person", "its subject_id is not in the table hosp/patients"),
    ("NOT has_visit", "its hadm_id is not in the table hosp/admissions"),
)
"""Conditions that no row of icu/icustays may fulfil, and how each is said."""


@dataclass(frozen=True)
class Stays:
    """Some of the stays that remain, in the order of the store. stay: (N,) number of each among the candidates,
    ascending."""

    stay: np.ndarray
    identifier: np.ndarray
    subject: np.ndarray
    split: np.ndarray
    steps: np.ndarray


def select_candidates(work: Workspace, config: MimicIVConfig) -> list[dict[str, str | int | float]]:
    """Make the table `stay` of the stays that fulfil every rule that icustays, patients and admissions can answer.

    Returns the attrition so far. Raises DataError if a row of icustays is broken, or if no stay is left.
    """
    for table in ("icu/icustays", "hosp/patients", "hosp/admissions"):
        work.execute(f"CREATE TABLE {table.split('/')[1]} AS SELECT * FROM {{table}}", reads=table)
    work.execute(_STAYS)
    _refuse_broken_rows(work)
    _refuse_many_reversed(work, config.reversed_stays)
    attrition: list[dict[str, str | int | float]] = []
    held = "true"
    for name, rule in _rules(config):
        held = f"{held} AND {rule}"
        attrition.append(_count(work, name, f"every_stay WHERE {held}"))
    work.execute(_CANDIDATES.replace("{rules}", held), {"max_steps": config.max_steps, "step_hours": config.step_hours})
    return attrition


def select_members(
    work: Workspace, config: MimicIVConfig, attrition: list[dict[str, str | int | float]]
) -> list[dict[str, str | int | float]]:
    """Of the candidates, keep those with vital signs as the table `member`, and split them by subject, as the table
    `division`.

    Needs the staged events. Returns the attrition, rows with the keys step, trajectories, subjects. Raises DataError if
    no stay is left, or too few subjects to split.
    """
    work.execute(
        "CREATE TABLE member AS SELECT * FROM stay WHERE stay IN "
        "(SELECT DISTINCT stay FROM charted JOIN measure USING (item) "
        "WHERE is_vital AND hour >= 0 AND value BETWEEN low AND high)"
    )
    attrition = [*attrition, _count(work, "has vital signs", "member")]
    columns = work.execute("SELECT stay, subject_id, died FROM member ORDER BY stay").fetchnumpy()
    split = divide(columns["subject_id"], columns["died"], config.split)
    work.give("division", {"stay": columns["stay"].tolist(), "split": split.tolist()})
    return attrition


def read_members(work: Workspace, first: int, count: int) -> Stays:
    """`count` of the members, fewer at the end, from the `first` on."""
    columns = work.execute(
        "SELECT stay, stay_id, subject_id, split, steps FROM member JOIN division USING (stay) ORDER BY stay "
        "LIMIT $count OFFSET $first",
        {"count": count, "first": first},
    ).fetchnumpy()
    return Stays(columns["stay"], columns["stay_id"], columns["subject_id"], columns["split"], columns["steps"])


def _rules(config: MimicIVConfig) -> list[tuple[str, str]]:
    rules = [
        ("intensive care stays", "true"),
        ("times of admission and discharge known", "intime IS NOT NULL AND outtime IS NOT NULL"),
        ("discharge not before admission", "outtime >= intime"),
        (f"at least {config.min_age} years old", f"age >= {config.min_age}"),
    ]
    if config.first_icu_stay:
        rules.append(("first stay of the hospital admission", "turn = 1"))
    return [*rules, (f"at least {config.min_hours:g} h long", f"hours >= {config.min_hours}")]


def _count(work: Workspace, name: str, where: str) -> dict[str, str | int | float]:
    ((stays, subjects),) = work.rows(f"SELECT count(*), count(DISTINCT subject_id) FROM {where}")
    if stays == 0:
        raise DataError(f"no stay is left after the rule '{name}'; loosen that rule of the source, or check the tables")
    return {"step": name, "trajectories": stays, "subjects": subjects}


def _refuse_many_reversed(work: Workspace, share: float) -> None:
    """Raise DataError where more than a share of the stays ends before it begins: then the table is broken."""
    ((count, stays, first),) = work.rows(
        "SELECT count(*) FILTER (outtime < intime), count(*), min(number) FILTER (outtime < intime) FROM every_stay"
    )
    if count > share * stays:
        raise DataError(
            f"{work.path('icu/icustays')}, row {first} (counted from 1 below the header): outtime is before intime; "
            f"there are {count} such rows of {stays}, and up to {share:.0%} are left out; copy the table again, or set "
            "reversed_stays of the source"
        )


def _refuse_broken_rows(work: Workspace) -> None:
    for condition, meaning in _BROKEN:
        ((count, first),) = work.rows(f"SELECT count(*), min(number) FROM every_stay WHERE {condition}")
        if count:
            raise DataError(
                f"{work.path('icu/icustays')}, row {first} (counted from 1 below the header): {meaning}; "
                f"there are {count} such rows; correct or remove them, or copy the table again"
            )
