"""`jepa inspect FILE`: what a table seems to be, and a recipe to start from that runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from jepa_core import cli, plugin
from jepa_core.data.inspection import describe_files, description_text
from jepa_core.data.preparation import open_store
from jepa_core.errors import DataError
from jepa_core.plugin import FileDescription, Registry
from jepa_core.recipe import load_recipe
from jepa_sensors import jepa_describe_files

Write = Callable[..., Path]


def describe(*paths: Path) -> FileDescription:
    described = jepa_describe_files(paths)
    assert described is not None
    return described


def recipe_of(*paths: Path) -> dict[str, Any]:
    """The source of the recipe to start from."""
    return YAML(typ="safe").load(describe(*paths).recipe(paths[0].parent))["source"]


def rows(machines: int = 5, length: int = 8) -> list[tuple[object, ...]]:
    random = np.random.default_rng(0)
    modes = ("on", "off")
    return [
        (f"M-77{m}", f"2031-05-01T{t + (t > 5):02d}:00:00", round(random.normal(), 3), modes[t % 2], 20 + m, 7, None)
        for m in range(machines)
        for t in range(length)
    ]


def hours(length: int, machines: int) -> list[tuple[object, ...]]:
    """With a row in every hour."""
    return [
        (f"m{machine}", f"2031-05-{1 + hour // 24:02d}T{hour % 24:02d}:00:00", hour % 7, "on", machine, 7, None)
        for machine in range(machines)
        for hour in range(length)
    ]


HEADER = "machine,at,heat,mode,size,always,never"


def test_layout_roles_and_figures_are_found(write: Write) -> None:
    page = describe(write(HEADER, rows())).page
    assert (page["layout"], page["rows"], page["id"], page["ids"]) == ("wide", 40, "machine", 5)
    assert page["time"] == "at, timestamps without a time zone"
    channels = {one["channel"]: one for one in page["channels"]}
    assert channels["mode"]["type"] == "2 words" and channels["size"]["role"] == "static"
    assert channels["always"]["constant"] == "yes" and channels["heat"]["missing"] == 0
    assert channels["size"]["min"] == 20 and channels["size"]["max"] == 24
    assert page["left out"] == [{"column": "never", "why": "no value in any row"}]
    (sampling,) = page["sampling"]
    assert sampling["median"] == 3600 and sampling["irregular"] == pytest.approx(5 / 35, abs=1e-6)
    assert page["samples of an id"][0]["max"] == 8


def test_shares_are_told_in_per_cent_and_given_as_numbers(write: Write) -> None:
    page = describe(write(HEADER, rows())).page
    text = description_text(page)
    assert "14.3 %" in text and "0.142857" not in text, "5 of 35 intervals"
    assert page["sampling"][0]["irregular"] == 0.142857


def test_the_recipe_says_what_it_is_about(write: Write) -> None:
    described = YAML(typ="safe").load(describe(write(HEADER, rows())).recipe(Path()))["description"]
    assert described == "The five phases on 2 states and 1 static fact of each machine"
    alone = describe(write("date,heat", [(f"2031-05-{day:02d}", day % 7) for day in range(1, 30)])).recipe(Path())
    assert "description: The five phases on 1 state of one series" in alone


def test_neither_an_id_nor_a_time_is_told(write: Write) -> None:
    described = describe(write(HEADER, rows()))
    for told in (json.dumps(described.page), described.recipe(Path())):
        assert "M-77" not in told and "2031" not in told


def test_a_long_table_a_table_without_names_and_one_series_are_known(write: Write, tmp_path: Path) -> None:
    long = [(row[0], row[1], name, value) for row in rows() for name, value in (("heat", row[2]), ("size", row[4]))]
    page = describe(write("machine,at,parameter,value", [*long, long[0]])).page
    assert page["layout"] == "long" and page["repeated readings"].startswith("some")
    assert [(one["channel"], one["role"]) for one in page["channels"]] == [("heat", "state"), ("size", "static")]
    (tmp_path / "bare.txt").write_text("".join(f"{m} {t}  {m * t * 0.5} \n" for m in range(1, 5) for t in range(6)))
    page = describe(tmp_path / "bare.txt").page
    assert (page["id"], page["time"], page["ids"]) == ("column_1", "column_2, numbers", 4)
    page = describe(write("date,heat", [(f"2031-05-{day:02d}", day % 7) for day in range(1, 30)])).page
    assert page["id"] == "none: one series" and page["ids"] == 1


def test_a_column_between_whose_runs_time_leaps_names_the_series(write: Write) -> None:
    rows = [
        (f"2031-05-01T0{pump}:00:{second:02d}", f"P{pump}", second % 7) for pump in range(4) for second in range(40)
    ]
    source = recipe_of(write("at,pump,heat", rows))
    assert (source["id"], source["noun"], source["states"]) == ("pump", "pump", ["heat"])
    even = [(f"2031-05-01T00:00:{second:02d}", f"stage {second // 20}", second % 7) for second in range(60)]
    assert recipe_of(write("at,stage,heat", even))["states"] == ["stage", "heat"], "stages of one series are no series"


def test_a_fact_of_two_values_is_told_since_an_answer_looks_like_one(write: Write) -> None:
    rows = [(machine, second, second % 7, machine % 2, 20 + machine) for machine in range(6) for second in range(20)]
    described = describe(write("machine,t,heat,returned,size", rows))
    told = "one of two values of returned holds for each id; known at the end alone, it belongs in `outcomes`"
    assert described.page["notes"] == [{"note": told}] and "# One of two values of returned" in described.recipe(Path())


@pytest.mark.parametrize("semicolons", [False, True])
def test_the_recipe_to_start_from_is_valid_and_makes_a_store(
    write: Write, tmp_path: Path, registry: Registry, semicolons: bool
) -> None:
    path = write(HEADER, rows())
    if semicolons:
        path.write_text(path.read_text().replace(",", ";"))
    recipe = describe(path).recipe(tmp_path)
    assert YAML(typ="safe").load(recipe)["encoder"] == {"use": "mlp"}
    (tmp_path / "start.yaml").write_text(recipe)
    loaded = load_recipe(str(tmp_path / "start.yaml"), [], registry)
    source = loaded.source.build()
    store = open_store(source, "table", tmp_path / "stores")
    assert [one.name for one in store.channels] == ["size", "heat", "mode=off", "mode=on"]
    assert len(store) == 5 and set(store.steps.tolist()) == {9}  # an hour is missing, so steps are cut by time


def test_windows_and_rollouts_of_the_recipe_fit_the_series_and_of_few_two_are_held_out(
    write: Write, tmp_path: Path, registry: Registry
) -> None:
    path = write(HEADER, hours(30, machines=8))
    (tmp_path / "start.yaml").write_text(describe(path).recipe(tmp_path))
    loaded = load_recipe(str(tmp_path / "start.yaml"), [], registry)
    drift = loaded.evaluators[0].config
    store = open_store(loaded.source.build(), "table", tmp_path / "stores")
    shortest = int(store.steps.min())

    assert loaded.windows.length == drift.headline_context + drift.horizon <= shortest
    assert max(drift.contexts) == drift.headline_context < drift.horizon
    assert (store.split == 2).sum() >= 2
    assert "windows" not in YAML(typ="safe").load(describe(write(HEADER, hours(80, machines=4))).recipe(tmp_path))


@pytest.mark.parametrize("length", [60, 200, 400, 2000])
def test_one_series_is_cut_so_that_two_pieces_are_held_out_and_hold_a_rollout(
    length: int, write: Write, tmp_path: Path, registry: Registry
) -> None:
    path = write("t,heat", [(row, row % 7) for row in range(length)])
    (tmp_path / "start.yaml").write_text(describe(path).recipe(tmp_path))
    loaded = load_recipe(str(tmp_path / "start.yaml"), [], registry)
    (drift,) = (use.config for use in loaded.evaluators if use.name == "rollout_drift")
    store = open_store(loaded.source.build(), "table", tmp_path / "stores")
    held_out = np.asarray(store.steps)[np.asarray(store.split) == 2]
    assert len(held_out) >= 2 and held_out.min() >= min(drift.contexts) + drift.horizon


@pytest.mark.parametrize(
    ("name", "no", "yes"),
    [("Normal/Attack", "Normal", "Attack"), ("isFault", "False", "True"), ("outcome", "no spin", "spin")],
)
def test_a_label_of_two_words_is_asked_by_the_word_that_says_that_something_is_the_case(
    name: str, no: str, yes: str, write: Write, tmp_path: Path, registry: Registry
) -> None:
    rows = [(m, t, t % 7, yes if (t + m) % 5 == 0 else no) for m in range(12) for t in range(60)]
    path = write(f"machine,t,heat,{name}", rows)
    (tmp_path / "start.yaml").write_text(describe(path).recipe(tmp_path))
    loaded = load_recipe(str(tmp_path / "start.yaml"), [], registry)
    store = open_store(loaded.source.build(), "table", tmp_path / "stores")
    (tasks,) = (use.config.tasks for use in loaded.evaluators if use.name == "prediction_tasks")
    assert [task.label.rpartition("_")[2] for task in tasks] == [yes]
    assert np.mean(store.label(tasks[0].label)) == pytest.approx(0.2)


def test_a_folder_of_folders_is_told_with_the_wildcards_for_its_files(tmp_path: Path, registry: Registry) -> None:
    for name in ("valve", "pump"):
        (tmp_path / "logs" / name).mkdir(parents=True)
        (tmp_path / "logs" / name / "0.csv").write_text("at,heat\n1,2\n")
    with pytest.raises(DataError, match=r"name the files in them, as in '.*/logs/\*/\*\.csv'"):
        describe_files([tmp_path / "logs"], registry)


def test_the_command_describes_a_file_writes_a_recipe_once_and_refuses_other_files(
    write: Write,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plugin, "shared_registry", lambda: registry)
    path = write(HEADER, rows())
    assert cli.main(["inspect", str(path), "--write", str(tmp_path / "mine.yaml")]) == 0
    assert "channels\n" in capsys.readouterr().out and "use: table" in (tmp_path / "mine.yaml").read_text()
    assert cli.main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 40
    assert cli.main(["inspect", str(path), "--write", str(tmp_path / "mine.yaml")]) == 2
    (tmp_path / "picture.png").write_bytes(b"no table")
    assert cli.main(["inspect", str(tmp_path / "picture.png")]) == 2
    path.write_text(path.read_text().replace("\nM-772,2031-05-01T00:00:00", "\nM-772,soon", 1))
    assert cli.main(["inspect", str(path)]) == 3
    said = capsys.readouterr().err
    assert "data.csv, line 18" in said and "M-77" not in said and "no installed plugin describes" in said


def test_a_table_in_which_nothing_is_a_channel_is_refused(write: Write) -> None:
    path = write("machine,at", [row[:2] for row in rows()])
    with pytest.raises(DataError, match="nothing to learn from"):
        describe(path)
