"""The state-space predictor: its scan in chunks is the recurrence step by step, and its past is all that it needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jepa_clin.further_config import StateSpaceConfig
from jepa_clin.state_space import StateSpace, scan
from jepa_core.contracts import Latents

LATENT_DIM = 6


def make(**keys: object) -> StateSpace:
    torch.manual_seed(0)
    sizes = {"width": 12, "layers": 2, "heads": 2, "head_size": 4, "state_size": 3, "chunk": 4} | keys
    return StateSpace(StateSpaceConfig(**sizes), LATENT_DIM).eval()


def latents_of(windows: int, steps: int) -> Latents:
    torch.manual_seed(1)
    states, actions = torch.randn(windows, steps, LATENT_DIM), torch.randn(windows, steps, LATENT_DIM)
    return Latents(torch.randn(windows, LATENT_DIM), states, actions, torch.ones(windows, steps, dtype=torch.bool))


@pytest.mark.parametrize("chunk", [1, 4, 5, 64])
@pytest.mark.parametrize("steps", [1, 4, 11])
def test_a_scan_in_chunks_is_the_recurrence_step_by_step(chunk: int, steps: int) -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = ((2, steps, 3), (2, steps, 3, 4), (2, steps, 5), (2, steps, 5))
    decay, values, keys, queries = (torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes)
    decay = -decay.abs()
    state, read = torch.zeros(2, 3, 4, 5, dtype=torch.float64), []
    for t in range(steps):
        added = torch.einsum("bhp,bn->bhpn", values[:, t], keys[:, t])
        state = decay[:, t, :, None, None].exp() * state + added
        read.append(torch.einsum("bhpn,bn->bhp", state, queries[:, t]))
    outputs, last = scan(decay, values, keys, queries, chunk)
    torch.testing.assert_close(outputs, torch.stack(read, dim=1))
    torch.testing.assert_close(last, state)


def test_the_chunk_changes_nothing_but_the_order_of_sums() -> None:
    latents = latents_of(2, 13)
    one, other = (make(chunk=chunk)(latents).belief for chunk in (2, 13))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_was_long_ago_fades_where_the_step_says_so() -> None:
    """With large step sizes a block forgets all but the step itself; with small ones it remembers."""
    predictor, latents = make(layers=1), latents_of(1, 9)
    changed = replace(latents, states=latents.states.clone())
    changed.states[:, 0] += 1
    moved = []
    for bias in (-4.0, 40.0):
        with torch.no_grad():
            predictor.blocks[0].step_bias.fill_(bias)
            moved.append((predictor(latents).belief - predictor(changed).belief)[:, -1].abs().max())
    assert moved[0] > 1e-5 and moved[1] == 0


def test_the_static_facts_are_known_from_the_first_step_on() -> None:
    predictor, latents = make(), latents_of(3, 5)
    before = predictor(latents).belief
    after = predictor(replace(latents, static=latents.static + 1)).belief
    assert not torch.isclose(before, after).all(dim=-1).any()


def test_operations_grow_linearly_with_the_steps() -> None:
    config = StateSpaceConfig()
    short, long = (config.flops(1, steps, 64, training=True) for steps in (128, 512))
    assert long < 4 * short
