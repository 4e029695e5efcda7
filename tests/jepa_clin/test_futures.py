"""What pooled futures are, against the same by loops; what hidden channels are recovered from, and which count; what
reconstruction trains."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from jepa_clin.further_config import HiddenChannelsConfig, PooledFutureConfig, ReconstructionConfig
from jepa_clin.futures import HiddenChannels, PooledFuture, Reconstruction, pooled
from jepa_core.config import LearnerShape
from jepa_core.contracts import Batch, Latents, Observations, Prediction

LENGTHS, CHANNELS, BELIEF, LATENT = (9, 6, 1), 3, 5, 4
WINDOWS = ((0, 1), (0, 4), (2, 5))


class Learner:
    """States, beliefs and observations drawn at random, of windows of 9, 6 and 1 steps."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        shape = (len(LENGTHS), max(LENGTHS))
        self.mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
        self.states = torch.randn(*shape, LATENT, generator=draw, requires_grad=True)
        self.belief = torch.randn(*shape, BELIEF, generator=draw, requires_grad=True)
        observed = torch.rand(*shape, CHANNELS, generator=draw) < 0.7
        self.seen = Observations(torch.where(observed, torch.randn(observed.shape, generator=draw), 0), observed)

    def batch(self) -> Batch:
        places = torch.zeros_like(self.mask, dtype=torch.int64)
        return Batch(torch.arange(1), places[:, 0], places, places, places, self.mask)

    def latents(self, batch: Batch) -> Latents:
        return Latents(self.states[:, 0], self.states, self.states, self.mask)

    def prediction(self, batch: Batch) -> Prediction:
        return Prediction(self.states, self.belief, None)

    def observations(self, batch: Batch) -> Observations:
        return self.seen


def test_pooled_futures_are_those_of_their_definition() -> None:
    learner = Learner()
    mean, there = pooled(learner.states.detach(), learner.mask, WINDOWS)
    for window, length in enumerate(LENGTHS):
        for step in range(max(LENGTHS)):
            for place, (begin, end) in enumerate(WINDOWS):
                ahead = [one for one in range(step + begin + 1, step + end + 1) if one < length]
                assert bool(there[window, step, place]) is bool(ahead and step < length)
                if ahead:
                    wanted = learner.states[window, ahead].mean(0)
                    torch.testing.assert_close(mean[window, step, place], wanted.detach())


def terms_of(objective: PooledFuture | HiddenChannels | Reconstruction, learner: Learner) -> dict[str, Tensor]:
    torch.manual_seed(1)
    objective.module = objective.build_module(LearnerShape(LATENT, BELIEF, CHANNELS))
    return objective.terms(learner, learner.batch(), torch.Generator().manual_seed(0))


def test_pooled_futures_train_the_belief_and_not_the_states_that_are_their_targets() -> None:
    learner = Learner()
    terms_of(PooledFuture(PooledFutureConfig(windows=WINDOWS)), learner)["pooled"].backward()
    assert learner.belief.grad.any() and learner.states.grad is None
    assert not learner.belief.grad[~learner.mask].any()


class Told(torch.nn.Module):
    """Notes what the head of hidden channels is given, and recovers zeros."""

    def forward(self, belief: Tensor, values: Tensor, visible: Tensor) -> Tensor:
        self.values, self.visible = values, visible
        return torch.zeros_like(values, requires_grad=True)


def test_no_hidden_value_is_told_and_every_one_that_shows_counts() -> None:
    learner, objective, told = Learner(), HiddenChannels(HiddenChannelsConfig(share=0.4)), Told()
    objective.module = told
    found = objective.terms(learner, learner.batch(), torch.Generator().manual_seed(0))["hidden"]
    observed = learner.seen.observed[:, 1:] & (learner.mask[:, :-1] & learner.mask[:, 1:])[..., None]
    hidden = observed & ~told.visible
    assert hidden.any() and (observed & told.visible).any() and not told.values[hidden].any()
    values = learner.seen.values[:, 1:][hidden]
    assert found.item() == pytest.approx(torch.nn.functional.smooth_l1_loss(torch.zeros_like(values), values).item())


def test_hidden_channels_train_the_belief_before_the_step() -> None:
    learner = Learner()
    terms_of(HiddenChannels(HiddenChannelsConfig()), learner)["hidden"].backward()
    assert learner.belief.grad[0, :-1].any() and not learner.belief.grad[:, -1].any()
    assert not learner.belief.grad[2].any(), "a window of one step has no step after it"


@pytest.mark.parametrize(
    ("windows", "message"), [([[2, 2]], r"the window \[2, 2\]"), ([[0, 1], [0, 1]], "must differ")]
)
def test_windows_that_are_none_are_refused(windows: list[list[int]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PooledFutureConfig(windows=windows)


def test_reconstruction_trains_the_states_of_steps_that_show_a_value_and_no_belief() -> None:
    learner, objective = Learner(), Reconstruction(ReconstructionConfig())
    learner.seen.observed[:, 2] = False
    terms_of(objective, learner)["values"].backward()
    trained = learner.states.grad.abs().sum(-1) > 0
    assert torch.equal(trained, learner.seen.observed.any(-1) & learner.mask) and learner.belief.grad is None


def test_reconstruction_is_the_error_of_the_values_that_the_windows_show() -> None:
    learner, objective = Learner(), Reconstruction(ReconstructionConfig())
    loss = terms_of(objective, learner)["values"]
    shown = learner.seen.observed & learner.mask[..., None]
    errors = objective.module(learner.states)[shown] - learner.seen.values[shown]
    apart = errors.abs()
    torch.testing.assert_close(loss, torch.where(apart < 1, apart**2 / 2, apart - 0.5).mean())
