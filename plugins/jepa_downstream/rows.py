"""What is predicted, and where: the rows of a task in a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jepa_core.training.aside import laid_aside
from jepa_downstream.config import Kind

BLOCK = 8192
"""Rows whose inputs are held at once."""


@dataclass(frozen=True)
class Task:
    """One thing to predict.

    name: unique among the tasks of an evaluator; part of file names. kind: `binary` asks for the probability that the
    truth is 1, `regression` for its value. horizon: steps ahead that an event is foreseen; None where there is no such
    bound. known: name of the label whose values up to a row's step are known at that step (the series of an event);
    None where the label itself tells the future.
    """

    name: str
    kind: Kind
    horizon: int | None = None
    known: str | None = None


@dataclass(frozen=True)
class Rows:
    """Rows of one task in one split, ordered by (trajectory, step).

    trajectory: (R,) int64 index in the dataset. step: (R,) int64 last step that may be seen, within the trajectory,
    from 0: its state and its action are seen, nothing later. truth: (R,) float64, 1 or 0 in a binary task; no NaN.
    subject: (R,) int64, for resampling, and for counting how many are behind what is kept: nobody may predict from
    it.
    """

    trajectory: np.ndarray
    step: np.ndarray
    truth: np.ndarray
    subject: np.ndarray

    def __len__(self) -> int:
        return len(self.trajectory)

    def take(self, index: np.ndarray) -> Rows:
        """The rows at `index`."""
        return Rows(self.trajectory[index], self.step[index], self.truth[index], self.subject[index])

    def aside(self, folder: Path | None) -> Rows:
        """The same rows, their columns in files where they are many."""
        columns = (self.trajectory, self.step, self.truth, self.subject)
        return Rows(*(laid_aside(column, folder) for column in columns))


@dataclass(frozen=True)
class Counts:
    """How many rows there are, of how many subjects; rows whose truth is 1, and the subjects that have one."""

    rows: int
    subjects: int
    positives: int
    positive_subjects: int

    @classmethod
    def of(cls, rows: Rows) -> Counts:
        positive = rows.truth == 1
        positive_subjects = len(np.unique(rows.subject[positive]))
        return cls(len(rows), len(np.unique(rows.subject)), int(positive.sum()), positive_subjects)


def subjects_of(parts: Iterable[Rows]) -> np.ndarray:
    """The distinct subjects of several parts together, ascending: (S,) int64. The same rows, given again, are looked at
    once, and those of no two parts are laid side by side."""
    distinct = {id(rows): rows for rows in parts}.values()
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(np.unique(rows.subject) for rows in distinct)]))


def blocks(rows: Rows) -> Iterator[Rows]:
    """The rows in their order, a block at a time."""
    for start in range(0, len(rows), BLOCK):
        yield rows.take(np.arange(start, min(start + BLOCK, len(rows))))


def by_trajectory(rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
    """Each trajectory with the indices of its rows."""
    order = np.argsort(rows.trajectory, kind="stable")
    for index in np.split(order, np.flatnonzero(np.diff(rows.trajectory[order])) + 1):
        if len(index):
            yield int(rows.trajectory[index[0]]), index
