"""Picking steps out of windows, and averaging over those that exist."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Batch
from jepa_core.training.totals import total


def at_steps(values: Tensor, steps: Tensor) -> Tensor:
    """The entries of `values` (B, T, ...) at `steps` (B, ...): the shape of `steps`, followed by that of an entry."""
    rows = torch.arange(len(steps), device=steps.device).view(-1, *[1] * (steps.dim() - 1))
    return values[rows, steps]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the step of the values that `mask` marks; 0 if it marks none."""
    return total(torch.where(mask, values, 0).sum()) / total(mask.sum()).clamp(min=1)


def marked_steps(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The steps that `mask` (B, T) marks, in order: steps (B, K) int64 and whether there is one (B, K), K the most of
    any window but at least 1. Where there is none, the window's first is repeated."""
    counts = mask.sum(dim=1, keepdim=True)
    steps = mask.long().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(counts.max()))]
    exists = torch.arange(steps.shape[1], device=mask.device) < counts
    return torch.where(exists, steps, steps[:, :1]), exists


def batch_at(batch: Batch, steps: Tensor, exists: Tensor) -> Batch:
    """The batch with nothing but the given steps (B, K) of each window, and the items that they need."""
    states, actions = at_steps(batch.states, steps), at_steps(batch.actions, steps)
    used = torch.unique(torch.cat((batch.static, states.flatten(), actions.flatten())))
    static, states, actions = (torch.searchsorted(used, places) for places in (batch.static, states, actions))
    return Batch(batch.items[used], static, states, actions, at_steps(batch.steps, steps), exists)
