"""Dropout by 16-bit draws."""

from __future__ import annotations

import pytest
import torch

from jepa_clin.dropout import Dropout


def test_as_many_values_are_left_out_as_said_and_the_others_keep_the_mean() -> None:
    torch.manual_seed(0)
    out = Dropout(0.25).train()(torch.ones(400, 1001))
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert torch.corrcoef((out[:, :4] == 0).T.float()).fill_diagonal_(0).abs().max() < 0.2


def test_draws_come_from_the_global_random_state_and_not_from_values() -> None:
    dropout = Dropout(0.5).train()
    torch.manual_seed(3)
    first, second = dropout(torch.ones(7, 3)), dropout(torch.ones(7, 3))
    torch.manual_seed(3)
    assert torch.equal(dropout(torch.full((7, 3), 2.0)), 2 * first) and not torch.equal(first, second)


@pytest.mark.parametrize(("probability", "training"), [(0.0, True), (0.5, False)])
def test_without_dropout_values_stay(probability: float, training: bool) -> None:
    values = torch.randn(5)
    assert Dropout(probability).train(training)(values) is values


def test_the_gradient_is_that_of_the_kept_values_in_their_own_type() -> None:
    values = torch.ones(64, dtype=torch.bfloat16, requires_grad=True)
    out = Dropout(0.5).train()(values)
    out.sum().backward()
    assert out.dtype == torch.bfloat16 and torch.equal(values.grad, out.detach())
