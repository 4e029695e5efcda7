"""Studies: what their files may say, how their runs go on, and what is found."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import command, environment
from jepa_core.errors import RecipeError
from jepa_core.findings import Findings, Headline, Redrawn
from jepa_core.paired import DRAWS, redraw
from jepa_core.pipeline import write_findings
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe
from jepa_core.study.definition import Study, load_study
from jepa_core.study.differences import difference, with_holm
from jepa_core.study.folder import StudyFolder, grid
from jepa_core.study.metrics import Measured, Name, run_metrics

Jepa = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """\
description: what the joint phase does
base: toy.yaml
seeds: [3, 4]
reference: full
variants:
  full: {}
  same: {description: differs in name alone}
  without_joint:
    change: {curriculum: {joint: null}}
  without_joint_same_steps:
    change: {curriculum: {joint: null}}
    steps: as_reference
"""


@pytest.fixture
def study_file(recipe_file: Path) -> Path:
    path = recipe_file.with_name("phases.yaml")
    path.write_text(STUDY)
    return path


def loaded(path: Path, registry: Registry, *overrides: str) -> Study:
    return load_study(path, overrides, registry, {})


def steps(study: Study, variant: str) -> list[int]:
    recipe = next(cell.recipe for cell in study.cells if cell.variant == variant)
    return [use.config.steps for use in recipe.curriculum]


def test_a_study_is_a_grid_of_recipes(study_file: Path, registry: Registry) -> None:
    study = loaded(study_file, registry, "windows.stride=6")
    assert [cell.name for cell in study.cells][:4] == ["full-3", "full-4", "same-3", "same-4"]
    assert {cell.recipe.seed for cell in study.cells} == {3, 4}
    assert all(cell.recipe.windows.stride == 6 for cell in study.cells)
    assert steps(study, "full") == [6, 12, 0, 8] and steps(study, "without_joint") == [6, 0, 8]


def test_the_steps_of_a_removed_phase_are_given_up_or_given_to_the_others(study_file: Path, registry: Registry) -> None:
    given = steps(loaded(study_file, registry), "without_joint_same_steps")
    assert sum(given) == 26 and given == [11, 0, 15]


def test_every_mistake_of_a_study_is_reported_at_its_place(study_file: Path, registry: Registry) -> None:
    text = STUDY.replace("seeds: [3, 4]", "seeds: [3, 3]").replace("reference: full", "reference: fall")
    study_file.write_text(text.replace("steps: as_reference", "step: as_reference") + "extra: 1\n")
    with pytest.raises(InvalidRecipe) as caught:
        loaded(study_file, registry)
    assert [(one["line"], one["file"].endswith("phases.yaml")) for one in caught.value.to_list()] == [
        (3, True), (4, True), (12, True), (13, True),
    ]  # fmt: skip


def test_a_change_that_names_no_phase_is_refused_in_the_studys_own_file(study_file: Path, registry: Registry) -> None:
    study_file.write_text(STUDY.replace("{joint: null}", "{jiont: null}"))
    with pytest.raises(InvalidRecipe) as caught:
        loaded(study_file, registry)
    problem = caught.value.to_list()[0]
    assert problem["file"].endswith("phases.yaml") and problem["line"] == 9 and "joint" in problem["hint"]


def test_a_folder_of_another_study_is_refused(study_file: Path, registry: Registry, tmp_path: Path) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    folder.open(study, STUDY)
    begun = folder.run(study.cells[0])
    begun.mkdir()
    (begun / "recipe.resolved.yaml").write_bytes(folder.recipe(study.cells[0]).read_bytes())
    folder.open(study, STUDY)
    with pytest.raises(RecipeError, match="full-3"):
        folder.open(loaded(study_file, registry, "windows.stride=6"), STUDY)


def test_a_run_is_waiting_begun_failed_or_done(study_file: Path, registry: Registry, tmp_path: Path) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    folder.open(study, STUDY)
    first, second, third, *_ = study.cells
    for cell, manifest in ((first, {"ended": "now"}), (second, {})):
        folder.run(cell).mkdir()
        (folder.run(cell) / "manifest.json").write_text(json.dumps(manifest))
    folder.log(third).write_text("loading\nerror: no such thing\n")
    folder.note_failure(third, 3)
    rows = grid(study, folder)
    assert [row["state"] for row in rows[:4]] == ["done", "begun", "failed", "waiting"]
    assert rows[2]["why"] == "exit code 3: no such thing"


# --- the whole of it --------------------------------------------------------------------------------------------------


def rows_of(folder: Path, table: str = "headlines") -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def test_variants_that_differ_in_name_alone_differ_by_zero_and_no_run_is_done_twice(
    jepa: Jepa, study_file: Path, tmp_path: Path
) -> None:
    done = jepa("study", "phases.yaml", "--out", "out", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out")
    same = [row for row in rows if row["variant"] == "same"]
    assert same and all(float(row["difference"]) == 0 and float(row["p"]) == 1 for row in same)
    assert any(float(row["difference"]) != 0 for row in rows if row["variant"] == "without_joint")
    seeds = [row for row in rows_of(tmp_path / "out", "seeds") if row["variant"] == "full"]
    assert {row["seed"] for row in seeds} == {"3", "4"}
    ended = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").glob("*/manifest.json")}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("less that of full") == len({(row["evaluator"], row["metric"]) for row in rows})
    again = jepa("study", "phases.yaml", "--out", "out")
    assert again.returncode == 0 and (tmp_path / "out" / "report.html").read_text() == page
    assert ended == {path: path.stat().st_mtime_ns for path in ended} and len(ended) == 8
    plan = json.loads(jepa("study", "phases.yaml", "--out", "out", "--plan", "--json").stdout)
    assert {row["state"] for row in plan["runs"]} == {"done"}


def test_a_run_that_fails_stops_no_other_and_is_named(jepa: Jepa, study_file: Path, tmp_path: Path) -> None:
    wrong = "  broken:\n    change: {curriculum: {last: {wrong: true}}}\n"
    study_file.write_text(STUDY.replace("seeds: [3, 4]", "seeds: [3]") + wrong)
    done = jepa("study", "phases.yaml", "--out", "out")
    assert done.returncode == 1 and "broken-3 failed (exit code 1)" in done.stderr
    assert "Of 5 runs, 1 failed" in (tmp_path / "out" / "report.html").read_text()
    assert {row["variant"] for row in rows_of(tmp_path / "out")} == {
        "full", "same", "without_joint", "without_joint_same_steps",
    }  # fmt: skip


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_findings(
    jepa: Jepa, toy_package: Path, study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(STUDY.replace("seeds: [3, 4]", "seeds: [3]"))
    assert jepa("study", "phases.yaml", "--out", "whole").returncode == 0
    moments = random.Random(0)
    for number, kind in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGINT)):
        process = subprocess.Popen(
            command("study", "phases.yaml", "--out", "killed"), env=environment(toy_package), cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(2 + 4 * number * moments.random())
        os.kill(process.pid, kind)
        assert process.wait(60) in (75, 0, -signal.SIGINT)
    last = jepa("study", "phases.yaml", "--out", "killed")
    assert last.returncode == 0, last.stderr
    whole, killed = (tmp_path / name / "findings" / "study.json" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


# --- differences ------------------------------------------------------------------------------------------------------


def measured(value: float, draws: np.ndarray | None = None, subjects: int = 50) -> Measured:
    return Measured(value, draws, subjects)


def test_a_difference_is_the_mean_over_common_seeds_with_both_intervals() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 1000)
    reference = {seed: measured(1.0, 1.0 + noise) for seed in (0, 1, 2)}
    variant = {seed: measured(2.0 + 0.1 * seed, 2.0 + 0.1 * seed + noise) for seed in (0, 1, 2, 7)}
    found = difference(variant, reference)
    assert found.value == pytest.approx(1.1) and [seed for seed, _ in found.by_seed] == [0, 1, 2]
    assert (
        found.subjects_low == pytest.approx(1.1) == found.subjects_high
    )  # the same subjects in both, so the noise goes
    half = 4.302652729911275 * 0.1 / np.sqrt(3)
    assert (found.seeds_low, found.seeds_high) == (pytest.approx(1.1 - half), pytest.approx(1.1 + half))
    assert found.p == pytest.approx(0.00274, abs=1e-4)  # Student's t with 2 degrees of freedom, as draws do not vary


def test_without_seeds_or_draws_there_is_no_test_and_no_interval() -> None:
    found = difference({0: measured(2.0)}, {0: measured(1.0)})
    assert found.value == 1.0 and (found.p, found.subjects_low, found.seeds_low) == (None, None, None)
    assert difference({0: measured(1.0)}, {1: measured(1.0)}) is None


def test_runs_on_other_subjects_are_not_paired() -> None:
    mine, its = (replace(measured(value), rows=rows) for value, rows in ((1.0, "these"), (2.0, "others")))
    assert difference({0: its}, {0: mine}) is None
    assert difference({0: its, 1: mine}, {0: mine, 1: mine}).by_seed == ((1, 0.0),)
    assert difference({0: replace(its, rows=None)}, {0: mine}).value == 1.0  # a run from before draws were kept


def test_without_a_value_in_too_many_draws_there_is_no_interval_over_subjects() -> None:
    draws = np.arange(1000.0)
    draws[:60] = np.nan
    found = difference({0: measured(2.0, draws)}, {0: measured(1.0, np.zeros(1000))})
    assert found.value == 1.0 and found.subjects_low is None and found.p is None


def test_a_headline_that_is_no_mean_is_paired_by_what_its_evaluator_drew(tmp_path: Path) -> None:
    """A planted loss: every subject has 2 less, so the larger of two means has 2 less under every draw."""
    columns, subjects = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20)
    runs = []
    for name, shift in (("reference", 0.0), ("variant", -2.0)):
        values = columns + shift
        best = Redrawn("best", subjects, float(values.mean(axis=0).max()), redraw(values, subjects).max(axis=1))
        headline = Headline("best column", best.value, n=20, metric="best", better="higher")
        (tmp_path / name).mkdir()
        write_findings(tmp_path / name, "toy", Findings(headlines=[headline], redrawn=[best]))
        runs.append(run_metrics(tmp_path / name))
    reference, variant = (run[Name("toy", "best column")] for run in runs)
    assert reference.headline and reference.draws.shape == (DRAWS,) and reference.better == "higher"
    found = difference({0: variant}, {0: reference})
    assert (found.subjects_low, found.value, found.subjects_high) == pytest.approx((-2, -2, -2))
    assert found.p < 1e-9 and Name("toy", "best") in runs[0]


def test_holms_correction_is_that_of_the_paper() -> None:
    pieces = [difference({0: measured(1.0)}, {0: measured(0.0)}) for _ in range(4)]
    given = [type(one)(one.value, one.by_seed, p=p) for one, p in zip(pieces, (0.01, 0.04, 0.03, None), strict=True)]
    assert [one.p_holm for one in with_holm(given)] == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        pytest.approx(0.06),
        None,
    ]
