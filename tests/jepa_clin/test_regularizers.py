"""The variance and covariance terms, and SIGReg."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_clin.config import SigregConfig, VarianceCovarianceConfig
from jepa_clin.regularizers import EPSILON, Sigreg, VarianceCovariance, epps_pulley
from jepa_core.contracts import Batch, Latents, Objective


class Learner:
    """Gives the same latents for any batch."""

    def __init__(self, states: Tensor, mask: Tensor | None) -> None:
        windows, steps, latent_dim = states.shape
        mask = torch.ones(windows, steps, dtype=torch.bool) if mask is None else mask
        self.made = Latents(torch.zeros(windows, latent_dim), states, torch.zeros_like(states), mask)

    def latents(self, batch: Batch) -> Latents:
        return self.made


def asked(objective: Objective, states: Tensor, mask: Tensor | None, seed: int = 0) -> dict[str, Tensor]:
    return objective.terms(Learner(states, mask), None, torch.Generator().manual_seed(seed))


def terms_of(states: Tensor, mask: Tensor | None = None, **keys: float) -> dict[str, Tensor]:
    return asked(VarianceCovariance(VarianceCovarianceConfig(**keys)), states, mask)


def test_terms_are_those_of_the_covariance_matrix() -> None:
    states = 0.5 * torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    covariance = torch.from_numpy(np.cov(states.flatten(0, 1).T.numpy())).float()
    off_diagonal = covariance[~torch.eye(5, dtype=torch.bool)]
    terms = terms_of(states, covariance_factor=1.0)
    torch.testing.assert_close(terms["variance"], (1 - (covariance.diagonal() + EPSILON).sqrt()).relu().mean())
    torch.testing.assert_close(terms["covariance"], off_diagonal.square().sum() / 5)


def test_spread_and_uncorrelated_states_cost_nothing() -> None:
    states = torch.cat((torch.eye(4), -torch.eye(4))).mul(4.0)[None]
    terms = terms_of(states)
    assert terms["variance"] == 0
    assert terms["covariance"].item() == pytest.approx(0, abs=1e-6)


def test_collapsed_states_are_penalised_with_a_finite_gradient() -> None:
    states = torch.ones(4, 6, 3).requires_grad_()
    terms = terms_of(states)
    terms["variance"].backward()
    assert terms["variance"].item() == pytest.approx(1 - EPSILON**0.5)
    assert torch.isfinite(states.grad).all()


def test_the_gradient_of_the_variance_term_spreads_the_states() -> None:
    states = (0.1 * torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))).requires_grad_()
    terms_of(states)["variance"].backward()
    with torch.no_grad():
        moved = states - states.grad
    assert (moved.flatten(0, 1).std(0) > states.flatten(0, 1).std(0)).all()


def test_a_dimension_that_copies_another_is_penalised() -> None:
    column = 2 * torch.randn(5, 9, 1, generator=torch.Generator().manual_seed(0))
    assert terms_of(torch.cat((column, column), dim=2))["covariance"] > 0.1


def test_padding_does_not_count() -> None:
    states = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6) < torch.tensor([6, 3])[:, None]
    other = torch.where(mask[..., None], states, 100.0)
    first, second = terms_of(states, mask), terms_of(other, mask)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, terms_of(states[mask][None]))


@pytest.mark.parametrize("valid", [0, 1])
def test_tiny_batches_give_finite_terms(valid: int) -> None:
    states = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    terms = terms_of(states, torch.arange(3)[None] < valid)
    sum(terms.values()).backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert torch.equal(states.grad, torch.zeros_like(states))


def test_statistics_are_fp32_under_autocast() -> None:
    states = 3 + 0.01 * torch.randn(4, 50, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = terms_of(states)
    assert all(term.dtype == torch.float32 for term in inside.values())
    torch.testing.assert_close(inside, terms_of(states))


NULL = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))
"""Expected statistic of N(0, 1) samples: the integral of (1 - exp(-t^2)) exp(-t^2 / 2)."""


def sigreg_of(states: Tensor, mask: Tensor | None = None, seed: int = 0, **keys: float) -> Tensor:
    return asked(Sigreg(SigregConfig(**keys)), states, mask, seed)["sigreg"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_statistic(samples: list[float]) -> float:
    """The statistic by its definition: a fine sum over both halves of the line, complex numbers, one at a time."""
    width, total = 0.05, 0.0
    for number in range(-120, 121):
        t = number * width
        empirical = sum(cmath.exp(1j * t * sample) for sample in samples) / len(samples)
        total += width * abs(empirical - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2)
    return len(samples) * total


@pytest.mark.parametrize("make", [lambda: normal(40), lambda: 0.3 * normal(40) + 1, lambda: torch.zeros(7)])
def test_the_statistic_is_that_of_its_definition(make) -> None:
    samples = make()
    fast = epps_pulley(samples[:, None], torch.ones(len(samples)).bool(), knots=9, reach=5.0)
    assert fast.item() == pytest.approx(slow_statistic(samples.tolist()), rel=1e-3)


def test_sigreg_is_the_mean_of_the_statistic_over_directions_of_length_one() -> None:
    states = 0.5 * normal(2, 6, 3)
    torch.manual_seed(5)
    directions = torch.randn(3, 4)
    directions = directions / directions.square().sum(0).sqrt()
    columns = (states.flatten(0, 1) @ directions).T.tolist()
    expected = sum(slow_statistic(column) for column in columns) / 4
    assert sigreg_of(states, seed=5, projections=4).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("samples", [100, 1000])
def test_gaussian_samples_have_the_value_of_the_null_whatever_their_number(samples: int) -> None:
    mean = torch.stack([sigreg_of(normal(samples, 1, 16, seed=seed), seed=seed) for seed in range(40)]).mean()
    assert mean.item() == pytest.approx(NULL, rel=0.1)


def test_collapsed_shrunk_and_shifted_samples_are_far_from_the_null() -> None:
    states = normal(500, 1, 16)
    one_dimension = states * (torch.arange(16) == 0)
    for wrong in (torch.zeros_like(states), 0.3 * states, 2 * states, states + 1, one_dimension):
        assert sigreg_of(wrong) > 10 * NULL


def test_the_gradient_of_sigreg_spreads_what_is_shrunk_and_draws_in_what_is_spread() -> None:
    for scale, sign in ((0.3, 1), (2.0, -1)):
        states = (scale * normal(200, 1, 8)).requires_grad_()
        sigreg_of(states).backward()
        growth = -(states.grad * states).sum()
        assert torch.sign(growth) == sign


def test_padding_does_not_count_in_sigreg() -> None:
    states = normal(2, 6, 3)
    mask = torch.arange(6) < torch.tensor([6, 3])[:, None]
    other = torch.where(mask[..., None], states, 100.0)
    torch.testing.assert_close(sigreg_of(states, mask), sigreg_of(other, mask))
    torch.testing.assert_close(sigreg_of(states, mask), sigreg_of(states[mask][None]))
    assert sigreg_of(states, torch.zeros(2, 6).bool()) == 0


def test_directions_come_from_the_generator_that_the_loop_seeds() -> None:
    states = 2 * normal(20, 1, 16)
    assert torch.equal(sigreg_of(states, seed=1), sigreg_of(states, seed=1))
    assert not torch.equal(sigreg_of(states, seed=1), sigreg_of(states, seed=2))


def test_the_memory_of_sigreg_is_linear_in_the_samples() -> None:
    def kept(samples: int) -> int:
        sizes: list[int] = []
        states = normal(samples, 1, 16).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            sigreg_of(states, projections=8)
        return sum(sizes)

    assert kept(4000) < 4.1 * kept(1000)


def test_sigreg_is_fp32_under_autocast() -> None:
    states = 3 + 0.01 * normal(4, 50, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = sigreg_of(states)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, sigreg_of(states))
