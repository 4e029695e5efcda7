"""Steps taken one at a time: a new one costs one step, not the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Channels, Items, Latents
from jepa_core.model.frozen import Frozen

Item: TypeAlias = str | np.ndarray
"""What an encoder encodes: a text, or values (C, P) with NaN where nothing was observed."""


@dataclass(frozen=True)
class Stream:
    """A trajectory up to now. steps: taken so far. next_state: (D,) float32, the state that is foreseen after the last
    of them; None before the first. memory: the predictor's, of all steps."""

    static: Tensor
    steps: int = 0
    next_state: np.ndarray | None = None
    memory: Any = None


def begin(frozen: Frozen, static: Item) -> Stream:
    """A trajectory before its first step."""
    return Stream(frozen.encode(_items([static])))


@torch.no_grad()
def step(frozen: Frozen, stream: Stream, observation: Item, action: Item) -> Stream:
    """The trajectory after one more step; the one before is left as it was."""
    state, acted = frozen.encode(_items([observation, action]))[:, None, None]
    mask = torch.ones((1, 1), dtype=torch.bool, device=frozen.device)
    latents = Latents(stream.static, state, acted, mask)
    with frozen.precision():
        first = stream.memory is None
        prediction = frozen.predictor(latents) if first else frozen.predictor.extend(latents, stream.memory)
    return Stream(
        stream.static, stream.steps + 1, prediction.next_states[0, -1].float().cpu().numpy(), prediction.memory
    )


def _items(given: list[Item]) -> Items:
    if all(isinstance(item, str) for item in given):
        return [str(item) for item in given]
    values = torch.from_numpy(np.stack([np.asarray(item, dtype=np.float32) for item in given]))
    return Channels(torch.nan_to_num(values, nan=0.0), ~torch.isnan(values))
