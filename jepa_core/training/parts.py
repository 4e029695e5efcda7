"""A batch in parts, each of some of its windows."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Part


def parts_of(batch: Batch, count: int) -> list[Batch]:
    """The batch in so many parts, each of as many windows as another or one more; it has that many at the least.

    A part keeps the steps of the whole batch, padding included, so that its shapes beyond the first are those of the
    whole.
    """
    taken = torch.zeros(len(batch.items), dtype=torch.bool)
    divided = []
    for rows in torch.arange(len(batch.mask)).tensor_split(count):
        static, states, actions = batch.static[rows], batch.states[rows], batch.actions[rows]
        used = torch.unique(torch.cat((static, states.flatten(), actions.flatten())))
        part = Part(rows, batch.mask, batch.items, ~taken[used])
        taken[used] = True
        static, states, actions = (torch.searchsorted(used, index) for index in (static, states, actions))
        divided.append(Batch(batch.items[used], static, states, actions, batch.steps[rows], batch.mask[rows], part))
    return divided


def counted_items(batch: Batch) -> Tensor:
    """Ids of the items of a batch, each counted once in the step: an item that windows of several parts have is that of
    the first of them."""
    return batch.items if batch.part is None else batch.items[batch.part.first]
