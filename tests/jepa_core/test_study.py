"""Studies: what their files may say, how their runs go on, and what is found."""

from __future__ import annotations

import contextlib
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

from commands import environment
from jepa_core.cli.pages import study_plan_text
from jepa_core.errors import Busy, RecipeError
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe
from jepa_core.recipe.locate import shipped_recipes, shipped_studies
from jepa_core.results.findings import Findings, Headline, Redrawn
from jepa_core.results.paired import DRAWS, redraw
from jepa_core.runs.pipeline import write_findings
from jepa_core.runs.plan import make_plan
from jepa_core.study.definition import Study
from jepa_core.study.differences import VariantDifference, difference, with_holm
from jepa_core.study.display import StudyBars, StudyLines, cut_within
from jepa_core.study.findings import VariantMetric, _sentence
from jepa_core.study.folder import StudyFolder, run_rows
from jepa_core.study.metrics import Name, RunMetric, run_metrics
from jepa_core.study.planning import plan_study
from jepa_core.study.reading import is_study, load_study
from warm import Started, WarmProcess

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

SHORT = """\
base: toy.yaml
variants:
  full: {}
  without_joint:
    change: {curriculum: {joint: null}}
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


def test_mistakes_of_the_study_and_of_its_recipes_are_reported_together(study_file: Path, registry: Registry) -> None:
    study_file.write_text(
        STUDY.replace("{joint: null}", "{joint: {steps: none}}", 1).replace("reference: full", "reference: fall")
        + "  nothing:\n    change: {curriculum: {warm: null, joint: null, last: null}}\n"
    )
    with pytest.raises(InvalidRecipe) as caught:
        loaded(study_file, registry)
    assert [one["line"] for one in caught.value.to_list()] == [4, 9]


def test_a_curriculum_without_steps_cannot_take_those_of_the_reference(study_file: Path, registry: Registry) -> None:
    change = "    change: {curriculum: {warm: null, joint: null, last: null}}"
    study_file.write_text(STUDY + f"  nothing:\n{change}\n    steps: as_reference\n")
    with pytest.raises(InvalidRecipe) as caught:
        loaded(study_file, registry)
    (problem,) = caught.value.to_list()
    assert problem["line"] == 15 and "'nothing' has no phase with steps" in problem["message"]


# --- studies that extend others ---------------------------------------------------------------------------------------


OTHER = """\
extends: phases.yaml
description: the same on shorter windows
common:
  windows: {stride: 6}
variants:
  same: null
  without_joint:
    change: {curriculum: {last: {steps: 2}}}
    steps: as_reference
  without_joint_same_steps:
    change: null
  alone:
    base: other.yaml
"""


@pytest.fixture
def other_file(study_file: Path) -> Path:
    folder = study_file.parent / "others"
    folder.mkdir()
    (folder / "other.yaml").write_text("extends: ../toy.yaml\ncurriculum: {sync: null}\n")
    path = folder / "other_phases.yaml"
    path.write_text(OTHER.replace("phases.yaml", "../phases.yaml", 1))
    return path


def test_a_study_that_extends_another_changes_its_variants_by_name(other_file: Path, registry: Registry) -> None:
    study = loaded(other_file, registry)
    assert study.name == "other_phases" and study.description == "the same on shorter windows"
    assert study.reference == "full" and study.seeds == (3, 4)
    assert study.variants == ("full", "without_joint", "without_joint_same_steps", "alone")
    assert {cell.recipe.windows.stride for cell in study.cells} == {6}
    assert steps(study, "full") == [6, 12, 0, 8]
    assert steps(study, "without_joint") == [20, 0, 6]  # both changes, and then the budget: 6 and 2 of 26
    assert steps(study, "without_joint_same_steps") == steps(study, "full")  # its change is taken away
    assert steps(study, "alone") == [6, 12, 8]  # its base lies beside the file that names it


def test_keys_stand_in_for_those_of_the_study_below(other_file: Path, registry: Registry) -> None:
    below = other_file.parents[1] / "phases.yaml"
    below.write_text(STUDY + "common: {runtime: {checkpoint_every: 7}}\n")
    assert {cell.recipe.runtime.checkpoint_every for cell in loaded(other_file, registry).cells} == {4}
    other_file.write_text("extends: ../phases.yaml\nseeds: [9]\nbase: ../toy.yaml\ncommon: null\nreference: same\n")
    study = loaded(other_file, registry)
    assert {cell.seed for cell in study.cells} == {9} and study.reference == "same" and len(study.cells) == 4
    assert {cell.recipe.runtime.checkpoint_every for cell in study.cells} == {4}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("extends: nowhere\n", 1, "unknown study 'nowhere'"),
        ("extends: ../toy.yaml\n", 1, "unknown key 'source' in a study"),
        ("extends: other_phases.yaml\n", 1, "files extend one another in a circle"),
        ("extends: ../phases.yaml\nvariants: {withuot_joint: null}\n", 2, "unknown variant 'withuot_joint'"),
        ("extends: ../phases.yaml\nvariants: {same: {change: 3}}\n", 2, "expected a section of keys, found 3"),
        ("extends: ../phases.yaml\nvariants: null\nreference: full\n", 3, "there is no variant 'full'"),
        ("extends: ../phases.yaml\nseeds: [0, x]\n", 2, "expected a whole number from 0 to 4294967295, found 'x'"),
        ("extends: ../phases.yaml\nseeds: []\n", 2, "a study takes different seeds, one at least"),
        ("extends: ../phases.yaml\nvariants: {same: {seeds: [1]}}\n", 2, "unknown key 'seeds' in variant 'same'"),
        ("extends: ../phases.yaml\nvariants: {same: {steps: all}}\n", 2, "'as_written' or 'as_reference', found 'all'"),
        ("extends: ../phases.yaml\nvariants: {same: 3}\n", 2, "expected the keys of one variant, found 3"),
        ("extends: ../phases.yaml\nvariants: {a-b: {}}\n", 2, "'a-b' cannot name a variant"),
        ("extends: ../phases.yaml\nvariants: [a]\n", 2, "expected a section of variants, found a list"),
        ("extends: ../phases.yaml\nbase: [a]\n", 2, "expected text, found a list"),
        ("extends: ../phases.yaml\ncommon: 3\n", 2, "expected a section of keys, found 3"),
        ("extends: ../phases.yaml\ncommon: {windows: {length: x}}\n", 2, "expected a whole number from 2 to 100000"),
        ("extends: ../phases.yaml\ndescription: ${NOPE}\n", 2, "the environment variable NOPE is not set"),
    ],
)
def test_mistakes_of_a_study_that_extends_another_are_told_where_they_stand(
    other_file: Path, registry: Registry, text: str, line: int, message: str
) -> None:
    other_file.write_text(text)
    with pytest.raises(InvalidRecipe) as caught:
        loaded(other_file, registry)
    assert any(message in one["message"] for one in caught.value.to_list()), caught.value.to_list()
    if "source" not in message:
        assert line in {one["line"] for one in caught.value.to_list() if message in one["message"]}


# --- before it runs ---------------------------------------------------------------------------------------------------


def test_a_study_is_known_by_its_variants_wherever_it_lies(other_file: Path, recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("extends: phases.yaml\nseeds: [1]\n")
    (tmp_path / "child.yaml").write_text("extends: toy.yaml\nseeds: [1]\n")
    assert is_study(tmp_path / "short.yaml", {}) and is_study(other_file, {}) and is_study("phases", {})
    assert not is_study(recipe_file, {}) and not is_study(tmp_path / "child.yaml", {}) and not is_study("etth1", {})
    with pytest.raises(RecipeError, match="unknown recipe or study 'phasse'; did you mean 'phases'"):
        is_study("phasse", {})


def test_no_shipped_study_is_called_like_a_recipe() -> None:
    assert not {path.stem for path in shipped_recipes()} & {path.stem for path in shipped_studies()}


def test_the_plan_of_a_study_adds_up_its_runs_and_tells_what_is_done(
    study_file: Path, registry: Registry, tmp_path: Path
) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    before = plan_study(study, folder)
    assert before.run_seconds is None and before.steps() == before.steps(left=True) == 2 * (26 + 26 + 14 + 26)
    assert before.variants[0].phases == {"warm": 6, "joint": 12, "sync": 0, "last": 8}
    assert before.variants[0].memory_bytes == make_plan(study.cells[0].recipe).memory_bytes
    folder.open(study, STUDY)
    for cell, ended in ((study.cells[0], "00:00:10"), (study.cells[4], "00:00:30"), (study.cells[5], "08:00:00")):
        folder.run(cell).mkdir()
        times = {"started": "2026-01-01T00:00:00+00:00", "ended": f"2026-01-01T{ended}+00:00"}
        (folder.run(cell) / "manifest.json").write_text(json.dumps(times))
    after = plan_study(study, folder)
    assert after.states() == {"done": 3, "waiting": 5} and after.steps(left=True) == 26 + 2 * 26 + 2 * 26
    assert after.run_seconds == 30 and after.seconds_left() == 5 * 30
    text = study_plan_text(after)
    assert "total: 8 runs (3 done, 5 waiting), 184 steps" in text and "left: 130 steps" in text
    assert next(line for line in text.splitlines() if line.startswith("full")).endswith("done: 3; waiting: 4")


def test_the_commands_that_read_take_a_study(jepa: Jepa, study_file: Path) -> None:
    assert "8 runs of full, same, without_joint" in jepa("validate", "phases.yaml").stdout
    assert "total: 8 runs (8 waiting)" in jepa("plan", "phases.yaml").stdout
    assert "--out names the folder of a study" in jepa("plan", "toy.yaml", "--out", "out").stderr
    study_file.write_text(STUDY.replace("base: toy.yaml", "base: tyo.yaml").replace("{joint: null}", "{jiont: null}"))
    refused = jepa("validate", "phases.yaml", "--json")
    assert refused.returncode == 2
    assert [one["line"] for one in json.loads(refused.stdout)["problems"]] == [2]


def test_a_folder_of_another_study_is_refused(study_file: Path, registry: Registry, tmp_path: Path) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    folder.open(study, STUDY)
    begun = folder.run(study.cells[0])
    begun.mkdir()
    (begun / "recipe.resolved.yaml").write_bytes(folder.recipe(study.cells[0]).read_bytes())
    folder.open(study, STUDY)
    with pytest.raises(RecipeError, match="full-3"):
        folder.open(loaded(study_file, registry, "windows.stride=6"), STUDY)


def test_of_two_studies_at_once_in_one_folder_the_second_is_refused(
    study_file: Path, tmp_path: Path, jepa: Jepa
) -> None:
    folder = StudyFolder(tmp_path / "out")
    with folder.locked():
        refused = jepa("study", str(study_file), "--out", str(folder.path))

    assert refused.returncode == Busy.exit_code and "another jepa study is at work on" in refused.stderr
    assert not folder.runs.exists()


def test_a_run_is_waiting_begun_failed_or_done(study_file: Path, registry: Registry, tmp_path: Path) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    folder.open(study, STUDY)
    first, second, third, *_ = study.cells
    for cell, manifest in ((first, {"ended": "now"}), (second, {})):
        folder.run(cell).mkdir()
        (folder.run(cell) / "manifest.json").write_text(json.dumps(manifest))
    folder.log(third).write_text("loading\nerror: no such thing\n")
    folder.note_failure(third, 3)
    rows = run_rows(study, folder)
    assert [row["state"] for row in rows[:4]] == ["done", "begun", "failed", "waiting"]
    assert rows[2]["why"] == "exit code 3: no such thing"


# --- while it runs ----------------------------------------------------------------------------------------------------


def test_lines_say_how_many_runs_are_over_failed_and_left(
    study_file: Path, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jepa")
    cells, lines = loaded(study_file, registry).cells[:3], StudyLines()
    with lines.showing(cells, StudyFolder(tmp_path)):
        lines.begun(cells[0])
        lines.ended(cells[0], "failed (exit code 3)", failed=True)
        lines.ended(cells[1], "is done")
        lines.ended(cells[2], "is done")
    begins, first, second, last = caplog.messages
    assert begins == "full-3 begins" and last == "3/3  same-3 is done  (1 failed)"
    assert first.startswith("1/3  full-3 failed (exit code 3)  (1 failed, 2 to go, about ")
    assert second.startswith("2/3  full-4 is done  (1 failed, 1 to go, about ")


def test_bars_show_how_far_each_run_at_work_has_come(
    study_file: Path, registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, study = StudyFolder(tmp_path / "out"), loaded(study_file, registry)
    folder.open(study, STUDY)
    bars = StudyBars()
    with bars.showing(study.cells, folder):
        for cell, written in zip(study.cells, ('{"phase": "joint", "total_step": 9}\n{"pha', "", None), strict=False):
            bars.begun(cell)
            if written is not None:
                folder.run(cell).mkdir()
                (folder.run(cell) / "metrics.jsonl").write_text(written)
        folder.log(study.cells[1]).write_text("run: out/runs\nencoding latents: 120 items, 3 s\n")
        bars.begun(study.cells[3])
        bars.ended(study.cells[3], "failed (exit code 3): see [here]", failed=True)
    ended, *drawn = (" ".join(line.split()) for line in capsys.readouterr().err.splitlines() if line.strip())
    assert ended == "same-4 failed (exit code 3): see [here]"
    assert [line.split(" ")[0] for line in drawn] == ["study", "full-3", "full-4", "same-3"]
    assert " 1/8 " in drawn[0] and "1 failed, 7 to go" in drawn[0]
    assert " 9/26 " in drawn[1] and drawn[1].endswith("joint") and " 0/26 " in drawn[2] and " 0/26 " in drawn[3]
    assert "encoding latents" in drawn[2] and drawn[3].endswith("starting"), "what a run is at before it trains"


def test_of_a_name_that_is_too_long_the_end_is_left_by_which_runs_differ() -> None:
    assert cut_within("without_joint_same_steps-3-0", 12) == "witho…ps-3-0"
    assert cut_within("full-3", 6) == "full-3" and len(cut_within("x" * 30, 25)) == 25


# --- the whole of it --------------------------------------------------------------------------------------------------


def rows_of(folder: Path, table: str = "headlines") -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def test_variants_that_differ_in_name_alone_differ_by_zero_and_no_run_is_done_twice(
    jepa: Jepa, study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(STUDY.partition("  without_joint_same_steps")[0])
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
    assert page.count('class="forest"') == len({(row["evaluator"], row["metric"]) for row in rows})
    again = jepa("study", "phases.yaml", "--out", "out")
    assert again.returncode == 0 and (tmp_path / "out" / "report.html").read_text() == page
    assert ended == {path: path.stat().st_mtime_ns for path in ended} and len(ended) == 6
    plan = json.loads(jepa("plan", "phases.yaml", "--out", "out", "--json").stdout)
    assert plan["total"]["states"] == {"done": 6} and plan["left"]["runs"] == 0
    assert plan["run_seconds"] is not None  # 0 for a run of less than a second: manifests tell whole ones


def test_a_run_that_fails_stops_no_other_and_is_named(jepa: Jepa, study_file: Path, tmp_path: Path) -> None:
    wrong = "  broken:\n    change: {curriculum: {last: {wrong: true}}}\n"
    study_file.write_text(SHORT + wrong)
    done = jepa("study", "phases.yaml", "--out", "out")
    assert done.returncode == 1 and "broken-0 failed (exit code 1)" in done.stderr
    assert "warning: Of 3 runs, 1 failed" in done.stderr  # said at the end as well, before the sentences
    assert done.stdout == "out/report.html\n"
    assert "Of 3 runs, 1 failed" in (tmp_path / "out" / "report.html").read_text()
    assert {row["variant"] for row in rows_of(tmp_path / "out")} == {"full", "without_joint"}


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_findings(
    jepa: Jepa, warm: WarmProcess, toy_package: Path, study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(SHORT)
    began = time.monotonic()
    assert jepa("study", "phases.yaml", "--out", "whole").returncode == 0
    whole = time.monotonic() - began
    moments, struck = random.Random(0), 0
    for number, kind in enumerate((signal.SIGINT, signal.SIGTERM, *[signal.SIGKILL] * 5)):
        process = warm.start(["study", "phases.yaml", "--out", "killed"], environment(toy_package), tmp_path)
        time.sleep(whole * moments.uniform(0.1, 0.6))
        struck += process.poll() is None
        if (
            kind == signal.SIGKILL and number % 2
        ):  # the others leave the runs at work, and the next study waits for them
            kill_with_children(process)
        else:
            process.send_signal(kind)
        assert process.wait(60) in (75, 0, -kind)
    assert struck
    last = jepa("study", "phases.yaml", "--out", "killed")
    assert last.returncode == 0, last.stderr
    assert results(tmp_path / "whole") == results(tmp_path / "killed")


def results(folder: Path) -> dict[str, bytes]:
    """Findings and tables of a study, by file. What a kill left half written is hidden, and read by nobody."""
    tables = [path for path in (folder / "tables").iterdir() if not path.name.startswith(".")]
    paths = [folder / "findings" / "study.json", *sorted(tables)]
    assert len(paths) > 4
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def kill_with_children(process: Started) -> None:
    """What a machine that goes down does to a study and its runs. Each run is a session, and so a group, of its own."""
    process.send_signal(signal.SIGSTOP)  # so that it starts none while its children are looked for
    for child in children(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    process.kill()


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [child for child, parent in pairs if parent == pid]


# --- differences ------------------------------------------------------------------------------------------------------


def measured(value: float, draws: np.ndarray | None = None, subjects: int = 50) -> RunMetric:
    return RunMetric(value, draws, subjects)


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
        runs.append(run_metrics([tmp_path / name]))
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


# --- sentences --------------------------------------------------------------------------------------------------------


def row_of(metric: str, better: str, value: float, p: float) -> VariantMetric:
    found = VariantDifference(value, ((0, value), (1, value)), p=p, p_holm=p)
    return VariantMetric(Name("tool", metric), "without_joint", ((0, 1.0), (1, 1.0)), better, True, 50, found)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row_of("error", "lower", 0.2, 1e-30)], "worse: tool, error by 0.200 (p < 0.001) (2 seeds, 50 subjects at "
         "least)."),
        ([row_of("error", "lower", 0.2, 0.01)], "worse: tool, error by 0.200 (p = 0.010) (2 seeds, 50 subjects at "
         "least). It is needed for these."),
        ([row_of("error", "lower", -0.2, 0.01)], "better: tool, error by 0.200 (p = 0.010) (2 seeds, 50 subjects at "
         "least). It is harmful for these."),
        ([row_of("error", "lower", -0.2, 0.5)], "no difference seen at this size, in 1 metrics"),
        ([row_of("error", "lower", 0.0, 1.0)], "the same to the last digit"),
        (
            [row_of("error", "lower", -0.2, 0.01), row_of("rank", "", -20.0, 0.01)],
            "do not tell whether it is needed. Different too, with no better and no worse (latents that hold less are "
            "easier to forecast): tool, rank: -20",
        ),
    ],
)  # fmt: skip
def test_a_variant_gets_one_plain_sentence(
    study_file: Path, registry: Registry, rows: list[VariantMetric], words: str
) -> None:
    assert words in _sentence(loaded(study_file, registry), "without_joint", rows).text
