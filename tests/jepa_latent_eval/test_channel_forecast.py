"""Forecasts of channels and their intervals, on dynamics and noise that are known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_core.contracts import Batch, Decoder, Observations
from jepa_core.report.answer import answer_text
from jepa_core.results.findings import Findings
from jepa_latent_eval.channel_forecast import ROLLOUT, ChannelForecast, Forecasts
from jepa_latent_eval.config import ChannelForecastConfig
from jepa_latent_eval.intervals import conformal_widths, least_errors
from tests.jepa_latent_eval import fakes

CONTEXT, HORIZON, CHANNELS = 4, 6, 4


class Itself(Decoder):
    """Reads the state that the belief of these fakes is."""

    def forward(self, belief: Tensor) -> Tensor:
        return belief

    def next_values(self, belief: Tensor) -> Tensor:
        return belief


class Observing(fakes.Learner):
    """What is observed is the state and a noise, with gaps; the last channel is observed never."""

    def __init__(self, data: fakes.Dataset, table: np.ndarray, predictor: torch.nn.Module, noise: float) -> None:
        super().__init__(table, predictor)
        random = np.random.default_rng(3)
        states = table[: data.total]
        self.values = (states + noise * random.normal(size=states.shape)).astype(np.float32)
        self.observed = random.random(states.shape) < 0.7
        self.observed[:, -1] = False
        self.kept = {"grounding": Itself()}
        self.observer = SimpleNamespace(names=[f"channel {number}" for number in range(CHANNELS)])

    def decoders(self) -> dict[str, Decoder]:
        return self.kept

    def observations(self, batch: Batch) -> Observations:
        places = batch.states.numpy()
        return Observations(torch.from_numpy(self.values[places]), torch.from_numpy(self.observed[places]))


@pytest.fixture(scope="module")
def data() -> fakes.Dataset:
    subjects = 150
    split = ["train", "tuning", "held_out"]
    return fakes.Dataset([20] * subjects, list(range(subjects)), [split[one // 50] for one in range(subjects)])


def forecast(data: fakes.Dataset, noise: float = 0.5, predictor=None, learner=None, **config) -> Findings:
    table = fakes.linear_latents(data)
    learner = learner or Observing(data, table, predictor or fakes.Exact(), noise)
    base = {"context": CONTEXT, "horizon": HORIZON, "stride": 5, "bootstrap": 100, "least_values": 100}
    return ChannelForecast(ChannelForecastConfig(**base | config)).evaluate(fakes.evaluation(data, learner))


def column(findings: Findings, table: str, name: str) -> list:
    found = next(one for one in findings.tables if one.name == table)
    place = [one.name for one in found.columns].index(name)
    return [row[place] for row in found.rows]


def test_intervals_cover_what_they_promise_on_subjects_that_they_were_not_fitted_on(data):
    findings = forecast(data)
    coverage = column(findings, "horizons", "coverage")
    assert len(coverage) == HORIZON and max(abs(one - 0.9) for one in coverage) < 0.06
    low, high = (column(findings, "horizons", f"coverage_{end}") for end in ("low", "high"))
    assert all(one < value < other for one, value, other in zip(low, coverage, high, strict=True))
    assert abs(findings.headlines[0].value - 0.9) < 0.04


def test_a_predictor_that_knows_the_dynamics_beats_the_last_value_and_the_mean_at_every_horizon(data):
    findings = forecast(data, noise=0.1)
    assert max(column(findings, "horizons", "error_over_last_value")) < 0.5
    assert max(column(findings, "horizons", "width_over_last_value")) < 0.5
    assert findings.verdicts[1].level == "good"


def test_a_rollout_that_says_nothing_is_told_to_be_no_better_than_the_mean(data):
    findings = forecast(data, predictor=fakes.Constant(0.0))
    assert column(findings, "horizons", "error_over_train_mean") == pytest.approx([1.0] * HORIZON)
    assert findings.verdicts[1].level == "warning" and " 0 of " in findings.verdicts[1].text


def test_a_channel_that_is_never_observed_has_no_figures_and_no_part_in_medians(data):
    findings = forecast(data)
    assert column(findings, "channels", "coverage")[-1] is None and column(findings, "channels", "values")[-1] == 0
    assert "3 channels have at least" in findings.tables[0].note


def test_errors_of_the_last_value_are_what_a_loop_finds(data):
    learner = Observing(data, fakes.linear_latents(data), fakes.Exact(), 0.5)
    findings = forecast(data, learner=learner)
    values, observed = (one.reshape(-1, 20, CHANNELS) for one in (learner.values, learner.observed))
    errors = []
    for trajectory in range(100, 150):
        for start in (0, 5, 10):
            seen = [step for step in range(start, start + CONTEXT) if observed[trajectory, step, 0]]
            last = values[trajectory, seen[-1], 0] if seen else 0.0
            for step in range(start + CONTEXT, start + CONTEXT + HORIZON):
                if observed[trajectory, step, 0]:
                    errors.append(abs(values[trajectory, step, 0] - last))
    assert column(findings, "channels", "error_last value")[0] == pytest.approx(np.mean(errors), rel=1e-5)


def test_the_claim_says_by_how_much_the_forecast_is_nearer_than_what_needs_no_model_and_on_how_many(data):
    claim = forecast(data).claims[0]
    ours, *others = claim.compared
    assert claim.n == 50 and claim.about.startswith(f"{HORIZON} steps ahead of {CONTEXT} seen, {CHANNELS - 1} channels")
    assert ours.low < ours.value < ours.high and ours.gain is None
    for other in others:
        assert other.gain == pytest.approx(other.value - ours.value) and 0 < other.gain_low < other.gain
    assert "decoded rollout" in answer_text(claim) and " better (" in answer_text(claim)


def test_the_claim_of_a_rollout_that_says_nothing_is_not_told_from_the_mean(data):
    claim = forecast(data, predictor=fakes.Constant(0.0)).claims[0]
    mean = next(side for side in claim.compared if side.name == "train mean")
    assert mean.gain == mean.gain_low == mean.gain_high == 0


def test_without_a_decoder_the_reason_is_said(data):
    learner = Observing(data, fakes.linear_latents(data), fakes.Exact(), 0.5)
    learner.kept = {}
    assert "keeps a decoder" in forecast(data, learner=learner).headlines[0].note


@pytest.mark.parametrize("count", [9, 10, 57, 200])
def test_a_width_is_the_error_whose_rank_conformal_prediction_asks_for(count: int):
    errors = np.random.default_rng(count).random((count + 5, 2, 1))
    errors[count:, 0] = np.nan
    rank = math.ceil((count + 1) * 0.9 - 1e-9)
    assert conformal_widths(errors, 0.9)[0, 0] == sorted(errors[:count, 0, 0])[rank - 1]


def test_too_few_errors_give_no_finite_width():
    errors = np.ones((8, 1, 1))
    assert np.isinf(conformal_widths(errors, 0.9)).all() and least_errors(0.9) == 9
    assert np.isfinite(conformal_widths(np.ones((9, 1, 1)), 0.9)).all()


def test_noise_is_what_the_members_do_not_differ_by() -> None:
    random = np.random.default_rng(0)
    members, noise = random.normal(scale=0.5, size=(4000, 1, 1)), random.normal(scale=2.0, size=(4000, 1, 1))
    errors = {ROLLOUT: np.abs(members + noise)}
    errors[ROLLOUT][:7] = np.nan
    found = Forecasts(errors, np.full((4000, 1, 1), 0.25), np.arange(4000)).noise()
    np.testing.assert_allclose(found, 2.0, rtol=0.05)
