"""Evaluators of tasks on more rows than memory holds: what lies in files, or is gone through in blocks, changes
nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jepa_core.training import aside
from jepa_downstream import heads, kept
from jepa_downstream.config import HeadsConfig, LabelEfficiencyConfig, PredictionTasksConfig
from jepa_downstream.heads import ColumnScaling, Examples, select_head
from jepa_downstream.kept import Kept
from jepa_downstream.label_efficiency import LabelEfficiency
from jepa_downstream.prediction_tasks import PredictionTasks
from jepa_downstream.preparation import Preparation
from jepa_downstream.rows import Rows, subjects_of
from tests.jepa_downstream import fakes

TASKS = [{"outcome": "bad", "after": 8}, {"event": "on", "horizon": 4}, {"label": "life"}]
SMALL = {"bootstrap": 100, "heads": {"families": ["linear"], "strengths": [0.01, 1]}, "baselines": []}
"""Little to choose from: what is asked here is whether two ways agree."""
EVALUATORS = {
    "prediction_tasks": (PredictionTasks, PredictionTasksConfig, {"subgroups": ["colour"]}),
    "label_efficiency": (
        LabelEfficiency, LabelEfficiencyConfig,
        {"subjects": [20], "labellings": 2, "averaged_with": None, "references": ["untrained_latents"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EVALUATORS)
def test_findings_and_predictions_are_the_same_bytes_with_every_array_in_a_file(name, monkeypatch, tmp_path):
    evaluator, config, more = EVALUATORS[name]
    made = fakes.dataset(trajectories=120)
    asked = config.model_validate({"tasks": TASKS, "methods": ["latents", "untrained_latents"], **SMALL, **more})
    table = fakes.table(made, np.sign(made.store.labels["risk"]))
    told = []
    for small in (2**40, 0):
        monkeypatch.setattr(aside, "SMALL", small)
        evaluation = replace(fakes.evaluation(made, table, table[::-1].copy()), scratch=tmp_path / str(small))
        told.append(evaluator(asked).evaluate(evaluation))
    in_memory, in_files = told
    assert in_files.to_dict() == in_memory.to_dict()
    assert len(in_files.predictions) == len(in_memory.predictions) > 0
    for one_way, other in zip(in_memory.predictions, in_files.predictions, strict=True):
        np.testing.assert_array_equal(one_way.score, other.score)
        np.testing.assert_array_equal(one_way.truth, other.truth)
        assert [*one_way.extra] == [*other.extra]


def test_rows_of_which_only_some_are_kept_have_the_inputs_of_rows_of_which_none_is(monkeypatch, tmp_path):
    made = fakes.dataset()
    trajectory = np.repeat(np.arange(len(made.steps)), 8)
    rows = Rows(trajectory, np.tile(np.arange(8), len(made.steps)), np.zeros(len(trajectory)), trajectory)
    asked = []

    class Numbers:
        def __call__(self, given: Rows) -> np.ndarray:
            asked.append(len(given))
            return np.stack([given.trajectory, given.step, given.step], axis=1).astype(np.float32)

        def to_state(self) -> dict:
            return {}

    monkeypatch.setattr(kept, "BLOCK", 50)
    monkeypatch.setattr(kept, "KEPT_BYTES", 12 * 300)
    inputs, shuffled = Kept(Numbers(), made.store, tmp_path), np.random.default_rng(0).permutation(len(rows))
    for index in (shuffled[:200], shuffled, shuffled[::-1]):
        given = rows.take(index)
        np.testing.assert_array_equal(inputs(given), np.stack([given.trajectory, given.step, given.step], axis=1))
    assert sum(asked) == 200 + (len(rows) - 200) + (len(rows) - 300), "300 rows are kept, and not made again"


def test_the_subjects_of_several_parts_are_those_of_any():
    parts = [
        Rows(np.zeros(3, dtype=int), np.arange(3), np.zeros(3), np.array(subjects))
        for subjects in ([7, 7, 3], [9, 3, 3])
    ]
    assert subjects_of([*parts, parts[0]]).tolist() == [3, 7, 9]
    assert subjects_of([]).tolist() == []


def test_scaled_in_place_is_scaled(monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(700, 9)).astype(np.float32)
    inputs[:, [2, 5]] = 3  # columns that do not vary are dropped, so rows move
    scaling = ColumnScaling.of(inputs)
    wanted = scaling(inputs)
    scaled = scaling.in_place(inputs)
    np.testing.assert_array_equal(scaled, wanted)
    assert np.shares_memory(scaled, inputs) and scaled.flags.c_contiguous
    constant = np.ones((4, 3), dtype=np.float32)
    np.testing.assert_array_equal(ColumnScaling.of(constant).in_place(constant), np.zeros((4, 1)))


def test_a_ridge_whose_moments_are_added_up_in_blocks_is_the_same_ridge(monkeypatch):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(900, 6)).astype(np.float32)
    truth = inputs @ np.arange(6) + random.normal(size=900)
    train, tuning = Examples(inputs[:600], truth[:600]), Examples(inputs[600:], truth[600:])
    config, fits = HeadsConfig(families=("linear",)), []
    for at_once in (2**28, 48 * 70):
        monkeypatch.setattr(heads, "MOMENT_BYTES", at_once)
        fits.append(select_head("regression", train, tuning, config, 0)[0].to_state())
    np.testing.assert_allclose(fits[1]["weights"], fits[0]["weights"], rtol=1e-10)
    assert fits[1]["bias"] == pytest.approx(fits[0]["bias"], rel=1e-10)


def test_moments_that_are_taken_some_columns_at_a_time_are_those_of_all(tmp_path):
    random = np.random.default_rng(0)
    inputs = random.normal(3, 2, size=(400, 600)).astype(np.float32)
    inputs[random.random(inputs.shape) < 0.2] = np.nan
    subject, may_miss = np.arange(400), np.arange(600) < 300
    made = Preparation.of(inputs, subject, may_miss, 5.0)
    filled = np.where(np.isnan(inputs), made.median, inputs)
    np.testing.assert_array_equal(made.mean, filled.mean(axis=0, dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(made.scale, filled.std(axis=0, dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(made.absent_mean, np.isnan(inputs[:, :300]).mean(axis=0).astype(np.float32))
    prepared = made(inputs)
    np.testing.assert_array_equal(made.aside(inputs, tmp_path), prepared)
    np.testing.assert_allclose(prepared[:, :600].mean(axis=0), 0, atol=0.02)


def test_bins_are_found_on_fewer_rows_where_all_of_them_would_take_too_much(monkeypatch):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(3000, 4)).astype(np.float32)
    truth = (inputs[:, 0] + random.normal(size=3000) > 0).astype(float)
    train, tuning = Examples(inputs[:2000], truth[:2000]), Examples(inputs[2000:], truth[2000:])
    config = HeadsConfig(families=("boosted",), rounds=20)
    whole, chosen = select_head("binary", train, tuning, config, 0)
    assert "rows_behind_bins" not in chosen
    monkeypatch.setattr(heads, "BIN_BYTES", 16 * 4 * 1200)
    sampled, told = select_head("binary", train, tuning, config, 0)
    assert told["rows_behind_bins"] == 1200
    assert "[bin_construct_sample_cnt: 1200]" in sampled.to_state()["trees"]
    assert not np.array_equal(whole(tuning.inputs), sampled(tuning.inputs))
    assert told["tuning_loss"] == pytest.approx(chosen["tuning_loss"], rel=0.05), "and no worse for it"
