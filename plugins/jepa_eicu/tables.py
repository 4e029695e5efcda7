"""Reading the distributed tables with DuckDB, out of core, with errors that a user can act on."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np

from jepa_core.errors import DataError, JepaError, RunError
from jepa_eicu.layout import COLUMNS, SUFFIXES, eicu_table

_LINE = re.compile(r"on Line: (\d+)")
_COLUMN = re.compile(r'converting column "(\w+)"', re.IGNORECASE)
_WHAT_TO_DO = "compare the file with its checksum in SHA256SUMS.txt, and copy or download it again"


class EICUTables:
    """The tables in a folder, found and checked: every one is there, opens, and has the columns that are read.

    Raises DataError naming every table or column that is missing.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"the folder {folder} is not there; set `tables` to the folder that holds patient.csv.gz")
        paths = {table: eicu_table(folder, table) for table in COLUMNS}
        missing = [table for table, path in paths.items() if path is None]
        if missing:
            raise DataError(
                f"{folder} lacks {', '.join(missing)} (looked for {', '.join(SUFFIXES)}); "
                "the tables must lie there as they are distributed"
            )
        self.paths = {table: path for table, path in paths.items() if path is not None}
        self._scans = {table: _scan(table, path) for table, path in self.paths.items()}

    def scan(self, table: str) -> str:
        """SQL of the table's wanted columns, each in its type, under their names in lower case."""
        return self._scans[table]


def _scan(table: str, path: Path) -> str:
    wanted, header = COLUMNS[table], _header(path)
    named = {name.lower(): name for name in header}
    absent = [column for column in wanted if column not in named]
    if absent:
        raise DataError(
            f"{path}: column {', '.join(absent)} is missing; the file has {len(header)} columns and must be "
            f"the table {table} of eICU as it is distributed"
        )
    kinds = ", ".join(f"{_quoted(name)}: {_quoted(wanted.get(name.lower(), 'VARCHAR'))}" for name in header)
    columns = ", ".join(_column(column, named[column], kind) for column, kind in wanted.items())
    return (
        f"(SELECT {columns} FROM read_csv({_quoted(path)}, columns = {{{kinds}}}, auto_detect = false, header = true, "
        "delim = ',', quote = '\"', escape = '\"'))"
    )


def _column(name: str, written: str, kind: str) -> str:
    """SQL of a column. Text has single blanks, none at the ends, and is NULL where there is nothing."""
    value = f'"{written}"'
    if kind == "VARCHAR":
        value = f"nullif(trim(regexp_replace({value}, '\\s+', ' ', 'g')), '')"
    return f"{value} AS {name}"


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _header(path: Path) -> list[str]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text), [])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.')}; {_WHAT_TO_DO}") from error
    if not header:
        raise DataError(f"{path} is empty: it has no header line; {_WHAT_TO_DO}")
    return header


class Extraction:
    """A DuckDB database in a scratch folder, which spills there when it reaches its memory limit. Use as a context
    manager."""

    def __init__(self, tables: EICUTables, scratch: Path, memory_limit: str, threads: int) -> None:
        self._tables = tables
        self._connection = duckdb.connect(scratch / "extraction.duckdb")
        self._connection.execute(f"SET memory_limit = {_quoted(memory_limit)}")
        self._connection.execute(f"SET temp_directory = {_quoted(scratch / 'spill')}")
        self._connection.execute(f"SET threads = {threads}")

    def __enter__(self) -> Extraction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def path(self, table: str) -> Path:
        """The file of a distributed table."""
        return self._tables.paths[table]

    def give(self, name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
        """Make a small table out of Python values. columns: their names and types, as SQL has them."""
        self.execute(f"CREATE TABLE {name} ({columns})")
        self._connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)

    def execute(self, sql: str, parameters: dict[str, Any] | None = None, reads: str = "") -> duckdb.DuckDBPyConnection:
        """Run a statement. `reads` is the distributed table that it scans, written `{table}` in the statement.

        Raises DataError if that table cannot be read, with file, line and column but never what stands there, and
        RunError if memory or disk do not suffice.
        """
        statement = sql.replace("{table}", self._tables.scan(reads)) if reads else sql
        try:
            return self._connection.execute(statement, parameters or {})
        except duckdb.Error as error:
            # The database's own message quotes the line, so it must reach neither the user nor a log.
            raise _explained(error, self._tables.paths[reads] if reads else None, reads) from None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a small result."""
        return self.execute(sql).fetchall()

    def columns(self, sql: str, parameters: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """A result as arrays: NaN, or None in text, where a value is missing."""
        told = self.execute(sql, parameters).fetchnumpy()
        return {name: _filled(values) for name, values in told.items()}


def _filled(values: np.ndarray) -> np.ndarray:
    if not isinstance(values, np.ma.MaskedArray):
        return values
    missing = np.ma.getmaskarray(values)
    if not missing.any():
        return np.asarray(values.data)
    filled = np.asarray(values.data).astype(object if values.dtype == object else np.float64)
    filled[missing] = None if values.dtype == object else np.nan
    return filled


def _explained(error: duckdb.Error, path: Path | None, table: str) -> JepaError:
    message = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return RunError("extraction reached its memory limit; raise `memory_limit` of the source, or free some disk")
    if re.search(r"no space left|max_temp_directory_size|could not write", message, re.IGNORECASE):
        return RunError("the disk that holds the scratch folder is full; free some space and run again")
    if path is None:
        return RunError(f"extraction failed inside the database ({type(error).__name__})")
    if re.search(r"GZIP|zlib|end of file|magic bytes|decompress", message, re.IGNORECASE):
        return DataError(f"{path} is truncated or damaged; {_WHAT_TO_DO}")
    line, column = _LINE.search(message), _COLUMN.search(message)
    where = f"{path}" + (f", line {line.group(1)}" if line else "")
    if column:
        name = column.group(1).lower()
        kind = COLUMNS[table].get(name, "text")
        return DataError(f"{where}: column {name} holds a value that is no {kind}; correct the line, or {_WHAT_TO_DO}")
    if line:
        return DataError(f"{where}: the line has too many or too few columns, or a broken quote; {_WHAT_TO_DO}")
    return DataError(f"{path}: a value does not have the type that its column must have; {_WHAT_TO_DO}")
