"""One pass over each table: what it says of the hours of the stays, as events of the channels.

The table `event` holds (stay, step, hour, channel, value, text): of numbers one an hour and channel, the mean of the
hour's readings or their sum, at the time of the last. Offsets are minutes since admission to the unit. What was charted
before it is not read, but for weight and height, which the table patient has.
"""

from __future__ import annotations

import logging

from jepa_core.errors import DataError
from jepa_core.io.workspace import Workspace
from jepa_eicu.config import EICUConfig
from jepa_eicu.drugs import LOCAL_ROUTES, stage_infusions
from jepa_eicu.mapping import ANTIBIOTIC, CHANNELS, READINGS, VARIABLES

log = logging.getLogger("jepa")

_NUMBER = r"^([-+]?[0-9]*\.?[0-9]+) ?%?$"

_LONG = "SELECT patientunitstayid AS stay_id, {offset} AS minute, {key} AS key, {value} AS value FROM {{table}}"
_WIDE = (
    "SELECT patientunitstayid AS stay_id, observationoffset AS minute, key, value "
    "FROM (UNPIVOT (SELECT * FROM {table}) ON COLUMNS(* EXCLUDE (patientunitstayid, observationoffset)) "
    "INTO NAME key VALUE value)"
)


def _number(column: str) -> str:
    return f"try_cast(regexp_extract({column}, '{_NUMBER}', 1) AS DOUBLE)"


_READ = {
    "vitalPeriodic": _WIDE,
    "vitalAperiodic": _WIDE,
    "nurseCharting": _LONG.format(
        offset="nursingchartoffset",
        key="nursingchartcelltypevallabel || '|' || nursingchartcelltypevalname",
        value=_number("nursingchartvalue"),
    ),
    "respiratoryCharting": _LONG.format(
        offset="respchartoffset", key="respchartvaluelabel", value=_number("respchartvalue")
    ),
}
"""Tables whose readings need no more than a name: (stay_id, minute, key, value)."""

_BELIEVED = """
INSERT INTO reading
SELECT stay, minute / 60, channel, value FROM (
    SELECT
        stay_id, minute, channel, low, high,
        CASE WHEN fraction AND value > 0.2 AND value <= 1 THEN 100 * value
            WHEN fraction AND value < 20 THEN NULL ELSE value END AS value
    FROM ({read}) AS told JOIN measure ON measure.source = '{source}' AND told.key = measure.key
) JOIN stay USING (stay_id)
WHERE minute >= 0 AND minute / 60 < horizon AND value BETWEEN low AND high
"""

_LABS = """
CREATE TABLE test AS
SELECT stay_id, {seen} AS minute, labname AS key, labresult * coalesce(factor, 1) AS value,
    labmeasurenamesystem AS told, labmeasurenamesystem IS NOT NULL AND factor IS NULL AS other
FROM (
    SELECT patientunitstayid AS stay_id, *, row_number() OVER (
        PARTITION BY patientunitstayid, labname, labresultoffset ORDER BY labresultrevisedoffset DESC, labresult
    ) AS revision
    FROM {table} WHERE labresult IS NOT NULL AND labname IN (SELECT key FROM measure WHERE source = 'lab')
) LEFT JOIN lab_unit ON labname = key AND lower(replace(labmeasurenamesystem, ' ', '')) = unit
WHERE revision = 1
"""
_SEEN = {"stored": "greatest(labresultoffset, labresultrevisedoffset)", "charted": "labresultoffset"}

_URINE = r"urine|foley|urethral|urinary (cath|output)|condome? cath|straight ?cath|void|nephrostomy"
_OTHER_OUTPUT = r"pacu|\bor\b|\bir\b|count|unmeasured"
_BY_MOUTH = r"p\.?o\.?( |$)|oral|meal|diet"
_BALANCE = f"""
INSERT INTO reading
SELECT stay, minute / 60, channel, value FROM (
    SELECT patientunitstayid AS stay_id, intakeoutputoffset AS minute, cellvaluenumeric AS value, CASE
        WHEN path LIKE '%|i&o|output (ml)|%' AND regexp_matches(part, '{_URINE}')
            AND NOT regexp_matches(part, '{_OTHER_OUTPUT}') THEN $urine
        WHEN path LIKE '%|i&o|intake (ml)|%' AND NOT regexp_matches(part, '{_BY_MOUTH}') THEN $fluid END AS channel
    FROM (SELECT *, lower(cellpath) AS path, split_part(lower(cellpath), '|', -1) AS part FROM {{table}})
) JOIN stay USING (stay_id)
WHERE channel IS NOT NULL AND minute >= 0 AND minute / 60 < horizon AND value >= 0 AND value <= 20000
"""

_BUILD = """
INSERT INTO reading
SELECT stay, 0, $height, height FROM stay WHERE height > 120 AND height < 230
UNION ALL SELECT stay, 0, $weight, weight FROM stay WHERE weight > 0 AND weight < 600
"""

_HOURLY = """
CREATE TABLE event AS
SELECT stay, step, max(hour) AS hour, channel, any_value(role) AS role,
    CASE WHEN any_value(summed) THEN sum(value ORDER BY hour, value)
        ELSE sum(value ORDER BY hour, value) / count(*) END AS value,
    NULL::VARCHAR AS text
FROM (SELECT *, floor(hour)::INTEGER AS step FROM reading) JOIN variable USING (channel)
GROUP BY stay, step, channel
"""

_ANTIBIOTICS = (
    r"cillin|\bcef|cephal|keflex|ancef|rocephin|maxipime|fortaz|zosyn|unasyn|augmentin|timentin|mycin|micin|floxacin|"
    r"levaquin|cipro|avelox|penem|merrem|primaxin|invanz|cycline|vancocin|metronidazole|flagyl|linezolid|zyvox|"
    r"aztreonam|azactam|sulfamethoxazole|bactrim|septra|colisti|cubicin|rifampin"
)
_NO_ANTIBIOTICS = "mitomycin|bleomycin|dactinomycin|ophth|otic|cream|ointment"
_ORDERS = f"""
INSERT INTO event
SELECT DISTINCT stay, floor(minute / 60)::INTEGER, minute / 60, $channel::INTEGER, 'action', NULL::DOUBLE, drugname
FROM (SELECT *, patientunitstayid AS stay_id, drugstartoffset AS minute FROM {{table}}) JOIN stay USING (stay_id)
WHERE drugordercancelled = 'No' AND regexp_matches(lower(drugname), '{_ANTIBIOTICS}')
    AND NOT regexp_matches(lower(drugname), '{_NO_ANTIBIOTICS}')
    AND NOT regexp_matches(coalesce(lower(routeadmin), ''), '{LOCAL_ROUTES}')
    AND minute >= 0 AND minute / 60 < horizon
"""
_INFUSED = """
INSERT INTO event SELECT stay, step, hour, channel, 'action', value, NULL FROM given JOIN variable USING (name)
"""


def declare(work: Workspace) -> None:
    """Make the small tables that the statements read: channels, where they are read from, units."""
    number = {channel.name: index for index, channel in enumerate(CHANNELS)}
    work.give_rows(
        "variable",
        ("channel", "name", "role", "summed", "is_vital"),
        [
            (number[each.channel], each.channel, each.role, each.reduction == "sum", each.group == "vitalsign")
            for each in VARIABLES
        ],
        {"channel": "INTEGER"},
    )
    work.give_rows(
        "measure",
        ("source", "key", "channel", "low", "high", "fraction"),
        [(each.table, each.key, number[each.channel], each.low, each.high, each.fraction) for each in READINGS],
        {"channel": "INTEGER"},
    )
    work.give_rows(
        "lab_unit",
        ("key", "unit", "factor"),
        [(each.key, unit, factor) for each in READINGS for unit, factor in each.units],
    )
    work.execute("CREATE TABLE reading (stay INTEGER, hour DOUBLE, channel INTEGER, value DOUBLE)")


def stage(work: Workspace, config: EICUConfig) -> None:
    """Make the table `event`. Needs `stay`. Raises DataError if a table cannot be read, or most values of a test are
    in a unit that is not known."""
    number = {channel.name: index for index, channel in enumerate(CHANNELS)}
    for source, read in _READ.items():
        work.execute(_BELIEVED.replace("{read}", read).replace("{source}", source), reads=source)
    work.execute(_LABS.replace("{seen}", _SEEN[config.lab_visibility]), reads="lab")
    _refuse_other_units(work)
    work.execute(_BELIEVED.replace("{read}", "SELECT * FROM test WHERE NOT other").replace("{source}", "lab"))
    urine, fluid = number["urine_output/urineoutput"], number["inputevents/Fluids [mL]"]
    work.execute(_BALANCE, {"urine": urine, "fluid": fluid}, reads="intakeOutput")
    work.execute(_BUILD, {"height": number["height/height"], "weight": number["weight/weight"]})
    stage_infusions(work)
    work.execute(_HOURLY)
    work.execute(_ORDERS, {"channel": number[ANTIBIOTIC.name]}, reads="medication")
    work.execute(_INFUSED)


def _refuse_other_units(work: Workspace) -> None:
    """Say how many values are left out for their unit. Raises DataError where they are most of a test's."""
    rows = work.rows(
        "SELECT key, count(*) FILTER (other) AS others, count(*), mode(told) FILTER (other) FROM test "
        "GROUP BY key HAVING others > 0 ORDER BY others DESC, key"
    )
    for key, others, every, told in rows:
        if others > every / 2:
            raise DataError(
                f"{work.path('lab')}: {others} of {every} values of {key} are in {told}, which is not read; convert "
                "them, or give the table as it is distributed"
            )
        log.warning("%d of %d values of %s are in another unit, such as %s, and are left out", others, every, key, told)
