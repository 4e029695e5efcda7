"""What is in tables of readings: their layout as far as names and values tell, their channels, their sampling."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from jepa_core.errors import DataError
from jepa_core.io.files import real_path
from jepa_core.plugin import FileDescription
from jepa_sensors import precision
from jepa_sensors.column_names import is_label
from jepa_sensors.config import TableConfig
from jepa_sensors.cutting import seconds_of
from jepa_sensors.guessing import Guess, guess
from jepa_sensors.held_out import tested
from jepa_sensors.looks import missing_words
from jepa_sensors.scanning import SAMPLE, Scan, scan_files
from jepa_sensors.shapes import axes_of
from jepa_sensors.sniffing import sniffed, tables_below
from jepa_sensors.staging import Database, RepeatedReading, StagedRows, Staging, quoted
from jepa_sensors.starter import Proposal, Sort, starter
from jepa_sensors.suspects import OrderedRows, answers, suspects

_REGULAR = 0.01
"""Share of the median interval by which another may differ and still be regular."""
_LARGE = 1e6
_CLASSES = 10
"""Distinct whole numbers up to which a column that is called a label is one of classes."""
_FEWEST_IDS = 4
"""Ids that must be left to learn from where files are held out."""
_CLOCKS = {
    "number": "numbers", "local": "timestamps without a time zone", "zoned": "timestamps with a time zone", None: ""
}  # fmt: skip


def describe_tables(paths: Sequence[Path], tables: Sequence[Path], others: Sequence[str]) -> FileDescription:
    """Describe tables of one kind. paths: as they were asked for. others: names of files that were found beside.

    Raises DataError, as a run would, if a file breaks the contract of a table.
    """
    reading = sniffed(tables[0])
    if reading["format"] == "npy" and (axes := axes_of(tables[0])):
        reading["axes"] = list(axes)
    _refuse_other_widths(tables, reading)
    scanned = scan_files(tables, reading)
    if more := _how_else(list(scanned.scans.values())):
        reading |= more
        scanned = scan_files(tables, reading)
    guessed = guess([str(path) for path in tables], reading, scanned)
    guessed.left_out |= {name: "another kind of file" for name in others}
    guessed.notes += [f"there are folders beside, which were not looked into; see '{below}'" for below in
                      tables_below(paths)]  # fmt: skip
    try:
        return _described(guessed, paths, tables, scanned.rows)
    except RepeatedReading:
        guessed.source["repeats"] = "mean"
        return _described(guessed, paths, tables, scanned.rows)


def _refuse_other_widths(tables: Sequence[Path], reading: Mapping[str, Any]) -> None:
    """Raises DataError if, of files without a header, one has more or fewer columns than the first."""
    width = len(reading.get("columns", ()))
    for path in tables[1:] if width else ():
        if (own := len(sniffed(path).get("columns", ()))) != width:
            told = f"{own} columns" if own else "a header"
            raise DataError(
                f"{path} has {told}, and {tables[0]} has {width} columns and no header; give files of one shape, and "
                "save one that is turned as the others are"
            )


def _how_else(scans: Sequence[Scan]) -> dict[str, Any]:
    """Settings that read cells which are no numbers as they stand."""
    keys: dict[str, Any] = {"decimal": ","} if _has_decimal_comma(scans) else {}
    missing = sorted(
        {word for scan in scans if scan.kind in ("mixed", "word") for word in missing_words(scan.words, scan.looks)}
    )
    if missing:
        keys["empty_values"] = [*TableConfig.model_fields["empty_values"].default, *missing]
    return keys


def _has_decimal_comma(scans: Sequence[Scan]) -> bool:
    """Whether numbers are written with a decimal comma: in some columns all are, and in none is a point."""
    counted = [scan.looks.counts for scan in scans if scan.looks.total]
    commas = [counts for counts in counted if counts["comma"] and counts["number"] + counts["comma"] == counts.total()]
    pointed = [scan for scan in scans if scan.kind == "number" and scan.looks.total and not scan.whole]
    return bool(commas) and not pointed


def _described(guessed: Guess, paths: Sequence[Path], tables: Sequence[Path], rows: int) -> FileDescription:
    config = TableConfig.model_validate(guessed.source)
    with tempfile.TemporaryDirectory() as scratch, Database(Path(scratch)) as database:
        staged = Staging(config, Path(scratch)).run(database)
        figures = _Figures(config, staged, database)
        channels, told = list(figures.channels()), figures.suspects()
        told |= {name: why for name, why in guessed.answers.items() if name in figures.names}
        asked = {
            name: figures.sort_of(name, name in guessed.answers)
            for name in [*figures.answers(), *guessed.answers] if name in told
        }  # fmt: skip
        notes = [*guessed.notes, *figures.remarks(channels, told)]
        lengths, sampling, sparse, span = figures.lengths(), figures.sampling(), figures.sparse(), figures.span()
    if not any(channel["channel"] not in told and not channel["constant"] for channel in channels):
        told, asked = {}, {}  # nothing would be left to learn from
    told |= guessed.answers
    unread = [name for name in guessed.answers if name not in asked]
    asked |= {name: "flag" if len(guessed.words.get(name, ())) == 2 else "classes" for name in unread}
    page: dict[str, Any] = {
        "file": ", ".join(map(str, paths)),
        **({"files": len(tables)} if len(tables) > 1 else {}),
        "format": config.format_of(tables[0]),
        **{key: guessed.source[key] for key in ("encoding", "decimal") if key in guessed.source},
        **({"axes": ", ".join(guessed.source["axes"])} if "axes" in guessed.source else {}),
        "layout": config.layout,
        "rows": rows,
        "id": ", ".join(config.id) or "none: one series",
        "time": f"{config.time}, {_CLOCKS[staged.clock]}" if config.time else "none: rows in order",
        "ids": len(staged.names),
        "repeated readings": "none" if config.repeats == "refuse" else "some; their mean is taken",
        "sampling": sampling,
        "samples of an id": lengths,
        "channels": [channel | {"role": "label"} if channel["channel"] in told else channel for channel in channels],
        "proposed as labels": [{"column": name, "why": why} for name, why in told.items()],
        "left out": [{"column": name, "why": why} for name, why in guessed.left_out.items()],
        **({"notes": [{"note": note} for note in notes]} if notes else {}),
    }
    words = guessed.source.get("categories", {}) | guessed.words
    proposal = Proposal(
        source=guessed.source | {"categories": words}, channels=channels, told=told, asked=asked,
        left_out=guessed.left_out, notes=notes,
        offsets=figures.offsets, ids=len(staged.names), lengths=lengths[0],
        sampling=sampling[0] if sampling else None, span=span, sparse=sparse,
    )  # fmt: skip
    return FileDescription(page, partial(_recipe, proposal, paths, tables))


def _recipe(proposal: Proposal, paths: Sequence[Path], tables: Sequence[Path], folder: Path) -> str:
    """The recipe for a file in a folder, by which its paths go."""
    suffix = "".join(tables[0].suffixes[-2:]) if tables[0].suffix.lower() == ".gz" else tables[0].suffix
    inside = [path / f"*{suffix}" if path.is_dir() else path for path in paths]
    held_out = tested(tables) if proposal.ids - len(tables) / 2 >= _FEWEST_IDS else []
    if held_out:
        inside = _together([path for path in tables if path not in held_out], suffix)
    elif len(inside) > 1:
        inside = _together(inside, suffix)
    outside = _together(held_out, suffix)
    return starter(proposal, [_from(folder, path) for path in inside], [_from(folder, path) for path in outside])


def _together(files: Sequence[Path], suffix: str) -> list[Path]:
    """Files as one wildcard, where they are all of a folder."""
    pattern = files[0].parent / f"*{suffix}" if files else Path()
    return [pattern] if files and sorted(pattern.parent.glob(pattern.name)) == sorted(files) else list(files)


def _from(folder: Path, path: Path) -> str:
    """A path as it is called in a folder: relative to it where it lies below, else whole."""
    whole = Path(os.path.abspath(path))
    base = real_path(folder)
    return str(whole.relative_to(base)) if whole.is_relative_to(base) else str(whole)


@dataclass
class _Figures:
    """What is to be said of staged rows."""

    config: TableConfig
    staged: StagedRows
    database: Database

    def __post_init__(self) -> None:
        self.offsets: dict[str, float] = {}
        self._rows = f"read_parquet({quoted(self.staged.path)})"

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return [column.name for column in self.staged.columns]

    def channels(self) -> Iterator[dict[str, Any]]:
        """Type, missing share of the samples (of the ids, for what is static), and range of every channel."""
        for number, column in enumerate(self.staged.columns):
            ((rows,),) = self.database.rows(f"SELECT count(*) FROM {self._rows}")
            held, words = precision.held(self.database, self.staged.path, number), bool(column.categories)
            if held.lost and not words and held.low != held.high:
                self.offsets[column.name] = held.offset
            static, unknown = self._as_static(f"v{number}")
            yield {
                "channel": column.name,
                "role": "static" if static else column.role,
                "type": f"{len(column.categories)} words" if words else "number",
                "missing": round(unknown if static else 1 - held.count / rows, 6),
                "min": None if words or not held.count else _shown(held.low, held),
                "max": None if words or not held.count else _shown(held.high, held),
                "constant": "yes" if held.count and held.low == held.high else "",
            }

    def _as_static(self, name: str) -> tuple[bool, float]:
        """Whether a channel never changes within an id, but differs between two; and the share of ids without a
        value."""
        ((changing, values, missing),) = self.database.rows(f"""
            SELECT count(*) FILTER (low <> high), count(DISTINCT low), 1 - count(low) / count(*) FROM (
            SELECT min({name}) AS low, max({name}) AS high FROM {self._rows} GROUP BY key)""")
        return changing == 0 and values > 1, missing

    def suspects(self) -> dict[str, str]:
        """Columns that may hold the answer, and why."""
        return suspects(*self._looked_at)

    def answers(self) -> dict[str, str]:
        """Columns that seem to be answers by themselves, and why."""
        return answers(*self._looked_at)

    def sort_of(self, name: str, classes: bool) -> Sort:
        """What the values of a column are. classes: whether few of them are, whatever it is called."""
        number = self.names.index(name)
        ((distinct, flags, whole),) = self.database.rows(f"""
            SELECT count(DISTINCT v{number}), bool_and(v{number} IN (0, 1)), bool_and(v{number} = floor(v{number}))
            FROM {self._rows}""")
        if flags:
            return "flag"
        wordy = bool(self.staged.columns[number].categories)
        if wordy:
            return "flag" if distinct == 2 else "classes"
        return "classes" if classes or whole and distinct <= _CLASSES and is_label(name) else "number"

    def remarks(self, channels: Sequence[Mapping[str, Any]], told: Collection[str]) -> Iterator[str]:
        """What a person should look at in channels that are no proposed answers: whatever they are called, facts of two
        values look like one."""
        for channel in channels:
            name = channel["channel"]
            is_fact = channel["role"] == "static" and not channel["constant"] and name not in told
            if is_fact and self.sort_of(name, False) == "flag":
                yield f"one of two values of {name} holds for each id; known at the end alone, it belongs in `outcomes`"

    @cached_property
    def _looked_at(self) -> tuple[OrderedRows, set[str]]:
        """Rows in which answers are looked for, and the columns of words."""
        with pq.ParquetFile(self.staged.path) as file:
            table = next(file.iter_batches(SAMPLE))
        columns = {
            column.name: table[f"v{number}"].to_numpy(zero_copy_only=False)
            for number, column in enumerate(self.staged.columns)
        }
        time = table["time"].to_numpy(zero_copy_only=False).astype(np.float64)
        readings = OrderedRows.ordered(table["key"].to_numpy(), time, columns)
        return readings, {column.name for column in self.staged.columns if column.categories}

    def lengths(self) -> list[dict[str, Any]]:
        """Distribution of the samples of an id."""
        ((low, q25, median, q75, high),) = self.database.rows(f"""
            SELECT min(n), quantile_cont(n, 0.25), median(n), quantile_cont(n, 0.75), max(n)
            FROM (SELECT count(*) AS n FROM {self._rows} GROUP BY key)""")
        return [{"min": low, "q25": q25, "median": median, "q75": q75, "max": high}]

    def sampling(self) -> list[dict[str, Any]]:
        """Intervals between two samples of an id, in seconds where times are timestamps, else in the unit of the
        time."""
        if not self.config.time_column:
            return []
        clock = self.staged.clock
        unit = 1.0 if clock == "number" else seconds_of(self.staged, self.config)
        ((count, low, median, high, off, zero),) = self.database.rows(f"""
            WITH gaps AS (SELECT (time - lag(time) OVER (PARTITION BY key ORDER BY time)) * {unit} AS gap
                          FROM {self._rows}),
            middle AS (SELECT median(gap) AS m FROM gaps)
            SELECT count(gap), quantile_cont(gap, 0.05), any_value(m), quantile_cont(gap, 0.95),
                   count(*) FILTER (abs(gap - m) > {_REGULAR} * m), count(*) FILTER (gap = 0) FROM gaps, middle""")
        if not count:
            return []
        figures = {"intervals": count, "q05": low, "median": median, "q95": high, "irregular": round(off / count, 6)}
        return [{"unit": "as in the file" if clock == "number" else "s"} | figures | {"repeated times": zero}]

    def span(self) -> float:
        """Median of the time from the first row of an id to its last, in seconds where times are timestamps."""
        unit = 1.0 if self.staged.clock in (None, "number") else seconds_of(self.staged, self.config)
        ((span,),) = self.database.rows(
            f"SELECT median(span) FROM (SELECT max(time) - min(time) AS span FROM {self._rows} GROUP BY key)"
        )
        return float(span) * unit

    def sparse(self) -> float:
        """Share of the samples in which a channel that is a number has no value, over all of these."""
        numbers = [f"count(v{index})" for index, column in enumerate(self.staged.columns) if not column.categories]
        if not numbers:
            return 0.0
        ((rows, known),) = self.database.rows(f"SELECT count(*), {' + '.join(numbers)} FROM {self._rows}")
        return 1 - known / (rows * len(numbers))


def _shown(value: float, held: precision.Held) -> float:
    """A number with six digits, or as many as tell the ends of the range apart; a large whole one as it is."""
    if abs(value) > _LARGE and value == int(value):
        return int(value)
    digits = next((count for count in range(6, 17) if f"{held.low:.{count}g}" != f"{held.high:.{count}g}"), 6)
    return float(f"{value:.{digits}g}") + 0.0
