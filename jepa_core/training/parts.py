"""A batch in parts, each of some of its windows."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Part


def divide(batch: Batch, parts: int) -> list[Batch]:
    """The batch in parts of equal numbers of windows, or one window more; there are as many windows at the least.

    A part keeps the steps of the whole batch, padding included, so that its shapes beyond the first are those of the
    whole.
    """
    taken = torch.zeros(len(batch.items), dtype=torch.bool)
    divided = []
    for rows in torch.arange(len(batch.mask)).tensor_split(parts):
        static, states, actions = batch.static[rows], batch.states[rows], batch.actions[rows]
        used = torch.unique(torch.cat((static, states.flatten(), actions.flatten())))
        part = Part(rows, batch.mask, batch.items, ~taken[used])
        taken[used] = True
        places = (torch.searchsorted(used, index) for index in (static, states, actions))
        divided.append(Batch(batch.items[used], *places, batch.steps[rows], batch.mask[rows], part))
    return divided


def counted_items(batch: Batch) -> Tensor:
    """Ids of the items of a batch, each counted once in the step: an item that windows of several parts have is that of
    the first of them."""
    return batch.items if batch.part is None else batch.items[batch.part.first]
