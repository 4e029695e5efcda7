"""Reading distributed tables with DuckDB, in this process and out of core, with errors that a user can act on.

Imports DuckDB; sources that read such tables import it, and nothing else does.
"""

from __future__ import annotations

import csv
import gzip
import re
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from jepa_core.errors import DataError, JepaError, RunError
from jepa_core.io.columns import to_numpy
from jepa_core.io.distribution import Distribution
from jepa_core.io.parquet_types import checked_columns, wrong_cell

_LINE = re.compile(r"on Line: (\d+)")
_INFINITE = re.compile(r"infinite: (\w+)")
_COLUMN = re.compile(r'converting column "(\w+)"', re.IGNORECASE)
_DATABASE = "extraction.duckdb"
PARTITION_MEMORY = "512MB"
"""Memory in which the database makes a partition; it needs far less, and keeps in the rest what it has read."""
_NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
_WHAT_TO_DO = "compare the file with its checksum in SHA256SUMS.txt, and copy or download it again"


class Tables:
    """The tables of a distribution in a folder, found and checked: every one is there, opens, and has the columns that
    are read.

    Raises DataError naming every table or column that is missing.
    """

    def __init__(self, distribution: Distribution, folder: Path) -> None:
        self.distribution = distribution
        self.paths: dict[str, Path] = distribution.files(folder)
        self._scans = {table: _scan(distribution, table, path) for table, path in self.paths.items()}

    def scan(self, table: str) -> str:
        """SQL of the table's wanted columns, each in its type, under their names in lower case."""
        return self._scans[table]


def _scan(distribution: Distribution, table: str, path: Path) -> str:
    wanted = distribution.columns[table]
    parquet = path.suffix == ".parquet"
    header = checked_columns(path, wanted, distribution.name, _WHAT_TO_DO) if parquet else _csv_columns(path)
    named = {name.lower(): name for name in header}
    twice = [column for column in wanted if [name.lower() for name in header].count(column) > 1]
    if twice:
        raise DataError(f"{path}: column {twice[0]} is there twice, and nothing says which counts; {_WHAT_TO_DO}")
    absent = [column for column in wanted if column not in named]
    if absent:
        raise DataError(
            f"{path}: column {', '.join(absent)} is missing; the file has {len(header)} columns and must be "
            f"the table {table} of {distribution.name} as it is distributed"
        )
    if parquet:
        columns = ", ".join(_column(name, f'CAST("{named[name]}" AS {kind})', kind) for name, kind in wanted.items())
        return f"(SELECT {columns} FROM read_parquet({_quoted(path)}))"
    kinds = ", ".join(f"{_quoted(name)}: {_quoted(wanted.get(name.lower(), 'VARCHAR'))}" for name in header)
    columns = ", ".join(_column(name, f'"{named[name]}"', kind) for name, kind in wanted.items())
    return (
        f"(SELECT {columns} FROM read_csv({_quoted(path)}, columns = {{{kinds}}}, auto_detect = false, header = true, "
        "delim = ',', quote = '\"', escape = '\"'))"
    )


def _column(name: str, value: str, kind: str) -> str:
    """SQL of a column. Text has one form, whoever wrote the file: single blanks, none at the ends, NULL for nothing; a
    number that is NaN is NULL too, and an infinite one an error."""
    if kind == "VARCHAR":
        value = f"nullif(trim(regexp_replace({value}, '\\s+', ' ', 'g')), '')"
    if kind == "DOUBLE":
        # Not isnan, which is not asked of a Parquet file: its statistics leave NaN out (findings/nan_in_parquet.sh).
        wrong = f"error('infinite: {name}')"
        value = f"CASE WHEN isfinite({value}) THEN {value} WHEN abs({value}) = 'inf' THEN {wrong} END"
    return f'{value} AS "{name}"'


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _csv_columns(path: Path) -> list[str]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text), [])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.')}; {_WHAT_TO_DO}") from error
    if not header:
        raise DataError(f"{path} is empty: it has no header line; {_WHAT_TO_DO}")
    return header


class Workspace:
    """A DuckDB database in a scratch folder, which spills there when it reaches its memory limit. Use as a context
    manager."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Tables | None) -> None:
        self._connection = connection
        self._tables = tables

    @classmethod
    def staging(cls, tables: Tables, scratch: Path, memory_limit: str, threads: int) -> Workspace:
        """A new database, filled from the distributed tables; what is made of them is kept by `commit`."""
        connection = _connect(scratch / _DATABASE, memory_limit, threads, read_only=False)
        # One transaction for all tables: until all of them are there, none is of use.
        connection.execute("BEGIN TRANSACTION")
        return cls(connection, tables)

    @classmethod
    def staged(cls, scratch: Path) -> Workspace:
        """What was committed, to be read by any number of processes at the same time."""
        return cls(_connect(scratch / _DATABASE, PARTITION_MEMORY, 1, read_only=True), None)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def _distributed(self) -> Tables:
        assert self._tables is not None  # a staged workspace reads what was made of them
        return self._tables

    def give(self, name: str, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str] | None = None) -> None:
        """Make a small table out of Python values. types: of columns that may have no value to tell theirs."""
        # Not by way of an Arrow table: pyarrow imports pandas for that, which takes longer than all of these tables.
        told = {column: _type(values) for column, values in columns.items()} | dict(types or {})
        chosen = ", ".join(f"unnest(${column}::{told[column]}[]) AS {column}" for column in columns)
        values = {column: list(values) for column, values in columns.items()}
        self._connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {chosen}", values)

    def give_rows(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], types: Mapping[str, str] | None = None
    ) -> None:
        """Make a small table out of rows of Python values. types: see `give`."""
        self.give(name, {column: [row[number] for row in rows] for number, column in enumerate(columns)}, types)

    def commit(self) -> None:
        """Keep every table that was made."""
        self._connection.execute("COMMIT")

    def keep(self, name: str, table: pa.Table) -> None:
        """Let statements read a result of this process as a table, in place of what had the name before. It is not
        copied, and not written to the database."""
        self._connection.register(name, table)

    def execute(self, sql: str, parameters: dict[str, Any] | None = None, reads: str = "") -> duckdb.DuckDBPyConnection:
        """Run a statement. `reads` is the distributed table that it scans, written `{table}` in the statement.

        Raises DataError if that table cannot be read, with file, line and column but never what stands there, and
        RunError if memory or disk do not suffice.
        """
        statement = sql.replace("{table}", self._distributed.scan(reads)) if reads else sql
        try:
            return self._connection.execute(statement, parameters or {})
        except duckdb.Error as error:
            # The database's own message quotes the line, so it must reach neither the user nor a log.
            raise self._explained(error, reads) from None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a small result."""
        return self.execute(sql).fetchall()

    def arrow(self, sql: str, parameters: dict[str, Any]) -> pa.Table:
        """A result as an Arrow table. Raises RunError if memory or disk do not suffice."""
        try:
            return self._connection.sql(sql, params=parameters).to_arrow_table()
        except duckdb.Error as error:
            raise self._explained(error) from None

    def columns(self, sql: str, parameters: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """A result as arrays by column, as `to_numpy` makes them."""
        table = self.arrow(sql, parameters or {})
        return {name: to_numpy(table[name]) for name in table.column_names}

    def path(self, table: str) -> Path:
        """The file of a distributed table."""
        return self._distributed.paths[table]

    def _explained(self, error: duckdb.Error, reads: str = "") -> JepaError:
        """An error of the database in words of its user, who is told no cell."""
        if not reads:
            return database_error(error)
        return database_error(error, self.path(reads), self._distributed.distribution.columns[reads])


def _type(values: Sequence[Any]) -> str:
    """What the database calls the type of Python values; text if there is none that is not None."""
    kinds = {type(value) for value in values} - {type(None)}
    return next((name for kind, name in _TYPES.items() if kind in kinds), "VARCHAR")


# Whole numbers among others are such numbers too.
_TYPES = {bool: "BOOLEAN", float: "DOUBLE", int: "BIGINT"}


def _connect(path: Path, memory_limit: str, threads: int, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(path, read_only=read_only)
    connection.execute(f"SET memory_limit = {_quoted(memory_limit)}")
    # A folder of its own for each process, since several may read one database.
    connection.execute(f"SET temp_directory = {_quoted(path.with_name(f'spill-{uuid.uuid4().hex}'))}")
    connection.execute(f"SET threads = {threads}")
    # A time with a zone is read as the clock of UTC shows it, wherever the machine stands.
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def database_error(
    error: duckdb.Error, path: Path | None = None, wanted: Mapping[str, str] = MappingProxyType({})
) -> JepaError:
    """What a database's error means to a user, without its own words, which quote cells. path: of the file that was
    read, if it was one. wanted: types of its columns."""
    message = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return RunError(
            "extraction reached its memory limit and could not move to disk; "
            "raise `memory_limit` of the source, or free some disk"
        )
    if re.search(r"[Nn]o space left|max_temp_directory_size|could not write", message, re.IGNORECASE):
        return RunError("the disk that holds the scratch folder is full; free some space and run again")
    if path is None:
        return RunError(f"extraction failed inside the database ({type(error).__name__})")
    if re.search(r"GZIP|zlib|end of file|magic bytes|decompress", message, re.IGNORECASE):
        return DataError(f"{path} is truncated or damaged; {_WHAT_TO_DO}")
    if infinite := _INFINITE.search(message):
        return _infinite_number(path, infinite.group(1))
    if path.suffix == ".parquet":
        return _wrong_parquet(path, wanted)
    line, column = _LINE.search(message), _COLUMN.search(message)
    where = f"{path}" + (f", line {line.group(1)}" if line else "")
    if column:
        name = column.group(1).lower()
        kind = wanted.get(name, "text")
        return DataError(f"{where}: column {name} holds a value that is no {kind}; correct the line, or {_WHAT_TO_DO}")
    if line:
        return DataError(f"{where}: the line has too many or too few columns, or a broken quote; {_WHAT_TO_DO}")
    return DataError(f"{path}: a value does not have the type that its column must have; {_WHAT_TO_DO}")


def _wrong_parquet(path: Path, wanted: Mapping[str, str]) -> DataError:
    column, row = wrong_cell(path, wanted)
    if not column:
        return DataError(f"{path} is truncated or damaged; {_WHAT_TO_DO}")
    where = f"{path}" + (f", row {row} (counted from 0)" if row is not None else "")
    rule = f"column {column} holds a value that is no {wanted[column]}"
    return DataError(f"{where}: {rule}; correct the row, or {_WHAT_TO_DO}")


def _infinite_number(path: Path, column: str) -> DataError:
    """Where the first infinite number of a column stands."""
    reader = "read_parquet({0})" if path.suffix == ".parquet" else "read_csv({0}, all_varchar = true, header = true)"
    numbered = f'SELECT row_number() OVER () - 1 AS row, try_cast("{column}" AS DOUBLE) AS number FROM {reader}'
    with duckdb.connect() as connection:
        first = connection.execute(f"SELECT min(row) FROM ({numbered.format(_quoted(path))}) WHERE abs(number) = 'inf'")
        (row,) = first.fetchone() or (None,)
    what_to_do = f"leave it empty where there is no number, or {_WHAT_TO_DO}"
    return DataError(f"{path}, row {row} (counted from 0): column {column} holds an infinite number; {what_to_do}")
