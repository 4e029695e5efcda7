"""How others lay their tables out: archives, logs of processes, historians, folders of train and test files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from jepa_core.errors import DataError

from .test_describe import describe, recipe_of

Write = Callable[..., Path]

COURSES = np.random.default_rng(0).normal(size=(24, 40)).cumsum(axis=1).round(3)


def numbers(rows: np.ndarray) -> str:
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


@pytest.mark.parametrize("place", [0, 40])
def test_the_class_of_an_archive_without_a_header_stands_before_or_behind_samples_of_which_one_may_be_whole(
    place: int, tmp_path: Path
) -> None:
    courses = COURSES.copy()
    courses[:, 5] = 0
    rows = np.insert(courses, place, np.arange(24) % 3 + 1, axis=1)
    (tmp_path / "archive.csv").write_text(numbers(rows))
    source = recipe_of(tmp_path / "archive.csv")
    name = f"column_{place + 1}"
    assert source["outcomes"] == {name: {"column": name}} and source["states"] == ["value"]


def test_what_stands_behind_the_samples_with_few_values_is_an_outcome_and_a_task(write: Write) -> None:
    header = ",".join(["probe", "kind", *(f"t{number}" for number in range(40)), "kaputt"])
    path = write(header, [(f"p{row}", "AB"[row % 2], *values, int(row > 9)) for row, values in enumerate(COURSES)])
    recipe = yaml.safe_load(describe(path).recipe(path.parent))
    assert recipe["source"]["outcomes"] == {"kaputt": {"column": "kaputt"}}
    assert recipe["source"]["statics"] == ["kind"]
    assert recipe["evaluators"][0]["tasks"] == [{"outcome": "kaputt", "after": 40}]


def test_series_of_several_channels_stand_across_under_two_names(write: Write) -> None:
    header = ",".join(["region", "unit", "variable", *(f"2031-01-{day + 1:02d}" for day in range(24))])
    rows = [
        (f"r{number // 3}", "kW", ("load", "sun", "wind")[number % 3], *values)
        for number, values in enumerate(COURSES[:, :24])
    ]
    source = recipe_of(write(header, rows))
    assert (source["id"], source["channel"], source["states"]) == ("region", "variable", ["load", "sun", "wind"])


def test_a_log_of_a_process_has_its_cases(write: Write) -> None:
    hours = [f"2031-02-{1 + number // 24:02d} {number % 24:02d}:00" for number in range(160)]
    rows = [
        (f"order_{number % 8}", ("receive", "pay", "ship")[number % 3], hour) for number, hour in enumerate(hours)
    ]
    source = recipe_of(write("case:concept:name,concept:name,time:timestamp", rows))
    assert (source["id"], source["noun"], source["states"]) == ("case:concept:name", "case", ["concept:name"])


def test_a_column_at_whose_values_time_begins_anew_names_the_series_whatever_it_is_called(write: Write) -> None:
    rows = [(f"w{of}", minute, *COURSES[of, minute : minute + 2]) for of in range(24) for minute in range(30)]
    assert recipe_of(write("werk,minute,heat,load", rows))["id"] == "werk"
    mixed = sorted(rows, key=lambda row: row[1])
    assert recipe_of(write("werk,minute,heat,load", mixed, "mixed.csv")).get("id") != "load"


def test_set_points_of_a_long_table_are_actions(write: Write) -> None:
    rows = [
        (f"unit {number % 6}", number // 12, ("TT-1.PV", "FIC-3.SP")[number // 6 % 2], round(float(number % 7), 1))
        for number in range(600)
    ]
    source = recipe_of(write("unit,time,tag,value", rows))
    assert (source["states"], source["actions"]) == (["TT-1.PV"], ["FIC-3.SP"])


@pytest.mark.parametrize(
    ("train", "test"),
    [("train/A-{}.npy", "test/A-{}.npy"), ("d{}.npy", "d{}_te.npy"), ("P{}_TRAIN.npy", "P{}_TEST.npy")],
)
def test_files_whose_names_say_so_are_held_out(train: str, test: str, tmp_path: Path) -> None:
    for number in range(5):
        for place in (tmp_path / train.format(number), tmp_path / test.format(number)):
            place.parent.mkdir(exist_ok=True)
            np.save(place, COURSES[number : number + 3].T)
    pattern = tmp_path / ("*/*.npy" if "/" in train else "*.npy")
    source = recipe_of(pattern)
    named = [source["files"]] if isinstance(source["files"], str) else source["files"]
    assert not [name for name in named if "te" in Path(name).stem.lower() and "train" not in Path(name).stem.lower()]
    assert len(source["split"]["held_out"]) in (1, 5) and "held_out" not in str(named)
    (tmp_path / test.format(4)).rename(tmp_path / test.format(9))
    assert "held_out" not in str(recipe_of(pattern)), "a test file without its like may be a test of anything"


def test_folders_beside_the_files_are_not_passed_over_in_silence(write: Write, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "a.npy", COURSES)
    write("t,heat,load", [(row, *COURSES[row % 24, :2]) for row in range(60)])
    (note,) = describe(tmp_path).page["notes"]
    assert note["note"].endswith(f"see '{tmp_path}/*/*.npy'")


def test_steps_of_a_series_with_gaps_are_whole_intervals(write: Write) -> None:
    times = np.cumsum(np.where(np.arange(700) % 8 == 0, 2, 1))
    rows = [(number, time, *COURSES[number, :2] + np.sin(time)) for number in range(9) for time in times]
    source = recipe_of(write("machine,time,heat,load", rows))
    assert source["step"] == {"seconds": 2} or source["step"] == {"seconds": 1}
    assert source["split"] == {"fractions": [0.4, 0.2, 0.4]}


def test_which_columns_a_file_lacks_is_said_and_without_a_header_how_many(write: Write, tmp_path: Path) -> None:
    write("t,heat,anomaly", [(1, 2, 0)], "a.csv")
    write("t,heat", [(1, 2)], "b.csv")
    with pytest.raises(DataError, match=r"b\.csv has other columns than .*a\.csv: anomaly in .*a\.csv alone"):
        describe(tmp_path)
    (tmp_path / "plain").mkdir()
    for name, shape in (("0.dat", (12, 50)), ("1.dat", (50, 12))):
        np.savetxt(tmp_path / "plain" / name, np.random.default_rng(0).normal(size=shape))
    with pytest.raises(DataError, match=r"1\.dat has 12 columns, and .*0\.dat has 50 columns and no header"):
        describe(tmp_path / "plain")
