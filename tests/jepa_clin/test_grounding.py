"""What grounding asks beliefs to tell, against the same by loops; its heads, and where its gradient goes."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from jepa_clin.config import GroundingConfig
from jepa_clin.grounding import Grounding, GroundingHeads, step_targets
from jepa_core.config import LearnerShape
from jepa_core.contracts import Batch, Latents, Observations, Prediction

LENGTHS = (9, 6, 1)
CHANNELS, BELIEF = 3, 5
WINDOWS = ((0, 1), (0, 4), (2, 5))


def make_observations(seed: int = 0) -> tuple[Observations, Tensor]:
    """Windows of 9, 6 and 1 steps in which a channel shows now and then; channel 2 never does."""
    draw = torch.Generator().manual_seed(seed)
    shape = (len(LENGTHS), max(LENGTHS), CHANNELS)
    observed = torch.rand(shape, generator=draw) < 0.4
    observed[..., 2] = False
    values = torch.where(observed, torch.randn(shape, generator=draw), 0)
    return Observations(values, observed), torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def shown(seen: Observations, window: int, channel: int, steps: range) -> list[float]:
    """Observed values of a channel at the steps that the window has."""
    inside = [step for step in steps if 0 <= step < LENGTHS[window] and seen.observed[window, step, channel]]
    return [float(seen.values[window, step, channel]) for step in inside]


def test_targets_are_those_of_their_definition() -> None:
    seen, mask = make_observations()
    made = step_targets(seen, mask, WINDOWS)
    for window, length in enumerate(LENGTHS):
        for step in range(length):
            for channel in range(CHANNELS):
                for place, (begin, end) in enumerate(WINDOWS):
                    ahead = shown(seen, window, channel, range(step + begin + 1, step + end + 1))
                    cell = window, step, place, channel
                    assert made.present[cell] == bool(ahead)
                    assert bool(made.known[cell]) is (step + end < length)
                    if ahead:
                        assert made.ahead[cell].item() == pytest.approx(sum(ahead) / len(ahead), abs=1e-5)
                past = shown(seen, window, channel, range(step + 1))
                assert made.shown[window, step, 0, channel].item() == pytest.approx(len(past) / (step + 1))
                if past:
                    found = made.so_far[window, step, :, channel].tolist()
                    assert found == pytest.approx([sum(past) / len(past), min(past), max(past), past[-1]], abs=1e-5)


class Learner:
    """A belief for each step, and what the steps show."""

    def __init__(self, seen: Observations, mask: Tensor) -> None:
        torch.manual_seed(0)
        self.mask, self.seen = mask, seen
        self.belief = torch.randn(*mask.shape, BELIEF, requires_grad=True)

    def latents(self, batch: Batch) -> Latents:
        empty = torch.zeros(*self.mask.shape, 1)
        return Latents(empty[:, 0], empty, empty, self.mask)

    def prediction(self, batch: Batch) -> Prediction:
        return Prediction(self.belief, self.belief, None)

    def observations(self, batch: Batch) -> Observations:
        return self.seen


def make_objective(**keys: object) -> Grounding:
    objective = Grounding(GroundingConfig(windows=WINDOWS, **keys))
    torch.manual_seed(1)
    objective.module = objective.build_module(LearnerShape(1, BELIEF, CHANNELS))
    return objective


def terms_of(objective: Grounding, learner: Learner) -> dict[str, Tensor]:
    return objective.terms(learner, None, torch.Generator())


def test_the_loss_is_zero_for_heads_that_read_rightly_and_counts_only_what_is_there() -> None:
    learner, objective = Learner(*make_observations()), make_objective()
    made = step_targets(learner.seen, learner.mask, WINDOWS)
    rightly = torch.cat([made.ahead, 40 * (2 * made.present - 1), made.so_far, made.shown], dim=2).nan_to_num(0, 0, 0)

    class Right(GroundingHeads):
        def forward(self, belief: Tensor) -> Tensor:
            return rightly.flatten(2)

    objective.module = Right(objective.config, LearnerShape(1, BELIEF, CHANNELS))
    assert all(term.item() == pytest.approx(0, abs=1e-6) for term in terms_of(objective, learner).values())
    rightly = rightly + 1  # smooth l1 of an error of 1 is 1/2, and a logit of 41 costs nothing where it is right
    found = terms_of(objective, learner)
    assert all(found[name].item() == pytest.approx(0.5) for name in ("ahead", "so_far", "shown"))


def test_an_unsure_head_costs_the_entropy_of_a_coin_times_its_weight() -> None:
    learner, objective = Learner(*make_observations()), make_objective(presence_weight=0.25)
    torch.nn.init.zeros_(objective.module.output.weight)
    torch.nn.init.zeros_(objective.module.output.bias)
    assert terms_of(objective, learner)["presence"].item() == pytest.approx(0.25 * math.log(2))


@pytest.mark.parametrize("detached", [False, True])
def test_the_gradient_reaches_the_belief_unless_it_is_stopped_there(detached: bool) -> None:
    learner, objective = Learner(*make_observations()), make_objective(detached=detached)
    sum(terms_of(objective, learner).values()).backward()
    assert objective.module.output.weight.grad.any()
    assert (learner.belief.grad is None) is detached
    if not detached:
        assert not learner.belief.grad[~learner.mask].any()


def test_a_batch_that_shows_nothing_costs_nothing_but_what_it_says_of_presence() -> None:
    seen, mask = make_observations()
    nothing = Observations(torch.zeros_like(seen.values), torch.zeros_like(seen.observed))
    found = terms_of(make_objective(), Learner(nothing, mask))
    assert found["ahead"] == found["so_far"] == 0 and found["presence"] > 0


def test_heads_say_what_the_next_step_will_show() -> None:
    heads = make_objective().module
    belief = torch.randn(2, 4, BELIEF)
    read = heads.read(belief)
    assert torch.equal(heads.next_values(belief), read.ahead[..., 0, :])
    assert heads(belief).shape == (2, 4, CHANNELS * (2 * len(WINDOWS) + 5))
    parts = torch.cat([read.ahead, read.presence, read.so_far, read.shown], dim=-2)
    assert torch.equal(heads(belief), parts.flatten(-2))


@pytest.mark.parametrize(
    ("windows", "message"),
    [([[0, 6]], r"\[0, 1\] must be among them"), ([[0, 1], [4, 4]], r"the window \[4, 4\]"),
     ([[0, 1], [0, 1]], "must differ"), ([[0, 1], [-1, 3]], r"the window \[-1, 3\]")],
)  # fmt: skip
def test_windows_that_are_none_are_refused(windows: list[list[int]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GroundingConfig(windows=windows)
