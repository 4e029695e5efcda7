"""Picking steps out of windows."""

from __future__ import annotations

import torch
from torch import Tensor


def at_steps(values: Tensor, steps: Tensor) -> Tensor:
    """The entries of `values` (B, T, ...) at `steps` (B, ...): the shape of `steps`, followed by that of an entry."""
    rows = torch.arange(len(steps), device=steps.device).view(-1, *[1] * (steps.dim() - 1))
    return values[rows, steps]
