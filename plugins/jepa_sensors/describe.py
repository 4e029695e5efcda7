"""What is in a table of readings: its layout as far as names and values tell, its channels, its sampling."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_core.errors import DataError
from jepa_core.plugin import FileDescription
from jepa_sensors.cells import ZONE
from jepa_sensors.config import TableConfig
from jepa_sensors.cutting import seconds_of
from jepa_sensors.files import UNREADABLE, format_of, open_bytes
from jepa_sensors.kinds import is_text
from jepa_sensors.reading import TableFile
from jepa_sensors.staging import Database, RepeatedReading, Staged, Staging, quoted
from jepa_sensors.starter import starter

MOST_WORDS = 20
"""Distinct values up to which a column of words is taken for categories."""
_MOST_CHANNELS = 2000
_REGULAR = 0.01
"""Share of the median interval by which another may differ and still be regular."""

_ID = re.compile(
    r"(.*_)?(id|unit|machine|device|engine|series|subject|recording|trajectory|episode|asset)(_?(no|nr|id))?", re.I
)
_TIME = re.compile(r"(time|timestamp|ts|t|date|datetime|cycle|sample|minutes?|seconds?|hours?)(_.*)?", re.I)
_CHANNEL = re.compile(r"channel|variable|parameter|sensor|signal|tag|metric|measure|name", re.I)
_VALUE = re.compile(r"value|val|reading|measurement", re.I)
_ACTION = re.compile(r"(op_?)?(setting|action|control|command|set_?point).*", re.I)


@dataclass
class Scan:
    """A column as it was read. kind: number, time, word, or empty. words: its distinct values, if they are few."""

    name: str
    kind: str = "empty"
    whole: bool = True
    words: set[str] = field(default_factory=set)
    first: list[np.ndarray] = field(default_factory=list)

    def add(self, column: pa.Array) -> None:
        """Take up a block of cells."""
        if column.null_count == len(column):
            return
        kind = _kind(column)
        self.kind = kind if self.kind in ("empty", kind) else "word"
        if kind == "number":
            values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
            self.whole = self.whole and bool(np.all(np.nan_to_num(values) % 1 == 0))
            if not self.first:
                self.first.append(values)
        if kind == "word" and len(self.words) <= _MOST_CHANNELS:
            self.words.update(pc.unique(column.drop_null()).cast(pa.string()).to_pylist())
        if kind != "number" and not self.first:
            self.first.append(column.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.float64))


@dataclass(frozen=True)
class Guess:
    """What a table seems to be: the keys of a recipe's source that say so, and what was left out of it."""

    source: dict[str, Any]
    left_out: dict[str, str]


def describe(path: Path) -> FileDescription:
    """Describe a file. Raises DataError, as a run would, if it breaks the contract of a table."""
    reading = _sniffed(path)
    rows, scans = _scan(path, reading)
    if rows == 0:
        raise DataError(f"{path}: there is a header and no row")
    guess = _guess(path, reading, scans)
    try:
        return _described(guess, rows)
    except RepeatedReading:
        return _described(Guess(guess.source | {"repeats": "mean"}, guess.left_out), rows)


def _described(guess: Guess, rows: int) -> FileDescription:
    config = TableConfig.model_validate(guess.source)
    path = Path(config.files[0])
    with tempfile.TemporaryDirectory() as scratch, Database(Path(scratch)) as database:
        staged = Staging(config, Path(scratch)).run(database)
        lengths, sampling = _lengths(database, staged), _sampling(database, staged, config)
        channels = list(_channels(database, staged))
    page = {
        "file": str(path),
        "format": config.format_of(path),
        "layout": config.layout,
        "rows": rows,
        "id": ", ".join(config.id) or "none: one series",
        "time": f"{config.time}, {_CLOCKS[staged.clock]}" if config.time else "none: rows in order",
        "ids": len(staged.names),
        "repeated readings": "none" if config.repeats == "refuse" else "some; their mean is taken",
        "sampling": sampling,
        "samples of an id": lengths,
        "channels": channels,
        "left out": [{"column": name, "why": why} for name, why in guess.left_out.items()],
    }
    source = guess.source | _roles(channels)
    return FileDescription(page, starter(source, lengths[0], sampling[0] if sampling else None))


def _roles(channels: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Channels that change, by role; if nothing changes within an id, what differs between ids is a state."""
    roles = {
        f"{role}s": [one["channel"] for one in channels if one["role"] == role and not one["constant"]]
        for role in ("state", "action", "static")
    }
    return roles if roles["states"] else roles | {"states": roles["statics"], "statics": []}


_CLOCKS = {
    "number": "numbers", "local": "timestamps without a time zone", "zoned": "timestamps with a time zone", None: ""
}  # fmt: skip


# --- reading ----------------------------------------------------------------------------------------------------------


def _sniffed(path: Path) -> dict[str, Any]:
    """How a file has to be read: format, separator, names of columns where the file has none."""
    kind = format_of(path)
    if kind in ("parquet", "ts"):
        return {"format": kind}
    try:
        with open_bytes(path) as file:
            line = io.TextIOWrapper(file, encoding="utf-8-sig").readline().rstrip("\n")
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}); copy the file again") from error
    counts = {separator: line.count(separator) for separator in ",;\t|"}
    separator = max(counts, key=counts.__getitem__)
    if kind == "blanks" and counts[separator] == 0 or counts[separator] == 0 and len(line.split()) > 1:
        cells, reading = line.split(), {"format": "blanks"}
    else:
        cells = next(csv.reader([line], delimiter=separator), [])
        reading = {"format": "csv", "separator": separator if counts[separator] else ","}
    if any(_is_number(cell) for cell in cells):
        reading["columns"] = [f"column_{number}" for number in range(1, len(cells) + 1)]
    return reading


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _scan(path: Path, reading: Mapping[str, Any]) -> tuple[int, list[Scan]]:
    """Rows of a file, and what its columns hold."""
    config = TableConfig.model_validate({"files": str(path), **reading})
    file = TableFile(path, config)
    scans = [Scan(name) for name in file.names]
    rows = 0
    for block in file.blocks(file.names):
        rows += len(block.rows)
        for scan in scans:
            scan.add(block.column(scan.name))
    return rows, scans


def _kind(column: pa.Array) -> str:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return "time"
    if not is_text(column.type):
        return "number"
    try:
        column.cast(pa.float64())
        return "number"
    except pa.ArrowException:
        pass
    first = column.drop_null()[:1]
    zoned = pc.match_substring_regex(first, ZONE)[0].as_py()
    try:
        first.cast(pa.timestamp("us", "UTC" if zoned else None))
        return "time"
    except pa.ArrowException:
        return "word"


# --- guessing ---------------------------------------------------------------------------------------------------------


def _guess(path: Path, reading: Mapping[str, Any], scans: list[Scan]) -> Guess:
    source: dict[str, Any] = {"files": str(path), **reading}
    by_name = {scan.name: scan for scan in scans}
    time = _time(scans)
    channel, value = _long(scans, time)
    key = _id([scan for scan in scans if scan.name not in (channel, value)], time)
    if key and not time:
        time = _counter(key, scans)
    source |= {name: one for name, one in (("id", key), ("time", time), ("time_unit", _unit(time, by_name))) if one}
    if channel and time:
        names = sorted(by_name[channel].words)
        return Guess(source | {"layout": "long", "channel": channel, "value": value, "states": names}, {})
    seen, left_out = [], {}
    for scan in scans:
        if scan.name in (key, time):
            continue
        why = _why_not(scan)
        if why:
            left_out[scan.name] = why
        else:
            seen.append(scan)
    if not seen:
        raise DataError(f"{path}: no column holds numbers that change, so there is nothing to learn from")
    actions = [scan.name for scan in seen if _ACTION.fullmatch(scan.name)]
    source["states"] = [scan.name for scan in seen if scan.name not in actions] or actions
    source["actions"] = [name for name in actions if name not in source["states"]]
    source["categories"] = {scan.name: sorted(scan.words) for scan in seen if scan.kind == "word"}
    return Guess(source, left_out)


def _why_not(scan: Scan) -> str:
    if scan.kind == "empty":
        return "no value in any row"
    if scan.kind == "time":
        return "a second column of times"
    if scan.kind == "word" and len(scan.words) > MOST_WORDS:
        return f"more than {MOST_WORDS} different words"
    if scan.kind == "word" and len(scan.words) == 1:
        return "never changes"
    return ""


def _time(scans: list[Scan]) -> str:
    named = [scan for scan in scans if scan.kind == "time"]
    named += [scan for scan in scans if scan.kind == "number" and _TIME.fullmatch(scan.name)]
    return named[0].name if named else ""


def _unit(time: str, scans: Mapping[str, Scan]) -> str:
    """Unit of a column of numbers, where its name tells."""
    if not time or scans[time].kind != "number":
        return ""
    named = (("min", r"min(ute)?s?"), ("h", r"hours?"), ("d", r"days?"), ("ms", r"ms|milliseconds?"))
    return next((unit for unit, name in named if re.fullmatch(rf"(.*_)?({name})(_.*)?", time, re.I)), "")


def _long(scans: list[Scan], time: str) -> tuple[str, str]:
    """Columns of a long table that name the channel and hold the value; empty if it is wide."""
    numbers = [scan.name for scan in scans if scan.kind == "number" and scan.name != time]
    words = [scan.name for scan in scans if scan.kind == "word" and 1 < len(scan.words) <= _MOST_CHANNELS]
    channel = next((name for name in words if _CHANNEL.fullmatch(name)), "")
    value = next((name for name in numbers if _VALUE.fullmatch(name)), "")
    return (channel, value) if channel and value else ("", "")


def _id(scans: list[Scan], time: str) -> str:
    """The column that names the trajectory: by its name, or the first whose whole numbers come in runs."""
    others = [scan for scan in scans if scan.name != time and scan.kind in ("number", "word")]
    named = [scan for scan in others if _ID.fullmatch(scan.name) and (scan.whole or scan.kind == "word")]
    runs = [scan for scan in others[:1] if scan.whole and _comes_in_runs(scan)] if not time else []
    return next((scan.name for scan in [*named, *runs] if _repeats(scan)), "")


def _repeats(scan: Scan) -> bool:
    values = scan.first[0]
    return 1 < len(np.unique(values)) <= len(values) / 2


def _comes_in_runs(scan: Scan) -> bool:
    values = scan.first[0]
    return bool(np.count_nonzero(np.diff(values)) == len(np.unique(values)) - 1)


def _counter(key: str, scans: list[Scan]) -> str:
    """A column of whole numbers that rises from row to row of every id."""
    own = next(scan for scan in scans if scan.name == key).first[0]
    same = np.diff(own) == 0
    for scan in scans:
        fits = scan.name != key and scan.kind == "number" and scan.whole and len(scan.first[0]) == len(own)
        if fits and np.all(np.diff(scan.first[0])[same] > 0):
            return scan.name
    return ""


# --- figures ----------------------------------------------------------------------------------------------------------


def _channels(database: Database, staged: Staged) -> Iterator[dict[str, Any]]:
    """Type, missing share of the samples (of the ids, for what is static), and range of every channel."""
    for number, column in enumerate(staged.columns):
        name = f"v{number}"
        ((rows, known, low, high),) = database.rows(
            f"SELECT count(*), count({name}), min({name}), max({name}) FROM read_parquet({quoted(staged.path)})"
        )
        words = bool(column.categories)
        static, unknown = _as_static(database, staged, name)
        yield {
            "channel": column.name,
            "role": "static" if static else column.role,
            "type": f"{len(column.categories)} words" if words else "number",
            "missing": round(unknown if static else 1 - known / rows, 6),
            "min": None if words or low is None else float(f"{low:.6g}"),
            "max": None if words or high is None else float(f"{high:.6g}"),
            "constant": "yes" if known and low == high else "",
        }


def _as_static(database: Database, staged: Staged, name: str) -> tuple[bool, float]:
    """Whether a channel never changes within an id, but differs between two; and the share of ids without a value."""
    ((changing, values, missing),) = database.rows(f"""
        SELECT count(*) FILTER (low <> high), count(DISTINCT low), 1 - count(low) / count(*) FROM (
        SELECT min({name}) AS low, max({name}) AS high FROM read_parquet({quoted(staged.path)}) GROUP BY key)""")
    return changing == 0 and values > 1, missing


def _lengths(database: Database, staged: Staged) -> list[dict[str, Any]]:
    """Distribution of the samples of an id."""
    ((low, q25, median, q75, high),) = database.rows(f"""
        SELECT min(n), quantile_cont(n, 0.25), median(n), quantile_cont(n, 0.75), max(n)
        FROM (SELECT count(*) AS n FROM read_parquet({quoted(staged.path)}) GROUP BY key)""")
    return [{"min": low, "q25": q25, "median": median, "q75": q75, "max": high}]


def _sampling(database: Database, staged: Staged, config: TableConfig) -> list[dict[str, Any]]:
    """Intervals between two samples of an id, in seconds where times are timestamps, else in the unit of the time."""
    if not config.time:
        return []
    unit = 1.0 if staged.clock == "number" else seconds_of(staged, config)
    ((count, low, median, high, off, zero),) = database.rows(f"""
        WITH gaps AS (SELECT (time - lag(time) OVER (PARTITION BY key ORDER BY time)) * {unit} AS gap
                      FROM read_parquet({quoted(staged.path)})),
        middle AS (SELECT median(gap) AS m FROM gaps)
        SELECT count(gap), quantile_cont(gap, 0.05), any_value(m), quantile_cont(gap, 0.95),
               count(*) FILTER (abs(gap - m) > {_REGULAR} * m), count(*) FILTER (gap = 0) FROM gaps, middle""")
    if not count:
        return []
    return [
        {
            "unit": "s" if staged.clock != "number" else "as in the file",
            "intervals": count,
            "q05": low,
            "median": median,
            "q95": high,
            "irregular": round(off / count, 6),
            "repeated times": zero,
        }
    ]
