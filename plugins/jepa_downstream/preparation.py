"""Inputs with gaps made ready for a head: for a linear one filled in, scaled and clipped, with indicators of what was
missing; for trees filled in where they could not learn from gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.data.rarity import fewest_of, shared_near
from jepa_core.training.aside import room_aside
from jepa_downstream.heads import AT_ONCE, Scorer, head_of

CONSTANT = 1e-6
"""Share of its mean, or of 1, below which a column's spread is the rounding of float32."""
SELDOM = 1e-4
"""Share of train rows that lack a column, below which trees learn nothing of what its absence says."""


@dataclass(frozen=True)
class Preparation:
    """median (see `medians`), mean, scale: (F,) float32 of the train rows. absent: (M,) columns whose absence is a fact
    of its own; absent_mean, absent_scale: (M,) float32 of their indicators. clip: standard deviations at most."""

    median: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    absent: np.ndarray
    absent_mean: np.ndarray
    absent_scale: np.ndarray
    clip: float

    @classmethod
    def of(cls, inputs: np.ndarray, subject: np.ndarray, may_miss: np.ndarray, clip: float) -> Preparation:
        """Of train rows (R, F) of subjects (R,), NaN for what is missing."""
        every = np.arange(inputs.shape[1])
        median, absent = medians(inputs, subject, every), np.flatnonzero(may_miss)
        filled = _moments(every, lambda part: np.where(np.isnan(inputs[:, part]), median[part], inputs[:, part]))
        lacking = _moments(absent, lambda part: np.isnan(inputs[:, part]).astype(np.float32))
        return cls(median, *filled, absent, *lacking, clip)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, F + M) float32."""
        return self._into(np.empty(self._shape(inputs), dtype=np.float32), inputs)

    def aside(self, inputs: np.ndarray, scratch: Path | None) -> np.ndarray:
        """The same in a file of `scratch`, where they are many."""
        return self._into(room_aside(self._shape(inputs), scratch), inputs)

    def _shape(self, inputs: np.ndarray) -> tuple[int, int]:
        return len(inputs), inputs.shape[1] + len(self.absent)

    def _into(self, prepared: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        size = inputs.shape[1]
        for first in range(0, len(inputs), AT_ONCE):
            rows, into = inputs[first : first + AT_ONCE], prepared[first : first + AT_ONCE]
            missing = np.isnan(rows)
            values = (np.where(missing, self.median, rows) - self.mean) / self.scale
            into[:, :size] = np.clip(values, -self.clip, self.clip)
            into[:, size:] = (missing[:, self.absent] - self.absent_mean) / self.absent_scale
        return prepared


def medians(inputs: np.ndarray, subject: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What stands in for a missing value of each of the columns (M,) of rows (R, F) of subjects (R,): (M,) float32, the
    median, or the mean of the values next to it where fewer subjects have it than must share what is kept; 0 where
    fewer have any."""
    fewest, middles = fewest_of(subject), np.zeros(len(columns), dtype=np.float32)
    for number, column in enumerate(columns):
        values = inputs[:, column]
        seen = ~np.isnan(values)
        if seen.any():
            middles[number] = shared_near(values[seen], subject[seen], float(np.median(values[seen])), fewest) or 0.0
    return middles


def _moments(columns: np.ndarray, values_of: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each of the columns (M,), 1 for that of a constant one. values_of: gives those of
    some columns, (R, m) float32; so that no second copy of all is made."""
    mean, deviation = np.zeros((2, len(columns)))
    for part in np.array_split(np.arange(len(columns)), max(1, -(-len(columns) // AT_ONCE))):
        values = values_of(columns[part])
        mean[part], deviation[part] = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    varies = deviation > CONSTANT * np.maximum(np.abs(mean), 1.0)
    return mean.astype(np.float32), np.where(varies, deviation, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Filling:
    """What stands in for a missing value of columns that train rows hardly ever lack. columns: (M,) int64; median: (M,)
    float32, see `medians`.

    LightGBM scores a value as 0 that is missing in a column of which it saw none missing, among all train rows or, of
    more than 200,000, among those that it draws (findings/missing_value_never_seen.sh). Nothing says that 0 is near.
    """

    columns: np.ndarray
    median: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, subject: np.ndarray) -> Filling:
        """Of train rows (R, F) of subjects (R,), NaN for what is missing."""
        columns = np.flatnonzero(np.isnan(inputs).mean(axis=0) < SELDOM)
        return cls(columns, medians(inputs, subject, columns))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, F)."""
        filled = inputs.copy()
        for column, median in zip(self.columns, self.median, strict=True):
            filled[np.isnan(inputs[:, column]), column] = median
        return filled


@dataclass(frozen=True)
class ReadiedHead:
    """A head behind what makes its inputs ready."""

    ready: Preparation | Filling
    head: Scorer

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return self.head(self.ready(inputs))

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        kind, key = next(names for names, way in WAYS.items() if isinstance(self.ready, way))
        return {"kind": kind, key: dict(vars(self.ready)), "head": self.head.to_state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ReadiedHead | None:
        """What `to_state` gave; None of a head that has its inputs as they are."""
        for (kind, key), way in WAYS.items():
            if state["kind"] == kind:
                return cls(way(**state[key]), head_of(state["head"]))
        return None


WAYS: dict[tuple[str, str], type[Preparation] | type[Filling]] = {
    ("prepared", "preparation"): Preparation,
    ("filled", "filling"): Filling,
}
"""What makes inputs ready, by the kind of head that a file says and the key that it lies under there."""
