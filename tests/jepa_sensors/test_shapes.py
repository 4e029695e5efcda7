"""Tables in which time runs across, arrays, and folders of files: read, and recognised by `jepa inspect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.errors import DataError, RecipeError
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_sensors.config import TableConfig

from .conftest import Built
from .test_describe import describe, recipe_of

Build = Callable[..., Built]
Write = Callable[..., Path]

SERIES = np.random.default_rng(0).normal(size=(12, 3, 40)).cumsum(axis=2).round(3)


def states(built: Built, channel: int = 0) -> np.ndarray:
    return built.items().state[:, channel, 0]


# --- across -----------------------------------------------------------------------------------------------------------


def across(write: Write, name: str = "data.csv") -> Path:
    header = ",".join(["who", "kind", *(f"t{sample}" for sample in range(40))])
    return write(header, [(f"s{one:02d}", "AB"[one % 2], *SERIES[one, 0]) for one in range(12)], name)


ACROSS: dict[str, Any] = {
    "layout": "across", "across": "t*", "channel": "", "value": "heat", "id": "who", "states": "heat",
    "categories": {"kind": ["A", "B"]}, "outcomes": {"kind": {"column": "kind"}},
}  # fmt: skip


def test_a_row_a_series_makes_a_trajectory_of_each_row_and_an_outcome_of_what_stands_beside(
    build: Build, write: Write
) -> None:
    across(write)
    built = build(**ACROSS)
    assert built.store.steps.tolist() == [40] * 12 and np.allclose(states(built), SERIES[:, 0].ravel())
    assert built.store.outcome("kind_A").tolist() == [1, 0] * 6
    assert build(**(ACROSS | {"id": "@row"})).store.steps.tolist() == [40] * 12
    facts = build(**(ACROSS | {"outcomes": {}, "statics": "kind"}))
    assert facts.items("text").static[:2] == ["kind: A.", "kind: B."]


def test_series_of_uneven_length_end_where_their_cells_do_and_gaps_within_stay(build: Build, write: Write) -> None:
    write("who,t0,t1,t2,t3", [("a", 1, None, 3, None), ("b", 1, 2, 3, 4), ("c", 5, None, None, None)])
    built = build(**(ACROSS | {"categories": {}, "outcomes": {}}))
    assert built.store.steps.tolist() == [3, 4, 1]
    assert np.array_equal(states(built), [1, np.nan, 3, 1, 2, 3, 4, 5], equal_nan=True)


def test_a_row_a_channel_makes_one_series_at_the_times_of_the_header(build: Build, write: Write) -> None:
    header = ",".join(["sensor", *(f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00" for hour in range(40))])
    write(header, [(name, *SERIES[0, place]) for place, name in enumerate(["heat", "load", "oil"])])
    built = build(
        layout="across", across="*", channel="sensor", time="@header", states=["heat", "load", "oil"],
        calendar=["hour_of_day"], split={"pieces": 4, "gap": 0},
    )  # fmt: skip
    assert np.allclose(built.items().state[:, :3, 0].T, SERIES[0])
    assert built.items().action[6, 3, 0] == pytest.approx(1)


def test_a_cell_across_that_is_no_number_is_told_by_its_line(build: Build, write: Write) -> None:
    path = across(write)
    path.write_text(path.read_text().replace(str(SERIES[3, 0, 7]), "warm", 1))
    with pytest.raises(DataError, match=r"data\.csv, line 5: column @value holds no number there"):
        build(**ACROSS)


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"across": ()}, "across: goes with layout: across"),
        ({"layout": "wide"}, "across: goes with layout: across"),
        ({"time": "who"}, "time: the samples of a row are in order"),
        ({"layout": "long", "across": (), "time": "who", "id": "@row"}, "@header and @row are of a table across"),
        ({"layout": "long", "across": (), "time": "at"}, "channel: only a table across can do without it"),
        ({"states": None}, "a table across needs the names of its channels"),
    ],
)
def test_keys_of_a_table_across_go_together(keys: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        TableConfig.model_validate({"files": "data.csv", **ACROSS, **keys})


def test_no_column_across_is_a_mistake_of_the_recipe(build: Build, write: Write) -> None:
    across(write)
    with pytest.raises(RecipeError, match="has none of the columns that source.across names; there are: who, kind, t0"):
        build(**(ACROSS | {"across": "x*"}))


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "axes"),
    [
        (SERIES.transpose(0, 2, 1), []),
        (SERIES, ["series", "channel", "sample"]),
        (SERIES.transpose(1, 0, 2), ["channel", "series", "sample"]),
    ],
)
def test_an_array_is_read_along_its_axes(build: Build, tmp_path: Path, array: np.ndarray, axes: list[str]) -> None:
    np.save(tmp_path / "data.npy", array)
    keys: dict[str, Any] = {"files": str(tmp_path / "data.npy"), "id": "series", "time": "sample"}
    built = build(**keys, axes=axes)
    assert built.names == ["channel_0", "channel_1", "channel_2"] and built.store.steps.tolist() == [40] * 12
    assert np.allclose(states(built, 1), SERIES[:, 1].ravel())
    named = build(**(keys | {"time": "t"}), axes=axes, columns=["series", "t", "heat", "load", "oil"])
    assert named.names == ["heat", "load", "oil"] and np.allclose(states(named, 2), SERIES[:, 2].ravel())


def test_each_array_of_a_folder_can_be_a_series(build: Build, tmp_path: Path) -> None:
    for one in range(4):
        np.save(tmp_path / f"E-{one}.npy", SERIES[one].T[: 30 + one])
    built = build(files=str(tmp_path / "*.npy"), id="@file", time="sample")
    assert built.store.steps.tolist() == [30, 31, 32, 33]


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        (np.array([{"a": 1}], dtype=object), "holds Python objects, which are not loaded"),
        (np.array(["a", "b"]), "holds <U1, which is no array of numbers"),
        (np.zeros((2, 2, 2, 2)), "has 4 axes; set source.axes"),
        (np.zeros((0, 3)), "is empty"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_and_never_unpickled(
    build: Build, tmp_path: Path, array: np.ndarray, rule: str
) -> None:
    np.save(tmp_path / "data.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=rule):
        build(files=str(tmp_path / "data.npy"))


def test_names_that_do_not_fit_an_array_are_refused(build: Build, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", SERIES)
    with pytest.raises(DataError, match="source.columns names 3 columns, and the array has 42: series, sample"):
        build(files=str(tmp_path / "data.npy"), columns=["series", "sample", "heat"], id="series", time="sample")


# --- inspection -------------------------------------------------------------------------------------------------------


def prepared(tmp_path: Path, registry: Registry, *paths: Path) -> list[int]:
    """Steps of the trajectories that the recipe to start from makes."""
    recipe = tmp_path / "start.yaml"
    recipe.write_text(describe(*paths).recipe(tmp_path))
    loaded = load_recipe(str(recipe), [], registry)
    return open_store(loaded.source.build(), "table", tmp_path / "stores").steps.tolist()


def test_a_row_a_series_is_recognised(write: Write, tmp_path: Path, registry: Registry) -> None:
    source = recipe_of(across(write))
    assert (source["layout"], source["across"], source["id"]) == ("across", ["t*"], "who")
    assert describe(tmp_path / "data.csv").page["notes"] == [
        {"note": "time runs across: a row holds the 40 samples of one series"},
        {"note": "one of two values of kind holds for each id; known at the end alone, it belongs in `outcomes`"},
    ]
    assert prepared(tmp_path, registry, tmp_path / "data.csv") == [40] * 12


def test_an_archive_without_a_header_has_its_class_in_front(tmp_path: Path, registry: Registry) -> None:
    lines = ["\t".join(map(str, [1 + one % 2, *SERIES[one, 0]])) for one in range(12)]
    (tmp_path / "data.tsv").write_text("\n".join(lines) + "\n")
    source = recipe_of(tmp_path / "data.tsv")
    assert source["layout"] == "across" and source["outcomes"] == {"column_1": {"column": "column_1"}}
    assert prepared(tmp_path, registry, tmp_path / "data.tsv") == [40] * 12


def test_a_row_a_channel_is_recognised_and_no_time_of_the_header_is_told(write: Write) -> None:
    header = ",".join(["sensor", *(f"2031-05-{1 + hour // 24:02d} {hour % 24:02d}:00" for hour in range(40))])
    path = write(header, [(name, *SERIES[0, place]) for place, name in enumerate(["heat", "load", "oil"])])
    described = describe(path)
    assert "2031" not in described.recipe(path.parent) and "2031" not in str(described.page)
    source = recipe_of(path)
    assert (source["channel"], source["time"], source["states"]) == ("sensor", "@header", ["heat", "load", "oil"])


def test_sensors_with_numbers_for_names_are_no_samples(write: Write) -> None:
    scales = 10.0 ** np.arange(1, 13)
    rows = [tuple((SERIES[:, 1, time] + 50) * scales) for time in range(40)]
    assert describe(write(",".join(f"sensor_{n}" for n in range(12)), rows)).page["layout"] == "wide"
    timed = [(machine, time, *SERIES[:, 0, time]) for machine in range(3) for time in range(40)]
    assert describe(write("machine,time," + ",".join(f"t{n}" for n in range(12)), timed)).page["layout"] == "wide"


@pytest.mark.parametrize(
    ("array", "axes"), [(SERIES, ["series", "channel", "sample"]), (SERIES[0], ["channel", "sample"])]
)
def test_the_axis_of_time_is_the_one_whose_neighbours_are_alike(
    tmp_path: Path, array: np.ndarray, axes: list[str]
) -> None:
    np.save(tmp_path / "turned.npy", array)
    np.save(tmp_path / "usual.npy", np.swapaxes(array, -1, -2))
    assert recipe_of(tmp_path / "turned.npy")["axes"] == axes and "axes" not in recipe_of(tmp_path / "usual.npy")


@pytest.mark.parametrize("how", ["folder", "wildcard", "files"])
def test_folders_wildcards_and_files_of_one_kind_are_described_together(
    write: Write, tmp_path: Path, registry: Registry, how: str
) -> None:
    folder = tmp_path / "logs [2]"
    folder.mkdir()
    (folder / "README.md").write_text("about")
    for one in range(5):
        rows = [(f"2031-05-01 00:{minute:02d}", SERIES[one, 0, minute], int(minute > 30)) for minute in range(40)]
        write("datetime;Pressure;anomaly", [[";".join(map(str, row))] for row in rows], f"logs [2]/{one}.csv")
    asked = {"folder": [folder], "wildcard": [folder / "*.csv"], "files": sorted(folder.glob("*.csv"))}[how]
    page = describe(*asked).page
    assert (page["files"], page["rows"], page["id"], page["ids"]) == (5, 200, "@file", 5)
    assert recipe_of(*asked)["files"] in ("*.csv", "logs [2]/*.csv")
    assert prepared(tmp_path, registry, *asked) == [40] * 5


def test_files_whose_ids_only_together_with_another_column_are_one_name_it(write: Write) -> None:
    rows = [
        (fault, run, sample, SERIES[4 * fault + run, 0, sample])
        for fault in range(3)
        for run in range(4)
        for sample in range(20)
    ]
    source = recipe_of(write("faultNumber,simulationRun,sample,xmeas_1", rows))
    assert source["id"] == ["faultNumber", "simulationRun"] and source["time"] == "sample"
    assert source["outcomes"] == {"faultNumber": {"column": "faultNumber"}}


def test_an_event_log_is_shown_with_its_past(write: Write, tmp_path: Path, registry: Registry) -> None:
    random = np.random.default_rng(1)
    rows = []
    for machine in range(5):
        time = np.cumsum(random.exponential(900, 120)).round(3)
        rows += [(machine, at, ["heat", "load", "oil", "rpm"][random.integers(4)], random.normal()) for at in time]
    path = write("machine,time,event,value", rows)
    source = recipe_of(path)
    assert source["history"] == ["last", "age"] and source["step"]["seconds"] >= 600
    assert max(prepared(tmp_path, registry, path)) < 500


def test_files_of_other_columns_are_not_thrown_together(write: Write, tmp_path: Path) -> None:
    write("t,heat", [(1, 2)], "a.csv")
    write("t,load", [(1, 2)], "b.csv")
    with pytest.raises(DataError, match=r"b\.csv has other columns than .*a\.csv"):
        describe(tmp_path)


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.xlsx", "save the sheet as CSV"), ("a.npz", "save each by numpy.save"), ("a.hea", "wfdb.rdrecord")],
)
def test_readings_in_a_form_that_is_not_read_are_named_and_nothing_of_them_is_told(
    tmp_path: Path, build: Callable[..., object], name: str, how: str
) -> None:
    (tmp_path / name).write_text("rec1 2 125 1000 10:20:00 01/03/2150\n")
    with pytest.raises(DataError, match=how) as inspected:
        describe(tmp_path / name)
    with pytest.raises(DataError, match=how) as prepared:
        build(files=str(tmp_path / name), time="time")
    assert "2150" not in f"{inspected.value} {prepared.value}"
