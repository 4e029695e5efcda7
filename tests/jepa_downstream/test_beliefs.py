"""Beliefs as inputs of heads: what each row is told, and nothing of what comes after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Decoder
from jepa_core.model.view import View
from jepa_downstream.averaged import Averaged, FittedOnce
from jepa_downstream.beliefs import AllBeliefs
from jepa_downstream.config import PredictionTasksConfig
from jepa_downstream.latent_methods import LatentMethods, inputs_of
from jepa_downstream.methods import CannotFit
from jepa_downstream.prediction_tasks import PredictionTasks, makers
from jepa_downstream.rows import Rows, Task
from jepa_downstream.tasks import task_rows
from tests.jepa_downstream import fakes

LENGTH = 12
BAD = {"outcome": "bad", "after": 8}


class Squares(Decoder):
    """Reads the square of each number, and the first of them."""

    def forward(self, belief: Tensor) -> Tensor:
        return torch.cat([belief**2, belief[..., :1]], dim=-1)

    def next_values(self, belief: Tensor) -> Tensor:
        return belief


def config(**keys) -> PredictionTasksConfig:
    small = {"bootstrap": 100, "baselines": [], "heads": {"families": ["linear"], "strengths": [0.01, 1]}}
    return PredictionTasksConfig.model_validate({"tasks": [BAD, {"label": "life"}], **small, **keys})


@pytest.fixture(scope="module")
def made() -> fakes.Dataset:
    return fakes.dataset()


@pytest.fixture(scope="module")
def telling(made) -> np.ndarray:
    return fakes.table(made, np.sign(made.store.labels["risk"]) + np.random.default_rng(1).normal(size=made.total))


def every_step(made: fakes.Dataset) -> Rows:
    return task_rows(made, config().tasks[1]).splits["held_out"]


def expected_beliefs(made: fakes.Dataset, table: np.ndarray, trajectory: int) -> np.ndarray:
    """Of each step the mean of the states that the first window which holds it shows up to it."""
    steps, first = int(made.steps[trajectory]), int(made.store.first_step[trajectory])
    states, found = table[first : first + steps], {}
    windows = made.windows_of(np.array([trajectory]), LENGTH, LENGTH // 2, 1)
    for start, length in zip(windows.start.tolist(), windows.length.tolist(), strict=True):
        for step in range(start, start + length):
            found.setdefault(step, states[start : step + 1].mean(axis=0))
    return np.stack([found[step] for step in range(steps)])


def static_latents(made: fakes.Dataset, table: np.ndarray, rows: Rows) -> np.ndarray:
    return table[2 * made.total + rows.trajectory].astype(np.float32)


def test_a_row_is_told_its_static_latent_its_belief_and_the_mean_of_those_before(made, telling) -> None:
    rows = every_step(made)
    found = LatentMethods(fakes.evaluation(made, telling), config()).belief().inputs(rows)
    size = telling.shape[1]
    assert np.array_equal(found[:, :size], static_latents(made, telling, rows))
    found = found[:, size:]
    for number in range(0, len(rows), 17):
        beliefs = expected_beliefs(made, telling, int(rows.trajectory[number]))[: rows.step[number] + 1]
        np.testing.assert_allclose(found[number, :size], beliefs[-1], atol=1e-5)
        np.testing.assert_allclose(found[number, size:], beliefs.mean(axis=0), atol=1e-5)


def test_means_of_the_last_beliefs_stand_between_the_last_and_the_mean_of_all(made, telling) -> None:
    rows = every_step(made)
    evaluation, size = fakes.evaluation(made, telling), telling.shape[1]
    found = LatentMethods(evaluation, config(recent_beliefs=[4])).belief().inputs(rows)
    without = LatentMethods(evaluation, config()).belief().inputs(rows)
    assert np.array_equal(np.delete(found, np.s_[2 * size : 3 * size], axis=1), without)
    for number in range(0, len(rows), 17):
        beliefs = expected_beliefs(made, telling, int(rows.trajectory[number]))[: rows.step[number] + 1]
        np.testing.assert_allclose(found[number, 2 * size : 3 * size], beliefs[-4:].mean(axis=0), atol=1e-5)


def test_a_belief_has_seen_every_step_before_it_or_half_a_window(made, telling) -> None:
    assert int(made.steps.max()) > LENGTH
    evaluation, measured = fakes.evaluation(made, telling), made.trajectories("held_out")
    beliefs = AllBeliefs(View.of(evaluation.learner, evaluation), evaluation.learner, measured, 7, None)
    for trajectory in np.flatnonzero(made.steps > LENGTH)[:20]:
        first = int(made.store.first_step[trajectory])
        whole = np.cumsum(telling[first : first + LENGTH], axis=0) / np.arange(1, LENGTH + 1)[:, None]
        np.testing.assert_allclose(beliefs.of(trajectory)[:LENGTH], whole, atol=1e-5)
        np.testing.assert_allclose(beliefs.of(trajectory), expected_beliefs(made, telling, trajectory), atol=1e-5)


def test_what_decoders_read_is_told_as_beliefs_are(made, telling) -> None:
    evaluation = fakes.evaluation(made, telling)
    evaluation.learner.modules = {"one": Squares(), "other": Squares()}
    rows = every_step(made)
    found = LatentMethods(evaluation, config()).decoded_belief().inputs(rows)
    read = 2 * (telling.shape[1] + 1)
    assert np.array_equal(found[:, : telling.shape[1]], static_latents(made, telling, rows))
    found = found[:, telling.shape[1] :]
    assert found.shape == (len(rows), 2 * read)
    for number in range(0, len(rows), 29):
        beliefs = expected_beliefs(made, telling, int(rows.trajectory[number]))[: rows.step[number] + 1]
        one = np.concatenate([beliefs**2, beliefs[:, :1]], axis=1)
        both = np.concatenate([one, one], axis=1)
        np.testing.assert_allclose(found[number], np.concatenate([both[-1], both.mean(axis=0)]), rtol=1e-4, atol=1e-5)


def test_what_decoders_read_may_be_projected_on_its_principal_directions(made, telling) -> None:
    rows, found = every_step(made), {}
    for components in (None, 3, 10_000):
        evaluation = fakes.evaluation(made, telling)
        evaluation.learner.modules = {"one": Squares()}
        asked = config(decoded_components=components)
        inputs = LatentMethods(evaluation, asked).decoded_belief().inputs
        found[components] = inputs(rows)
        again = inputs_of(inputs.to_state(), View.of(evaluation.learner, evaluation))(rows)
        np.testing.assert_allclose(again, found[components], rtol=1e-5, atol=1e-5)
        found[components] = found[components][:, telling.shape[1] :]  # behind the static latent
    assert found[3].shape == (len(rows), 6) and np.array_equal(found[None], found[10_000])
    size = found[None].shape[1] // 2
    spread = [found[3][:, :3].var(axis=0).sum(), found[None][:, :size].var(axis=0).sum()]
    assert 0.3 * spread[1] < spread[0] <= spread[1]


def test_nothing_after_a_row_changes_a_bit_of_what_it_is_told(made, telling) -> None:
    evaluation, rows = fakes.evaluation(made, telling), every_step(made)
    chosen = rows.take(np.flatnonzero(rows.step == 5))
    noise = telling.copy()
    later = made.step > 5
    noise[: made.total][later] = 99
    noise[made.total : 2 * made.total][later] = -99
    for method in ("belief", "decoded_belief"):
        told = []
        for table in (telling, noise):
            evaluation = fakes.evaluation(made, table)
            evaluation.learner.modules = {"one": Squares()}
            told.append(getattr(LatentMethods(evaluation, config()), method)().inputs(chosen))
        assert np.array_equal(*told)


def test_without_a_decoder_every_task_says_so(made, telling) -> None:
    with pytest.raises(CannotFit, match="keeps a decoder"):
        LatentMethods(fakes.evaluation(made, telling), config()).decoded_belief()
    found = PredictionTasks(config(methods=["belief", "decoded_belief", "untrained_belief"])).evaluate(
        fakes.evaluation(made, telling, untrained=fakes.table(made))
    )
    (table,) = (one for one in found.tables if one.name == "scores")
    names = [column.name for column in table.columns]
    scores = {row[names.index("method")]: row for row in table.rows if row[names.index("task")] == "bad_after_8"}
    auroc = names.index("auroc")
    assert scores["decoded belief"][auroc] is None
    assert scores["belief"][auroc] > 0.8 > 0.7 > scores["untrained belief"][auroc]


def test_a_task_without_a_row_to_choose_heads_by_says_so(made, telling) -> None:
    told = np.where(made.split == 1, np.nan, made.store.outcomes["bad"])
    unknown = fakes.Dataset(replace(made.store, outcomes={"bad": told}))
    found = PredictionTasks(config(methods=["belief", "latents"])).evaluate(fakes.evaluation(unknown, telling))
    (table,) = (one for one in found.tables if one.name == "scores")
    names = [column.name for column in table.columns]
    reasons = {row[names.index("remark")] for row in table.rows if row[names.index("task")] == "bad_after_8"}
    assert reasons == {"the tuning split has no row"}


class Counts:
    """Scores every row with a number, and counts its fits."""

    information = "nothing"

    def __init__(self, name: str, score: float) -> None:
        self.name, self.score, self.fits = name, score, 0
        self.chosen = {"score": score}

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> Counts:
        self.fits += 1
        return self

    def scores(self, rows: Rows) -> np.ndarray:
        return np.full(len(rows), self.score)


def test_an_average_is_the_mean_of_its_members_which_are_fitted_once(made) -> None:
    members = Counts("one", 0.2), Counts("other", 0.8)
    once = [FittedOnce(one) for one in members]
    average = Averaged(once)
    found = task_rows(made, config().tasks[0])
    train, tuning, held_out = (found.splits[name] for name in ("train", "tuning", "held_out"))
    for method in (*once, average):
        method.fit(found.task, train, tuning, 0)
    fitted = average.fit(found.task, replace(train), tuning, 0)
    assert [one.fits for one in members] == [1, 1]
    assert average.name == "one and other"
    assert (fitted.scores(held_out) == 0.5).all() and fitted.chosen == {"score of 1": 0.2, "score of 2": 0.8}
    average.fit(found.task, train.take(np.arange(5)), tuning, 0)
    assert [one.fits for one in members] == [2, 2]


def test_the_average_with_lightgbm_shares_its_members_with_the_recipe(made, telling, monkeypatch) -> None:
    monkeypatch.setitem(
        __import__("jepa_downstream.baselines", fromlist=["BASELINES"]).BASELINES,
        "lightgbm", lambda evaluation, config: Counts("LightGBM", 0.25),
    )  # fmt: skip
    evaluation = fakes.evaluation(made, telling)
    evaluation.learner.modules = {"one": Squares()}
    asked = config(methods=["decoded_belief", "decoded_belief_and_lightgbm"], baselines=["lightgbm"])
    found = {name: make() for name, make in makers(evaluation, asked).items()}
    assert found["decoded_belief_and_lightgbm"].methods == [found["decoded_belief"], found["lightgbm"]]
    assert found["decoded_belief_and_lightgbm"].name == "decoded belief and LightGBM"
