"""The subject bootstrap and the effective rank, against answers known in advance."""

import numpy as np
import pytest

from jepa_core.results import statistics
from jepa_core.results.statistics import (
    bootstrap_subjects,
    effective_rank,
    percentile_interval,
    redrawn_ranks,
    redrawn_weights,
    spectrum,
)


def test_the_draws_of_two_subjects_are_the_three_means_that_can_be_drawn():
    values, subjects = np.array([1.0, 2.0, 3.0, 10.0]), np.array([7, 7, 7, 9])
    means = bootstrap_subjects(values, subjects, draws=4000, seed=0)
    possible, counts = np.unique(means, return_counts=True)
    np.testing.assert_allclose(possible, [2.0, 4.0, 10.0])
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_of_one_subject_nothing_can_be_redrawn_so_there_is_no_interval():
    drawn = bootstrap_subjects(np.arange(6.0).reshape(3, 2), np.array([4, 4, 4]), draws=5, seed=0)
    assert drawn.shape == (5, 2) and np.isnan(drawn).all()
    assert np.isnan(percentile_interval(drawn)).all() and np.isnan(percentile_interval(np.empty(0))).all()


def test_columns_are_drawn_together_and_with_the_seed():
    rng = np.random.default_rng(3)
    values, subjects = rng.normal(size=(40, 2)), rng.integers(0, 9, 40)
    both = bootstrap_subjects(values, subjects, draws=50, seed=5)
    np.testing.assert_allclose(both[:, 1], bootstrap_subjects(values[:, 1], subjects, draws=50, seed=5), rtol=1e-12)
    assert both.shape == (50, 2)
    assert not np.array_equal(both, bootstrap_subjects(values, subjects, draws=50, seed=6))


def test_blocks_of_draws_change_nothing(monkeypatch):
    values, subjects = np.arange(12.0), np.repeat(np.arange(6), 2)
    whole = bootstrap_subjects(values, subjects, draws=31, seed=1)
    monkeypatch.setattr(statistics, "WEIGHTS_IN_MEMORY", 24)
    np.testing.assert_allclose(bootstrap_subjects(values, subjects, draws=31, seed=1), whole, rtol=1e-12)


def test_no_row_is_an_error():
    with pytest.raises(ValueError, match="0 rows"):
        bootstrap_subjects(np.empty((0, 2)), np.empty(0), draws=10, seed=0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says_where_rows_would_not():
    rng = np.random.default_rng(0)
    by_subject = by_row = 0
    for simulation in range(200):
        subjects = np.repeat(np.arange(60), 5)
        values = rng.normal(size=60)[subjects] + 0.3 * rng.normal(size=300)
        low, high = percentile_interval(bootstrap_subjects(values, subjects, draws=300, seed=simulation))
        by_subject += low <= 0 <= high
        low, high = percentile_interval(bootstrap_subjects(values, np.arange(300), draws=300, seed=simulation))
        by_row += low <= 0 <= high
    assert 0.89 <= by_subject / 200 <= 0.99
    assert by_row / 200 < 0.8


def test_the_interval_over_correlated_subjects_is_wider_than_over_rows_by_the_design_effect():
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(400), 9)
    values = rng.normal(size=400)[subjects]
    width = np.diff(percentile_interval(bootstrap_subjects(values, subjects, draws=2000, seed=0)), axis=0)
    of_rows = np.diff(percentile_interval(bootstrap_subjects(values, np.arange(3600), draws=2000, seed=0)), axis=0)
    assert width / of_rows == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_effective_rank_of_equal_directions_is_their_number_at_any_scale_and_offset(scale):
    corners = np.concatenate([np.eye(4), -np.eye(4)])
    padded = np.concatenate([corners, np.zeros((8, 3))], axis=1)
    assert effective_rank(scale * padded) == pytest.approx(4.0)
    assert effective_rank(scale * (padded + 5.0)) == pytest.approx(4.0)


def test_effective_rank_of_two_unequal_directions_is_the_exponential_of_their_entropy():
    values = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_rank(values) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_the_spectrum_is_that_of_the_singular_value_decomposition(shape):
    values = np.random.default_rng(2).normal(size=shape) + 2
    expected = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(spectrum(values), expected, atol=1e-5)


def test_a_constant_latent_has_rank_zero_in_spite_of_rounding():
    constant = np.full((300, 16), 0.3, dtype=np.float32)
    assert effective_rank(constant) == 0.0
    assert effective_rank(np.nextafter(constant, np.random.default_rng(0).choice([-9, 9], (300, 16)))) == 0.0


def test_points_on_a_line_have_rank_one():
    line = np.linspace(-1, 1, 100)[:, None] * np.arange(1, 33)
    assert effective_rank(line.astype(np.float32)) == pytest.approx(1.0, abs=0.01)


def test_effective_rank_of_noise_never_exceeds_what_the_number_of_latents_allows():
    assert 8.0 < effective_rank(np.random.default_rng(0).normal(size=(10, 64))) <= 9.0


@pytest.mark.parametrize("memory", [1, statistics.MOMENTS_IN_MEMORY])
def test_a_redrawn_rank_is_that_of_the_latents_of_its_subjects_laid_side_by_side(monkeypatch, memory):
    monkeypatch.setattr(statistics, "MOMENTS_IN_MEMORY", memory)
    rng = np.random.default_rng(5)
    values, subjects = rng.normal(size=(60, 6)) * [5, 4, 3, 2, 1, 0.1] + 7, rng.integers(0, 8, 60)
    ranks = redrawn_ranks(values, subjects, draws=20, seed=3)
    (weights,) = redrawn_weights(8, 20, 3, block=20)
    times = weights.astype(int)[:, np.unique(subjects, return_inverse=True)[1]]
    expected = [effective_rank(np.repeat(values, one, axis=0)) for one in times]
    np.testing.assert_allclose(ranks, expected, rtol=1e-9)


def test_a_constant_latent_keeps_rank_zero_however_it_is_redrawn():
    ranks = redrawn_ranks(np.full((30, 4), 0.3, dtype=np.float32), np.arange(30) // 3, draws=10, seed=0)
    assert (ranks == 0).all()


@pytest.mark.parametrize("block", [1, 7])
@pytest.mark.parametrize("memory", [1, statistics.WEIGHTS_IN_MEMORY])
def test_weights_are_the_same_whatever_the_size_of_a_block_and_whether_they_are_kept(monkeypatch, block, memory):
    (whole,) = redrawn_weights(5, 20, 1, 20)
    monkeypatch.setattr(statistics, "WEIGHTS_IN_MEMORY", memory)
    parts = np.concatenate(list(redrawn_weights(5, 20, 1, block)))
    assert (whole == parts).all() and (whole.sum(axis=1) == 5).all()
