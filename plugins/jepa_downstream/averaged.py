"""Two methods as one: the mean of their scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jepa_downstream.methods import Fitted, Method
from jepa_downstream.rows import Rows, Task


@dataclass
class FittedOnce:
    """A method that several ask for: on the same rows it is fitted once."""

    method: Method
    _fits: dict[tuple[str, str, int], Fitted] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def information(self) -> str:
        return self.method.information

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> Fitted:
        key = (task.name, _digest(train, tuning), seed)
        if key not in self._fits:
            self._fits[key] = self.method.fit(task, train, tuning, seed)
        return self._fits[key]


def _digest(*rows: Rows) -> str:
    digest = hashlib.sha256()
    for row in rows:
        for part in (row.trajectory, row.step, row.truth):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Averaged:
    """The mean of what several methods score: probabilities, or values. Each is fitted and selected by itself."""

    methods: Sequence[Method]

    @property
    def name(self) -> str:
        return " and ".join(method.name for method in self.methods)

    @property
    def information(self) -> str:
        return f"what {self.name} are told; their scores are averaged"

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedAverage:
        return FittedAverage([method.fit(task, train, tuning, seed) for method in self.methods])


@dataclass(frozen=True)
class FittedAverage:
    """The fits behind a mean."""

    fits: Sequence[Fitted]

    @property
    def chosen(self) -> dict[str, Any]:
        return {
            f"{key} of {number}": value for number, fit in enumerate(self.fits, 1) for key, value in fit.chosen.items()
        }

    def to_state(self) -> dict[str, Any]:
        return {"kind": "average", "fits": {str(number): fit.to_state() for number, fit in enumerate(self.fits)}}

    def scores(self, rows: Rows) -> np.ndarray:
        return np.stack([fit.scores(rows) for fit in self.fits]).mean(axis=0, dtype=np.float64)
