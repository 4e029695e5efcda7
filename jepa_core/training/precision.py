"""In which precision losses are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def full(values: Tensor) -> Tensor:
    """The values in float32, or as they are where they are more exact: for what bf16 would round away."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
