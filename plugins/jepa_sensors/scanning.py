"""What is in the columns of files: one pass over all rows, which keeps counts, and the first rows as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_core.errors import DataError, some_of
from jepa_sensors.config import TableConfig
from jepa_sensors.kinds import as_numbers, kind_of
from jepa_sensors.looks import Looks
from jepa_sensors.reading import Block, TableFile
from jepa_sensors.stamps import read_stamps
from jepa_sensors.time_formats import ISO, pattern_of

MOST_DISTINCT = 2000
"""Distinct words of a column that are kept; of more, only that there are more."""
SAMPLE = 200_000
"""Rows that are kept as numbers, and those of one block."""
_MOSTLY = 0.5
"""Share of numbers, or of times, from which on a column is one of these, and some of its cells do not fit."""

Held = Literal["number", "time", "word", "mixed", "none", "empty"]
"""What a column holds: mixed are numbers and something else, none is of a type that holds no cell of a table."""


@dataclass
class Scan:
    """A column as it was read.

    type: of the file's own, empty for text. looks: of its cells of text. known: cells with a value. whole: whether all
    its numbers are. words: its distinct words, if they are few. first: its first cells as numbers, words by their place
    among `words`, times in microseconds.
    """

    name: str
    type: pa.DataType | None = None
    looks: Looks = field(default_factory=Looks)
    known: int = 0
    whole: bool = True
    low: float = np.inf
    high: float = -np.inf
    words: dict[str, int] = field(default_factory=dict)
    first: list[np.ndarray] = field(default_factory=list)
    held: int = 0

    @property
    def kind(self) -> Held:
        counts, total = self.looks.counts, self.looks.total
        if self.known == 0:
            return "empty"
        if self.type is not None:
            kind = kind_of(self.type)
            return kind if kind in ("number", "time") else "none"
        if counts["number"] == total:
            return "number"
        if max(counts["time"], self.looks.formats.get(self.looks.spelling, 0)) >= _MOSTLY * total:
            return "time"
        return "mixed" if counts["number"] >= _MOSTLY * total else "word"

    @property
    def form(self) -> str:
        """The `time_format` that reads a column of times; empty where ISO 8601 does."""
        spelled = self.looks.formats.get(self.looks.spelling, 0) > self.looks.counts["time"]
        return self.looks.spelling if self.kind == "time" and self.type is None and spelled else ""

    @property
    def sample(self) -> np.ndarray:
        """(kept rows,) float64."""
        return np.concatenate(self.first) if self.first else np.zeros(0)

    def add(self, block: Block, column: pa.Array, decimal: str) -> None:
        """Take up a block of cells."""
        self.known += len(column) - column.null_count
        kind = kind_of(column.type)
        if kind == "text":
            self._add_text(block, column, decimal)
            return
        self.type = column.type
        if kind == "number":
            self._add_numbers(as_numbers(column).to_numpy(zero_copy_only=False))
        elif kind == "time":
            zone = column.type.tz if pa.types.is_timestamp(column.type) else None
            micros = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
            self._keep(micros.to_numpy(zero_copy_only=False).astype(np.float64))
        else:
            self._keep(np.full(len(column), np.nan))

    def _add_text(self, block: Block, column: pa.Array, decimal: str) -> None:
        if len(self.words) <= MOST_DISTINCT:
            for word in pc.unique(column.drop_null()).to_pylist():
                self.words.setdefault(word, len(self.words))
        try:
            values = as_numbers(column, decimal).to_numpy(zero_copy_only=False)
        except pa.ArrowException:
            self.looks.add(block, column)
            self._keep(self._as_numbers(column) if self.held < SAMPLE else np.zeros(0))
        else:
            self.looks.counts["number"] += len(column) - column.null_count
            self._add_numbers(values)

    def _as_numbers(self, column: pa.Array) -> np.ndarray:
        """Cells that are not all numbers: times where they are times, else by their word."""
        if self.kind == "time":
            stamps = read_stamps(column.fill_null(""), pattern_of(self.form) if self.form else ISO)
            return np.where(stamps.wrong > 0, np.nan, stamps.micros.astype(np.float64))
        index = pc.index_in(column, pa.array(list(self.words), pa.string()))
        return index.cast(pa.float64()).to_numpy(zero_copy_only=False)

    def _add_numbers(self, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)]
        if len(finite):
            self.whole = self.whole and bool(np.all(finite % 1 == 0))
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        self._keep(values)

    def _keep(self, values: np.ndarray) -> None:
        if self.held < SAMPLE:
            self.first.append(values)
            self.held += len(values)


@dataclass(frozen=True)
class Scanned:
    """Files of equal columns as they were read. indexes: columns of row labels. file: (kept rows,) number of the file
    of each."""

    paths: Sequence[Path]
    rows: int
    scans: dict[str, Scan]
    indexes: frozenset[str]
    file: np.ndarray


def scan_files(paths: Sequence[Path], reading: Mapping[str, Any]) -> Scanned:
    """Rows of files, and what their columns hold.

    Raises DataError if a file cannot be read, has no row, or has other columns than the first.
    """
    config = TableConfig.model_validate({"files": [str(path) for path in paths], **reading})
    header = config.header(paths[0])
    scans = {name: Scan(name) for name in header.names}
    rows, numbers = 0, []
    for number, path in enumerate(paths):
        file = TableFile(path, config)
        if set(file.names) != set(header.names):
            raise DataError(_other_columns(path, file.names, paths[0], header.names))
        for block in file.blocks(file.names):
            if rows < SAMPLE:
                numbers.append(np.full(len(block.rows), number))
            rows += len(block.rows)
            for name, scan in scans.items():
                scan.add(block, block.column(name), config.decimal)
    if rows == 0:
        raise DataError(f"{paths[0]}: there is a header and no row")
    return Scanned(paths, rows, scans, header.indexes, np.concatenate(numbers))


def _other_columns(path: Path, columns: Sequence[str], first: Path, names: Sequence[str]) -> str:
    """Which columns two files have not in common; without names where they share none, since a file without a header
    begins with a record."""
    shared = set(columns) & set(names)
    sides = ((first, names), (path, columns))
    own = {file: [name for name in of_file if name not in shared] for file, of_file in sides}
    told = " and ".join(f"{some_of(alone)} in {file} alone" for file, alone in own.items() if alone)
    known = f": {told}" if shared else ""
    return (
        f"{path} has other columns than {first}{known}; give files of equal columns, such as "
        f"{path.parent}/*{path.suffix}"
    )


def scan_channels(scanned: Scanned, reading: Mapping[str, Any], channel: str, value: str) -> dict[str, Scan]:
    """What the values of each channel of a long table hold."""
    config = TableConfig.model_validate({"files": [str(path) for path in scanned.paths], **reading})
    scans: dict[str, Scan] = {}
    for path in scanned.paths:
        for block in TableFile(path, config).blocks([channel, value]):
            named = block.column(channel).cast(pa.string()).dictionary_encode()
            code = named.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            for number, name in enumerate(named.dictionary.to_pylist()):
                mask = code == number
                own = Block(block.file, block.rows[mask], block.table.filter(pa.array(mask)))
                scans.setdefault(name, Scan(name)).add(own, own.column(value), config.decimal)
    return scans
