"""What the evaluators of latents keep by subject, so that runs can be compared on the same subjects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from jepa_core.contracts import Evaluation
from jepa_core.results.findings import Findings, Redrawn
from jepa_core.results.paired import DRAWS, metric_difference, metric_draws
from jepa_core.results.statistics import percentile_interval
from jepa_latent_eval.collapse import LatentCollapse
from jepa_latent_eval.config import (
    DecodedForecastConfig,
    LatentCollapseConfig,
    LatentDisplacementConfig,
    RolloutDriftConfig,
)
from jepa_latent_eval.curves import mean_curves
from jepa_latent_eval.displacement import LatentDisplacement
from jepa_latent_eval.drift import RolloutDrift
from jepa_latent_eval.drift_samples import redrawn_skill
from jepa_latent_eval.forecast import DecodedForecast
from jepa_latent_eval.forecast_draws import redrawn_errors
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT
from tests.jepa_latent_eval import fakes

SPLITS = ("train", "tuning", "held_out")


def ward() -> fakes.Dataset:
    """Three splits of 14 subjects; in every second trajectory an alarm goes on at step 14."""
    owner = list(range(42))
    data = fakes.Dataset([20] * 42, owner, [SPLITS[one // 14] for one in owner])
    rings = (data.trajectory_of_step % 2 == 0) & (data.step_number >= 14)
    data.store.labels["alarm"] = rings.astype(float)
    data.store.labels["level"] = fakes.linear_latents(data)[: data.total, 0]
    return data


def evaluation(latents: np.ndarray | None = None, seed: int = 0) -> Evaluation:
    data = ward()
    learner = fakes.Learner(fakes.linear_latents(data) if latents is None else latents, fakes.Exact())
    return fakes.evaluation(data, learner, seed=seed)


def drift(asked: Evaluation) -> Findings:
    config = RolloutDriftConfig(contexts=(3, 6), headline_context=6, horizon=4, untrained=False, bootstrap=100)
    return RolloutDrift(config).evaluate(asked)


def collapse(asked: Evaluation) -> Findings:
    return LatentCollapse(LatentCollapseConfig(untrained=False, bootstrap=100)).evaluate(asked)


def displacement(asked: Evaluation) -> Findings:
    config = LatentDisplacementConfig(events=("alarm",), horizons=(4, 6), untrained=False, bootstrap=100)
    return LatentDisplacement(config).evaluate(asked)


def forecast(asked: Evaluation) -> Findings:
    config = DecodedForecastConfig(context=4, horizons=(1, 4), stride=4, bootstrap=100)
    return DecodedForecast(config).evaluate(asked)


Measure = Callable[[Evaluation], Findings]
EVERY = pytest.mark.parametrize("measure", [drift, collapse, displacement, forecast])


@EVERY
def test_every_headline_is_kept_by_subject_with_the_value_it_has(measure: Measure) -> None:
    found = measure(evaluation())
    kept = {one.key: one for one in (*found.samples, *found.redrawn)}
    assert found.headlines
    for headline in found.headlines:
        drawn = metric_draws(kept[headline.metric])
        assert drawn.value == pytest.approx(headline.value) and drawn.draws.shape == (DRAWS,)


@EVERY
def test_runs_of_the_same_latents_differ_by_exactly_nothing_under_every_draw(measure: Measure) -> None:
    one, other = measure(evaluation()).redrawn, measure(evaluation()).redrawn
    for mine, its in zip(one, other, strict=True):
        found = metric_difference(mine, its)
        assert not isinstance(found, str) and (found.difference, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize("measure", [drift, collapse, forecast])
def test_the_redrawn_subjects_do_not_depend_on_the_seed_of_the_run(measure: Measure) -> None:
    by_seed = [measure(evaluation(seed=seed)).redrawn for seed in (0, 1)]
    for mine, its in zip(*by_seed, strict=True):
        assert np.allclose(mine.draws, its.draws) and (mine.subjects == its.subjects).all()


def errors_by_subject(skills: list[int], horizon: int = 4) -> dict[str, np.ndarray]:
    """One window a subject, whose rollout is far better than the controls up to a horizon and far worse beyond it."""
    good = np.arange(1, horizon + 1) <= np.array(skills)[:, None]
    return {ROLLOUT: np.where(good, 0.0, 3.0), PERSISTENCE: np.ones(good.shape), MEAN: np.ones(good.shape)}


def test_the_skill_horizon_of_every_draw_is_that_of_the_subjects_in_it() -> None:
    """Two subjects: a draw of both has mean error 1.5 beyond h = 2, above the controls; of one it is that subject's."""
    kept = redrawn_skill(6, errors_by_subject([2, 4]), np.array([3, 8]))
    assert (kept.key, kept.value, kept.subjects.tolist()) == ("skill horizon, context 6", 2.0, [3, 8])
    seen, counts = np.unique(kept.draws, return_counts=True)
    assert seen.tolist() == [2.0, 4.0] and counts[1] / DRAWS == pytest.approx(0.25, abs=0.05)


def test_a_planted_loss_of_skill_is_found_with_its_interval() -> None:
    subjects = np.arange(40)
    better, worse = (redrawn_skill(6, errors_by_subject([skill] * 40), subjects) for skill in (4, 1))
    found = metric_difference(better, worse)
    assert not isinstance(found, str) and (found.difference, found.low, found.high) == (-3, -3, -3)


def test_the_skill_of_the_headline_and_its_redrawn_one_are_read_off_the_same_errors() -> None:
    errors = {name: np.random.default_rng(one).random((30, 5)) for one, name in enumerate((ROLLOUT, PERSISTENCE, MEAN))}
    value, _ = mean_curves(errors, np.arange(30) // 2, 100, 7).skill()
    assert redrawn_skill(6, errors, np.arange(30) // 2).value == value


def rank_of(findings: Findings) -> Redrawn:
    return next(one for one in findings.redrawn if one.metric == "effective rank")


def test_a_planted_loss_of_rank_is_found_and_its_interval_holds_the_difference() -> None:
    full = fakes.linear_latents(ward(), dimensions=8)
    flat = full @ np.diag([1, 1, 1, 1, 0.05, 0.05, 0.05, 0.05])
    found = metric_difference(*(rank_of(collapse(evaluation(one))) for one in (full, flat)))
    assert not isinstance(found, str) and found.low < found.difference < found.high < -1


def test_latents_of_very_many_dimensions_have_no_redrawn_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jepa_latent_eval.geometry.MOST_DIMENSIONS", 3)
    kept = {one.metric for one in collapse(evaluation()).redrawn}
    assert kept == {"spread over time", "spread across trajectories"}


def test_redrawn_parts_of_the_spread_lie_about_the_part_found() -> None:
    found = collapse(evaluation())
    over_time = next(one for one in found.headlines if one.label == "spread over time")
    kept = next(one for one in found.redrawn if one.metric == "spread over time")
    low, high = percentile_interval(kept.draws)
    assert low < over_time.value < high


def test_the_median_error_of_two_labels_is_that_by_hand() -> None:
    """Errors of one over those of the last value: 1/2 and 3/4, whose median is 5/8, whatever subjects are drawn."""
    shown = np.ones((6, 1))
    one = {"rollout": 1 * shown, "last value": 2 * shown}
    other = {"rollout": 3 * shown, "last value": 4 * shown}
    other["rollout"][2:], other["last value"][2:] = np.nan, np.nan  # a draw may show the first label alone
    (kept,) = redrawn_errors([one, other], np.arange(6), [5], ["rollout"])
    assert (kept.key, kept.value) == ("MASE, rollout, h = 5", 5 / 8)
    assert set(kept.draws) == {5 / 8, 1 / 2}


def test_the_figure_that_stands_for_the_drift_marks_what_the_headlines_say() -> None:
    found = drift(evaluation())
    (figure,) = [one for one in found.figures if one.headline]
    assert [one.label.partition(":")[0] for one in figure.series] == [ROLLOUT, PERSISTENCE, MEAN]
    said = {one.label: one.value for one in found.headlines}
    end, reach = figure.marks
    assert (end.x, end.y, end.value) == (4, figure.series[0].y[-1], said["rollout drift"])
    assert (reach.x, reach.y, reach.value) == (said["skill horizon"], None, said["skill horizon"])
    assert figure.series[0].low and not figure.series[1].low


def test_growth_of_the_error_is_no_merit_and_has_no_better() -> None:
    better = {one.label: one.better for one in drift(evaluation()).headlines}
    assert better["rollout drift"] == "" and better["skill horizon"] == "higher"
