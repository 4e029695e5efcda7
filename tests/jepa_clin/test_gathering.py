"""Gradients of a rollout that are gathered over its steps, beside those that autograd adds up step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jepa_clin.config import ActionTransformerConfig
from jepa_clin.gathering import GatheredProducts
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Latents

CONFIG = ActionTransformerConfig(
    width=16, layers=2, heads=2, feedforward=24, max_steps=12, dropout=0.0, attention_dropout=0.0
)
LATENT_DIM, HORIZON = 6, 4


@pytest.fixture
def predictor() -> ActionTransformer:
    torch.manual_seed(0)
    return ActionTransformer(CONFIG, LATENT_DIM).double()


@pytest.fixture
def latents() -> Latents:
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, LATENT_DIM, generator=draw, dtype=torch.float64).requires_grad_()

    return Latents(normal(2), normal(2, 8), normal(2, 8 + HORIZON), torch.ones(2, 8, dtype=torch.bool))


def rolled(predictor: ActionTransformer, latents: Latents) -> Tensor:
    memory = predictor(latents).memory
    return predictor.rollout(latents, memory, torch.tensor([[2, 7], [0, 3]]), HORIZON).states.sin().sum()


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch, predictor: ActionTransformer, latents: Latents) -> list[Tensor]:
    """Gradients of parameters, then of actions, as autograd makes them."""
    with monkeypatch.context() as patch:
        for module in ("attention", "predictor"):
            patch.setattr(f"jepa_clin.{module}.gathers", lambda values: False)
        loss = rolled(predictor, latents)
    return list(torch.autograd.grad(loss, [*predictor.parameters(), latents.actions]))


def test_gradients_are_those_that_are_added_up_step_by_step(
    predictor: ActionTransformer, latents: Latents, step_by_step: list[Tensor]
) -> None:
    gathered = list(torch.autograd.grad(rolled(predictor, latents), [*predictor.parameters(), latents.actions]))
    torch.testing.assert_close(gathered, step_by_step, rtol=1e-9, atol=1e-12)


def test_a_second_pass_backward_gives_the_same_gradients(
    predictor: ActionTransformer, latents: Latents, step_by_step: list[Tensor]
) -> None:
    loss, leaves = rolled(predictor, latents), [*predictor.parameters(), latents.actions]
    torch.autograd.grad(loss, leaves, retain_graph=True)
    torch.autograd.grad(loss, [latents.actions], retain_graph=True)
    torch.testing.assert_close(list(torch.autograd.grad(loss, leaves)), step_by_step, rtol=1e-9, atol=1e-12)


def test_actions_have_their_gradient_while_the_predictor_is_frozen(
    predictor: ActionTransformer, latents: Latents, step_by_step: list[Tensor]
) -> None:
    predictor.requires_grad_(False)
    (gradient,) = torch.autograd.grad(rolled(predictor, latents), [latents.actions])
    torch.testing.assert_close(gradient, step_by_step[-1], rtol=1e-9, atol=1e-12)


def test_weights_that_are_dropped_are_dropped_in_a_rollout_too(latents: Latents) -> None:
    dropping = ActionTransformer(CONFIG.model_copy(update={"attention_dropout": 0.5}), LATENT_DIM).double()
    memory = dropping.eval()(latents).memory
    origins = torch.tensor([[2], [3]])
    still = dropping.rollout(latents, memory, origins, HORIZON).states
    trained = dropping.train().rollout(latents, memory, origins, HORIZON).states
    assert torch.equal(trained[:, :, 0], still[:, :, 0])
    assert not torch.allclose(trained[:, :, 1], still[:, :, 1])


def test_a_matrix_has_the_gradients_of_all_of_its_products() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(3, 5).double(), nn.Linear(5, 3).double()
    parameters = [*first.parameters(), *second.parameters()]

    def looped(gathered: GatheredProducts | None) -> list[Tensor]:
        rows = torch.ones(2, 4, 3, dtype=torch.float64)
        for _ in range(3):
            for layer in (first, second):
                rows = (gathered(rows, layer.weight, layer.bias) if gathered else layer(rows)).tanh()
        return list(torch.autograd.grad(rows.sum(), parameters))

    torch.testing.assert_close(looped(GatheredProducts()), looped(None), rtol=1e-9, atol=1e-12)
