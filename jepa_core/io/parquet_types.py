"""What columns of Parquet files may be, whoever wrote them, and which cell is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import parquet, types

from jepa_core.errors import DataError

_CLOCKS = (None, "UTC", "Etc/UTC", "Z", "GMT", "+00:00")
"""Zones of columns whose clock is taken as it stands: none, and the names of UTC."""


def checked_columns(path: Path, wanted: Mapping[str, str], owner: str, what_to_do: str) -> list[str]:
    """Names of a file's columns. wanted: those that are read, in lower case, with the DuckDB type that each must have.
    owner: whose tables they are, in words.

    Raises DataError naming the file, and the column that can hold no such value in any row.
    """
    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet; {what_to_do}") from error
    for column in file.schema_arrow:
        kind = wanted.get(column.name.lower())
        if kind and not _holds_nothing(file.metadata, column.name):
            _refuse_other_type(path, column, kind, owner)
    return list(file.schema_arrow.names)


def _holds_nothing(metadata: parquet.FileMetaData, name: str) -> bool:
    """Whether a column has no value at all, as its statistics say; then its type says nothing: pandas writes such a
    column as numbers."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for part in map(group.column, range(group.num_columns)):
            told = part.statistics
            if part.path_in_schema.split(".")[0] == name and (told is None or told.null_count != group.num_rows):
                return False
    return metadata.num_rows > 0


def _refuse_other_type(path: Path, column: pa.Field, wanted: str, owner: str) -> None:
    kind = column.type
    plain = kind.value_type if types.is_dictionary(kind) else kind
    if not _can_hold(plain, wanted):
        raise DataError(
            f"{path}: column {column.name} is {kind}, which holds no {wanted}; write the column as {owner} distributes "
            "it"
        )
    zone = plain.tz if types.is_timestamp(plain) else None
    if zone not in _CLOCKS:
        raise DataError(
            f"{path}: the times of column {column.name} have the time zone {zone}, which {owner} has not: its "
            "times are what a clock showed; write the column as timestamps without a zone, or with the zone UTC, "
            "that show the same clock"
        )


def _can_hold(kind: pa.DataType, wanted: str) -> bool:
    """Whether a type can hold values of a DuckDB type; text can hold any, and a column of nothing too."""
    if types.is_null(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return True
    if wanted in ("TIMESTAMP", "DATE"):
        return types.is_timestamp(kind) or types.is_date(kind)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return number or wanted == "VARCHAR" and types.is_boolean(kind)


def wrong_cell(path: Path, wanted: Mapping[str, str]) -> tuple[str, int | None]:
    """Column and row (counted from 0; None if it is not to be found) of the first cell that is no value of its column's
    DuckDB type. The file is read again, a column at a time; no column at all is told as an empty word."""
    file = "'" + str(path).replace("'", "''") + "'"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for column, kind in wanted.items():
            wrong = f'"{column}" IS NOT NULL AND TRY_CAST("{column}" AS {kind}) IS NULL'
            sql = (  # with a hash of each cell, which decodes them all
                f'SELECT min(file_row_number) FILTER ({wrong}), max(hash("{column}")) '
                f"FROM read_parquet({file}, file_row_number = true)"
            )
            try:
                row = connection.execute(sql).fetchone()
            except duckdb.Error:  # the column itself cannot be decoded
                return column, None
            if row and row[0] is not None:
                return column, int(row[0])
    return "", None
