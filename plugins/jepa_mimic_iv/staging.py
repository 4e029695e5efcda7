"""One pass over each large table: the rows that matter, timed in hours since admission to intensive care, sorted by
stay.

The sort is the only step that touches everything at once, and it works on disk; afterwards the stays are read a block
at a time.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from jepa_core.trajectories import Channel
from jepa_mimic_iv import concepts
from jepa_mimic_iv.concepts import VARIABLES, Variable
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.infusions import hourly_factor
from jepa_mimic_iv.tables import Workspace

STATIC_CHANNELS = (
    Channel("demographics/age", "years", "demographics", "Age", 0),
    Channel("demographics/gender", "", "demographics", "Gender", 1),
    Channel("demographics/race", "", "demographics", "Race", 2),
)
ACTION_ORDER = 9999
"""Actions follow the observations' numbers and keep their order in time, as in the reference."""

_MACROS = """
CREATE MACRO hours(later, sooner) AS (epoch(later) - epoch(sooner)) / 3600;
CREATE MACRO tidy(words) AS nullif(trim(regexp_replace(words, '\\s+', ' ', 'g')), '');
"""

_CHARTED = """
CREATE TABLE charted AS
SELECT stay, hour, item, value, text FROM (
    SELECT
        stay, horizon, hours(CASE WHEN repeats_lab THEN {seen} ELSE charttime END, intime) AS hour, item,
        valuenum AS value, tidy(value) AS text
    FROM {table} AS event JOIN stay USING (stay_id) JOIN charted_item ON itemid = item
) WHERE hour >= 0 AND hour < horizon
ORDER BY stay
"""

_OUTPUTS = """
CREATE TABLE output AS
SELECT stay, hours(charttime, intime) AS hour, itemid AS item, value, NULL::VARCHAR AS text
FROM {table} AS event JOIN member USING (stay_id)
WHERE itemid IN (SELECT item FROM charted_item) AND hours(charttime, intime) >= 0 AND hours(charttime, intime) < horizon
ORDER BY stay
"""

_LABS = """
CREATE TABLE lab AS
SELECT stay, hour, drawn, item, value, text, specimen FROM (
    SELECT
        stay, horizon, hours(charttime, intime) AS drawn, hours({seen}, intime) AS hour, itemid AS item,
        valuenum AS value, tidy(value) AS text, specimen_id AS specimen
    FROM {table} AS event JOIN member ON event.subject_id = member.subject_id
    WHERE itemid IN (SELECT item FROM lab_item) AND (event.hadm_id IS NULL OR event.hadm_id = member.hadm_id)
) WHERE hour >= 0 AND hour < horizon
ORDER BY stay
"""
_SEEN = {"stored": "greatest(charttime, storetime)", "charted": "charttime"}

_INPUTS = """
CREATE TABLE input AS
SELECT
    stay, greatest(hours(starttime, intime), 0) AS start,
    CASE WHEN endtime > starttime THEN least(hours(endtime, intime), horizon) END AS stop,
    coalesce(tidy(label), 'unknown item ' || event.itemid) AS label,
    amount, coalesce(tidy(amountuom), '') AS amount_unit, rate,
    coalesce(tidy(rateuom), '') AS rate_unit, tidy(ordercategorydescription) AS category, patientweight AS weight,
    CASE WHEN endtime > starttime THEN amount / hours(endtime, starttime) END AS mean_rate,
    hours(starttime, intime) < 0 AS began_before
FROM {table} AS event JOIN member USING (stay_id) LEFT JOIN d_items ON event.itemid = d_items.itemid
WHERE statusdescription IS DISTINCT FROM 'Rewritten' AND (amount > 0 OR rate > 0)
    AND hours(starttime, intime) < horizon AND hours(coalesce(endtime, starttime), intime) >= 0
ORDER BY stay
"""

_PRESCRIPTIONS = """
CREATE TABLE prescription AS
SELECT
    stay, hours(starttime, intime) AS hour, tidy(drug) AS drug, coalesce(tidy(dose_unit_rx), '') AS unit,
    tidy(dose_val_rx) AS dose, try_cast(replace(tidy(dose_val_rx), ',', '') AS DOUBLE) AS value,
    tidy(prod_strength) AS strength, tidy(route) AS route
FROM {table} AS event JOIN member USING (hadm_id)
WHERE tidy(drug) IS NOT NULL AND hours(starttime, intime) >= 0 AND hours(starttime, intime) < horizon
    AND (stoptime IS NULL OR starttime <= stoptime)
ORDER BY stay
"""

GIVEN = (
    "Administered",
    "Administered Bolus from IV Drip",
    "Administered in Other Location",
    "Partial Administered",
    "Delayed Administered",
    "Applied",
    "Applied in Other Location",
    "Delayed Applied",
    "Removed Existing / Applied New",
    "Started",
    "Started in Other Location",
    "Delayed Started",
    "Restarted",
)
"""Events of the administration record in which a drug reached the patient; refusals, checks, flushes and stops are
left out. The reference keeps two of them, Administered and Applied. A record that names no drug is left out too."""

_ADMINISTRATIONS = """
CREATE TABLE administration AS
SELECT stay, hours(charttime, intime) AS hour, tidy(medication) AS drug, tidy(event_txt) AS text
FROM {table} AS event JOIN member ON event.subject_id = member.subject_id
WHERE tidy(event_txt) IN (SELECT text FROM given_text) AND tidy(medication) IS NOT NULL
    AND (event.hadm_id IS NULL OR event.hadm_id = member.hadm_id)
    AND hours(charttime, intime) >= 0 AND hours(charttime, intime) < horizon
ORDER BY stay
"""


def prepare(work: Workspace) -> None:
    """Make the macros and the small tables of definitions that the statements read."""
    work.execute(_MACROS)
    number = {variable.channel: len(STATIC_CHANNELS) + place for place, variable in enumerate(VARIABLES)}
    work.give("measure", _measures(concepts.CHARTED, number))
    work.give("lab_measure", _measures(_plain_labs(), number))
    work.give("gas_measure", _measures(_arterial(), number))
    work.give("percentage", _percentages(number))
    work.give("white_cell", {"item": list(concepts.WHITE_CELLS)})
    work.give("variable", {"name": list(number), "channel": list(number.values())})
    work.give("given_text", {"text": list(GIVEN)})
    coma = [concepts.GCS_MOTOR, concepts.GCS_VERBAL, concepts.GCS_EYES]
    charted = sorted({*_items(concepts.CHARTED), *coma})
    work.give("charted_item", {"item": charted, "repeats_lab": [item in concepts.LAB_COPIES for item in charted]})
    percentages = [item for items in concepts.PERCENTAGES.values() for item in items]
    labs = {*_items(concepts.LABS + concepts.BLOOD_GAS + concepts.BLOOD_DIFFERENTIAL), *percentages}
    work.give("lab_item", {"item": sorted({*labs, *concepts.WHITE_CELLS, concepts.SPECIMEN_TYPE})})


def stage_vital_signs(work: Workspace, config: MimicIVConfig) -> None:
    """Read chartevents, which decides who has vital signs."""
    work.execute(_CHARTED.replace("{seen}", _SEEN[config.lab_visibility]), reads="icu/chartevents")


def stage_the_rest(work: Workspace, config: MimicIVConfig) -> None:
    """Read the other large tables."""
    work.execute(_OUTPUTS, reads="icu/outputevents")
    work.execute(_LABS.replace("{seen}", _SEEN[config.lab_visibility]), reads="hosp/labevents")
    work.execute(
        "CREATE TABLE d_items AS SELECT DISTINCT ON (itemid) * FROM {table} ORDER BY itemid, label", reads="icu/d_items"
    )
    work.execute(_INPUTS, reads="icu/inputevents")
    work.execute(_PRESCRIPTIONS, reads="hosp/prescriptions")
    work.execute(_ADMINISTRATIONS, reads="hosp/emar")
    _give_factors(work)


def declare_channels(work: Workspace) -> list[Channel]:
    """Every channel of the store; what the actions name is found in the staged tables, in alphabetical order."""
    channels = [*STATIC_CHANNELS, *(_channel(variable) for variable in VARIABLES)]
    channels += _named(work, "amount_channel", "input", "label, amount_unit", "inputevents", "", len(channels))
    rates = "input WHERE rate > 0 AND rate_unit <> ''"
    channels += _named(work, "rate_channel", rates, "label, rate_unit", "inputevents", "/rate", len(channels))
    channels += _named(work, "drug_channel", "prescription", "drug, unit", "prescriptions", "", len(channels))
    channels += _named(work, "given_channel", "administration", "drug, ''", "emar", "", len(channels))
    return channels


def _channel(variable: Variable) -> Channel:
    return Channel(variable.channel, variable.unit, variable.group, variable.label, variable.order)


def _named(work: Workspace, table: str, rows: str, keys: str, group: str, suffix: str, first: int) -> list[Channel]:
    """Number the distinct (label, unit) of some staged rows from `first`, keep the numbers as a table, and name the
    channels."""
    work.execute(
        f"CREATE TABLE {table} AS SELECT label, unit, "
        f"(row_number() OVER (ORDER BY label, unit) - 1 + {first})::INTEGER AS channel "
        f"FROM (SELECT DISTINCT {keys} FROM {rows}) AS pair(label, unit)"
    )
    return [
        Channel(f"{group}/{label}{suffix}" + (f" [{unit}]" if unit else ""), unit, group + suffix, label, ACTION_ORDER)
        for label, unit in work.rows(f"SELECT label, unit FROM {table} ORDER BY channel")
    ]


def _give_factors(work: Workspace) -> None:
    """Make the table that turns a rate into the amount of an hour, for the pairs of units that occur."""
    pairs = work.rows("SELECT DISTINCT rate_unit, amount_unit FROM input WHERE rate > 0 ORDER BY ALL")
    found = [(*pair, hourly_factor(*pair)) for pair in pairs]
    known = [(rate, amount, factor) for rate, amount, factor in found if factor is not None]
    work.give(
        "factor",
        {
            "rate_unit": pa.array([row[0] for row in known], pa.string()),
            "amount_unit": pa.array([row[1] for row in known], pa.string()),
            "factor": pa.array([row[2].amount for row in known], pa.float64()),
            "per_kg": pa.array([row[2].per_kg for row in known], pa.bool_()),
        },
    )


def _plain_labs() -> tuple[Variable, ...]:
    lactate = tuple(variable for variable in concepts.BLOOD_GAS if variable.name == "lactate")
    reported = tuple(variable for variable in concepts.BLOOD_DIFFERENTIAL if variable.items)
    return concepts.LABS + reported + lactate


def _arterial() -> tuple[Variable, ...]:
    return tuple(variable for variable in concepts.BLOOD_GAS if variable.name != "lactate")


def _items(variables: tuple[Variable, ...]) -> set[int]:
    return {item.id for variable in variables for item in variable.items}


def _measures(variables: tuple[Variable, ...], number: dict[str, int]) -> dict[str, list[Any]]:
    rows = [(variable, rank, item) for variable in variables for rank, item in enumerate(variable.items)]
    return {
        "item": [item.id for _, _, item in rows],
        "channel": [number[variable.channel] for variable, _, _ in rows],
        "reduction": [variable.reduction for variable, _, _ in rows],
        "rank": [rank for _, rank, _ in rows],
        "low": [item.low for _, _, item in rows],
        "high": [item.high for _, _, item in rows],
        "scale": [item.scale for _, _, item in rows],
        "shift": [item.shift for _, _, item in rows],
        "is_text": [variable.text for variable, _, _ in rows],
        "is_vital": [variable.group == "vitalsign" for variable, _, _ in rows],
    }


def _percentages(number: dict[str, int]) -> dict[str, list[Any]]:
    counts = {variable.name: variable for variable in concepts.BLOOD_DIFFERENTIAL}
    rows = [(counts[name], item) for name, items in concepts.PERCENTAGES.items() for item in items]
    return {"item": [item for _, item in rows], "channel": [number[count.channel] for count, _ in rows]}
