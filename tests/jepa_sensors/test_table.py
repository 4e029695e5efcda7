"""What the source `table` makes of files that are in order."""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jepa_core.data.store import StoreWriter
from jepa_core.data.trajectories import Channel, Trajectories
from jepa_core.errors import DataError, RecipeError
from jepa_sensors.config import TableConfig
from jepa_sensors.source import TableSource

from .conftest import Built, machines, same

Build = Callable[..., Built]
Write = Callable[..., Path]

HEADER = "machine,second,heat,speed,valve"
ROLES = {"id": "machine", "time": "second", "states": ["heat", "speed"], "actions": "valve"}


def test_a_step_holds_the_values_of_its_row_under_their_channels(build: Build, write: Write) -> None:
    rows = machines()
    write(HEADER, rows)
    built = build(**ROLES)
    assert built.names == ["heat", "speed", "valve"] and len(built.store) == 6
    items = built.items()
    values = np.array(rows, dtype=np.float32)
    assert np.array_equal(items.state[:, :2, 0], values[:, 2:4]) and np.isnan(items.state[:, 2]).all()
    assert np.array_equal(items.action[:, 2, 0], values[:, 4]) and np.isnan(items.action[:, :2]).all()
    assert items.static.shape == (6, 3, 1) and np.isnan(items.static).all()


def test_states_are_all_columns_left_over_and_the_shape_is_known_from_the_header_alone(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(HEADER + ",note\n")
    config = TableConfig(
        files=(str(tmp_path / "data.csv"),), id=("machine",), time="second", actions=("valve",), ignore=("note",)
    )
    assert [(one.name, one.role) for one in config.seen_columns()] == [
        ("heat", "state"), ("speed", "state"), ("valve", "action")
    ]  # fmt: skip
    assert config.item_shape().channels == 3 and config.item_shape().samples == 1


def test_patches_of_rows_are_steps_and_the_last_may_be_short(build: Build, write: Write) -> None:
    write(HEADER, machines(count=6, length=5))
    built = build(**ROLES, step={"samples": 3})
    assert built.store.steps.tolist() == [2] * 6
    heat = built.items().state[built.part(1), 0]
    wanted = [row[2] for row in machines() if row[0] == 1]
    assert np.allclose(heat.ravel()[:5], wanted) and np.isnan(heat[1, 2])


def test_ragged_lengths_and_missing_values_stay_as_they_are(build: Build, write: Write) -> None:
    rows = [row for row in machines() if not (row[0] == 2 and row[1] > 1)]
    rows[3] = (*rows[3][:2], None, "NaN", rows[3][4])
    write(HEADER, rows)
    built = build(**ROLES)
    assert built.store.steps.tolist() == [5, 5, 2, 5, 5, 5]
    state = built.items().state
    assert np.isnan(state[3]).all() and not np.isnan(state[4, :2]).any()
    assert built.items("text").state[3] == "Nothing recorded."


def test_rows_out_of_order_make_the_same_store_and_that_is_told(
    build: Build, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(HEADER, machines())
    before = build(**ROLES)
    caplog.clear()
    write(HEADER, [machines()[place] for place in np.random.default_rng(1).permutation(30)])
    with caplog.at_level("INFO", "jepa"):
        assert same(build(**ROLES).all, before.all)
    assert "they were sorted" in caplog.text


def test_ids_are_ordered_as_numbers_where_they_are_numbers(build: Build, write: Write) -> None:
    write("machine,heat", [(name, heat) for heat, name in enumerate([10, 10, 9, 9, 100, 100])])
    built = build(id="machine", states="heat")
    assert built.items().state[:, 0, 0].tolist() == [2, 3, 0, 1, 4, 5]


def test_irregular_times_are_binned_to_means_and_empty_steps_stay(build: Build, write: Write) -> None:
    rows = [(m, t, value) for m in range(3) for t, value in ((0, 1), (9, 3), (12, 10), (61, 7))]
    write("machine,second,heat", rows)
    built = build(id="machine", time="second", states="heat", step={"seconds": 20, "samples": 2})
    assert built.store.steps.tolist() == [4, 4, 4]
    heat = built.items().state[built.part(0), 0]
    assert np.array_equal(heat, [[2, 10], [np.nan] * 2, [np.nan] * 2, [7, np.nan]], equal_nan=True)


@pytest.mark.parametrize("seconds", [1e-9, 1e-30])
def test_steps_of_which_a_trajectory_has_more_than_can_be_counted_are_refused(
    build: Build, write: Write, seconds: float
) -> None:
    write(HEADER, machines())
    with pytest.raises(DataError, match=r"line 2: .* at most 16,777,216 are counted exactly; make source.step.seconds"):
        build(**ROLES, step={"seconds": seconds})


def test_timestamps_with_offsets_are_instants(build: Build, write: Write) -> None:
    times = ("2024-03-31T00:30:00+01:00", "2024-03-31T03:30:00+02:00", "2024-03-31T02:30:00Z")
    write("machine,at,heat", [(m, time, heat) for m in range(3) for heat, time in enumerate(times)])
    built = build(id="machine", time="at", states="heat", step={"seconds": 3600})
    assert built.store.steps.tolist() == [4, 4, 4]
    assert np.array_equal(built.items().state[built.part(0), 0, 0], [0, np.nan, 1, 2], equal_nan=True)


def test_the_time_of_day_is_a_known_input(build: Build, write: Write) -> None:
    rows = [(m, f"2024-01-0{1 + hour // 24} {hour % 24:02d}:00:00", 1 + hour) for m in range(3) for hour in range(30)]
    write("machine,at,heat", rows)
    built = build(id="machine", time="at", states="heat", calendar=["hour_of_day", "day_of_week"])
    assert built.names[1:] == ["hour_of_day_sin", "hour_of_day_cos", "day_of_week_sin", "day_of_week_cos"]
    action = built.items().action[built.part(0), 1:, 0]
    assert action[6, :2] == pytest.approx([1, 0], abs=1e-6) and action[12, :2] == pytest.approx([0, -1], abs=1e-6)
    assert action[0] == pytest.approx([0, 1, 0, 1], abs=1e-6)  # 1 January 2024 was a Monday
    assert not np.isnan(action).any() and built.source.config.item_shape().channels == 5


def test_words_become_channels_of_their_own_or_are_written_out(build: Build, write: Write) -> None:
    rows = [(m, heat, mode, kind) for m, kind in enumerate(["big", "small", ""]) for heat, mode in ((1, "on"), (2, ""))]
    write("machine,heat,mode,kind", rows)
    built = build(
        id="machine", states=["heat", "mode"], statics="kind", units={"heat": "K"},
        categories={"mode": ["on", "off"], "kind": ["small", "big"]},
    )  # fmt: skip
    assert built.names == ["kind=small", "kind=big", "heat", "mode=on", "mode=off"]
    items = built.items()
    assert items.static[0, :2, 0].tolist() == [0, 1] and items.static[1, :2, 0].tolist() == [1, 0]
    assert np.isnan(items.static[2]).all()
    assert items.state[0, 2:, 0].tolist() == [1, 1, 0] and np.isnan(items.state[1, 3:]).all()
    texts = built.items("text")
    assert texts.static == ["kind: big.", "kind: small.", "Nothing recorded."]
    assert texts.state[:2] == ["heat: 1 K. mode: on.", "heat: 2 K."]


def test_texts_write_samples_with_four_significant_digits(build: Build, write: Write) -> None:
    rows = [(m, value, 5) for m in range(3) for value in (0.00123461, 123456, None, 2)]
    write("machine,heat,speed", rows)
    built = build(id="machine", states=["heat", "speed"], step={"samples": 4}, units={"heat": "K"})
    assert built.items("text").state[0] == "heat: 0.001235, 1.235e+05, ?, 2 K. speed: 5."
    assert built.items("text").action[0] == "Nothing recorded."


def test_what_is_predicted_is_kept_beside_and_never_rendered(build: Build, write: Write, tmp_path: Path) -> None:
    rows = [(m, 10 * t, m + t, ["good", "bad"][m % 2]) for m in range(6) for t in range(4)]
    write("machine,second,heat,end", rows)
    left = tmp_path / "left.csv"
    left.write_text("name,left,other\n" + "".join(f"{m},{100 + m},0\n" for m in reversed(range(6))))
    built = build(
        id="machine", time="second", states="heat", categories={"end": ["good", "bad"]}, step={"samples": 2},
        labels={"warmth": {"column": "heat"}, "left": {"remaining": True, "cap": 115, "ends_at": "after"}},
        outcomes={"end": {"column": "end"}, "after": {"file": str(left), "id": "name", "column": "left"}},
    )  # fmt: skip
    assert built.names == ["heat"]
    assert built.store.label("warmth").tolist() == [m + t for m in range(6) for t in (1, 3)]
    assert built.store.label("left").tolist() == [min(100 + m + rest, 115) for m in range(6) for rest in (20, 0)]
    assert built.store.outcome("after").tolist() == [100 + m for m in range(6)]
    assert built.store.outcome("end_good").tolist() == [1, 0] * 3 and built.store.outcome_names[1] == "end_bad"


def test_a_numbers_file_without_ids_is_in_the_order_of_the_ids(build: Build, write: Write, tmp_path: Path) -> None:
    write("machine,heat", [(m, m + t) for m in (10, 9, 8) for t in range(2)])
    (tmp_path / "left.txt").write_text("5\n6\n7\n")
    built = build(id="machine", states="heat", outcomes={"left": {"file": str(tmp_path / "left.txt")}})
    assert built.items().state[::2, 0, 0].tolist() == [8, 9, 10]
    assert built.store.outcome("left").tolist() == [5, 6, 7]


def test_subjects_are_not_torn_apart_and_files_can_be_a_split(build: Build, write: Write, tmp_path: Path) -> None:
    rows = [(f"{m}", t, m + t, f"site{m // 3}") for m in range(30) for t in range(2)]
    write("machine,second,heat,site", rows)
    built = build(id="machine", time="second", states="heat", subject="site")
    splits = {subject: set(built.store.split[built.store.subject == subject]) for subject in built.store.subject}
    assert (
        len(splits) == 10 and all(len(one) == 1 for one in splits.values()) and set.union(*splits.values()) == {0, 1, 2}
    )
    write("machine,second,heat,site", rows[:8], "test.csv")
    split = {"held_out": str(tmp_path / "test.csv"), "fractions": [0.5, 0.5, 0.0]}
    built = build(id="machine", time="second", states="heat", ignore="site", split=split)
    assert np.bincount(built.store.split).tolist() == [15, 15, 4] and len(np.unique(built.store.subject)) == 34


def test_folds_hold_out_every_subject_once(build: Build, write: Write) -> None:
    write("machine,second,heat,site", [(f"{m}", t, m + t, f"site{m // 3}") for m in range(30) for t in range(2)])
    keys = {"id": "machine", "time": "second", "states": "heat", "subject": "site"}
    splits = [build(**keys, split={"folds": 5, "fold": fold}).store.split for fold in range(5)]
    assert [np.count_nonzero(split == 2) for split in splits] == [6] * 5
    assert np.array_equal(np.sum([split == 2 for split in splits], axis=0), np.ones(30))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"id": "machine", "split": {"folds": 5, "held_out": "other.csv"}}, "no split has files of its own"),
        ({"split": {"folds": 5}}, "cut in order of time; leave out folds"),
    ],
)
def test_folds_of_one_series_or_beside_files_of_a_split_are_refused(keys: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TableConfig(files="readings.csv", states="heat", **keys)


def test_each_file_can_be_a_trajectory(build: Build, write: Write, tmp_path: Path) -> None:
    for number in range(4):
        write("heat", [(number,), (number + 1,)], f"log{number}.csv")
    built = build(files=str(tmp_path / "log*.csv"), id="@file", states="heat")
    assert built.store.steps.tolist() == [2] * 4 and built.items().state[:, 0, 0].tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("keys", [{}, {"time": "second", "step": {"seconds": 10, "samples": 2}}])
def test_one_series_is_cut_in_order_of_time_with_a_gap_between_splits(
    build: Build, write: Write, keys: dict[str, Any]
) -> None:
    write("second,heat", [(5 * row, row) for row in range(207)])
    built = build(states="heat", split={"pieces": 10, "gap": 3}, **({"step": {"samples": 2}} | keys))
    heat = built.items().state[:, 0]
    assert built.store.steps.tolist() == [9] * 10 and built.store.split.tolist() == [0] * 6 + [1] * 2 + [2] * 2
    assert built.store.subject.tolist() == list(range(10))
    ends = [heat[built.part(number)][[0, -1]].ravel()[[0, -1]].tolist() for number in range(10)]
    assert ends[-1][1] == 205  # the 207th row is half a step
    for number in range(9):
        between = 6 if number in (5, 7) else 0
        assert ends[number + 1][0] - ends[number][1] == between + 1


def test_csv_gzip_blanks_and_parquet_are_read_alike(build: Build, write: Write, tmp_path: Path) -> None:
    write(HEADER, machines())
    text = (tmp_path / "data.csv").read_text()
    wanted = build(**ROLES).all
    with gzip.open(tmp_path / "packed.csv.gz", "wt") as file:
        file.write(text)
    body = "".join(f"  {line.replace(',', '   ')}  \r\n" for line in text.splitlines()[1:])
    (tmp_path / "data.txt").write_text(body + "\n\n")
    (tmp_path / "data.tsv").write_text(text.replace(",", "\t"))
    (tmp_path / "other.csv").write_text("\ufeff" + text.replace(",", ";"))
    pq.write_table(pv.read_csv(tmp_path / "data.csv"), tmp_path / "data.parquet")
    for name, keys in (
        ("packed.csv.gz", {}), ("data.txt", {"columns": HEADER.split(",")}), ("data.tsv", {}),
        ("other.csv", {"separator": ";"}), ("data.parquet", {}),
    ):  # fmt: skip
        assert same(build(files=str(tmp_path / name), **ROLES, **keys).all, wanted), name


def test_series_of_the_ts_format_are_read_with_their_class(build: Build, tmp_path: Path) -> None:
    lines = [f"{n},{n + 1},?:{2 * n},4:{'up' if n % 2 else 'down'}" for n in range(4)]
    (tmp_path / "data.ts").write_text(
        "#about\n@dimensions 2\n@classLabel true up down\n@data\n" + "\n".join(lines) + "\n"
    )
    built = build(
        files=str(tmp_path / "data.ts"), id="series", time="sample", states=["dim_0", "dim_1"],
        categories={"class": ["up", "down"]}, outcomes={"class": {"column": "class"}},
    )  # fmt: skip
    state = built.items().state[built.part(3), :, 0]
    assert np.array_equal(state, [[3, 6], [4, 4], [np.nan] * 2], equal_nan=True)
    assert built.store.outcome("class_up").tolist() == [0, 1, 0, 1]


def test_readings_at_one_time_can_be_taken_as_their_mean(build: Build, write: Write) -> None:
    rows = [(m, 0, name, value) for m in range(3) for name, value in (("heat", 1), ("heat", 3), ("speed", 5))]
    write("machine,second,channel,value", rows)
    built = build(id="machine", time="second", layout="long", states=["heat", "speed"], repeats="mean")
    assert built.items().state[:, :, 0].tolist() == [[2, 5]] * 3


CELL = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32))


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[int, float, str, str, float, float | None, float | None, str | None]]:
    """Rows of machine, second, site, kind, heat, speed, valve, mode, in any order. Heat is always known, so that a long
    table tells of every row."""
    rows = []
    for machine in range(draw(st.integers(3, 6))):
        times = draw(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True))
        kind = draw(st.sampled_from(["1.5", "2"]))
        for second in times:
            mode = draw(st.sampled_from(["on", "off", None]))
            rows.append((machine, second, kind, draw(st.floats(1, 9, width=32)), draw(CELL), draw(CELL), mode))
    return draw(st.permutations(rows))


NAMES = ("machine", "second", "kind", "heat", "speed", "valve", "mode")


@settings(max_examples=15, deadline=None)
@given(rows=tables(), seconds=st.sampled_from([None, 7.0]), samples=st.integers(1, 3))
def test_wide_long_and_parquet_of_the_same_readings_make_the_same_store(
    rows: list[tuple[Any, ...]], seconds: float | None, samples: int
) -> None:
    known = [name for place, name in enumerate(NAMES) if any(row[place] is not None for row in rows)]
    states = [name for name in ("heat", "speed", "mode") if name in known]
    keys: dict[str, Any] = {
        "id": "machine", "time": "second", "statics": "kind", "states": states,
        "actions": [name for name in ("valve",) if name in known], "categories": {"mode": ["on", "off"]},
        "step": {"seconds": seconds, "samples": samples},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = [["" if cell is None else repr(cell).strip("'") for cell in row] for row in rows]
        (folder / "wide.csv").write_text("\n".join([",".join(NAMES), *(",".join(row) for row in cells)]) + "\n")
        long = [f"{r[0]},{r[1]},{NAMES[place]},{r[place]}" for r in cells for place in range(2, 7)]
        (folder / "long.csv").write_text("\n".join(["machine,second,channel,value", *long]) + "\n")
        table = {name: [row[place] for row in rows] for place, name in enumerate(NAMES)}
        table["kind"] = [float(kind) for kind in table["kind"]]
        pq.write_table(pa.table(table), folder / "wide.parquet")
        wide, long_, parquet = (
            _blocks(folder, file, keys | more)
            for file, more in (("wide.csv", {}), ("long.csv", {"layout": "long"}), ("wide.parquet", {}))
        )
        assert same(wide, long_) and same(wide, parquet)


class _Kept(StoreWriter):
    """What would be written, in memory."""

    def __init__(self) -> None:
        self.blocks: list[Trajectories] = []

    def append(self, trajectories: Trajectories) -> None:
        self.blocks.append(trajectories)

    def channels(self, channels: list[Channel]) -> None:
        pass

    def record(self, name: str, rows: list[dict[str, str | int | float]]) -> None:
        pass


def _blocks(folder: Path, name: str, keys: dict[str, Any]) -> Trajectories:
    source, writer = TableSource(TableConfig.model_validate({"files": str(folder / name)} | keys)), _Kept()
    source.build(writer, folder)
    (block,) = writer.blocks
    return block


LONG = "machine,second,channel,value"


def long_rows() -> list[tuple[object, ...]]:
    """Three machines read at uneven times, before 0 and after 40 too."""
    times = [(-5, "heat", 1), (0, "heat", 2), (12, "speed", 5), (25, "heat", 4), (39, "heat", -1), (41, "heat", 9)]
    return [(machine, *one) for machine in range(3) for one in times]


def test_steps_begin_at_a_given_time_and_are_as_many_as_the_recipe_says(build: Build, write: Write) -> None:
    write(LONG, long_rows())
    built = build(
        layout="long", id="machine", time="second", states=["heat", "speed"],
        step={"seconds": 10, "begin": 0, "count": 4},
    )  # fmt: skip
    assert built.store.steps.tolist() == [4, 4, 4]
    nan = np.nan
    for machine in range(3):
        state = built.items().state[built.part(machine), :, 0]
        assert np.array_equal(state, [[2, nan], [nan, 5], [4, nan], [-1, nan]], equal_nan=True)


def test_a_count_without_a_beginning_counts_from_the_first_row_and_fills_up(build: Build, write: Write) -> None:
    write(LONG, long_rows())
    keys = {"layout": "long", "id": "machine", "time": "second", "states": "heat"}
    short = build(**keys, step={"seconds": 10, "count": 2})
    assert np.array_equal(short.items().state[short.part(1), 0, 0], [1.5, np.nan], equal_nan=True)
    assert build(**keys, step={"seconds": 10, "count": 9}).store.steps.tolist() == [9, 9, 9]


def test_an_id_without_a_row_in_the_steps_is_left_out_and_counted(build: Build, write: Write) -> None:
    write(LONG, [*long_rows(), (3, -7, "heat", 1), (4, 3, "heat", 6)])
    built = build(layout="long", id="machine", time="second", states="heat", step={"seconds": 10, "begin": 0})
    assert built.store.steps.tolist() == [5, 5, 5, 1]
    assert built.items().state[built.part(3), 0, 0].tolist() == [6]
    assert [row["trajectories"] for row in built.store.record("attrition")] == [5, 4]


def test_a_beginning_is_a_number_and_timestamps_are_none(build: Build, write: Write) -> None:
    write("machine,at,heat", [(m, f"2024-03-31T0{hour}:00", hour) for m in range(3) for hour in range(3)])
    with pytest.raises(RecipeError, match=r"source.step.begin is a number"):
        build(id="machine", time="at", states="heat", step={"seconds": 3600, "begin": 0})


def test_values_outside_of_a_range_are_not_recorded_and_that_is_counted(
    build: Build, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(LONG, long_rows())
    with caplog.at_level("INFO", "jepa"):
        built = build(
            layout="long", id="machine", time="second", states=["heat", "speed"], ranges={"heat": [0, 4]},
            step={"seconds": 10, "begin": 0, "count": 4},
        )  # fmt: skip
    heat = built.items().state[built.part(2), 0, 0]
    assert np.array_equal(heat, [2, np.nan, 4, np.nan], equal_nan=True)
    assert "heat: 6 values outside of its range" in caplog.text


def test_a_range_goes_for_a_wide_table_too(build: Build, write: Write) -> None:
    write(HEADER, machines())
    built = build(**ROLES, ranges={"heat": [0, None]})
    heat = np.array([row[2] for row in machines()], dtype=np.float32)
    assert np.array_equal(built.items().state[:, 0, 0], np.where(heat < 0, np.nan, heat), equal_nan=True)


def test_history_tells_the_last_known_value_and_its_age_within_the_trajectory_alone(build: Build, write: Write) -> None:
    write(LONG, long_rows())
    built = build(
        layout="long", id="machine", time="second", states=["heat", "speed"], history=["last", "age"],
        step={"seconds": 10, "begin": 0, "count": 4},
    )  # fmt: skip
    items, nan = built.items(), np.nan
    assert built.source.config.item_shape().channels == items.state.shape[1] == 6
    for machine in range(3):
        state = items.state[built.part(machine), :, 0]
        assert np.array_equal(state[:, 2:4], [[2, nan], [2, 5], [4, 5], [-1, 5]], equal_nan=True)
        assert np.array_equal(state[:, 4:], [[0, nan], [1, 0], [0, 1], [0, 2]], equal_nan=True)
    assert np.isnan(items.static[:, 2:]).all() and np.isnan(items.action[:, 2:]).all()


def test_history_counts_samples_of_a_patch_as_parts_of_a_step(build: Build, write: Write) -> None:
    write(HEADER, [(m, t, None if t in (1, 2) else t, 0.5 * t, 1) for m in range(3) for t in range(4)])
    built = build(**ROLES, history=["age"], step={"samples": 2})
    assert np.array_equal(built.items().state[built.part(1), 3], [[0, 0.5], [1, 0]])


def test_history_changes_the_rendering_and_not_the_store(write: Write, tmp_path: Path) -> None:
    write(HEADER, machines())
    config = TableConfig.model_validate({"files": str(tmp_path / "data.csv"), **ROLES})
    plain, told = TableSource(config), TableSource(config.model_copy(update={"history": ("last",)}))
    assert plain.fingerprint() == told.fingerprint()
    assert plain.rendering_fingerprint("channels") != told.rendering_fingerprint("channels")
    assert plain.rendering_fingerprint("text") == told.rendering_fingerprint("text")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ranges": {"heet": [0, 1]}}, "did you mean heat?"),
        ({"ranges": {"heat": [2, 1]}}, "the least value, 2, is above the largest, 1"),
        ({"ranges": {"speed": [0, 1]}, "categories": {"speed": ["slow"]}}, "a column of words"),
        ({"step": {"begin": 0}}, "set step.seconds too"),
        ({"step": {"seconds": 1, "count": 3}, "labels": {"life": {"remaining": True}}}, "rows that are left out"),
    ],
)
def test_keys_that_make_no_sense_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TableConfig.model_validate({"files": "data.csv", **ROLES, **keys})
