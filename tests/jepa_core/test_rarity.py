"""What is fitted on training data holds no value, and no channel, of few subjects."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from jepa_core.contracts import Channels
from jepa_core.data.rarity import LEAST_SUBJECTS, observers, shared_near
from jepa_core.data.standardisation import ChannelScaling, NormalScores, Standardisation
from jepa_core.results.meaning import MEANING

SUBJECTS, STEPS = 40, 30


def owned(values: np.ndarray) -> Iterator[tuple[int, Channels]]:
    """values: (S, T, C), NaN where nothing was observed."""
    for subject, of_subject in enumerate(values):
        tensor = torch.from_numpy(of_subject.astype(np.float32))[..., None]
        yield 100 + subject, Channels(tensor.nan_to_num(), ~tensor.isnan())


def fitted(scaling: ChannelScaling, values: np.ndarray) -> ChannelScaling:
    scaling.fit(items for _, items in owned(values))
    scaling.forget_rare(owned(values))
    return scaling


def cohort() -> np.ndarray:
    """A channel of real numbers, one in steps of a half, one of levels: (S, T, 3)."""
    random = np.random.default_rng(0)
    shape = SUBJECTS, STEPS
    return np.stack([
        random.lognormal(3, 1, shape), np.round(2 * random.normal(80, 9, shape)) / 2, random.binomial(6, 0.4, shape)
    ], -1).astype(np.float32)  # fmt: skip


def sharing(values: np.ndarray, channel: int, low: float, high: float) -> int:
    """Subjects that have a value of a channel in a range."""
    inside = (values[..., channel] >= low) & (values[..., channel] <= high)
    return int(inside.any(1).sum())


def test_scales_mean_what_they_meant_when_the_number_of_their_meaning_was_last_raised() -> None:
    """If this fails for a reason, raise MEANING, say in it what changed, and put the new values here."""
    ranks, moments = (fitted(scaling, cohort()) for scaling in (NormalScores(3, 5.0), Standardisation(3, 5.0)))
    shown = torch.tensor([20.0, 80.0, 3.0]).repeat(2, 1)[..., None]
    observed = torch.tensor([[True] * 3, [False] * 3])[..., None]

    assert MEANING == 2
    assert torch.allclose(ranks(shown, observed)[0, :, 0], torch.tensor([0.0449, 0.0294, 0.4998]), atol=1e-3)
    assert torch.allclose(moments(shown, observed)[0, :, 0], torch.tensor([-0.2956, 0.0188, 0.5043]), atol=1e-3)
    assert not ranks(shown, observed)[1].any() and not moments(shown, observed)[1].any()


def test_no_quantile_is_a_value_of_few_subjects_unless_it_is_a_mean_of_enough() -> None:
    values = cohort()
    scaling = fitted(NormalScores(3, 5.0), values)

    for channel, knots in enumerate(scaling.fitted()["knots"]):
        bounds = [-np.inf, *knots, np.inf]
        for low, high in zip(bounds[:-2], bounds[2:], strict=True):
            assert sharing(values, channel, np.nextafter(low, np.inf), np.nextafter(high, -np.inf)) >= LEAST_SUBJECTS
    real = set(np.float32(scaling.fitted()["knots"][0]).tolist())
    assert not real & set(values[..., 0].ravel().tolist()) and scaling.fitted()["least_subjects"] == LEAST_SUBJECTS


@pytest.mark.parametrize("few", [1, LEAST_SUBJECTS - 1])
def test_an_extreme_of_few_subjects_is_no_knot_and_has_the_outer_score(few: int) -> None:
    values = cohort()
    values[:few, :4, 2] = 99.0
    scaling = fitted(NormalScores(3, 5.0), values)
    knots, scores = (scaling.fitted()[name][2] for name in ("knots", "scores"))
    far = torch.tensor([[0.0, 0.0, 99.0]])[..., None]

    assert max(knots) <= 6 and knots == sorted(knots)
    assert float(scaling(far, torch.ones_like(far, dtype=torch.bool))[0, 2, 0]) == pytest.approx(scores[-1])


def test_levels_that_enough_subjects_share_stay_as_they_are() -> None:
    scaling = fitted(NormalScores(3, 5.0), cohort())

    assert set(scaling.fitted()["knots"][2]) >= {1.0, 2.0, 3.0, 4.0}


def test_scores_hardly_move() -> None:
    values = cohort()
    before = NormalScores(3, 5.0)
    before.fit(items for _, items in owned(values))
    after = fitted(NormalScores(3, 5.0), values)
    tensor = torch.from_numpy(values.reshape(-1, 3, 1))
    seen = torch.ones_like(tensor, dtype=torch.bool)
    moved = (before(tensor, seen) - after(tensor, seen)).abs()

    assert float(moved.mean()) < 0.01 and float(torch.quantile(moved, 0.99)) < 0.1


@pytest.mark.parametrize("scaling", [Standardisation(4, 5.0), NormalScores(4, 5.0)])
def test_a_channel_of_few_subjects_is_forgotten_and_shows_nothing(scaling: ChannelScaling) -> None:
    rare = np.full((SUBJECTS, STEPS, 1), np.nan, np.float32)
    rare[: LEAST_SUBJECTS - 1] = 77.7
    values = np.concatenate([cohort(), rare], -1)
    kept = json.loads(json.dumps(fitted(scaling, values).fitted()))
    shown = torch.full((2, 4, 1), 77.7)

    assert "77.7" not in json.dumps(kept)
    assert scaling(shown, torch.ones_like(shown, dtype=torch.bool))[:, 3].abs().max() == 0
    again = type(scaling)(4, 5.0)
    again.load_fitted(kept)
    assert again.fitted() == kept


def test_of_fewer_subjects_all_must_share_and_the_count_is_told() -> None:
    alone = cohort()[:1]
    scaling = fitted(NormalScores(3, 5.0), alone)

    assert scaling.fitted()["least_subjects"] == 1 and len(scaling.fitted()["knots"][0]) > 20


def test_a_subject_with_many_trajectories_counts_once() -> None:
    values = cohort()
    values[:6, 0, 0] = [1e5, 1.1e5, 1.2e5, 1.3e5, 1.4e5, 1.5e5]
    scaling = NormalScores(3, 5.0)
    scaling.fit(items for _, items in owned(values))
    scaling.forget_rare((max(7, subject - 100), items) for subject, items in owned(values))

    assert max(scaling.fitted()["knots"][0]) < 1e5


def test_a_quantile_is_that_of_enough_subjects_who_count_once_each() -> None:
    random = np.random.default_rng(0)
    values, subject = random.normal(size=2001), np.repeat(np.arange(200), 11)[:2001]
    middle = float(np.median(values))
    near = shared_near(values, subject, middle, LEAST_SUBJECTS)
    assert near is not None and abs(near - middle) < 0.01 and near not in values
    assert shared_near(values, subject // 67, middle, LEAST_SUBJECTS) is None
    often = np.where(subject == 100, middle, values)  # one who has the median, and has it often
    assert shared_near(often, subject, middle, LEAST_SUBJECTS) != middle
    levels = np.array([36.6] * 9 + [0.1], dtype=np.float32)
    assert shared_near(levels, np.arange(10), float(levels[0]), LEAST_SUBJECTS) == levels[0]


def test_who_shows_a_column_is_counted_by_subject_in_whatever_order() -> None:
    seen, subject = np.array([[1, 1], [1, 0], [0, 0], [1, 0]], dtype=bool), np.array([7, 3, 3, 7])
    assert observers(seen, subject).tolist() == [2, 1] and observers(seen[:0], subject[:0]).tolist() == [0, 0]
