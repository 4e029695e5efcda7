"""A batch in parts, each of some of its windows, that take about as long: a step ends with the last of its parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Part


def parts_of(batch: Batch, count: int, sizes: Callable[[Tensor], Tensor]) -> list[Batch]:
    """The batch in so many parts, each of as many windows as another or one more; it has that many at the least.

    sizes: what encoding items costs, by their ids; parts are divided by that. A part keeps the steps of the whole
    batch, padding included, so that its shapes beyond the first are those of the whole.
    """
    taken = torch.zeros(len(batch.items), dtype=torch.bool)
    divided = []
    for rows in _balanced(_sizes_of_windows(batch, sizes(batch.items)), count):
        static, states, actions = batch.static[rows], batch.states[rows], batch.actions[rows]
        used = torch.unique(torch.cat((static, states.flatten(), actions.flatten())))
        part = Part(rows, batch.mask, batch.items, ~taken[used])
        taken[used] = True
        static, states, actions = (torch.searchsorted(used, index) for index in (static, states, actions))
        divided.append(Batch(batch.items[used], static, states, actions, batch.steps[rows], batch.mask[rows], part))
    return divided


def _sizes_of_windows(batch: Batch, sizes: Tensor) -> list[int]:
    """Of the distinct items of each window, by those of the batch's items."""
    windows = torch.cat((batch.static[:, None], batch.states, batch.actions), dim=1)
    return [int(sizes[torch.unique(window)].sum()) for window in windows]


def _balanced(sizes: list[int], count: int) -> list[Tensor]:
    """Windows of each part, ascending: from the largest on, each goes to the part with the least so far among those
    that have room."""
    room = [len(rows) for rows in torch.arange(len(sizes)).tensor_split(count)]
    loads, parts = [0] * count, [list[int]() for _ in range(count)]
    for window in sorted(range(len(sizes)), key=lambda window: -sizes[window]):
        part = min((part for part in range(count) if len(parts[part]) < room[part]), key=loads.__getitem__)
        parts[part].append(window)
        loads[part] += sizes[window]
    return [torch.tensor(sorted(part)) for part in parts]


def counted_items(batch: Batch) -> Tensor:
    """Ids of the items of a batch, each counted once in the step: an item that windows of several parts have is that of
    the first of them."""
    return batch.items if batch.part is None else batch.items[batch.part.first]
