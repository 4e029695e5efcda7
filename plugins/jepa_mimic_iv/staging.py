"""One pass over each large table: the rows that matter, timed in hours since admission to intensive care, sorted by
stay.

The sort is the only step that touches everything at once, and it works on disk; afterwards the stays are read a block
at a time.
"""

from __future__ import annotations

import re

from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError
from jepa_core.io.workspace import Workspace
from jepa_mimic_iv import concepts, derived
from jepa_mimic_iv.concepts import Variable
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.derived import VARIABLES
from jepa_mimic_iv.infusions import hourly_factor

STATIC_CHANNELS = (
    Channel("demographics/age", "years", "demographics", "Age", 0),
    Channel("demographics/gender", "", "demographics", "Gender", 1),
    Channel("demographics/race", "", "demographics", "Race", 2),
    Channel("demographics/charlson", "points", "demographics", "Charlson index of earlier admissions", 3),
)
ACTION_ORDER = 9999
"""Actions follow the observations' numbers and keep their order in time, as in the reference."""

_CHARTED = """
CREATE TABLE charted AS
SELECT stay, hour, item, value, text FROM (
    SELECT
        stay, horizon, look_back, hours(CASE WHEN repeats_lab THEN {seen} ELSE charttime END, intime) AS hour, item,
        valuenum AS value, tidy(value) AS text
    FROM {table} AS event JOIN stay USING (stay_id) JOIN charted_item ON itemid = item
) WHERE hour >= -look_back AND hour < horizon
ORDER BY stay
"""
"""With those from before admission, at negative hours: the admission weight, say, is charted at the whole minute, and
the admission has seconds."""

_OUTPUTS = """
CREATE TABLE output AS
SELECT stay, hours(charttime, intime) AS hour, itemid AS item, value, NULL::VARCHAR AS text
FROM {table} AS event JOIN member USING (stay_id)
WHERE itemid IN (SELECT item FROM charted_item) AND hours(charttime, intime) >= 0 AND hours(charttime, intime) < horizon
ORDER BY stay
"""

_LABS = """
CREATE TABLE lab AS
SELECT stay, hour, drawn, item, value, text, specimen, unit FROM (
    SELECT
        stay, horizon, hours(charttime, intime) AS drawn, hours({seen}, intime) AS hour, itemid AS item,
        valuenum AS value, tidy(value) AS text, specimen_id AS specimen, valueuom AS unit
    FROM {table} AS event JOIN member ON event.subject_id = member.subject_id
    WHERE itemid IN (SELECT item FROM lab_item) AND (
        event.hadm_id IS NULL OR event.hadm_id = member.hadm_id OR itemid = {creatinine} AND charttime < intime)
) WHERE hour >= -168 AND hour < horizon
ORDER BY stay
"""
_LABS = _LABS.replace("{creatinine}", str(concepts.CREATININE))
"""With those of the week before, which scores look back to; a creatinine also where it is of another admission."""
_OTHER_UNITS = """
SELECT item, mode(told) FILTER (other), any_value(wanted), count(*) FILTER (other) AS others, count(*) AS every
FROM (
    SELECT
        lab.item, lab.unit AS told, lab_unit.unit AS wanted,
        NOT starts_with(lower(replace(lab.unit, ' ', '')), lower(lab_unit.unit)) AS other
    FROM lab JOIN lab_unit USING (item)
    WHERE value IS NOT NULL AND lab.unit NOT IN ('units', '%', '#/uL')
) GROUP BY item HAVING others > every / 2 ORDER BY others DESC, item
"""
_SEEN = {"stored": "greatest(charttime, storetime)", "charted": "charttime"}

_INPUTS = """
CREATE TABLE input AS
SELECT
    stay, event.itemid AS item, hours(starttime, intime) AS began, greatest(began, 0) AS start,
    CASE WHEN endtime > starttime THEN least(hours(endtime, intime), horizon) END AS stop,
    coalesce(tidy(label), 'unknown item ' || event.itemid) AS label,
    amount, coalesce(tidy(amountuom), '') AS amount_unit, rate,
    coalesce(tidy(rateuom), '') AS rate_unit, tidy(ordercategorydescription) AS category, patientweight AS weight,
    CASE WHEN endtime > starttime THEN amount / hours(endtime, starttime) END AS mean_rate,
    orderid AS order_id, linkorderid AS linked_order
FROM {table} AS event JOIN member USING (stay_id) LEFT JOIN d_items ON event.itemid = d_items.itemid
WHERE statusdescription IS DISTINCT FROM 'Rewritten' AND (amount > 0 OR rate > 0)
    AND hours(starttime, intime) < horizon AND hours(coalesce(endtime, starttime), intime) >= 0
ORDER BY stay
"""

_ORDERS = """
CREATE TABLE drug_order AS
SELECT
    stay, horizon, pharmacy_id AS pharmacy, hours(starttime, intime) AS begins,
    coalesce(stoptime < starttime, false) AS withdrawn, tidy(drug) AS drug, coalesce(tidy(dose_unit_rx), '') AS unit,
    tidy(dose_val_rx) AS dose, try_cast(replace(tidy(dose_val_rx), ',', '') AS DOUBLE) AS value,
    tidy(prod_strength) AS strength, tidy(route) AS route, starttime::DATE - DATE '1970-01-01' AS day,
    coalesce(drug_type <> 'BASE' AND route NOT IN (SELECT route FROM local_route)
        AND NOT regexp_matches(lower(route), 'ear|eye') AND NOT regexp_matches(lower(drug), {local})
        AND regexp_matches(lower(drug), {antibiotic}), false) AS is_antibiotic
FROM {table} AS event JOIN member USING (hadm_id)
WHERE tidy(drug) IS NOT NULL AND hours(starttime, intime) >= 0 AND hours(starttime, intime) < horizon
ORDER BY stay
"""

_PATTERNS = {
    "table": "{table}",
    "local": f"'{'|'.join(map(re.escape, derived.NOT_SYSTEMIC_DRUGS))}'",
    "antibiotic": f"'{'|'.join(map(re.escape, derived.ANTIBIOTICS))}'",
}

_PROCEDURES = """
CREATE TABLE procedure AS
SELECT
    stay, event.itemid AS item, greatest(hours(starttime, intime), 0) AS start,
    least(hours(coalesce(endtime, starttime), intime), horizon) AS stop,
    coalesce(tidy(label), 'unknown item ' || event.itemid) AS label, tidy(location) AS site,
    tidy(ordercategorydescription) AS category, value IS NOT NULL AS counted
FROM {table} AS event JOIN member USING (stay_id) LEFT JOIN d_items ON event.itemid = d_items.itemid
WHERE statusdescription IS DISTINCT FROM 'Rewritten'
    AND hours(starttime, intime) < horizon AND hours(coalesce(endtime, starttime), intime) >= 0
ORDER BY stay
"""
"""The value of a procedure is its length in minutes, which is known when it ends, so it is not read."""

_CULTURES = """
CREATE TABLE culture AS
SELECT
    stay, hours(coalesce(charttime, chartdate), intime) AS culture_hour,
    chartdate::DATE - DATE '1970-01-01' AS culture_day, charttime IS NOT NULL AS exact
FROM (
    SELECT subject_id, micro_specimen_id, max(charttime) AS charttime, max(chartdate) AS chartdate
    FROM {table} GROUP BY subject_id, micro_specimen_id
) AS specimen JOIN member USING (subject_id)
WHERE hours(chartdate, intime) BETWEEN -240 AND horizon + 96
ORDER BY stay
"""

_EARLIER_ADMISSIONS = """
CREATE TABLE earlier_admission AS
SELECT member.stay, earlier.hadm_id
FROM member JOIN admissions AS earlier USING (subject_id)
WHERE earlier.hadm_id <> member.hadm_id AND earlier.dischtime <= member.admittime
"""
_EARLIER_CODES = """
CREATE TABLE earlier_code AS
SELECT DISTINCT stay, tidy(icd_code) AS code, icd_version AS version
FROM {table} JOIN earlier_admission USING (hadm_id) ORDER BY stay
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

_GIVEN = """
CREATE TABLE given_drug AS
SELECT
    stay, hours(charttime, intime) AS hour, tidy(medication) AS drug, tidy(event_txt) AS text, pharmacy_id AS pharmacy
FROM {table} AS event JOIN member ON event.subject_id = member.subject_id
WHERE tidy(event_txt) IN (SELECT text FROM given_text) AND hours(charttime, intime) < horizon
    AND (event.hadm_id IS NULL OR event.hadm_id = member.hadm_id)
    AND (hours(charttime, intime) >= 0 OR pharmacy_id IN (SELECT pharmacy FROM drug_order WHERE withdrawn))
"""
_ADMINISTRATIONS = """
CREATE TABLE administration AS
SELECT stay, hour, drug, text FROM given_drug WHERE drug IS NOT NULL AND hour >= 0 ORDER BY stay
"""
_PRESCRIPTIONS = """
CREATE TABLE prescription AS
WITH given AS (SELECT stay, pharmacy, min(hour) AS first FROM given_drug GROUP BY stay, pharmacy)
SELECT
    drug_order.* EXCLUDE (pharmacy, horizon), CASE WHEN withdrawn THEN greatest(begins, first) ELSE begins END AS hour
FROM drug_order LEFT JOIN given ON withdrawn AND drug_order.stay = given.stay AND drug_order.pharmacy = given.pharmacy
WHERE NOT withdrawn OR first IS NOT NULL
ORDER BY drug_order.stay
"""
"""An order whose stop lies before its start was withdrawn before it began. One that was given all the same stands from
its first dose on; before, nobody could know."""


def stage_vital_signs(work: Workspace, config: MimicIVConfig) -> None:
    """Read chartevents, which decides who has vital signs."""
    work.execute(_CHARTED.replace("{seen}", _SEEN[config.lab_visibility]), reads="icu/chartevents")


def stage_the_rest(work: Workspace, config: MimicIVConfig) -> None:
    """Read the other large tables."""
    work.execute(_OUTPUTS, reads="icu/outputevents")
    work.execute(_LABS.replace("{seen}", _SEEN[config.lab_visibility]), reads="hosp/labevents")
    _refuse_other_units(work)
    work.execute(
        "CREATE TABLE d_items AS SELECT DISTINCT ON (itemid) * FROM {table} ORDER BY itemid, label", reads="icu/d_items"
    )
    work.execute(_INPUTS, reads="icu/inputevents")
    work.execute(_PROCEDURES, reads="icu/procedureevents")
    work.execute(_ORDERS.format_map(_PATTERNS), reads="hosp/prescriptions")
    work.execute(_GIVEN, reads="hosp/emar")
    work.execute(_ADMINISTRATIONS)
    work.execute(_PRESCRIPTIONS)
    work.execute(_CULTURES, reads="hosp/microbiologyevents")
    work.execute(_EARLIER_ADMISSIONS)
    work.execute(_EARLIER_CODES, reads="hosp/diagnoses_icd")
    _give_factors(work)


def _refuse_other_units(work: Workspace) -> None:
    """Raises DataError for a laboratory item most of whose values are in another unit than the one it is read in. A
    unit that says no measure ('units', '%' of a share) is none; what was read of units is dropped."""
    work.give("lab_unit", {"item": list(concepts.LAB_UNITS), "unit": list(concepts.LAB_UNITS.values())})
    others = work.rows(_OTHER_UNITS)
    if others:
        (item, unit, wanted, count, all_of_it), more = others[0], len(others) - 1
        further = f" (so are {more} further items)" if more else ""
        raise DataError(
            f"{work.path('hosp/labevents')}: {count} of {all_of_it} values of item {item} are in {unit}, and it is "
            f"read in {wanted}{further}; convert them, or give the table as it is distributed"
        )
    work.execute("ALTER TABLE lab DROP COLUMN unit")


def tell_orders(work: Workspace) -> str:
    """What became of the drug orders that begin in the stays, for the table `attrition`."""
    ((orders, withdrawn),) = work.rows("SELECT count(*), count(*) FILTER (withdrawn) FROM drug_order")
    ((given,),) = work.rows("SELECT count(*) FROM prescription WHERE withdrawn")
    return (
        f"drug orders of these stays: {orders}, of which {withdrawn} stop before they start; "
        f"{given} of these were given and are kept, {withdrawn - given} are left out"
    )


def declare_channels(work: Workspace) -> list[Channel]:
    """Every channel of the store; what the actions name is found in the staged tables, in alphabetical order."""
    channels = [*STATIC_CHANNELS, *(_channel(variable) for variable in VARIABLES)]
    channels += _named(work, "amount_channel", "input", "label, amount_unit", "inputevents", "", len(channels))
    rates = "input WHERE rate > 0 AND rate_unit <> ''"
    channels += _named(work, "rate_channel", rates, "label, rate_unit", "inputevents", "/rate", len(channels))
    channels += _named(work, "drug_channel", "prescription", "drug, unit", "prescriptions", "", len(channels))
    channels += _named(work, "given_channel", "administration", "drug, ''", "emar", "", len(channels))
    channels += _named(work, "procedure_channel", "procedure", "label, ''", "procedureevents", "", len(channels))
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
    factors = [(*pair, hourly_factor(*pair)) for pair in pairs]
    known = [(rate, amount, factor) for rate, amount, factor in factors if factor is not None]
    work.give(
        "factor",
        {
            "rate_unit": [rate for rate, _, _ in known],
            "amount_unit": [amount for _, amount, _ in known],
            "factor": [float(factor.amount) for _, _, factor in known],
            "per_kg": [bool(factor.per_kg) for _, _, factor in known],
        },
        {"factor": "DOUBLE", "per_kg": "BOOLEAN"},
    )
