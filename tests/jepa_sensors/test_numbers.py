"""Numbers in the types and spellings of files, and what single precision makes of them."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError
from jepa_sensors.config import TableConfig

from .conftest import Built

Build = Callable[..., Built]
Write = Callable[..., Path]

KEYS: dict[str, Any] = {"id": "machine", "time": "second"}


def heats(built: Built) -> list[float]:
    return built.items().state[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([0, 90, 3600], pa.duration("s")), [0, 90, 3600]),
        (pa.array([1500, 0, 1], pa.duration("ms")), [1.5, 0, 0.001]),
        (pa.array([0, 61_000_000_000, 1], pa.time64("ns")), [0, 61, 1e-9]),
        (pa.array([0, 61_500, 1], pa.time32("ms")), [0, 61.5, 0.001]),
        (pa.array([True, False, None]), [1, 0, np.nan]),
        (pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3")]), [1.25, np.nan, -3]),
        (pa.array([2**60, 1, 0]), [2.0**60, 1, 0]),
        (pa.array([1.5, np.nan, 0], pa.float16()), [1.5, np.nan, 0]),
        (pa.array([b"1", None, b"2"]).cast(pa.string()).dictionary_encode(), [1, np.nan, 2]),
    ],
    ids=lambda one: str(one.type) if isinstance(one, pa.Array) else "",
)
def test_a_type_that_means_one_number_is_read_as_it(
    build: Build, tmp_path: Path, column: pa.Array, wanted: list[float]
) -> None:
    table = pa.table({"machine": [0, 1, 2], "second": [0, 0, 0], "heat": column, "spare": [1, 2, 3]})
    pq.write_table(table, tmp_path / "data.parquet")
    built = build(files=str(tmp_path / "data.parquet"), **KEYS, states=["heat", "spare"])
    assert heats(built) == pytest.approx(np.float32(wanted).tolist(), nan_ok=True)


def test_columns_of_other_types_do_not_matter_until_a_recipe_asks_for_them(build: Build, tmp_path: Path) -> None:
    columns = {
        "machine": [0, 1, 2],
        "second": [0, 0, 0],
        "heat": [1, 2, 3],
        "wave": [[1, 2], [3], []],
        "raw": [b"x"] * 3,
    }
    pq.write_table(pa.table(columns | {"box": [{"a": 1}] * 3}), tmp_path / "data.parquet")
    assert heats(build(files=str(tmp_path / "data.parquet"), **KEYS, states="heat")) == [1, 2, 3]
    for name in ("wave", "raw", "box"):
        with pytest.raises(DataError, match=f"column {name} is .*, which is no number; leave it out"):
            build(files=str(tmp_path / "data.parquet"), **KEYS, states=["heat", name])
        with pytest.raises(DataError, match=f"column {name} is .*, which makes no word; leave it out"):
            build(files=str(tmp_path / "data.parquet"), **(KEYS | {"id": name}), states="heat")


def test_a_column_is_not_mistaken_for_one_whose_name_begins_alike(build: Build, tmp_path: Path) -> None:
    columns = {"machine": [0, 1, 2], "second": [0, 0, 0], "heat": [1, None, 3], "heat.raw": [7, 8, 9]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    built = build(files=str(tmp_path / "data.parquet"), **KEYS, states=["heat"])
    assert heats(built) == pytest.approx([1, np.nan, 3], nan_ok=True)


def test_a_decimal_comma_is_read_where_the_recipe_says_so_and_a_point_is_no_number_then(
    build: Build, tmp_path: Path
) -> None:
    text = "machine;second;heat\n" + "".join(f"{m};{t},5;{m + t},25\n" for m in range(3) for t in range(2))
    (tmp_path / "data.csv").write_text(text)
    keys = {**KEYS, "states": "heat", "separator": ";", "decimal": ",", "step": {"seconds": 1}}
    assert heats(build(**keys)) == [0.25, 1.25, 1.25, 2.25, 2.25, 3.25]
    (tmp_path / "data.csv").write_text(text.replace("3,25", "1.003,25"))
    with pytest.raises(DataError, match="line 7: column heat holds no number there"):
        build(**keys)
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError, match="line 2: column second is not a timestamp"):
        build(**(keys | {"decimal": "."}))


# --- single precision -------------------------------------------------------------------------------------------------


def counter(write: Write, base: float, step: float = 1) -> None:
    write("machine,second,heat,speed", [(m, t, base + step * (10 * m + t), m * t) for m in range(3) for t in range(4)])


def test_changes_that_single_precision_loses_are_told_with_what_keeps_them(
    build: Build, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    counter(write, 1_700_000_000)
    lost = build(**KEYS)
    assert len(set(heats(lost))) == 1
    assert "the column heat has values so large" in caplog.text and "12 whole numbers" not in caplog.text
    assert "whole numbers are rounded; set source.offsets: {heat: 1700000000}" in caplog.text
    caplog.clear()
    kept = build(**KEYS, offsets={"heat": 1_700_000_000})
    assert heats(kept) == [10 * m + t for m in range(3) for t in range(4)] and "heat" not in caplog.text


@pytest.mark.parametrize(
    ("base", "step", "told"), [(0, 1, ""), (16_777_217, 2, "12 whole"), (1e6, 0.01, "fewer than 1,000"), (1e6, 1e4, "")]
)
def test_what_is_lost_is_told_and_what_is_not_is_not(
    build: Build, write: Write, caplog: pytest.LogCaptureFixture, base: float, step: float, told: str
) -> None:
    counter(write, base, step)
    build(**KEYS)
    assert told in caplog.text and bool(told) == ("source.offsets" in caplog.text)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.string()])
def test_a_value_at_the_border_of_a_range_is_inside_in_any_precision(
    build: Build, tmp_path: Path, kind: pa.DataType
) -> None:
    # In single precision 7.2 lies below, and 2.2 above, what is written.
    heat = pa.array([2.1, 2.2, 7.2, 7.3]).cast(pa.float32() if kind == pa.float32() else pa.float64()).cast(kind)
    table = pa.table({"machine": [0, 1, 2, 3], "second": [0] * 4, "high": heat, "low": heat})
    pq.write_table(table, tmp_path / "data.parquet")
    ranges = {"high": [7.2, None], "low": [None, 2.2]}
    built = build(files=str(tmp_path / "data.parquet"), **KEYS, states=["high", "low"], ranges=ranges)
    high, low = built.items().state[:, :, 0].T
    assert np.isnan(high).tolist() == [True, True, False, False] and np.isnan(low).tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_an_offset_is_subtracted_before_the_mean_of_a_step_and_after_the_range(build: Build, write: Write) -> None:
    write("machine,second,heat,speed", [(m, t, 1e9 + t, 1) for m in range(3) for t in (0, 1, 9)])
    built = build(
        **KEYS, states="heat", offsets={"heat": 1e9}, ranges={"heat": [1e9, 1e9 + 5]}, step={"seconds": 5},
        labels={"heat": {"column": "heat"}},
    )  # fmt: skip
    assert heats(built) == pytest.approx([0.5, np.nan] * 3, nan_ok=True)
    assert built.store.label("heat").tolist() == pytest.approx([1, np.nan] * 3, nan_ok=True)


def test_an_offset_of_a_long_table_goes_to_its_channel_alone(build: Build, write: Write) -> None:
    rows = [
        (m, t, name, value) for m in range(3) for t in range(2) for name, value in (("heat", 1e9 + t), ("speed", t))
    ]
    write("machine,second,channel,value", rows)
    built = build(**KEYS, layout="long", states=["heat", "speed"], offsets={"heat": 1e9})
    assert built.items().state[:, :, 0].tolist() == [[0, 0], [1, 1]] * 3


def test_offsets_of_what_is_no_column_of_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="offsets.heet: no such column of numbers; did you mean heat?"):
        TableConfig.model_validate({"files": "data.csv", **KEYS, "states": ["heat"], "offsets": {"heet": 1}})
    with pytest.raises(ValueError, match="offsets.mode: a column of words has no numbers"):
        TableConfig.model_validate({"files": "d.csv", **KEYS, "categories": {"mode": ["a"]}, "offsets": {"mode": 1}})
