"""Figures with intervals that resample subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.results.statistics import bootstrap_subjects, percentile_interval


@dataclass(frozen=True)
class Bounded:
    """A figure with its 95 % interval; NaN where it cannot be measured."""

    value: float
    low: float
    high: float

    def cells(self) -> list[float | None]:
        """Value and bounds, None where they are not known."""
        return [None if np.isnan(bound) else float(bound) for bound in (self.value, self.low, self.high)]


UNKNOWN = Bounded(np.nan, np.nan, np.nan)


def ratio_of_sums(above: np.ndarray, below: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> Bounded:
    """Ratio of two sums over rows, (N,) each, whose interval is of redrawn subjects (N,)."""
    if not below.sum():
        return UNKNOWN
    drawn = bootstrap_subjects(np.stack([above, below], axis=1), subjects, draws, seed)
    low, high = percentile_interval(drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan))
    return Bounded(float(above.sum() / below.sum()), float(low), float(high))


def mean_of(values: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> Bounded:
    """Mean over the rows (N,) that have a value, whose interval is of redrawn subjects (N,)."""
    shown = np.isfinite(values)
    if not shown.any():
        return UNKNOWN
    drawn = bootstrap_subjects(values[shown], subjects[shown], draws, seed)
    low, high = percentile_interval(drawn)
    return Bounded(float(values[shown].mean()), float(low), float(high))
