"""Every figure of the findings from the files of predictions alone, to 1e-9."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from jepa_core.results.findings import Findings, Headline
from jepa_core.runs.pipeline import write_findings
from jepa_downstream.config import PredictionTasksConfig
from jepa_downstream.prediction_tasks import PredictionTasks
from jepa_downstream.tasks import task_rows
from tests.jepa_downstream import fakes, recomputed
from tests.jepa_downstream.recomputed import Files, measured, truth_and_score, with_bounds

DRAWS, SILENCE = 100, 2
TASKS = (
    {"outcome": "bad", "after": 8},
    {"event": "on", "horizon": 4},
    {"event": "near", "horizon": 3, "ready": True},
    {"label": "life", "rows": "every", "asymmetric_score": True},
)
RECOMPUTED = {
    "auroc_by_method": recomputed.overview,
    "rmse_by_method": recomputed.overview,
    "scores": recomputed.scores,
    "scores_by_subject": lambda files, row: recomputed.scores(files, row, by_subject=True),
    "scores_differences": recomputed.differences,
    "calibration": recomputed.calibration,
    "values": recomputed.scores,
    "values_by_subject": lambda files, row: recomputed.scores(files, row, by_subject=True),
    "values_differences": recomputed.differences,
    "events": recomputed.events,
    "subgroups": recomputed.subgroups,
}
WORDS = {"task", "method", "channel", "group", "remark", "split", "left_out"}
"""Columns that hold no figure."""


def evaluated(made: fakes.Dataset, latents: np.ndarray, *tasks: dict, **keys) -> Findings:
    small = {"bootstrap": DRAWS, "rollout_horizons": [1], "heads": {"rounds": 20, "strengths": [0.01, 1]}}
    small |= {"alarms": {"silence": SILENCE}, "baselines": [], "step_seconds": 1800}
    asked = PredictionTasksConfig.model_validate({"tasks": tasks, **small, **keys})
    return PredictionTasks(asked).evaluate(fakes.evaluation(made, latents, fakes.table(made, seed=5)))


@pytest.fixture(scope="module")
def made() -> fakes.Dataset:
    made = fakes.dataset()
    onset = np.append(np.diff(made.store.labels["event_on"]) == 1, False) & (
        np.append(np.diff(made.trajectory), 1) == 0
    )
    near = np.flatnonzero(onset)[:, None] - np.arange(3)
    made.store.labels["event_near"] = np.isin(np.arange(made.total), near).astype(float)
    return made


@pytest.fixture(scope="module")
def latents(made) -> np.ndarray:
    """They tell the outcome and the event, with so much noise that no figure is 0 or 1."""
    latents = fakes.table(made, made.store.labels["risk"] + np.random.default_rng(3).normal(size=made.total))
    rows = task_rows(made, PredictionTasksConfig(tasks=[TASKS[1]]).tasks[0]).splits.values()
    place = np.concatenate([made.store.first_step[one.trajectory] + one.step for one in rows])
    latents[place, 1] += 2 * np.concatenate([one.truth for one in rows])
    return latents


@pytest.fixture(scope="module")
def found(made, latents) -> Findings:
    return evaluated(made, latents, *TASKS, subgroups=["size", "colour"], baselines=["lstm"])


@pytest.fixture(scope="module")
def files(found, tmp_path_factory) -> Files:
    return files_of(found, tmp_path_factory.mktemp("run"))


def files_of(found: Findings, folder) -> Files:
    write_findings(folder, "tasks", found)
    return Files(folder / "predictions", "tasks", DRAWS, seed=0)


def rows(found: Findings, name: str) -> list[dict]:
    table = next(table for table in found.tables if table.name == name)
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def assert_same(row: dict, expected: dict, said: object) -> None:
    assert set(expected) == set(row) - WORDS, said
    for name, value in expected.items():
        assert (row[name] is None) == (value is None), (said, name)
        assert value is None or row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (said, name)


@pytest.mark.parametrize("name", RECOMPUTED)
def test_every_figure_of_a_table_can_be_recomputed_from_the_files(found, files, name):
    of_table = rows(found, name)
    for row in of_table:
        assert_same(row, RECOMPUTED[name](files, row), (name, row["task"], row.get("method")))
    figures = [value for row in of_table for key, value in row.items() if key not in WORDS and value is not None]
    assert len(figures) > len(of_table)


def test_no_table_of_figures_is_left_out(found):
    assert {table.name for table in found.tables} == {*RECOMPUTED, "tasks", "methods", "chosen"}


def test_the_rows_of_the_measured_split_can_be_counted_in_the_files(found, files):
    of_split = [row for row in rows(found, "tasks") if row["split"] == "held_out"]
    assert len(of_split) == len(TASKS)
    for row in of_split:
        assert_same(row, recomputed.tasks(files, row), row["task"])


def test_scikit_learn_agrees_with_the_measures_under_every_draw(files):
    for task, names in (("on_within_4", recomputed.BINARY), ("life", recomputed.VALUES)):
        file = files.of(task, "latents")
        truth, score = truth_and_score(file)
        for name in [name for name in names if name in recomputed.SCIKIT]:
            _, draws = measured(files, name, file)
            weights = files.drawn(file["subject_id"])
            theirs = [recomputed.SCIKIT[name](truth, score, sample_weight=one) for one in weights]
            np.testing.assert_allclose(draws, theirs, rtol=1e-10)


def test_every_point_of_a_calibration_figure_can_be_recomputed_from_the_files(found, files):
    figures = {one.name.removeprefix("calibration_"): one for one in found.figures}
    assert set(figures) == {"bad_after_8", "on_within_4", "near_within_3"}
    for task, figure in figures.items():
        for series in figure.series[1:]:
            truth, score = truth_and_score(files.of(task, series.label))
            observed, foreseen = calibration_curve(truth, score, n_bins=10)
            assert series.x == pytest.approx(foreseen, abs=1e-9) and series.y == pytest.approx(observed, abs=1e-9)


def test_ece_is_the_mean_gap_of_the_bins_of_the_calibration_table(found):
    for row in rows(found, "scores"):
        mine = [
            one for one in rows(found, "calibration") if (one["task"], one["method"]) == (row["task"], row["method"])
        ]
        gaps = [one["rows"] * abs(one["mean_probability"] - one["share_observed"]) for one in mine]
        assert bool(mine) == (row["ece"] is not None)
        assert not mine or sum(gaps) / row["rows"] == pytest.approx(row["ece"], abs=1e-9)


def test_the_alarms_in_the_files_follow_the_rule_from_the_scores_and_the_threshold(found, files):
    raised = 0
    for row in rows(found, "events"):
        file = files.of(row["task"], row["method"])
        if file is not None:
            np.testing.assert_array_equal(file["alarm"], recomputed.alarms_at(file, SILENCE))
            raised += file["alarm"].sum()
    assert raised


def test_floors_can_be_recomputed_from_the_files(found, files):
    """What they say is a mean of train; what the last value says also depends on the last known state alone."""
    for row in rows(found, "scores"):
        train = next(one for one in rows(found, "tasks") if (one["task"], one["split"]) == (row["task"], "train"))
        if row["method"] == "train mean":
            _, score = truth_and_score(files.of(row["task"], "train mean"))
            assert score == pytest.approx(np.full(row["rows"], train["prevalence"]), abs=1e-9)
            assert row["auroc"] == 0.5 and row["average_precision"] == pytest.approx(row["prevalence"], abs=1e-9)
        if row["method"] == "last value" and row["auroc"] is not None:
            assert len(np.unique(truth_and_score(files.of(row["task"], "last value"))[1])) <= 3


def test_every_headline_can_be_recomputed_from_the_files(found, files):
    mean, gain, value = found.headlines
    tasks = ["bad_after_8", "on_within_4", "near_within_3"]
    auroc, base = (
        [measured(files, "auroc", files.of(task, method)) for task in tasks]
        for method in ("latents", "untrained latents")
    )
    values, draws = ([one[part] for one in auroc] for part in (0, 1))
    assert_headline(mean, np.mean(values), np.mean(draws, axis=0), len(files.subjects))
    gains = [(one[0] - other[0], one[1] - other[1]) for one, other in zip(auroc, base, strict=True)]
    gained = np.mean([one[0] for one in gains]), np.mean([one[1] for one in gains], axis=0)
    assert_headline(gain, *gained, len(files.subjects))
    file = files.of("life", "latents")
    assert_headline(value, *measured(files, "rmse", file), len(np.unique(file["subject_id"])))


def assert_headline(headline: Headline, value: float, draws: np.ndarray, subjects: int) -> None:
    expected = [*with_bounds("value", value, draws).values(), subjects]
    assert [headline.value, headline.low, headline.high, headline.n] == pytest.approx(expected, abs=1e-9)


def test_subjects_of_a_task_that_nobody_could_predict_take_no_part_in_the_draws(made, latents, tmp_path):
    """They are in no file, so nobody could repeat the draws."""
    store = replace(made.store, outcomes=made.store.outcomes | {"sure": np.ones(len(made.steps))})
    longer = {"outcome": "bad", "after": 12}
    found = evaluated(fakes.Dataset(store), latents, longer, {"outcome": "sure", "after": 3}, methods=["latents"])
    files = files_of(found, tmp_path)
    measured_row, unmeasured = rows(found, "scores")
    assert unmeasured["subjects"] > measured_row["subjects"] and "of one class" in unmeasured["remark"]
    assert measured_row["auroc_low"] is not None
    assert_same(measured_row, recomputed.scores(files, measured_row), "bad")
