"""Inputs with gaps made ready for a head: for a linear one filled in, scaled and clipped, with indicators of what was
missing; for trees filled in where they could not learn from gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jepa_core.data.rarity import fewest_of, shared_near
from jepa_downstream.heads import Scorer

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
        missing = np.isnan(inputs)
        median = medians(inputs, subject)
        absent = np.flatnonzero(may_miss)
        moments = _moments(np.where(missing, median, inputs)), _moments(missing[:, absent].astype(np.float32))
        return cls(median, *moments[0], absent, *moments[1], clip)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, F + M) float32."""
        missing = np.isnan(inputs)
        values = (np.where(missing, self.median, inputs) - self.mean) / self.scale
        indicators = (missing[:, self.absent] - self.absent_mean) / self.absent_scale
        return np.concatenate([np.clip(values, -self.clip, self.clip), indicators], axis=1, dtype=np.float32)

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return dict(vars(self))


def medians(inputs: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """What stands in for a missing value of each column of rows (R, F) of subjects (R,): (F,) float32, the median, or
    the mean of the values next to it where fewer subjects have it than must share what is kept; 0 where fewer have
    any."""
    fewest, middles = fewest_of(subject), np.zeros(inputs.shape[1], dtype=np.float32)
    for column, values in enumerate(inputs.T):
        seen = ~np.isnan(values)
        if seen.any():
            middles[column] = shared_near(values[seen], subject[seen], float(np.median(values[seen])), fewest) or 0.0
    return middles


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, 1 for that of a constant one."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    varies = deviation > CONSTANT * np.maximum(np.abs(mean), 1.0)
    return mean.astype(np.float32), np.where(varies, deviation, 1.0).astype(np.float32)


@dataclass(frozen=True)
class PreparedHead:
    """A head behind a preparation."""

    preparation: Preparation
    head: Scorer

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return self.head(self.preparation(inputs))

    def to_state(self) -> dict[str, Any]:
        return {"kind": "prepared", "preparation": self.preparation.to_state(), "head": self.head.to_state()}


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
        return cls(columns, medians(inputs[:, columns], subject))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, F)."""
        filled = inputs.copy()
        part = inputs[:, self.columns]
        filled[:, self.columns] = np.where(np.isnan(part), self.median, part)
        return filled


@dataclass(frozen=True)
class FilledHead:
    """A head behind a filling."""

    filling: Filling
    head: Scorer

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return self.head(self.filling(inputs))

    def to_state(self) -> dict[str, Any]:
        return {"kind": "filled", "filling": dict(vars(self.filling)), "head": self.head.to_state()}
