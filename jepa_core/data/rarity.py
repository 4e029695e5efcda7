"""How many subjects are behind what is found on training data, so that nothing of few of them is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.config import Role
from jepa_core.data.trajectories import ROLES, Channel, Trajectories

if TYPE_CHECKING:
    from jepa_core.data.store import Store

LEAST_SUBJECTS = 5
"""Subjects of train that must share what is kept of them: a word, a value, the mean of a channel. Where train has fewer
altogether, all of them."""

_NEAR = 64
"""Values around a quantile that are looked at first."""


def fewest_of(subject: np.ndarray) -> int:
    """How many of some subjects (N,) must share what is kept of them."""
    return max(1, min(LEAST_SUBJECTS, len(np.unique(subject))))


def shared_channels(store: Store, fewest: int) -> list[Channel]:
    """The channels of a store that at least so many subjects of train have an event of, in order."""
    pairs, common = np.empty((2, 0), dtype=np.int64), np.zeros(len(store.channels), dtype=bool)
    for block in store.blocks():
        pairs = np.unique(np.concatenate([pairs, *(_shown(block, role) for role in ROLES)], axis=1), axis=1)
        common |= np.bincount(pairs[0], minlength=len(common)) >= fewest
        pairs = pairs[:, ~common[pairs[0]]]
    return [channel for channel, shared in zip(store.channels, common.tolist(), strict=True) if shared]


def _shown(block: Trajectories, role: Role) -> np.ndarray:
    """Which channels are shown by which subjects of train in a block: (2, pairs) int64."""
    trajectory = block.event_trajectories(role)
    own = block.split[trajectory] == 0
    pairs = np.stack([block.events(role).channel[own].astype(np.int64), block.subject[trajectory[own]]])
    return np.unique(pairs, axis=1)


def observers(seen: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """How many subjects show each column: (F,). seen: (R, F) bool, of rows that belong to `subject` (R,)."""
    if not len(subject):
        return np.zeros(seen.shape[1], dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], subject[1:] != subject[:-1]]))
    order = np.argsort(subject[starts], kind="stable")
    _, first = np.unique(subject[starts][order], return_index=True)
    shown = np.logical_or.reduceat(seen, starts, axis=0)[order]
    return np.logical_or.reduceat(shown, first, axis=0).sum(axis=0)


def shared_near(values: np.ndarray, subject: np.ndarray, at: float, fewest: int) -> float | None:
    """A quantile `at` of values (N,), none of them NaN, if that many of the subjects (N,) have it; else the mean of the
    values next to it, of as many subjects, each of whom counts once; None where fewer have any."""
    gap = np.abs(values.astype(np.float64) - at)
    count, owners, near, first = _NEAR, *np.empty((3, 0), dtype=np.int64)
    while len(owners) < fewest and len(near) < len(gap):
        near = np.flatnonzero(gap <= np.partition(gap, min(count, len(gap)) - 1)[min(count, len(gap)) - 1])
        near = near[np.argsort(gap[near], kind="stable")]
        owners, first = np.unique(subject[near], return_index=True)
        count *= 8
    if len(owners) < fewest:
        return None
    chosen = gap <= gap[near[np.sort(first)[fewest - 1]]]
    _, owner = np.unique(subject[chosen], return_inverse=True)
    return float((np.bincount(owner, weights=values[chosen].astype(np.float64)) / np.bincount(owner)).mean())


class SharedCells:
    """Values of the train split in cells: how many subjects a cell has, and the mean of their values.

    Of each cell the first `LEAST_SUBJECTS` subjects are remembered, so memory does not grow with their number. Values
    that are added together count with their mean, so that a subject with many outweighs the others less.
    """

    def __init__(self, count: int) -> None:
        self._subjects: dict[int, int] = {}
        self._owner = np.full((count, LEAST_SUBJECTS), -1, dtype=np.int64)
        self._owners = np.zeros(count, dtype=np.int64)
        self._sum = np.zeros(count)
        self._means = np.zeros(count, dtype=np.int64)

    def add(self, subject: int, cell: np.ndarray, value: np.ndarray) -> None:
        """Values (V,) of a subject, and their cells."""
        number = self._subjects.setdefault(subject, len(self._subjects))
        cells, inverse, counts = np.unique(cell, return_inverse=True, return_counts=True)
        self._sum[cells] += np.bincount(inverse, weights=value.astype(np.float64), minlength=len(cells)) / counts
        self._means[cells] += 1
        new = cells[(self._owners[cells] < LEAST_SUBJECTS) & (self._owner[cells] != number).all(1)]
        self._owner[new, self._owners[new]] = number
        self._owners[new] += 1

    @property
    def fewest(self) -> int:
        """How many subjects must share what is kept."""
        return max(1, min(LEAST_SUBJECTS, len(self._subjects)))

    def shared(self) -> np.ndarray:
        """Cells that enough subjects have: bool, one for each."""
        return self._owners >= self.fewest

    def groups(self, first: int, count: int) -> list[SharedGroup]:
        """Neighbouring cells among `count` from `first` on, in groups that enough subjects have, in order.

        A cell that enough have is a group by itself; those between two of them are merged as far as needed, or left
        out where even all of them are too few.
        """
        groups: list[SharedGroup] = []
        run: list[int] = []
        for cell in range(first, first + count):
            if self._owners[cell] < self.fewest:
                run.append(cell)
                continue
            groups += [*self._merged(run), self._group([cell])]
            run = []
        return [*groups, *self._merged(run)]

    def _merged(self, run: list[int]) -> list[SharedGroup]:
        """Groups of a run of cells each of which too few subjects have; what is left over joins the last."""
        parts: list[list[int]] = []
        part: list[int] = []
        for cell in run:
            part.append(cell)
            if len(self._owners_of(part)) >= self.fewest:
                parts.append(part)
                part = []
        if parts:
            parts[-1] += part
        return [self._group(cells) for cells in parts]

    def _owners_of(self, cells: list[int]) -> set[int]:
        return {owner for cell in cells for owner in self._owner[cell, : self._owners[cell]].tolist()}

    def _group(self, cells: list[int]) -> SharedGroup:
        weights = self._means[cells]
        return SharedGroup(np.array(cells), weights, float(self._sum[cells].sum() / weights.sum()))


@dataclass(frozen=True)
class SharedGroup:
    """Cells that were merged, in order; the weight of each; the mean over the subjects of all."""

    cells: np.ndarray
    weights: np.ndarray
    mean: float
