"""Reading a file of readings block by block, in order, so that every row can be told by its line."""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from jepa_core.errors import DataError
from jepa_sensors.config import FILE, TableConfig, refuse_unknown
from jepa_sensors.files import UNREADABLE, open_bytes

BLOCK_BYTES = 1 << 23
BLOCK_ROWS = 1 << 17

_DAMAGED = "copy the file again, or set source.format and source.separator to what it is"


@dataclass(frozen=True)
class Block:
    """Some rows of a file. rows: (R,) int64, their numbers in the file from 0. table: R rows; cells without a value are
    null, words have no blanks around them."""

    file: TableFile
    rows: np.ndarray
    table: pa.Table

    def column(self, name: str) -> pa.Array:
        column = self.table[name]
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

    def error(self, index: int, rule: str) -> DataError:
        """What is wrong with a row of the block."""
        return DataError(f"{self.file.place(int(self.rows[index]))}: {rule}")


class TableFile:
    """A file of readings, and its columns.

    Raises DataError if it is empty or cannot be read.
    """

    def __init__(self, path: Path, config: TableConfig) -> None:
        self.path = path
        self.names = config.header(path)
        self._kind = config.format_of(path)
        self._separator = config.separator_of(path)
        self._headless = bool(config.columns)
        self._empty = pa.array(config.empty_values, pa.string())
        self._series: list[tuple[int, int]] = []  # first row and line of every series of a `ts` file

    def place(self, row: int) -> str:
        """Where a row stands, counted from 0: the file and its line as an editor counts."""
        if self._kind == "parquet":
            return f"{self.path}, row {row + 1}"
        if self._kind == "ts":
            return f"{self.path}, line {self._series[bisect_right(self._series, (row, 1 << 62)) - 1][1]}"
        return f"{self.path}, line {row + (1 if self._headless else 2)}"

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """All rows but blank ones, with the wanted columns.

        Raises RecipeError if the file does not have one of them, DataError if it cannot be read.
        """
        refuse_unknown(wanted, self.names, self.path)
        kept = [name for name in dict.fromkeys(wanted) if name != FILE]
        read = {"parquet": self._parquet, "ts": self._ts}.get(self._kind, self._csv)
        first = 0
        try:
            for table in read(kept):
                yield self._block(table, first)
                first += table.num_rows
        except (pa.ArrowException, *UNREADABLE) as error:
            raise DataError(f"{self.path} cannot be read to its end; {_DAMAGED}") from error

    def _block(self, table: pa.Table, first: int) -> Block:
        tidy = pa.table([self._tidy(column) for column in table.columns], names=table.column_names)
        rows = first + np.arange(table.num_rows)
        blank = np.logical_and.reduce([column.is_null().to_numpy() for column in tidy.columns])
        return Block(self, rows[~blank], tidy.filter(pa.array(~blank))) if blank.any() else Block(self, rows, tidy)

    def _tidy(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not is_text(column.type):
            return column
        trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return pc.if_else(pc.is_in(trimmed, self._empty), pa.scalar(None, pa.string()), trimmed)

    def _csv(self, wanted: list[str]) -> Iterator[pa.Table]:
        refused: list[int] = []

        def refuse(row: Any) -> str:
            refused.append(row.number)
            return "error"

        with open_bytes(self.path) as file:
            content: Any = _Blanks(file) if self._kind == "blanks" else file
            try:
                yield from map(pa.Table.from_batches, ([batch] for batch in self._stream(content, wanted, refuse)))
            except pa.ArrowInvalid as error:
                if refused:
                    raise DataError(
                        f"{self.path}, line {refused[0]}: not {len(self.names)} cells, as many as there are columns"
                    ) from error
                if "Empty CSV" not in str(error):
                    raise

    def _stream(self, content: IO[bytes], wanted: list[str], refuse: Any) -> pv.CSVStreamingReader:
        blanks = self._kind == "blanks"
        return pv.open_csv(
            pa.PythonFile(content, mode="r"),
            pv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, column_names=self.names, skip_rows=0 if self._headless else 1
            ),
            pv.ParseOptions(
                delimiter="," if blanks else self._separator, ignore_empty_lines=False, invalid_row_handler=refuse
            ),
            pv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
            ),
        )

    def _parquet(self, wanted: list[str]) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BLOCK_ROWS, columns=wanted):
                yield pa.Table.from_batches([batch])

    def _ts(self, wanted: list[str]) -> Iterator[pa.Table]:
        """The series of a file in the format of the time series classification archive (timeseriesclassification.com):
        after @data a series a line, its dimensions between colons, its class last."""
        first, data = 0, False
        with open_bytes(self.path) as file:
            for line, raw in enumerate(file, start=1):
                text = raw.decode().strip()
                if data and text and not text.startswith("#"):
                    self._series.append((first, line))
                    table = self._one_series(text, line)
                    first += table.num_rows
                    yield table.select(wanted)
                data = data or text.lower() == "@data"

    def _one_series(self, text: str, line: int) -> pa.Table:
        *dimensions, label = text.split(":")
        cells = [dimension.split(",") for dimension in dimensions]
        longest = max(map(len, cells), default=0)
        if len(cells) + 3 != len(self.names) or "(" in text:
            raise DataError(
                f"{self.path}, line {line}: not {len(self.names) - 3} dimensions without timestamps and a class, as "
                "the columns say"
            )
        columns = [pa.array([str(len(self._series) - 1)] * longest), pa.array(map(str, range(longest)))]
        columns += [pa.array(cell + [""] * (longest - len(cell))) for cell in cells]
        return pa.table([*columns, pa.array([label] * longest)], names=self.names)


class _Blanks(io.RawIOBase):
    """A file whose cells stand between blanks, as CSV."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._rest = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ready:
            piece = self._file.read(BLOCK_BYTES)
            if not piece and not self._rest:
                return b""
            lines, newline, rest = (self._rest + piece).rpartition(b"\n") if piece else (self._rest, b"", b"")
            self._rest = rest
            bare = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", lines)
            self._ready = re.sub(rb"[ \t]+", b",", bare) + newline
        size = len(self._ready) if size < 0 else size
        given, self._ready = self._ready[:size], self._ready[size:]
        return given


class Files:
    """The rows of several files, numbered through."""

    def __init__(self) -> None:
        self._files: list[TableFile] = []
        self._starts: list[int] = []

    def add(self, file: TableFile, first: int) -> None:
        """Add a file whose row 0 has the number `first`."""
        self._files.append(file)
        self._starts.append(first)

    def place(self, row: int) -> str:
        """Where a row stands: its file and line."""
        number = bisect_right(self._starts, row) - 1
        return self._files[number].place(row - self._starts[number])


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
