"""Columns of every type in the tables: read, or refused by file and column, and no cell is ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError
from jepa_core.io.workspace import Tables, Workspace
from jepa_mimic_iv.layout import COLUMNS, MIMIC_IV
from odd_columns import odd_columns, shown


def attempt(folder: Path, table: str, scratch: Path) -> str:
    """What reading every cell of a table says; empty if it succeeds."""
    scratch.mkdir()
    try:
        with Workspace.staging(Tables(MIMIC_IV, folder), scratch, "256MB", 1) as work:
            work.execute("CREATE TABLE all_of_it AS SELECT * FROM {table}", reads=table)
    except DataError as error:
        assert error.__cause__ is None or "read as parquet" in str(error)
        return str(error)
    return ""


@pytest.mark.parametrize("wanted", ["BIGINT", "INTEGER", "DOUBLE", "VARCHAR", "TIMESTAMP", "DATE"])
def test_a_column_of_any_type_is_read_or_refused_by_name_and_its_cells_are_not_shown(
    wanted: str, three_stays: Any, tmp_path: Path
) -> None:
    table, column = next(
        (table, column) for table, kinds in COLUMNS.items() for column, kind in kinds.items()
        if kind == wanted and three_stays.rows[table]
    )  # fmt: skip
    folder = three_stays.write(tmp_path / "tables", ".parquet")
    path = folder / f"{table}.parquet"
    whole, refused = pq.read_table(path), {}
    for number, (kind, odd) in enumerate(odd_columns(whole.num_rows).items()):
        pq.write_table(whole.set_column(whole.schema.get_field_index(column), column, odd), path)
        said = attempt(folder, table, tmp_path / str(number))
        if said:
            refused[kind] = said

    assert {"list", "struct", "map", "binary", "binary view", "duration", "no UTF-8"} <= refused.keys()
    assert ("word" in refused) == (wanted != "VARCHAR")
    assert all(f"{path}" in said and f"column {column} " in said for said in refused.values())
    assert all(
        "row 0 (counted from 0)" in refused[kind]
        for kind in refused.keys() & {"word", "unsigned beyond"}
        if "value that is no" in refused[kind]
    )
    assert shown(" ".join(refused.values())) == set()
