"""The recurrent predictor: its rollout is its own forward pass, step by step, and its config tells its size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jepa_clin.config import GruConfig
from jepa_clin.gru import Gru
from jepa_core.contracts import Latents

LATENT_DIM = 6


def make(output: str = "absolute") -> Gru:
    torch.manual_seed(0)
    return Gru(GruConfig(width=10, output=output), LATENT_DIM)


def latents_of(windows: int, steps: int) -> Latents:
    torch.manual_seed(1)
    states, actions = torch.randn(windows, steps, LATENT_DIM), torch.randn(windows, steps, LATENT_DIM)
    return Latents(torch.randn(windows, LATENT_DIM), states, actions, torch.ones(windows, steps, dtype=torch.bool))


def test_the_static_facts_are_known_from_the_first_step_on() -> None:
    predictor, latents = make(), latents_of(3, 5)
    before = predictor(latents).belief
    after = predictor(replace(latents, static=latents.static + 1)).belief
    assert not torch.isclose(before, after).all(dim=-1).any()


@pytest.mark.parametrize("output", ["absolute", "residual"])
def test_states_are_read_from_their_beliefs_real_or_imagined(output: str) -> None:
    predictor, latents = make(output), latents_of(2, 7)
    prediction = predictor(latents)
    rolled = predictor.rollout(latents, prediction.memory, torch.tensor([[1, 3], [0, 2]]), 4)
    read, imagined = predictor.output(prediction.belief), predictor.output(rolled.belief)
    if output == "residual":
        read = read + latents.states
        origins = torch.stack([latents.states[0, [1, 3]], latents.states[1, [0, 2]]])[:, :, None]
        imagined = imagined + torch.cat([origins, rolled.states[:, :, :-1]], dim=2)
    torch.testing.assert_close(read, prediction.next_states)
    torch.testing.assert_close(imagined, rolled.states)


@pytest.mark.parametrize("training", [False, True])
def test_operations_are_those_of_the_products(training: bool) -> None:
    config = GruConfig(width=10)
    products = 7 * (3 * 10 * (2 * LATENT_DIM + 10) + 10 * LATENT_DIM) + LATENT_DIM * 10
    assert config.flops(4, 7, LATENT_DIM, training) == 4 * 2 * products * (3 if training else 1)
