"""Masked prediction on one trajectory: V-JEPA 2-AC's refinement of the encoder, and I-JEPA's blocks.

Symbols: B windows, T steps, V visible steps, K hidden steps, D latent size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jepa_clin.config import MaskedPredictionConfig
from jepa_clin.masked_predictor import MaskedPredictor
from jepa_clin.steps import batch_at, marked_steps, masked_mean
from jepa_core.contracts import Batch, Phase

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

VISIBLE_AT_LEAST = 2


class MaskedPrediction(Phase[MaskedPredictionConfig]):
    """Hides steps of each window, state and action together, and predicts their latents from those of the others.

    Context: the online encoder on the static facts and the visible steps; only these are encoded with a gradient.
    Targets: the EMA target on the hidden steps, no gradient. Loss: mean over the hidden states and actions of the
    batch, and over the D dimensions, of the absolute difference. The target moves after each step with a tau that goes
    linearly from `tau_start` to `tau_end`. The predictor is thrown away at the end.

    `block_length` 1 is the random mask of the reference's V-JEPA 2-AC baseline; longer blocks are I-JEPA's (arXiv
    2301.08243), over time instead of over an image.
    Departures from the reference: means instead of sums over dimensions; hidden tokens of all windows count alike
    instead of windows; the hidden steps, which it encodes with a gradient and does not use, are not encoded; no early
    stopping, so that budgets stay comparable.
    """

    def __init__(self, config: MaskedPredictionConfig) -> None:
        super().__init__(config)
        self._done = 0

    def build_module(self, latent_dim: int) -> nn.Module:
        return MaskedPredictor(self.config.predictor, latent_dim)

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `masked_prediction`."""
        hides = draw_hidden(batch.whole_mask, self.config.mask_ratio, self.config.block_length, generator)
        steps, seen = map(batch.own, marked_steps(batch.whole_mask & ~hides))
        hidden, exists = map(batch.own, marked_steps(hides))
        visible = learner.latents(batch_at(batch, steps, seen))
        target = learner.target_latents(batch_at(batch, hidden, exists))
        assert self.module is not None  # the loop has built it
        predicted = self.module(visible, *(index.to(visible.mask.device) for index in (steps, hidden)), target.mask)
        wanted = torch.stack((target.states, target.actions), dim=1)
        counted = target.mask[:, None].expand(wanted.shape[:-1])
        return {"masked_prediction": masked_mean((predicted - wanted).abs().mean(dim=-1), counted)}

    def after_step(self, learner: Learner) -> None:
        learner.update_target(self.tau())
        self._done += 1

    def tau(self) -> float:
        """Share of itself that the target keeps at the present step."""
        start, end = self.config.tau_start, self.config.tau_end
        return start + (end - start) * self._done / max(1, self.config.steps - 1)

    def state_dict(self) -> dict[str, Tensor]:
        return {"done": torch.tensor(self._done)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._done = int(state["done"])


def draw_hidden(mask: Tensor, ratio: float, block_length: int, generator: torch.Generator) -> Tensor:
    """Draw the hidden steps of windows: (B, T) bool, of each window round(ratio x its steps), two staying visible.

    Each window is cut into blocks at a place drawn for it; blocks are hidden in a drawn order, the last one in part,
    until there are enough hidden steps.
    mask: (B, T) bool, true where a window has a step.
    """
    windows, steps = mask.shape
    lengths = mask.sum(dim=1, keepdim=True)
    wanted = (ratio * lengths).round().long().clamp(min=1).minimum((lengths - VISIBLE_AT_LEAST).clamp(min=0))
    offsets = torch.randint(block_length, (windows, 1), generator=generator)
    blocks = (torch.arange(steps) + offsets) // block_length
    order = torch.rand(windows, int(blocks.max()) + 1, generator=generator).gather(1, blocks)
    # Steps of one block have equal keys, and a stable sort leaves them in the order of time.
    first = order.masked_fill(~mask, torch.inf).argsort(dim=1, stable=True)
    return torch.zeros_like(mask).scatter(1, first, torch.arange(steps) < wanted)
