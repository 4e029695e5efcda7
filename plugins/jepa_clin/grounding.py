"""Grounding: beliefs are tied to the data, ahead and behind.

Symbols: B windows, T steps, W belief size, C channels of observations, K windows ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_clin.config import GroundingConfig
from jepa_clin.steps import masked_mean
from jepa_core.config import LearnerShape
from jepa_core.contracts import Batch, Decoder, Objective, Observations
from jepa_core.training.precision import full

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

SO_FAR = 4
"""What is read of the values of the past: mean, least, largest and last."""


class Grounding(Objective[GroundingConfig]):
    """Reads off the belief at each step what every channel will show, and what it has shown.

        ahead      for windows (a, b]: the mean of the channel's observed values at the steps t + a + 1 ... t + b
        presence   for the same windows: whether the channel is observed in them at all
        so far     mean, least, largest and last of its observed values at the steps <= t
        shown      the share of the steps <= t at which it was observed

    Values are normal scores (`learner.observations`), so no channel's unit or outlier weighs more than another's. Loss:
    smooth l1 over the values that there are, plus `presence_weight` times the cross-entropy of the presences. A window
    that reaches beyond the batch's window counts for the values that it has; its presence is not known and does not
    count. Whoever is observed when says much of a course, so what is missing is foreseen, not filled in.

    The gradient flows through the belief into predictor and encoder unless `detached`. Predicting the data beside the
    latents is what latent world models do that are used for planning (Dreamer, arXiv 1912.01603, decodes each
    observation); windows instead of steps suit charts in which a channel shows once in hours.
    """

    module: GroundingHeads

    def build_module(self, shape: LearnerShape) -> nn.Module:
        return GroundingHeads(self.config, shape)

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms `ahead`, `presence`, `so_far` and `shown`; the values' are 0 where the batch shows nothing."""
        belief = learner.prediction(batch).belief
        read = self.module.read(belief.detach() if self.config.detached else belief)
        mask = learner.latents(batch).mask
        wanted = step_targets(learner.observations(batch), mask, self.config.windows)
        presence = F.binary_cross_entropy_with_logits(full(read.presence), wanted.present, reduction="none")
        return {
            "ahead": _smooth_l1(read.ahead, wanted.ahead, wanted.present > 0, mask),
            "presence": self.config.presence_weight * masked_mean(presence, wanted.known),
            "so_far": _smooth_l1(read.so_far, wanted.so_far, wanted.shown > 0, mask),
            "shown": _smooth_l1(read.shown, wanted.shown, torch.ones_like(wanted.shown, dtype=torch.bool), mask),
        }


@dataclass(frozen=True)
class Reading:
    """What heads read of beliefs. ahead, presence (logits): (..., K, C). so_far: (..., SO_FAR, C). shown: (..., 1,
    C)."""

    ahead: Tensor
    presence: Tensor
    so_far: Tensor
    shown: Tensor


class GroundingHeads(Decoder):
    """Linear heads on the normalised belief."""

    def __init__(self, config: GroundingConfig, shape: LearnerShape) -> None:
        super().__init__()
        self._windows, self._channels = config.windows, shape.channels
        self.norm = nn.LayerNorm(shape.belief)
        self.output = nn.Linear(shape.belief, config.rows() * shape.channels)

    def forward(self, belief: Tensor) -> Tensor:
        """Normal scores ahead, logits of presence, normal scores so far, shares: (..., (2 K + 5) C)."""
        return self.output(self.norm(belief))

    def read(self, belief: Tensor) -> Reading:
        """The same by kind, from beliefs (..., W)."""
        rows = self(belief).unflatten(-1, (-1, self._channels))
        count = len(self._windows)
        return Reading(*rows.split((count, count, SO_FAR, 1), dim=-2))

    def next_values(self, belief: Tensor) -> Tensor:
        return self.read(belief).ahead[..., self._windows.index((0, 1)), :]


@dataclass(frozen=True)
class StepTargets:
    """What heads should read at each step.

    ahead: (B, T, K, C), where present (same shape, 1 or 0). known: (B, T, K, C) bool, whether the presence is known.
    so_far: (B, T, SO_FAR, C), where shown (B, T, 1, C), the share of steps, is above 0.
    """

    ahead: Tensor
    present: Tensor
    known: Tensor
    so_far: Tensor
    shown: Tensor


def step_targets(seen: Observations, mask: Tensor, windows: tuple[tuple[int, int], ...]) -> StepTargets:
    """Targets of every step at once, by running sums.

    mask: (B, T) bool, true where a window has a step; steps beyond show nothing.
    """
    observed = seen.observed & mask[..., None]
    values = torch.where(observed, seen.values, 0)
    steps = mask.shape[1]
    sums, counts = (F.pad(tensor.cumsum(1), (0, 0, 1, 0)) for tensor in (values, observed.to(values.dtype)))
    begins = torch.arange(steps, device=mask.device)[:, None] + 1 + torch.tensor(windows, device=mask.device)[:, 0]
    ends = torch.arange(steps, device=mask.device)[:, None] + 1 + torch.tensor(windows, device=mask.device)[:, 1]
    inside = (begins.clamp(max=steps), ends.clamp(max=steps))
    total, count = (total_of[:, inside[1]] - total_of[:, inside[0]] for total_of in (sums, counts))
    last = (ends - 1).clamp(max=steps - 1)
    known = mask[:, :, None] & mask[:, last] & (ends <= steps)
    so_far = (
        sums[:, 1:] / counts[:, 1:].clamp(min=1),
        torch.where(observed, values, torch.inf).cummin(1).values,
        torch.where(observed, values, -torch.inf).cummax(1).values,
        values.gather(1, _last(observed)),
    )
    return StepTargets(
        ahead=total / count.clamp(min=1),
        present=(count > 0).to(values.dtype),
        known=known[..., None].expand_as(count),
        so_far=torch.stack(so_far, dim=2),
        shown=(counts[:, 1:] / torch.arange(1, steps + 1, device=mask.device)[:, None])[:, :, None],
    )


def _last(observed: Tensor) -> Tensor:
    """The last step (B, T, C) up to each at which a channel was observed, the first where it never was."""
    steps = torch.arange(observed.shape[1], device=observed.device)[:, None]
    return torch.where(observed, steps, 0).cummax(1).values


def _smooth_l1(read: Tensor, wanted: Tensor, there: Tensor, mask: Tensor) -> Tensor:
    """Mean over the targets (B, T, R, C) that are there, at the steps of `mask` (B, T)."""
    there = (there & mask[:, :, None, None]).expand_as(wanted)
    error = F.smooth_l1_loss(full(read), torch.where(there, wanted, 0), reduction="none")
    return masked_mean(error, there)
