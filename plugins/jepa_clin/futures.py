"""Objectives that ask beliefs for the future in latents, for channels that are hidden, and latents for what they show.

Symbols: B windows, T steps, D latent size, W belief size, C channels of observations, K windows ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_clin.further_config import HiddenChannelsConfig, PooledFutureConfig, ReconstructionConfig
from jepa_clin.steps import masked_mean
from jepa_core.config import LearnerShape
from jepa_core.contracts import Batch, Objective
from jepa_core.training.precision import full

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner


class PooledFuture(Objective[PooledFutureConfig]):
    """Predicts from the belief at each step the mean latent state of windows ahead: of the steps t + a + 1 ... t + b.

    What happens in one step of a chart is mostly noise; what a course will be like over hours is not, and the mean
    keeps that. Targets are the encoder's own states, without gradient: the states that the phase has encoded, so
    nothing is encoded twice. A window that reaches beyond the batch's window counts with the steps that it has. Loss:
    l1, mean over dimensions, steps and windows.
    """

    module: nn.Module

    def build_module(self, shape: LearnerShape) -> nn.Module:
        return nn.Sequential(
            nn.LayerNorm(shape.belief), nn.Linear(shape.belief, len(self.config.windows) * shape.latent)
        )

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `pooled`; 0 where no step has one after it."""
        latents = learner.latents(batch)
        wanted, there = pooled(latents.states.detach(), latents.mask, self.config.windows)
        read = self.module(learner.prediction(batch).belief).unflatten(-1, wanted.shape[2:])
        return {"pooled": masked_mean((full(read) - wanted).abs().mean(-1), there)}


def pooled(states: Tensor, mask: Tensor, windows: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor]:
    """Mean of the states (B, T, D) in windows ahead of every step, and whether there are any: (B, T, K, D), (B, T, K).

    mask: (B, T) bool, true where a window has a step. By running sums.
    """
    steps = states.shape[1]
    real = mask.to(states.dtype)
    sums = F.pad((states * real[..., None]).cumsum(1), (0, 0, 1, 0))
    counts = F.pad(real.cumsum(1), (1, 0))
    after = torch.arange(1, steps + 1, device=mask.device)[:, None]
    begins, ends = ((after + bound).clamp(max=steps) for bound in torch.tensor(windows, device=mask.device).T)
    count = counts[:, ends] - counts[:, begins]
    mean = (sums[:, ends] - sums[:, begins]) / count.clamp(min=1)[..., None]
    return mean, (count > 0) & mask[..., None]


class HiddenChannels(Objective[HiddenChannelsConfig]):
    """Hides channels of the next step, and recovers them from the belief and from the channels that are left.

    At every step each channel is hidden with the chance `share`; a head of one hidden layer is given the belief before
    that step and the values (and presences) that stay visible, and says what the hidden ones are. What neighbours tell
    of a channel need not be believed, so the belief is pressed for what they do not tell. Unlike masked modelling of
    the inputs nothing is encoded a second time, and it works the same whatever the encoder reads.

    Values are normal scores (`learner.observations`). Loss: smooth l1 over the hidden values that there are.
    """

    module: HiddenChannelsHead

    def build_module(self, shape: LearnerShape) -> nn.Module:
        return HiddenChannelsHead(self.config, shape)

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `hidden`; 0 where no hidden channel shows."""
        belief, mask = learner.prediction(batch).belief[:, :-1], learner.latents(batch).mask
        seen = learner.observations(batch)
        values, observed = seen.values[:, 1:], seen.observed[:, 1:] & (mask[:, :-1] & mask[:, 1:])[..., None]
        drawn = torch.rand(len(batch.whole_mask), *values.shape[1:], generator=generator) < self.config.share
        hidden = observed & batch.own(drawn).to(observed.device)
        recovered = self.module(belief, torch.where(hidden, 0, values), observed & ~hidden)
        error = F.smooth_l1_loss(full(recovered), torch.where(hidden, values, 0), reduction="none")
        return {"hidden": masked_mean(error, hidden)}


class HiddenChannelsHead(nn.Module):
    """Channels (..., C) from a belief (..., W), visible values and which they are (..., C)."""

    def __init__(self, config: HiddenChannelsConfig, shape: LearnerShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.belief)
        self.inner = nn.Linear(shape.belief + 2 * shape.channels, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, shape.channels)

    def forward(self, belief: Tensor, values: Tensor, visible: Tensor) -> Tensor:
        belief = self.norm(belief)
        shown = torch.where(visible, values, 0).to(belief.dtype)
        given = torch.cat((belief, shown, visible.to(belief.dtype)), dim=-1)
        return self.output(F.gelu(self.inner(given)))


class Reconstruction(Objective[ReconstructionConfig]):
    """Reads off the latent of each step the values that the step shows.

    Grounding reaches an encoder through the predictor, hours later and averaged over windows; from this the encoder
    learns at once to tell a value from its neighbours, which an encoder of texts that begins at random does slowly
    (docs/results.md). A linear map has to find the values, so they lie in directions that others find too.

    Values are normal scores (`learner.observations`). Loss: smooth l1 over the values that there are.
    """

    module: nn.Module

    def build_module(self, shape: LearnerShape) -> nn.Module:
        return nn.Linear(shape.latent, shape.channels)

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `values`; 0 where the batch shows nothing."""
        latents, seen = learner.latents(batch), learner.observations(batch)
        shown = seen.observed & latents.mask[..., None]
        error = F.smooth_l1_loss(full(self.module(latents.states)), seen.values.where(shown, 0), reduction="none")
        return {"values": masked_mean(error, shown)}
