"""Measures and their draws against scikit-learn and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from jepa_core.results.ranking import Ranking
from jepa_downstream.alarms import AnnouncedEvents, choose_threshold, event_estimates, raise_alarms
from jepa_downstream.claims import rarer
from jepa_downstream.measures import Draws, asymmetric_score, binary, regression, subject_weights
from jepa_downstream.rows import Rows


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_areas_are_those_of_scikit_learn_under_any_weights(data):
    count = data.draw(st.integers(2, 40))
    truth = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=count, max_size=count)))
    score = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=count, max_size=count)))
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)), dtype=float)
    ranking = Ranking(truth, score)
    ((auroc, precision),) = ranking.areas(weight[None, ranking.order])
    if not 0 < (weight * truth).sum() < weight.sum():
        assert np.isnan(auroc) and np.isnan(precision)
        return
    assert auroc == pytest.approx(metrics.roc_auc_score(truth, score, sample_weight=weight), abs=1e-12)
    assert precision == pytest.approx(metrics.average_precision_score(truth, score, sample_weight=weight), abs=1e-12)


def test_weightings_that_are_given_together_have_the_areas_that_each_has_alone():
    rng = np.random.default_rng(0)
    truth, score = (rng.random(30) < 0.3).astype(float), rng.integers(0, 8, size=30) / 8
    ranking, weights = Ranking(truth, score), rng.integers(0, 3, size=(20, 30)).astype(float)
    weights[3] *= truth[ranking.order]
    together = ranking.areas(weights)
    assert np.isnan(together[3]).all() and not np.isnan(together[:3]).any()
    np.testing.assert_array_equal(together, np.concatenate([ranking.areas(one[None]) for one in weights]))


def rows_of(subject: np.ndarray, truth: np.ndarray) -> Rows:
    return Rows(np.arange(len(subject)), np.zeros(len(subject), dtype=np.int64), truth, subject)


@pytest.fixture
def scored():
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(40), rng.integers(1, 6, size=40))
    truth = (rng.random(len(subject)) < 0.4).astype(float)
    return truth, np.clip(0.3 * truth + 0.7 * rng.random(len(subject)), 0, 1), subject


def test_every_draw_of_a_binary_measure_is_that_of_the_redrawn_rows(scored):
    truth, score, subject = scored
    draws = Draws(subject, 100, 7)
    found = binary(truth, score, subject, draws, np.ones(len(truth)))
    for draw in (0, 42, 99):
        again = np.repeat(np.arange(len(truth)), draws.weights[draw][draws.owner(subject)])
        one, other = truth[again], score[again]
        assert found["auroc"].draws[draw] == pytest.approx(metrics.roc_auc_score(one, other), abs=1e-12)
        assert found["average_precision"].draws[draw] == pytest.approx(
            metrics.average_precision_score(one, other), abs=1e-12
        )
        assert found["brier"].draws[draw] == pytest.approx(metrics.brier_score_loss(one, other), abs=1e-12)
        assert found["ece"].draws[draw] == pytest.approx(expected_calibration_error(one, other), abs=1e-12)


def expected_calibration_error(truth: np.ndarray, score: np.ndarray) -> float:
    total = 0.0
    for low in range(10):
        mine = (score >= low / 10) & ((score < (low + 1) / 10) if low < 9 else (score <= 1))
        if mine.any():
            total += mine.mean() * abs(truth[mine].mean() - score[mine].mean())
    return total


def test_every_draw_of_a_regression_measure_is_that_of_the_redrawn_rows(scored):
    truth, score, subject = scored[0] * 30 + scored[1], scored[1] * 25, scored[2]
    draws = Draws(subject, 100, 7)
    found = regression(truth, score, subject, draws, np.ones(len(truth)))
    again = np.repeat(np.arange(len(truth)), draws.weights[5][draws.owner(subject)])
    one, other = truth[again], score[again]
    assert found["rmse"].draws[5] == pytest.approx(metrics.root_mean_squared_error(one, other), abs=1e-9)
    assert found["mae"].draws[5] == pytest.approx(metrics.mean_absolute_error(one, other), abs=1e-9)
    assert found["r2"].draws[5] == pytest.approx(metrics.r2_score(one, other), abs=1e-9)


def test_a_subject_of_many_rows_counts_once_where_subjects_count_alike():
    subject, truth = np.array([1, 1, 1, 2, 3]), np.array([0.0, 0.0, 0.0, 1.0, 0.0])
    score = np.array([0.9, 0.9, 0.9, 0.5, 0.1])
    draws = Draws(subject, 100, 0)
    assert binary(truth, score, subject, draws, np.ones(5))["auroc"].value == pytest.approx(0.25)
    assert binary(truth, score, subject, draws, subject_weights(subject))["auroc"].value == pytest.approx(0.5)


def test_a_random_score_has_one_half_within_its_interval_and_a_perfect_one_is_one():
    rng = np.random.default_rng(0)
    truth, subject = (rng.random(600) < 0.3).astype(float), np.arange(600) // 2
    draws = Draws(subject, 300, 0)
    low, high = binary(truth, rng.random(600), subject, draws, np.ones(600))["auroc"].bounds
    assert low < 0.5 < high and high - low < 0.2
    perfect = binary(truth, truth, subject, draws, np.ones(600))
    assert perfect["auroc"].value == 1 and perfect["auroc"].bounds == (1, 1) and perfect["brier"].value == 0


def test_one_class_has_no_area_and_few_of_a_class_have_no_interval():
    subject = np.arange(30)
    draws = Draws(subject, 200, 0)
    one = binary(np.zeros(30), np.full(30, 0.2), subject, draws, np.ones(30))
    assert one["auroc"].value is None and one["auroc"].bounds == (None, None) and one["brier"].value is not None
    single = binary((subject == 3).astype(float), subject / 30, subject, draws, np.ones(30))["auroc"]
    assert single.value is not None and single.skipped > 0.3 and single.bounds == (None, None)


def test_the_difference_of_a_method_to_itself_has_no_width(scored):
    truth, score, subject = scored
    draws = Draws(subject, 100, 7)
    one, same = (binary(truth, score, subject, draws, np.ones(len(truth)))["auroc"] for _ in range(2))
    assert one.minus(same).value == 0 and one.minus(same).bounds == (0, 0)


def test_predictions_that_are_too_late_cost_more_than_those_that_are_too_early():
    truth, subject = np.array([50.0, 50.0]), np.array([1, 2])
    draws = Draws(subject, 100, 0)
    found = asymmetric_score(truth, np.array([37.0, 60.0]), subject, draws, np.ones(2))
    assert found["score_sum"].value == pytest.approx(2 * (np.e - 1)) and found["score_mean"].value == pytest.approx(
        np.e - 1
    )


# The worked example of docs/downstream.md: one trajectory, horizon 3, silence 2, threshold 0.5; events begin at the
# steps 5 and 12.
STEPS = np.array([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11])
AHEAD = np.array([np.nan, np.nan, 3, 2, 1, np.nan, np.nan, np.nan, 3, 2, 1])
SCORE = np.array([0.9, 0.6, 0.7, 0.8, 0.2, 0.1, 0.6, 0.2, 0.1, 0.3, 0.2])


def test_of_one_subject_scores_have_values_and_no_interval():
    truth, score, subject = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.9, 0.4, 0.3]), np.full(4, 7)
    for measure in (binary, regression):
        found = measure(truth, score, subject, Draws(subject, 100), np.ones(4))
        assert {estimate.bounds for estimate in found.values()} == {(None, None)}
        assert all(estimate.value is not None for estimate in found.values())


@pytest.fixture
def example() -> Rows:
    count = len(STEPS)
    return Rows(np.zeros(count, dtype=np.int64), STEPS, (~np.isnan(AHEAD)).astype(float), np.full(count, 8))


def test_the_worked_example_of_alarms_is_reproduced(example):
    found = raise_alarms(example, AnnouncedEvents.of(example, AHEAD), SCORE, 0.5, silence=2)
    assert STEPS[found.row].tolist() == [0, 3, 7], "the alarm at 0 silences 1 and 2"
    assert found.precision == pytest.approx(1 / 3) and found.recall == 0.5
    np.testing.assert_array_equal(found.lead, [2, np.nan])
    estimates = event_estimates(example, found, Draws(example.subject, 100, 0))
    assert estimates["alarms_per_1000_steps"].value == pytest.approx(3000 / 11)
    assert estimates["event_recall"].value == 0.5
    assert estimates["event_recall"].bounds == (None, None), "of one subject there is nobody to redraw"


def test_without_silence_every_high_score_is_an_alarm_and_the_first_one_gives_the_lead(example):
    found = raise_alarms(example, AnnouncedEvents.of(example, AHEAD), SCORE, 0.5, silence=0)
    assert STEPS[found.row].tolist() == [0, 1, 2, 3, 7] and found.lead[0] == 3


def test_silence_does_not_reach_into_the_next_trajectory():
    rows = Rows(np.array([0, 1]), np.array([5, 0]), np.zeros(2), np.array([1, 2]))
    assert len(raise_alarms(rows, AnnouncedEvents.of(rows, np.full(2, np.nan)), np.ones(2), 0.5, silence=9).row) == 2


def test_the_threshold_catches_most_events_at_no_less_than_the_wanted_precision(example):
    assert choose_threshold(example, AnnouncedEvents.of(example, AHEAD), SCORE, 0.5, silence=0, tried=50) == 0.3
    assert choose_threshold(example, AnnouncedEvents.of(example, AHEAD), SCORE, 0.9, silence=0, tried=50) is None


def test_events_are_drawn_with_the_subjects_that_have_them():
    rows = Rows(np.arange(4), np.zeros(4, dtype=np.int64), np.array([1.0, 1, 0, 0]), np.array([1, 2, 3, 4]))
    ahead = np.array([1, 1, np.nan, np.nan])
    found = raise_alarms(rows, AnnouncedEvents.of(rows, ahead), np.array([0.9, 0.1, 0.9, 0.1]), 0.5, 0)
    draws = Draws(rows.subject, 200, 0)
    estimates = event_estimates(rows, found, draws)
    weights = draws.weights.astype(float)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(estimates["event_recall"].draws, weights[:, 0] / weights[:, :2].sum(axis=1))


def test_the_hours_before_one_death_are_one_positive():
    hours = rows_of(np.array([1] * 24 + [2, 3]), np.array([1.0] * 24 + [0, 0]))
    assert rarer(hours, "binary") == 1 and rarer(hours, "regression") is None
