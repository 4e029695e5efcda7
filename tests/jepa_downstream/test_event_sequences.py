"""The generative baseline: tokens of what was observed, planted risks found by sampled futures, and kept heads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from jepa_downstream.baseline_channels import Histories
from jepa_downstream.baseline_config import BaselineSearchConfig, EventSequenceConfig
from jepa_downstream.event_model import EventModel, ModelShape, sized
from jepa_downstream.event_sequences import EventSequences, FittedSequences
from jepa_downstream.event_tokens import BEGIN, FIRST_TIME, Vocabulary
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows, Task
from tests.jepa_downstream import baseline_fakes as fakes

QUICK = EventSequenceConfig(
    bins=4, times=16, context=96, future_tokens=32, parameters=12_000, heads=2, dropout=0.0, learning_rate=1e-2,
    epochs=8, futures=4,
)  # fmt: skip
SEARCH = BaselineSearchConfig(event_sequences=QUICK)
DATA = fakes.many(count=150)
OUTCOME, EVENT = Task("died", "binary"), Task("alarm_within_1", "binary", horizon=1, known="alarm")


def action_before(data: fakes.Dataset) -> np.ndarray:
    """(S,) the action of the step before each, 0 at a trajectory's first."""
    count, total = len(data.steps), int(data.steps.sum())
    action = data.values[count + total :, fakes.ACTION, -1]
    return np.where(data.step_numbers() > 0, np.roll(action, 1), 0.0)


def fit(task: Task, parts: tuple[Rows, Rows], data: fakes.Dataset = DATA) -> FittedSequences:
    evaluation = fakes.evaluation(data)
    alarms = (action_before(DATA) > 0).astype(np.float64)
    data.store.label = lambda name: alarms
    return EventSequences(evaluation, fakes.config(SEARCH)).fit(task, *parts, 0)


def outcomes(first: int, last: int) -> Rows:
    """A row at the last step of each trajectory; what comes of it is decided by its static fact."""
    truth = DATA.values[: len(DATA.steps), fakes.STATIC, 0] > 0
    chosen = np.arange(first, last)
    return Rows(chosen, DATA.steps[chosen] - 1, truth[chosen].astype(np.float64), chosen)


def alarms(first: int, last: int) -> Rows:
    """A row at every step but the last; true if the next step has an alarm, which the step's own action decides."""
    truth = np.roll(action_before(DATA) > 0, -1)
    rows = fakes.rows(DATA, truth, first, last)
    return rows.take(np.flatnonzero(rows.step < DATA.steps[rows.trajectory] - 1))


@pytest.fixture(scope="module")
def of_outcomes() -> FittedSequences:
    return fit(OUTCOME, (outcomes(0, 90), outcomes(90, 120)))


def test_what_comes_of_a_trajectory_is_foreseen_from_its_tokens(of_outcomes) -> None:
    rows = outcomes(120, 150)
    assert roc_auc_score(rows.truth, of_outcomes.scores(rows)) > 0.85


def test_an_event_of_the_next_step_is_found_in_sampled_futures() -> None:
    fitted = fit(EVENT, (alarms(0, 90), alarms(90, 120)))
    rows = alarms(120, 150)
    scores = fitted.scores(rows)
    assert scores.min() >= 0 and scores.max() <= 1
    assert roc_auc_score(rows.truth, scores) > 0.85


def test_a_score_depends_on_neither_the_rows_beside_it_nor_what_comes_after(of_outcomes) -> None:
    rows = outcomes(120, 150)
    rows = Rows(rows.trajectory, rows.step // 2, rows.truth, rows.subject)
    whole = of_outcomes.scores(rows)
    assert np.array_equal(whole[3:7], of_outcomes.scores(rows.take(np.arange(3, 7))))
    last = np.zeros(len(DATA.steps), dtype=np.int64)
    last[rows.trajectory] = rows.step
    vars(of_outcomes)["histories"], before = Histories(DATA.with_noise_after(last)), of_outcomes.histories
    assert np.array_equal(whole, of_outcomes.scores(rows))
    vars(of_outcomes)["histories"] = before


def test_a_kept_model_scores_to_the_bit_as_the_fitted_one(of_outcomes) -> None:
    view = SimpleNamespace(channels=lambda: DATA, frozen=SimpleNamespace(device=torch.device("cpu")))
    again = FittedSequences.from_state(of_outcomes.to_state(), view)
    assert np.array_equal(again.scores(outcomes(120, 150)), of_outcomes.scores(outcomes(120, 150)))


def test_tokens_are_a_time_a_step_and_a_bin_of_each_channel_that_is_observed() -> None:
    histories = Histories(DATA)
    vocabulary = Vocabulary.fit(histories, DATA, bins=4, times=5, seed=0)
    facts, events = vocabulary.tokens(histories, 7, int(DATA.steps[7]))
    count, total, first = len(DATA.steps), int(DATA.steps.sum()), int(DATA.store.first_step[7])
    state = DATA.values[count + first : count + first + DATA.steps[7], fakes.STATE, 0]
    assert facts[0] == BEGIN and len(facts) == 2
    times = events[vocabulary.is_time(events)] - FIRST_TIME
    assert times.tolist() == [min(step, 4) for step in range(DATA.steps[7])]
    assert len(events) == 2 * DATA.steps[7] + np.count_nonzero(~np.isnan(state)), "a time, an action, perhaps a state"
    values = DATA.values[count : count + total, fakes.STATE, 0]
    bins = [np.searchsorted(vocabulary.edges[1], one, side="right") for one in values[~np.isnan(values)]]
    assert (np.bincount(bins) / len(bins)).tolist() == pytest.approx([0.25] * 4, abs=0.02)


def test_no_bound_of_a_bin_is_a_value_of_few_subjects_and_common_values_stay() -> None:
    count, total = len(DATA.steps), int(DATA.steps.sum())
    data = fakes.Dataset(DATA.steps, *np.split(DATA.values.copy(), [count, count + total]))
    data.values[count + total :, fakes.ACTION] = np.round(data.values[count + total :, fakes.ACTION])
    vocabulary = Vocabulary.fit(Histories(data), data, bins=4, times=5, seed=0)
    fact, state, action = vocabulary.edges
    assert not np.isin(fact, data.values[:count, fakes.STATIC]).any() and len(fact) == 3
    assert not np.isin(state, data.values[count : count + total, fakes.STATE]).any() and len(state) == 3
    assert action.tolist() == np.unique(action.round()).tolist() and len(action)


@pytest.mark.parametrize("wanted", [20_000, 115_648, 900_000])
def test_a_model_has_the_parameters_that_are_wanted_and_counts_them_rightly(wanted: int) -> None:
    shape = sized(ModelShape(400, 256, 0, 2, 4, 0), wanted)
    assert shape.parameters == pytest.approx(wanted, rel=0.02)
    assert sum(one.numel() for one in EventModel(shape, 0.0).parameters()) == shape.parameters


def test_tokens_one_by_one_behind_a_past_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    model = EventModel(ModelShape(20, 16, 8, 2, 2, 16), 0.0).eval()
    tokens = torch.randint(20, (3, 9))
    whole, _ = model(tokens)
    made, past = model(tokens[:, :4])
    parts = [made]
    for place in range(4, 9):
        made, past = model(tokens[:, place : place + 1], past)
        parts.append(made)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("task", [Task("life", "regression"), Task("dying", "binary", horizon=4)])
def test_what_no_future_shows_is_not_foreseen(task: Task) -> None:
    with pytest.raises(CannotFit, match="no sampled future shows"):
        fit(task, (outcomes(0, 90), outcomes(90, 120)))
