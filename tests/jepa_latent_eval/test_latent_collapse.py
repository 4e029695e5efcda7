"""Collapse of latents: encoders that are dead in known ways, at any scale."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jepa_latent_eval.collapse import LatentCollapse
from jepa_latent_eval.config import LatentCollapseConfig
from jepa_latent_eval.geometry import geometry
from jepa_latent_eval.states import States, cover
from tests.jepa_latent_eval import fakes

DIMENSIONS = 16
DATA = fakes.many(subjects=10, steps=20)
NOISE = np.random.default_rng(0).normal(size=(2 * DATA.total, DIMENSIONS))


def by_trajectory():
    own = np.random.default_rng(1).normal(size=(len(DATA.steps), DIMENSIONS))[DATA.trajectory_of_step]
    return np.concatenate([own, own])


def by_step():
    own = np.random.default_rng(2).normal(size=(20, DIMENSIONS))[DATA.step_number]
    return np.concatenate([own, own])


def line():
    return NOISE[:, :1] * np.arange(1, DIMENSIONS + 1)


def collapse(latents, untrained=None, **config):
    config = {"bootstrap": 100, "untrained": untrained is not None} | config
    learners = [None if one is None else fakes.Learner(one, fakes.Exact()) for one in (latents, untrained)]
    evaluation = fakes.evaluation(DATA, learners[0], untrained=learners[1])
    return LatentCollapse(LatentCollapseConfig(**config)).evaluate(evaluation)


def cells(findings, row=0):
    table = findings.tables[0]
    return dict(zip([column.name for column in table.columns], table.rows[row], strict=True))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    ("latents", "why"),
    [
        (np.full_like(NOISE, 0.7), "nearly the same latent"),
        (np.full_like(NOISE, 0.7) + 1e-4 * NOISE, "nearly the same latent"),
        (line(), "fill 1 of 16"),
        (line() + 0.7 * NOISE, "one direction holds"),
        (by_trajectory() + 0.01 * NOISE, "over time"),
        (by_step() + 0.01 * NOISE, "between trajectories"),
    ],
    ids=["constant", "nearly constant", "line", "line with noise", "dead in time", "dead across trajectories"],
)
def test_a_dead_encoder_is_called_collapsed_and_why_at_any_scale(latents, why, scale):
    verdict = collapse(scale * latents).verdicts[0]
    assert verdict.level == "bad"
    assert verdict.text.startswith("collapsed: ")
    assert why in verdict.text


@pytest.mark.parametrize(
    "latents",
    [NOISE, NOISE + 20, by_trajectory() + 0.3 * NOISE, by_step() + 0.3 * NOISE],
    ids=["noise", "noise with an offset", "mostly trajectory", "mostly time"],
)
def test_a_live_encoder_is_not_called_collapsed(latents):
    assert collapse(latents).verdicts[0].level == "good"


def test_zero_latents_are_collapsed_and_leave_no_nan():
    found = collapse(np.zeros_like(NOISE))
    assert found.verdicts[0].level == "bad"
    json.dumps(found.to_dict(), allow_nan=False)


def test_each_step_is_measured_once_though_the_last_window_overlaps():
    assert cells(collapse(NOISE))["states"] == 20 * 20
    held_out = NOISE[: DATA.total][DATA.trajectory_of_step >= 20].astype(np.float32)
    assert cells(collapse(NOISE))["total_spread"] == pytest.approx(
        np.sqrt(held_out.var(axis=0, ddof=1).mean()), rel=1e-6
    )


def test_a_sample_of_steps_is_whole_windows_up_to_the_number():
    part = cover(DATA, "held_out", window_length=12, steps=100, seed=0)
    held = (part.windows.length - part.skip)[part.index]
    assert 100 - 12 < held.sum() <= 100
    assert len(cover(DATA, "held_out", window_length=12, steps=1, seed=0).index) == 1


def test_spreads_are_those_of_two_trajectories_by_hand():
    states = States(np.array([[0.0], [2.0], [4.0], [10.0]]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    found = geometry(states, np.array([5, 5, 6, 6]), draws=100, seed=0)
    assert found.over_time.value == pytest.approx(np.sqrt((1 + 1 + 9 + 9) / 2))
    assert found.across.value == pytest.approx(np.sqrt((4 + 4 + 16 + 16) / 2))
    assert found.total.value == pytest.approx(np.std([0, 2, 4, 10], ddof=1))
    assert found.over_time.low == pytest.approx(np.sqrt(2)) and found.over_time.high == pytest.approx(np.sqrt(18))


def test_what_one_trajectory_cannot_tell_is_null():
    states = States(np.arange(6.0)[:, None] ** 2, np.zeros(6, dtype=int), np.arange(6))
    found = geometry(states, np.zeros(6, dtype=int), draws=100, seed=0)
    assert found.across.value is None and found.part(found.across) is None
    assert found.total.low is None and found.total.value is not None


def test_the_untrained_encoder_stands_beside_and_a_rank_is_told_and_not_praised():
    narrow = NOISE.copy()
    narrow[:, 4:] = 0
    found = collapse(narrow, untrained=NOISE)
    assert cells(found, 1)["encoder"] == "untrained"
    assert cells(found)["effective_rank"] == pytest.approx(4, abs=0.1)
    assert cells(found, 1)["effective_rank"] == pytest.approx(16, abs=0.3)
    (verdict,) = found.verdicts
    assert "3.99 of" in verdict.text and "15.9 before training" in verdict.text and "says nothing" in verdict.text


def test_a_curriculum_that_can_train_no_control_is_said_to_have_none():
    bare = replace(fakes.evaluation(DATA, fakes.Learner(NOISE, fakes.Exact())), untrained=None)
    found = LatentCollapse(LatentCollapseConfig(bootstrap=100)).evaluate(bare)
    assert [row[0] for row in found.tables[0].rows] == ["trained"]
    assert "No untrained encoder to compare with" in found.tables[0].note


def test_an_empty_split_is_null_with_the_reason():
    found = collapse(NOISE, split="tuning")
    assert found.headlines[0].value is None
    assert "no step" in found.headlines[0].note
    assert found.verdicts[0].level == "bad"
