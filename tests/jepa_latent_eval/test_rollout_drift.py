"""Rollout drift on latents whose dynamics are known."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from jepa_core.results.findings import Findings
from jepa_latent_eval.config import RolloutDriftConfig
from jepa_latent_eval.curves import mean_curves
from jepa_latent_eval.drift import RolloutDrift
from jepa_latent_eval.drift_findings import _reach
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT, SHUFFLED, windows_of_others
from tests.jepa_latent_eval import fakes


def drift(dataset, learner, window_length=12, untrained=None, seed=0, **config):
    config = {"contexts": (4,), "stride": 4, "bootstrap": 200, "untrained": untrained is not None} | config
    measure = RolloutDrift(RolloutDriftConfig(**config))
    return measure.evaluate(fakes.evaluation(dataset, learner, window_length, untrained, seed))


def table(findings: Findings, name: str) -> list[dict]:
    found = next(table for table in findings.tables if table.name == name)
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def horizons(findings: Findings, forecast: str, encoder: str = "trained", column: str = "l1") -> list:
    rows = table(findings, "horizons")
    return [row[column] for row in rows if row["forecast"] == forecast and row["encoder"] == encoder]


@pytest.fixture(scope="module")
def dataset():
    return fakes.many()


@pytest.fixture(scope="module")
def latents(dataset):
    return fakes.linear_latents(dataset)


@pytest.fixture(scope="module")
def exact(dataset, latents):
    return drift(dataset, fakes.Learner(latents, fakes.Exact()))


def test_a_predictor_that_knows_the_dynamics_has_no_error_at_any_horizon(exact):
    np.testing.assert_allclose(horizons(exact, ROLLOUT), np.zeros(8), atol=1e-6)
    assert exact.headlines[0].value == 8
    assert exact.verdicts[0].level == "good"


def test_persistence_and_mean_are_what_a_loop_over_windows_finds(dataset, latents, exact):
    train = latents[: dataset.total][dataset.trajectory_of_step < 24]
    persistence, mean = np.zeros(8), np.zeros(8)
    starts = [(trajectory, start) for trajectory in range(24, 48) for start in (0, 4, 8)]
    for trajectory, start in starts:
        states = latents[dataset.first[trajectory] + start :][:12]
        persistence += np.abs(states[4:] - states[3]).mean(axis=1) / len(starts)
        mean += np.abs(states[4:] - train.mean(axis=0)).mean(axis=1) / len(starts)
    np.testing.assert_allclose(horizons(exact, PERSISTENCE), persistence, rtol=1e-5)
    np.testing.assert_allclose(horizons(exact, MEAN), mean, rtol=1e-5)
    assert table(exact, "contexts")[0]["latent_scale"] == pytest.approx(mean.mean(), rel=1e-5)


def test_shuffled_actions_begin_to_matter_at_the_second_step(exact):
    shuffled = horizons(exact, SHUFFLED)
    assert shuffled[0] == pytest.approx(0, abs=1e-6)
    assert min(shuffled[1:]) > 0.1


def test_latents_that_are_noise_in_time_are_told_apart_from_those_that_are_not(dataset, latents):
    noise = np.random.default_rng(0).normal(size=latents.shape)
    found = [drift(dataset, fakes.Learner(one, fakes.Constant(0.0))).verdicts for one in (latents, noise)]
    assert [any("neighbouring steps" in verdict.text for verdict in verdicts) for verdicts in found] == [False, True]


def test_a_rollout_that_ignores_actions_is_told_so(dataset, latents):
    verdicts = drift(dataset, fakes.Learner(latents, fakes.Constant(0.0))).verdicts
    assert any("no use of actions" in verdict.text for verdict in verdicts)


def test_actions_are_borrowed_from_another_subject_even_if_one_has_nearly_all_windows():
    subjects = np.array([5, 5, 5, 2, 5, 5, 9, 5])
    drawn = np.stack([windows_of_others(subjects, seed) for seed in range(200)])
    assert (subjects[drawn] != subjects).all()
    assert set(drawn[:, 0]) == {3, 6}
    assert set(drawn[:, 3]) == {0, 1, 2, 4, 5, 6, 7}


def test_states_to_be_predicted_are_hidden_from_the_predictor(dataset, latents):
    peeking = drift(dataset, fakes.Learner(latents, fakes.Reads()), shuffled_actions=False)
    nothing = drift(dataset, fakes.Learner(latents, fakes.Constant(0.0)), shuffled_actions=False)
    assert horizons(peeking, ROLLOUT) == horizons(nothing, ROLLOUT)


def test_every_horizon_is_measured_on_the_same_windows_and_short_trajectories_are_left_out():
    ragged = fakes.Dataset([20, 20, 12, 11, 5], [0, 1, 2, 3, 4], ["train", *["held_out"] * 4])
    found = drift(ragged, fakes.Learner(fakes.linear_latents(ragged), fakes.Exact()))
    assert {(row["windows"], row["subjects"]) for row in table(found, "horizons")} == {(4, 2)}
    assert any("Only 2 subjects" in verdict.text for verdict in found.verdicts)


def test_the_mean_latent_is_that_of_the_train_split(dataset, latents):
    moved = latents.copy()
    moved[: dataset.total][dataset.trajectory_of_step < 24] += 100
    found = drift(dataset, fakes.Learner(moved, fakes.Exact()))
    assert 95 < horizons(found, MEAN)[0] < 105


def test_a_context_that_fills_the_window_is_null_with_the_reason(dataset, latents):
    found = drift(dataset, fakes.Learner(latents, fakes.Exact()), contexts=(4, 12))
    for measured in found.tables:
        assert measured.rows[-1] == [12, *[None] * (len(measured.columns) - 1)]
        assert "context 12: the windows of training end before" in measured.note
    assert found.headlines[0].value == 8


def test_without_two_subjects_nothing_is_measured_and_it_is_said():
    lonely = fakes.Dataset([20, 20, 6], [0, 1, 2], ["train", "held_out", "held_out"])
    found = drift(lonely, fakes.Learner(fakes.linear_latents(lonely), fakes.Exact()))
    assert found.headlines[0].value is None
    assert "fewer than 2 subjects" in found.headlines[0].note
    assert [verdict.level for verdict in found.verdicts] == ["bad"]


def test_the_size_of_a_batch_changes_nothing(dataset, latents):
    learner = fakes.Learner(latents, fakes.Constant(0.1))
    one, other = (horizons(drift(dataset, learner, batch_size=size), SHUFFLED, column="l1_high") for size in (5, 64))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_findings_depend_on_the_seed_alone_and_are_plain_json(dataset, latents):
    learner = fakes.Learner(latents, fakes.Constant(0.1))
    first, again, other = (
        json.dumps(drift(dataset, learner, seed=seed).to_dict(), allow_nan=False, sort_keys=True) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_rollout_no_better_than_the_mean_is_bad_whatever_its_drift(dataset, latents):
    found = drift(dataset, fakes.Learner(latents, fakes.Constant(50.0)))
    assert abs(found.headlines[1].value) < 5
    assert found.verdicts[0].level == "bad"
    assert found.headlines[0].value == 0


def test_a_constant_encoder_gets_no_drift_and_no_praise(dataset, latents):
    found = drift(dataset, fakes.Learner(np.full_like(latents, 2.0), fakes.Constant(2.0)))
    assert [headline.value for headline in found.headlines] == [0, None, None, None]
    assert found.verdicts[0].level == "bad"
    assert set(horizons(found, ROLLOUT, column="l1_over_scale")) == {None}


def test_the_untrained_encoder_is_measured_in_its_own_latents(dataset, latents):
    trained, untrained = (fakes.Learner(scale * latents, fakes.Constant(0.0)) for scale in (1, 1000))
    found = drift(dataset, trained, untrained=untrained)
    scaled = [horizons(found, ROLLOUT, encoder, "l1_over_scale") for encoder in ("trained", "untrained")]
    np.testing.assert_allclose(scaled[0], scaled[1], rtol=1e-5)
    l1 = [horizons(found, PERSISTENCE, encoder) for encoder in ("trained", "untrained")]
    np.testing.assert_allclose(1000 * np.array(l1[0]), l1[1], rtol=1e-5)
    assert [figure.name for figure in found.figures] == ["drift", "l1_context_4", "untrained"]


def test_a_curriculum_that_can_train_no_control_is_said_to_have_none(dataset, latents):
    bare = replace(fakes.evaluation(dataset, fakes.Learner(latents, fakes.Exact())), untrained=None)
    found = RolloutDrift(RolloutDriftConfig(contexts=(4,), bootstrap=100)).evaluate(bare)
    assert {row["encoder"] for row in table(found, "horizons")} == {"trained"}
    assert "No untrained encoder to compare with" in found.tables[0].note


def test_an_untrained_encoder_that_is_easier_to_forecast_is_pointed_out(dataset, latents):
    found = drift(dataset, fakes.Learner(latents, fakes.Constant(0.5)), untrained=fakes.Learner(latents, fakes.Exact()))
    assert any("latents are forecast as well or better" in verdict.text for verdict in found.verdicts)


def test_skill_ends_where_either_control_first_wins():
    curves = mean_curves(
        {
            ROLLOUT: np.array([[1.0, 1.0, 2.0, 1.0]] * 2),
            PERSISTENCE: np.array([[2.0, 2.0, 2.5, 2.0]] * 2),
            MEAN: np.array([[2.0, 2.0, 1.5, 2.0]] * 2),
        },
        np.array([0, 1]),
        draws=100,
        seed=0,
    )
    skill = curves.skill_horizon()
    assert (skill.value, skill.low, skill.high) == (2, 2, 2)


def test_drift_ratios_and_differences_are_those_of_two_subjects_by_hand():
    errors = {
        ROLLOUT: np.array([[1.0, 2.0], [1.0, 2.0], [4.0, 4.0]]),
        PERSISTENCE: np.array([[2.0, 4.0], [2.0, 4.0], [4.0, 8.0]]),
        MEAN: np.array([[1.0, 5.0], [1.0, 5.0], [1.0, 5.0]]),
    }
    curves = mean_curves(errors, np.array([3, 3, 8]), draws=2000, seed=0)
    assert curves.l1(ROLLOUT).value.tolist() == pytest.approx([2.0, 8 / 3])
    assert curves.drift(ROLLOUT).value.tolist() == pytest.approx([0.0, 100 / 3])
    assert (curves.drift(ROLLOUT).low[1], curves.drift(ROLLOUT).high[1]) == pytest.approx((0.0, 100.0))
    assert curves.scale == pytest.approx(3.0)
    assert curves.scaled(ROLLOUT).value.tolist() == pytest.approx([2 / 3, 8 / 9])
    assert curves.minus(PERSISTENCE).value.tolist() == pytest.approx([-2 / 3, -8 / 3])
    assert (curves.minus(PERSISTENCE).low[1], curves.minus(PERSISTENCE).high[1]) == pytest.approx((-4.0, -2.0))
    assert curves.over(PERSISTENCE).value[1] == pytest.approx(0.5)


def test_the_headline_takes_the_nearest_context_that_could_be_measured(dataset, latents):
    found = drift(dataset, fakes.Learner(latents, fakes.Exact()), contexts=(2, 6, 12), headline_context=24)
    assert found.headlines[0].note.startswith("context 6")


@pytest.mark.parametrize("config", [{"contexts": ()}, {"contexts": (0,)}, {"bootstrap": 1}, {"split": "test"}])
def test_a_config_that_cannot_be_measured_is_refused(config):
    with pytest.raises(ValidationError):
        RolloutDriftConfig(**config)


def test_the_plugin_is_declared_without_torch():
    code = (
        "import sys, jepa_latent_eval; names = [c.name for c in jepa_latent_eval.jepa_components()]; "
        "assert names == ['rollout_drift', 'latent_collapse', 'latent_displacement', 'decoded_forecast', "
        "'channel_forecast', 'imagination'], names; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_rollout_that_is_not_better_at_once_is_not_said_to_be_better_up_to_step_0_nor_never_to_be() -> None:
    for most in (0.0, 4.0):
        label = _reach(0.0, 0.0, most).label
        assert label == "the first step does not beat both persistence and the mean latent: skill horizon"
    assert _reach(5.0, 0.0, 8.0).label.endswith("up to h =") and _reach(12.0, None, None).value == 12.0
