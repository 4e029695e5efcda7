"""How many subjects are behind what is found on training data, so that nothing of few of them is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_SUBJECTS = 5
"""Subjects of train that must share what is kept of them: a word, a value, the mean of a channel. Where train has fewer
altogether, all of them."""


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
