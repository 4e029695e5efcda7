"""Columns of every type in every file of a MEDS data set: read, or refused by file and column, and no cell is shown."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.data.store import StoreWriter
from jepa_core.errors import JepaError
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource
from odd_columns import odd_columns, shown

ROWS = 8
BEGIN = datetime.datetime(2030, 1, 1)


def data_set() -> dict[str, dict[str, pa.Array]]:
    """Two subjects with four events each."""
    subject = pa.array([1_000 + row // 4 for row in range(ROWS)])
    when = [BEGIN + datetime.timedelta(hours=row % 4) for row in range(ROWS)]
    due = pa.array([BEGIN + datetime.timedelta(hours=2)] * 2, pa.timestamp("us"))
    return {
        "data/0": {
            "subject_id": subject, "time": pa.array(when, pa.timestamp("us")), "code": pa.array(["LAB//1"] * ROWS),
            "numeric_value": pa.array([1.0] * ROWS, pa.float32()), "text_value": pa.array(["ok"] * ROWS),
            "comment": pa.array(["fine"] * ROWS),
        },
        "metadata/codes": {"code": pa.array(["LAB//1"]), "description": pa.array(["a result"])},
        "metadata/subject_splits": {"subject_id": pa.array([1_000, 1_001]), "split": pa.array(["train", "tuning"])},
        "labels/0": {"subject_id": pa.array([1_000, 1_001]), "prediction_time": due, "float_value": pa.array([0.0, 1])},
    }  # fmt: skip


def attempt(folder: Path, tables: dict[str, dict[str, pa.Array]], twice: tuple[str, str] = ("", "")) -> str:
    """What building says; empty if it succeeds. twice: table and column that the file has a second time."""
    for name, table in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        names = [*table, *([twice[1]] if name == twice[0] else [])]
        pq.write_table(pa.table([table[column] for column in names], names), folder / f"{name}.parquet")
    options: dict[str, Any] = {"labels": {"late": str(folder / "labels")}, "text_columns": ["text_value", "comment"]}
    try:
        with StoreWriter(folder / "store", "meds", "x") as writer:
            MedsSource(MedsConfig(path=str(folder), **options)).build(writer, folder)
    except JepaError as error:
        return str(error)
    return ""


PLACES = [(name, column) for name, table in data_set().items() for column in table]


@pytest.mark.parametrize(("name", "column"), PLACES, ids=lambda part: part)
def test_a_column_of_any_type_is_read_or_refused_by_name_and_its_cells_are_not_shown(
    name: str, column: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = {}
    for number, (kind, odd) in enumerate(odd_columns(ROWS).items()):
        tables = data_set()
        tables[name] |= {column: odd.slice(0, len(tables[name][column]))}
        said = attempt(tmp_path / str(number), tables)
        if said:
            refused[kind] = said

    assert {"list", "struct", "map", "binary", "dictionary of binary", "decimal beyond", "no UTF-8"} <= refused.keys()
    assert all(f"{name}.parquet" in said for said in refused.values())
    assert all(f"column {column} is" in refused[kind] for kind in ("list", "binary"))
    assert shown(" ".join(refused.values()) + caplog.text) == set()


def test_the_data_set_of_these_tests_is_read_where_nothing_is_odd(tmp_path: Path) -> None:
    assert attempt(tmp_path, data_set()) == ""


@pytest.mark.parametrize(("name", "column"), PLACES, ids=lambda part: part)
def test_a_column_that_is_there_twice_is_refused_by_name(name: str, column: str, tmp_path: Path) -> None:
    assert f"{Path(name).name}.parquet: column {column} is there twice" in attempt(tmp_path, data_set(), (name, column))
