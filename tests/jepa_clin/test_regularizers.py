"""The variance and covariance terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_clin.config import VarianceCovarianceConfig
from jepa_clin.regularizers import EPSILON, VarianceCovariance
from jepa_core.contracts import Latents


def terms_of(states: Tensor, mask: Tensor | None = None, **keys: float) -> dict[str, Tensor]:
    windows, steps, latent_dim = states.shape
    mask = torch.ones(windows, steps, dtype=torch.bool) if mask is None else mask
    latents = Latents(torch.zeros(windows, latent_dim), states, torch.zeros_like(states), mask)
    return VarianceCovariance(VarianceCovarianceConfig(**keys)).terms(latents)


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
