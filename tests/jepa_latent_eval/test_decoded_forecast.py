"""Decoded forecasts on latents whose dynamics and labels are known."""

import json

import numpy as np
import pytest

from jepa_core.results.findings import Findings
from jepa_latent_eval import decoding
from jepa_latent_eval.config import DecodedForecastConfig
from jepa_latent_eval.forecast import DecodedForecast
from tests.jepa_latent_eval import fakes

CONTEXT, HORIZONS = 4, (1, 3, 8)


@pytest.fixture
def data() -> fakes.Dataset:
    subjects = 36
    split = ["train", "tuning", "held_out"]
    return fakes.Dataset([20] * subjects, list(range(subjects)), [split[one // 12] for one in range(subjects)])


@pytest.fixture
def latents(data: fakes.Dataset) -> np.ndarray:
    made = fakes.linear_latents(data)
    states = made[: data.total]
    data.store.labels["level"] = 3.0 + states @ np.array([2.0, -1.0, 0.5, 0.0])
    data.store.labels["rare"] = np.where(data.step_number % 3 == 0, states[:, 1], np.nan)
    data.store.labels["event_alarm"] = (states[:, 0] > 0).astype(float)
    return made


def decoded(data: fakes.Dataset, latents: np.ndarray, predictor=None, **config) -> Findings:
    base = {"context": CONTEXT, "horizons": HORIZONS, "stride": 4, "bootstrap": 100, "exclude": ("event_*",)}
    measure = DecodedForecast(DecodedForecastConfig(**base | {"strengths": (1e-6, 1e3)} | config))
    return measure.evaluate(fakes.evaluation(data, fakes.Learner(latents, predictor or fakes.Exact())))


def cells(findings: Findings, label: str, forecast: str, column: str) -> list:
    table = next(table for table in findings.tables if table.name == "forecasts")
    rows = [dict(zip([one.name for one in table.columns], row, strict=True)) for row in table.rows]
    return [row[column] for row in rows if row["label"] == label and row["forecast"] == forecast]


def test_a_predictor_that_knows_the_dynamics_forecasts_what_the_latents_hold(data, latents):
    findings = decoded(data, latents)
    assert max(cells(findings, "level", decoding.RECORDED, "MAE")) < 1e-4
    assert max(cells(findings, "level", decoding.ENCODED, "MAE")) < 1e-4
    assert cells(findings, "level", decoding.LAST_VALUE, "MASE") == [1.0, 1.0, 1.0]
    assert min(cells(findings, "level", decoding.DECODED_PERSISTENCE, "MAE")) > 0.1
    assert findings.verdicts[0].level == "good"


def test_without_the_future_actions_the_first_step_is_as_good_and_later_ones_are_not(data, latents):
    held = cells(decoded(data, latents), "level", decoding.HELD, "MAE")
    assert held[0] < 1e-4 < 0.1 < held[1]


def test_data_without_actions_have_one_rollout_and_no_word_of_any(data, latents, monkeypatch):
    monkeypatch.setattr(data.store, "event_count", lambda role: 0)
    findings = decoded(data, latents)
    assert max(cells(findings, "level", "rollout", "MAE")) < 1e-4
    assert cells(findings, "level", decoding.RECORDED, "MAE") == cells(findings, "level", decoding.HELD, "MAE") == []
    assert len(findings.headlines) == 1 and "action" not in json.dumps(findings.to_dict())


def test_errors_of_the_controls_are_what_a_loop_over_windows_finds(data, latents):
    findings = decoded(data, latents)
    level, rare = (data.store.labels[name].reshape(-1, 20) for name in ("level", "rare"))
    starts = [(trajectory, start) for trajectory in range(24, 36) for start in (0, 4, 8)]
    for place, h in enumerate(HORIZONS):
        at = [(t, s + CONTEXT - 1 + h) for t, s in starts]
        last = np.mean(
            [abs(level[t, s + CONTEXT - 1] - level[t, e]) for (t, s), (_, e) in zip(starts, at, strict=True)]
        )
        mean = np.mean([abs(level[:12].mean() - level[t, e]) for t, e in at])
        assert cells(findings, "level", decoding.LAST_VALUE, "MAE")[place] == pytest.approx(last)
        assert cells(findings, "level", decoding.MEAN, "MAE")[place] == pytest.approx(mean)
        shown = sum(np.isfinite(rare[t, e]) for t, e in at)
        assert cells(findings, "rare", decoding.MEAN, "rows")[place] == shown


def test_the_last_value_is_the_last_measured_one_of_the_context_or_the_train_mean(data, latents):
    rare = data.store.labels["rare"].reshape(-1, 20)
    expected = []
    for trajectory in range(24, 36):
        for start in (0, 4, 8):
            truth = rare[trajectory, start + CONTEXT]
            seen = rare[trajectory, start : start + CONTEXT]
            seen = seen[np.isfinite(seen)]
            if np.isfinite(truth):
                expected.append(abs((seen[-1] if len(seen) else np.nanmean(rare[:12])) - truth))
    found = cells(decoded(data, latents, horizons=(1,)), "rare", decoding.LAST_VALUE, "MAE")
    assert len(expected) > 3 and found == [pytest.approx(np.mean(expected))]


def test_labels_are_chosen_by_name_and_pattern_and_those_too_rare_are_null_with_the_reason(data, latents):
    data.store.labels["scarce"] = np.where(data.step_number == 0, 1.0, np.nan)
    data.store.labels["never"] = np.full(data.total, np.nan)
    findings = decoded(data, latents)
    probes = next(table for table in findings.tables if table.name == "probes")
    assert [row[0] for row in probes.rows] == ["level", "rare"]
    assert "never: 0 steps" in probes.note and "scarce: 12 steps" in probes.note
    assert decoded(data, latents, labels=("never",)).headlines[0].value is None


def test_the_penalty_is_chosen_on_tuning(data, latents):
    probes = decoded(data, latents).tables[-1]
    assert dict(zip([one.name for one in probes.columns], probes.rows[0], strict=True))["penalty"] == 1e-6


def test_horizons_beyond_the_training_windows_are_named(data, latents):
    findings = decoded(data, latents, horizons=(1, 30))
    assert "h = 30" in findings.tables[0].note
    assert decoded(data, latents, horizons=(30,)).headlines[0].value is None


def test_a_rollout_that_says_nothing_is_no_better_than_the_mean(data, latents):
    findings = decoded(data, latents, fakes.Constant(0.0))
    assert findings.verdicts[0].level == "warning"
    assert json.loads(json.dumps(findings.to_dict())) == findings.to_dict()
