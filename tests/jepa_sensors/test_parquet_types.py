"""Columns of every type in every place of a table: read, or refused by file and column, and no cell is ever shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.cli import main
from jepa_core.data.store import StoreWriter
from jepa_core.errors import JepaError
from jepa_sensors.config import TableConfig
from jepa_sensors.source import TableSource
from odd_columns import odd_columns, shown

ROWS = 12
Columns = dict[str, pa.Array]


def columns() -> Columns:
    row = np.arange(ROWS)
    numbers = {"id": row // 4, "time": row % 4 * 1.0, "x": row * 0.5, "y": row * 0.25, "s": row // 4 * 1.5}
    return {**{name: pa.array(values) for name, values in numbers.items()}, "w": pa.array(["a"] * ROWS)}


WIDE = {"id": ["id"], "time": "time", "states": ["x"], "actions": ["y"], "statics": ["s"], "ignore": ["w"]}
LONG = {
    "layout": "long",
    "id": ["id"],
    "time": "time",
    "channel": "c",
    "value": "v",
    "states": ["x"],
    "repeats": "mean",
}


def in_wide(column: str, **more: Any) -> Callable[[pa.Array, Path], tuple[Columns, dict[str, Any]]]:
    return lambda odd, folder: (columns() | {column: odd}, {**WIDE, **more})


def in_long(column: str) -> Callable[[pa.Array, Path], tuple[Columns, dict[str, Any]]]:
    def made(odd: pa.Array, folder: Path) -> tuple[Columns, dict[str, Any]]:
        plain = columns()
        own = {"id": plain["id"], "time": plain["time"], "c": pa.array(["x"] * ROWS), "v": plain["x"]}
        return own | {column: odd}, dict(LONG)

    return made


def across(odd: pa.Array, folder: Path) -> tuple[Columns, dict[str, Any]]:
    own = {"id": pa.array(range(ROWS)), "t1": odd, "t2": columns()["x"]}
    return own, {"layout": "across", "id": ["id"], "across": ["t*"], "channel": "", "value": "v", "states": ["v"]}


def outcome_file(odd: pa.Array, folder: Path) -> tuple[Columns, dict[str, Any]]:
    pq.write_table(pa.table({"id": pa.array(range(3)), "v": odd.slice(0, 3)}), folder / "outcomes.parquet")
    told = {"file": str(folder / "outcomes.parquet"), "id": ["id"], "column": "v"}
    return columns(), {**WIDE, "outcomes": {"o": told}}


PLACES = {
    "a state": in_wide("x"),
    "a static fact": in_wide("s"),
    "the id": in_wide("id"),
    "a time": in_wide("time"),
    "a time in nanoseconds": in_wide("time", time_unit="ns"),
    "a category": in_wide("w", states=["x", "w"], ignore=[], categories={"w": ["a", "b"]}),
    "a label": in_wide("w", ignore=[], labels={"late": {"column": "w"}}),
    "an outcome in a file": outcome_file,
    "the channel of a long table": in_long("c"),
    "the value of a long table": in_long("v"),
    "a sample across": across,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_column_of_any_type_is_read_or_refused_by_name_and_its_cells_are_not_shown(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = {}
    for number, (kind, odd) in enumerate(odd_columns(ROWS).items()):
        table, options = PLACES[place](odd, tmp_path)
        pq.write_table(pa.table(table), tmp_path / "t.parquet")
        config = TableConfig.model_validate({**options, "files": [str(tmp_path / "t.parquet")], "split": None})
        source, folder = TableSource(config), tmp_path / str(number)
        folder.mkdir()
        try:
            with StoreWriter(folder / "store", "table", "x") as writer:
                source.build(writer, folder)
        except JepaError as error:
            refused[kind] = str(error)

    assert {"list", "struct", "map", "binary", "binary view", "dictionary of binary", "no UTF-8"} <= refused.keys()
    assert all(".parquet" in said and "column" in said for said in (refused["list"], refused["no UTF-8"]))
    assert shown(" ".join(refused.values()) + caplog.text) == set()


def test_describing_a_file_shows_no_cell_of_a_column_that_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes, told = [], ""
    for kind in ("struct", "binary view", "no UTF-8"):
        path = tmp_path / f"{kind.replace(' ', '_')}.parquet"
        pq.write_table(pa.table(columns() | {"x": odd_columns(ROWS)[kind]}), path)
        codes.append(main(["inspect", str(path)]))
        told += "".join(capsys.readouterr())

    assert codes == [0, 0, 3] and "column x is no UTF-8 text" in told
    assert shown(told) == set()
