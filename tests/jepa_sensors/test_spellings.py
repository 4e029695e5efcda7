"""`jepa inspect` finds how cells are written, and says of what does not fit what it looks like and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError

from .test_describe import describe, recipe_of

Write = Callable[..., Path]

HEAT = np.random.default_rng(0).normal(size=60)


def rows(cell: Callable[[int], object], machines: int = 4, length: int = 12) -> list[tuple[object, ...]]:
    random = np.random.default_rng(0)
    heat = random.normal(20, 3, machines * length).round(2).tolist()
    return [(row // length, row % length, heat[row], cell(row)) for row in range(machines * length)]


HEADER = "machine,t,heat,load"


def left_out(path: Path) -> dict[str, str]:
    return {one["column"]: one["why"] for one in describe(path).page["left out"]}


def test_a_decimal_comma_is_found_and_the_recipe_reads_it(tmp_path: Path) -> None:
    text = "\n".join(";".join(map(str, row)).replace(".", ",") for row in rows(lambda row: row / 4))
    (tmp_path / "data.csv").write_text(HEADER.replace(",", ";") + "\n" + text + "\n")
    source = recipe_of(tmp_path / "data.csv")
    assert source["decimal"] == "," and source["states"] == ["heat", "load"] and "categories" not in source
    assert describe(tmp_path / "data.csv").page["channels"][1]["max"] == 47 / 4


@pytest.mark.parametrize(
    ("cell", "look"),
    [
        (lambda row: f"{row} kPa", "48 are numbers with a unit"),
        (lambda row: f"1,{row:03d}.5", "48 are numbers with signs between the thousands"),
        (lambda row: f"<{row}" if row % 3 == 0 else row, "16 are limits, such as < and a number"),
        (lambda row: f"{row},5" if row > 44 else row + 0.5, "3 are numbers with a decimal comma"),
        (lambda row: "see note" if row == 30 else row, "1 are words"),
    ],
)
def test_cells_that_do_not_fit_are_counted_and_placed_and_not_told(
    tmp_path: Path, cell: Callable[[int], object], look: str
) -> None:
    text = "\n".join("\t".join(map(str, row)) for row in rows(cell))
    (tmp_path / "data.tsv").write_text(HEADER.replace(",", "\t") + "\n" + text + "\n")
    why = left_out(tmp_path / "data.tsv")["load"]
    first = next(row for row in range(48) if not str(cell(row)).replace(".", "").isdigit())
    assert look in why and why.startswith("of 48 cells ") and f"data.tsv, line {first + 2})" in why
    assert str(cell(first)) not in why
    assert f'# Left out: "load", {why}.' in describe(tmp_path / "data.tsv").recipe(tmp_path)


def test_words_for_a_missing_number_are_found_and_the_recipe_reads_them_so(write: Write) -> None:
    path = write(HEADER, rows(lambda row: "n/a" if row % 5 == 0 else "-" if row % 7 == 0 else row))
    source = recipe_of(path)
    assert source["empty_values"][-2:] == ["-", "n/a"] and source["states"] == ["heat", "load"]


def test_another_encoding_is_found(tmp_path: Path) -> None:
    text = "\n".join([HEADER.replace("heat", "heat °C"), *(",".join(map(str, row)) for row in rows(int))]) + "\n"
    for encoding, found in (("latin-1", "cp1252"), ("utf-16", "utf-16"), ("utf-8-sig", None)):
        (tmp_path / "data.csv").write_bytes(text.encode(encoding))
        assert recipe_of(tmp_path / "data.csv").get("encoding") == found
        assert recipe_of(tmp_path / "data.csv")["states"][0] == "heat °C"


@pytest.mark.parametrize(
    ("spelling", "form"),
    [
        (lambda day: f"{day:02d}.03.2031 04:00", "%d.%m.%Y %H:%M"),
        (lambda day: f"03/{day:02d}/2031 04:00:00 PM", "%m/%d/%Y %I:%M:%S %p"),
        (lambda day: f"203103{day:02d}", "%Y%m%d"),
        (lambda day: f"203103{day:02d}T040000", "%Y%m%dT%H%M%S"),
        (lambda day: f"2031-03-{day:02d}T04:00:00.1234567Z", None),
    ],
)
def test_the_spelling_of_times_is_found(write: Write, spelling: Callable[[int], str], form: str | None) -> None:
    path = write("machine,day,heat", [(m, spelling(day), m + day) for m in range(3) for day in range(5, 25)])
    source = recipe_of(path)
    assert source["time"] == "day" and source.get("time_format") == form
    assert describe(path).page["sampling"][0]["median"] == 86_400


def test_one_time_that_cannot_be_read_is_refused_as_in_a_run(write: Write) -> None:
    good = [(m, f"{day:02d}.03.2031", m + day) for m in range(3) for day in range(5, 25)]
    with pytest.raises(DataError, match="line 6: column day is not of the spelling"):
        describe(write("machine,day,heat", [*good[:4], (0, "soon", 1), *good[5:]]))
    with pytest.raises(DataError, match="line 6: column day names a day that its month does not have"):
        describe(write("machine,day,heat", [*good[:4], (0, "31.02.2031", 1), *good[5:]]))


@pytest.mark.parametrize(("order", "unit"), [(1, None), (1_000, "ms"), (1_000_000, "us"), (1_000_000_000, "ns")])
def test_a_count_since_1970_tells_its_unit(tmp_path: Path, order: int, unit: str | None) -> None:
    stamp = [(1_700_000_000 + 60 * row) * order for row in range(20)] * 3
    table = pa.table({"machine": np.repeat([1, 2, 3], 20), "stamp": stamp, "heat": HEAT})
    pq.write_table(table, tmp_path / "data.parquet")
    assert recipe_of(tmp_path / "data.parquet").get("time_unit") == unit


def test_types_that_hold_no_reading_are_left_out_and_named(tmp_path: Path) -> None:
    columns = {
        "machine": np.repeat([1, 2, 3], 20),
        "stamp": pa.array([60_000_000 * row for row in range(20)] * 3, pa.duration("us")),
        "heat": HEAT,
        "clock": pa.array([row * 1500 for row in range(60)], pa.time32("ms")),
        "wave": [[1.0]] * 60,
        "raw": [b"x"] * 60,
        "__index_level_0__": np.random.default_rng(0).permutation(60),
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    described = describe(tmp_path / "data.parquet")
    assert described.page["time"] == "stamp, numbers"
    assert [one["channel"] for one in described.page["channels"]] == ["heat", "clock"]
    why = left_out(tmp_path / "data.parquet")
    assert why["wave"].startswith("list<") and why["raw"] == "binary, which is no number"
    assert why["__index_level_0__"] == "row labels of whoever wrote the file"


def test_a_column_that_counts_the_rows_is_left_out_and_row_labels_that_are_times_are_the_time(write: Write) -> None:
    counted = [(place, *row) for place, row in enumerate(rows(int))]
    assert left_out(write(f"obs,{HEADER}", counted))["obs"] == "it counts the rows of the file"
    shuffled = np.random.default_rng(0).permutation(48).tolist()
    path = write(f"index,{HEADER}", [(shuffled[place], *row[1:]) for place, row in enumerate(counted)])
    assert "index" not in recipe_of(path)["states"]
    stamped = [(f"2031-05-01 {t:02d}:00", m, heat) for m, t, heat, _ in rows(int)]
    source = recipe_of(write(",machine,heat", stamped))
    assert source["time"] == "column_1" and source["states"] == ["heat"]


def test_numbers_too_large_for_single_precision_get_their_offset(write: Write) -> None:
    path = write(HEADER, rows(lambda row: 1_700_000_000 + 2 * row))
    assert recipe_of(path)["offsets"] == {"load": 1_700_000_000}
    assert describe(path).page["channels"][1]["max"] == 1_700_000_094


def test_a_long_table_of_numbers_and_words_is_one(write: Write) -> None:
    long = []
    for machine, time, heat, _ in rows(int):
        long += [(machine, time, "heat", heat), (machine, time, "mode", ["run", "idle"][time % 2])]
    source = recipe_of(write("machine,t,channel,value", long))
    assert source["layout"] == "long" and source["categories"] == {"mode": ["idle", "run"]}


def test_a_table_of_which_no_cell_is_read_says_what_its_columns_look_like(write: Write) -> None:
    path = write("machine,t,load", [row[:2] + (f"{row[1]} kPa",) for row in rows(int)])
    with pytest.raises(DataError, match="nothing to learn from\n  load: of 48 cells 48 are numbers with a unit"):
        describe(path)
