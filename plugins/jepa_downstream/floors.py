"""Floors: what can be said without looking at a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_downstream.events import last_known
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows, Task

if TYPE_CHECKING:
    from jepa_core.data.store import Store
    from jepa_core.model.view import View


class TrainMean:
    """The mean of the truth in train, everywhere: the prevalence of a binary task."""

    name = "train mean"
    information = "the mean of the truth in train"

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> Means:
        if len(train) == 0:
            raise CannotFit("the train split has no row")
        return Means({}, None, np.array([train.truth.mean()]))


class LastValue:
    """The mean of the truth in train among rows whose event was last known to be off, on, or not known at all.

    The series of an event is known up to the row's step.
    """

    name = "last value"
    information = "the last known value of the event's own series"

    def __init__(self, store: Store) -> None:
        self._store = store

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> Means:
        if task.known is None:
            raise CannotFit("nothing of what is predicted is known before")
        if len(train) == 0:
            raise CannotFit("the train split has no row")
        state = LastState(self._store, task.known)
        at = state(train)
        overall = train.truth.mean()
        means = [train.truth[at == level].mean() if (at == level).any() else overall for level in range(3)]
        return Means({}, state, np.array(means))


class LastState:
    """Last known state of a series up to each row: 0 off, 1 on, 2 not known."""

    def __init__(self, store: Store, name: str) -> None:
        """Raises DataError if the store has no such series."""
        series = store.label(name)
        self.name = name
        self._first = store.first_step
        known = last_known(series, np.repeat(self._first, store.steps))
        self._state = np.where(np.isnan(known), 2, known == 1).astype(np.int64)

    def __call__(self, rows: Rows) -> np.ndarray:
        return self._state[self._first[rows.trajectory] + rows.step]


@dataclass(frozen=True)
class Means:
    """A mean for each kind of row: (3,) for those of a last state, else (1,) for all."""

    chosen: dict[str, Any]
    state: LastState | None
    means: np.ndarray

    def scores(self, rows: Rows) -> np.ndarray:
        return self.means[np.zeros(len(rows), dtype=np.int64) if self.state is None else self.state(rows)]

    def to_state(self) -> dict[str, Any]:
        known = None if self.state is None else self.state.name
        return {"kind": "means", "chosen": self.chosen, "known": known, "means": self.means}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], view: View) -> Means:
        """Raises DataError if the data lack the series."""
        known = state["known"]
        return cls(state["chosen"], None if known is None else LastState(view.dataset.store, known), state["means"])
