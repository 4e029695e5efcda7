"""The formats of a table's files: each gives the rows of a file as tables, in order, and tells where a row stands."""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from jepa_core.errors import DataError
from jepa_sensors.arrays import series_of
from jepa_sensors.files import Format, Header, not_this_encoding, open_bytes
from jepa_sensors.series_files import SAMPLE, SERIES, Axis, SeriesLine, ts_series
from jepa_sensors.text_blocks import EndlessRecord, TextBlock, text_blocks

BLOCK_ROWS = 1 << 17
_TAB = "\t"
_INVALID_ROW = re.compile(r"CSV parse error: Row #(\d+): Expected")


@dataclass(frozen=True)
class Layout:
    """How a file is laid out. headless: whether the first record of a text is a row. axes: of an array."""

    header: Header
    headless: bool
    separator: str
    encoding: str
    axes: tuple[Axis, ...] = ()


class FileRows(ABC):
    """The rows of a file, numbered from 0."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self.names = layout.header.names

    @abstractmethod
    def tables(self, wanted: list[str]) -> Iterator[pa.Table]:
        """Every row in order, some at a time, with the wanted columns. Raises DataError at what is no row."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a row stands that `tables` has given, such as `line 5`."""


class CsvRows(FileRows):
    """Comma-separated text. No file of Python's is handed to Arrow, whose threads would let go of it at any time, at
    the exit of the process as well, which then aborts: blocks are read here, and copied into Arrow's own memory."""

    quoted = True

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._blocks: list[tuple[int, TextBlock]] = []

    def tables(self, wanted: list[str]) -> Iterator[pa.Table]:
        first = 0
        for block in self._text_blocks():
            if block.text:
                table = self._parsed(block, wanted)
                self._blocks.append((first, replace(block, text=b"")))
                first += table.num_rows
                yield table

    def place(self, row: int) -> str:
        first, block = self._blocks[bisect_right(self._blocks, row, key=lambda block_of: block_of[0]) - 1]
        return f"line {block.line_of(row - first)}"

    def _text_blocks(self) -> Iterator[TextBlock]:
        separator = self.layout.separator if self.quoted else ""
        with open_bytes(self.path, self.layout.encoding) as file:
            try:
                for number, block in enumerate(text_blocks(file, separator, self.quoted)):
                    headed = number == 0 and not self.layout.headless
                    yield block.without_lines(self.layout.header.first - 1) if headed else block
            except EndlessRecord as error:
                rule = "the row that begins there does not end; close the quote that opens in it"
                raise DataError(f"{self.path}, line {error.line}: {rule}") from None

    def _parsed(self, block: TextBlock, wanted: list[str]) -> pa.Table:
        text = self._as_csv(block.text)
        try:
            return pv.read_csv(
                pa.BufferReader(_owned(text)),
                pv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=self.names),
                pv.ParseOptions(
                    delimiter=self.layout.separator if self.quoted else _TAB,
                    quote_char='"' if self.quoted else False,
                    newlines_in_values=self.quoted,
                    ignore_empty_lines=False,
                ),
                pv.ConvertOptions(
                    include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            rule = f"not {len(self.names)} cells, as many as there are columns"
            # From its words, not by its handler of such rows: that one is not asked where a row is not UTF-8.
            if number := _INVALID_ROW.match(str(error)):
                raise DataError(f"{self.path}, line {block.line_of(int(number[1]) - 1)}: {rule}") from None
            raise self._unreadable(block) from None

    def _unreadable(self, block: TextBlock) -> Exception:
        try:
            block.text.decode()
        except UnicodeDecodeError as error:
            where = f"{self.path}, line {block.line_at(error.start)}"
            return DataError(not_this_encoding(where, self.layout.encoding))
        return DataError(f"{self.path}, line {block.line}: the rows that begin there are no CSV; see source.separator")

    def _as_csv(self, text: bytes) -> bytes:
        return text


class BlankRows(CsvRows):
    """Text whose cells stand between blanks."""

    quoted = False

    def _as_csv(self, text: bytes) -> bytes:
        bare = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", text)
        return re.sub(rb"[ \t]+", _TAB.encode(), bare)


class ParquetRows(FileRows):
    """Apache Parquet."""

    def tables(self, wanted: list[str]) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BLOCK_ROWS, columns=wanted):
                yield pa.Table.from_batches([batch]).select(wanted)  # `a` brings `a.b` along

    def place(self, row: int) -> str:
        return f"row {row + 1}"


class TsRows(FileRows):
    """Series of the time series classification archive."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._series: list[tuple[int, int]] = []  # first row and line of each

    def tables(self, wanted: list[str]) -> Iterator[pa.Table]:
        first = 0
        with open_bytes(self.path, self.layout.encoding) as file:
            for number, recording in enumerate(ts_series(io.TextIOWrapper(file, "utf-8-sig"))):
                self._series.append((first, recording.line))
                yield self._table(number, recording).select(wanted)
                first += recording.longest

    def place(self, row: int) -> str:
        return f"line {self._series[bisect_right(self._series, (row, 1 << 62)) - 1][1]}"

    def _table(self, number: int, series: SeriesLine) -> pa.Table:
        longest, target = series.longest, [] if series.target is None else [series.target]
        wanted = len(self.names) - 2 - len(target)
        if len(series.dimensions) != wanted or any("(" in cells[0] for cells in series.dimensions):
            told = " and a class" if target else ""
            raise DataError(
                f"{self.path}, line {series.line}: not {wanted} dimensions without timestamps{told}, as the columns say"
            )
        columns = [pa.array([str(number)] * longest), pa.array(map(str, range(longest)), pa.string())]
        columns += [pa.array(cells + [""] * (longest - len(cells)), pa.string()) for cells in series.dimensions]
        return pa.table([*columns, *(pa.array([word] * longest, pa.string()) for word in target)], names=self.names)


class ArrayRows(FileRows):
    """An array as numpy saves it, which is mapped into memory and never unpickled."""

    def tables(self, wanted: list[str]) -> Iterator[pa.Table]:
        series = series_of(self.path, self.layout.axes)
        keys = [SERIES, SAMPLE] if series.many else [SAMPLE]
        if len(self.names) != len(keys) + series.values.shape[2]:
            given = f"{len(self.names)} columns, and the array has {len(keys) + series.values.shape[2]}"
            raise DataError(f"{self.path}: source.columns names {given}: {', '.join(keys)} and its channels")
        count = series.values.shape[1]
        for first in range(0, series.values.shape[0] * count, BLOCK_ROWS):
            row = np.arange(first, min(first + BLOCK_ROWS, series.values.shape[0] * count))
            values = series.values[row // count, row % count]
            numbered = {SERIES: row // count, SAMPLE: row % count}
            columns = [*(numbered[key] for key in keys), *values.T]
            yield pa.table([pa.array(cells) for cells in columns], names=self.names).select(wanted)

    def place(self, row: int) -> str:
        return f"row {row + 1}"


ROWS: dict[Format, type[FileRows]] = {
    "csv": CsvRows,
    "blanks": BlankRows,
    "parquet": ParquetRows,
    "ts": TsRows,
    "npy": ArrayRows,
}


def _owned(text: bytes) -> pa.Buffer:
    """A copy in memory that Arrow owns."""
    buffer = pa.allocate_buffer(len(text))
    np.frombuffer(buffer, dtype=np.uint8)[:] = np.frombuffer(text, dtype=np.uint8)
    return buffer
