"""Surprise and alarms, on steps of which every answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.events import (
    alarms_at,
    event_measures,
    point_adjusted_f1,
    random_point_adjusted_f1,
    sums_by_subject,
)
from jepa_anomalies.judged import judge
from jepa_anomalies.readout import ChannelReadout
from jepa_anomalies.residuals import ChannelResiduals, Moments, Scale, overall, trailing_mean
from jepa_anomalies.scored import ScoredSteps, conformal_threshold
from jepa_core.testing.bench import oscillators, quietly, tiny_learner


def rows(truth: list[float], score: list[float], trajectory: list[int] | None = None) -> ScoredSteps:
    owner = np.array(trajectory or [0] * len(truth))
    step = np.concatenate([np.arange(np.sum(owner == each)) for each in np.unique(owner)])
    scores = {"surprise": np.array(score, dtype=float)}
    return ScoredSteps(owner, step, owner + 10, np.array(truth, dtype=float), scores)


def judged(scored: ScoredSteps, threshold: float, silence: int) -> dict[str, float]:
    alarms = alarms_at(scored, scored.scores["surprise"], threshold, silence)
    sums = sums_by_subject(scored, alarms)[1].sum(axis=0)
    return {name: float(value) for name, value in event_measures(sums).items()}


def test_events_alarms_and_delays_are_counted_as_by_hand() -> None:
    truth = [0, 0, 1, 1, 1, 0, 0, 0, 1, 1]
    score = [0, 9, 0, 0, 9, 9, 0, 0, 0, 0]
    # silence 1: alarms at steps 1 (false) and 4 (true); step 5 is silenced. One of two events is caught, 2 steps late.
    told = judged(rows(truth, score), 5.0, silence=1)
    assert told["recall"] == 0.5 and told["precision"] == 0.5 and told["delay"] == 2.0 and told["f1"] == 0.5
    assert told["false_alarms"] == 1000 * 1 / 5


def test_an_event_ends_with_its_trajectory_and_silence_does_too() -> None:
    told = judged(rows([0, 1, 1, 0], [0, 9, 9, 0], trajectory=[0, 0, 1, 1]), 5.0, silence=10)
    assert told["recall"] == 1.0 and told["precision"] == 1.0 and told["delay"] == 0.0


def test_an_alarm_that_is_always_on_is_right_as_often_as_anomalies_are_common() -> None:
    truth = ([0.0] * 90 + [1.0] * 10) * 5
    assert judged(rows(truth, [1.0] * 500), 0.5, silence=0)["precision"] == pytest.approx(0.1)


def test_steps_whose_label_tells_nothing_are_not_judged_and_unknown_scores_raise_no_alarm() -> None:
    told = judged(rows([np.nan, 0, 1], [9, np.nan, 9]), 5.0, silence=0)
    assert told["precision"] == 1.0 and told["false_alarms"] == 0.0


def test_point_adjustment_lets_random_alarms_look_good_where_events_are_long() -> None:
    truth = np.array(([0.0] * 100 + [1.0] * 100) * 10)
    event = np.where(truth == 1, np.arange(len(truth)) // 200, -1)
    assert random_point_adjusted_f1(truth, event, 0.05, 0) > 0.9
    hot = np.zeros(len(truth), dtype=bool)
    hot[150] = True  # one step finds one event of ten: 100 of 1000 steps
    assert point_adjusted_f1(truth, event, hot) == pytest.approx(2 * 100 / (2 * 100 + 900))


@pytest.mark.parametrize(("count", "rank"), [(99, 90), (19, 18), (9, 9)])
def test_the_threshold_is_the_score_of_the_rank_that_conformal_prediction_asks_for(count: int, rank: int) -> None:
    scores = np.random.default_rng(count).permutation(np.arange(1.0, count + 1))
    assert conformal_threshold(np.append(scores, np.nan), 0.1) == rank


def test_too_few_scores_give_no_threshold() -> None:
    assert conformal_threshold(np.arange(8.0), 0.1) == np.inf


def test_a_score_is_a_mean_of_the_present_and_the_past_alone() -> None:
    values = np.array([1.0, np.nan, 3.0, 5.0])
    np.testing.assert_allclose(trailing_mean(values, 2), [1.0, 1.0, 3.0, 4.0])
    other = np.append(values[:3], 99.0)
    assert (trailing_mean(other, 2)[:3] == trailing_mean(values, 2)[:3]).all()


def planted(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Beliefs (T, 2), what two channels show (T, 2), and where the second breaks its relation to the first, within its
    usual range."""
    random = np.random.default_rng(seed)
    angle = np.cumsum(0.3 + 0.02 * random.normal(size=400))
    truth = np.zeros(400)
    truth[200:240] = 1
    values = np.stack([np.sin(angle), np.where(truth == 1, -1, 1) * np.cos(angle)], axis=1)
    belief = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return belief, values + 0.05 * random.normal(size=values.shape), truth


def test_planted_anomalies_are_found_by_a_threshold_that_saw_no_label_and_the_channel_is_told() -> None:
    data = {number: planted(number) for number in range(3)}
    data[0][1][:] = np.where(data[0][2][:, None] == 1, np.nan, data[0][1])  # train and tuning are sound
    data[1][1][:] = np.where(data[1][2][:, None] == 1, np.nan, data[1][1])
    readout = ChannelReadout.fit(data[0][0], data[0][1])
    foresight = cast(Any, lambda number: SimpleNamespace(belief=data[number][0][None]))
    residuals = ChannelResiduals(foresight, readout, lambda number: data[number][1])
    scale = Scale.of(Moments.of(residuals(0)), np.nanstd(data[0][1], axis=0))
    by_channel = scale.surprise(residuals(2))
    tuning, measured = (
        rows(data[number][2].tolist(), overall(scale.surprise(residuals(number)), 3).tolist()) for number in (1, 2)
    )
    told = judge(measured, tuning, "surprise", AnomaliesConfig(label="anomaly", bootstrap=100), 0)
    assert told.events == 1 and told.measures["recall"].value == 1.0 and (told.measures["delay"].value or 0) <= 3
    assert (told.auroc or 0) > 0.95 and (told.measures["precision"].value or 0) >= 0.5
    within = data[2][2] == 1
    ratio = np.nanmean(by_channel[within], axis=0) / np.nanmean(by_channel[~within], axis=0)
    assert ratio[1] > 5 and ratio[0] < 2


def test_a_head_scores_steps_as_the_evaluator_did() -> None:
    from jepa_anomalies.detectors import SURPRISE, fit_detectors
    from jepa_anomalies.evaluator import Anomalies
    from jepa_core.contracts import Evaluation
    from jepa_core.model.view import View

    dataset = oscillators(trajectories=30)
    learner = tiny_learner(dataset)
    learner.freeze()
    config = AnomaliesConfig(horizons=(1, 2), span=2, trees=5, bootstrap=100, rate=0.05, untrained=False)
    evaluation = Evaluation(learner, 12, 0, None, channels=lambda: dataset)
    with quietly():
        kept = Anomalies(config).evaluate(evaluation).heads[0]
        fitted = fit_detectors(evaluation, cast(Any, learner.observer), config)
    assert not isinstance(fitted, str)
    trajectory = int(np.argmax(dataset.steps))
    steps = np.arange(int(dataset.steps[trajectory]))
    head = Anomalies(config).head(kept)
    scores = head.scores(View.of(learner, evaluation), np.full(len(steps), trajectory), steps)
    np.testing.assert_array_equal(scores, fitted[0][SURPRISE](trajectory))
    assert np.isnan(scores[0]) and np.isfinite(scores[2:]).any() and np.isfinite(head.threshold)
