"""Reading a file of readings block by block, in order, so that every row can be told by its line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_core.errors import DataError
from jepa_sensors.config import FILE, TableConfig, refuse_unknown
from jepa_sensors.config_parts import ROW
from jepa_sensors.files import UNREADABLE, not_this_encoding
from jepa_sensors.formats import ROWS, Layout
from jepa_sensors.kinds import is_text, kind_of

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

    def plain(self, name: str) -> pa.Array:
        """A column of numbers or text. Raises DataError if it is of another type, such as a list."""
        column = self.column(name)
        if kind_of(column.type) not in ("number", "text"):
            raise DataError(f"{self.file.path}: column {name} is {column.type}, which is no number; leave it out")
        return column

    def error(self, index: int, rule: str) -> DataError:
        """What is wrong with a row of the block."""
        return DataError(f"{self.file.place(int(self.rows[index]))}: {rule}")


class TableFile:
    """A file of readings, and its columns.

    Raises DataError if it is empty or cannot be read.
    """

    def __init__(self, path: Path, config: TableConfig) -> None:
        self.path = path
        self.decimal = config.decimal
        self._encoding = config.encoding
        layout = Layout(
            config.header(path), bool(config.columns), config.separator_of(path), config.encoding, config.axes
        )
        self.names = layout.header.names
        self._rows = ROWS[config.format_of(path)](path, layout)
        self._empty = pa.array(config.empty_values, pa.string())

    def place(self, row: int) -> str:
        """Where a row stands, counted from 0: the file and its line as an editor counts."""
        return f"{self.path}, {self._rows.place(row)}"

    def blocks(self, wanted: Sequence[str]) -> Iterator[Block]:
        """All rows but blank ones, with the wanted columns.

        Raises RecipeError if the file does not have one of them, DataError if it cannot be read.
        """
        refuse_unknown(wanted, self.names, self.path)
        kept = [name for name in dict.fromkeys(wanted) if name not in (FILE, ROW)]
        first = 0
        try:
            for table in self._rows.tables(kept):
                yield self._block(table, first)
                first += table.num_rows
        except UnicodeError as error:
            raise DataError(not_this_encoding(str(self.path), self._encoding)) from error
        except (pa.ArrowException, *UNREADABLE) as error:
            raise DataError(f"{self.path} cannot be read to its end; {_DAMAGED}") from error

    def _block(self, table: pa.Table, first: int) -> Block:
        columns = [self._tidy(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
        tidy = pa.table(columns, names=table.column_names)
        rows = first + np.arange(table.num_rows)
        blank = np.logical_and.reduce([column.is_null().to_numpy() for column in tidy.columns])
        return Block(self, rows[~blank], tidy.filter(pa.array(~blank))) if blank.any() else Block(self, rows, tidy)

    def _tidy(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_binary_view(column.type):
            column = column.cast(pa.binary())  # Arrow neither filters nor takes what is a view
        if not is_text(column.type):
            return column
        try:
            trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
        except pa.ArrowInvalid:
            raise DataError(f"{self.path}: column {name} is no UTF-8 text; write it as text, or leave it out") from None
        return pc.if_else(pc.is_in(trimmed, self._empty), pa.scalar(None, pa.string()), trimmed)


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
