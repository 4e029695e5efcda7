"""Hand-made summaries of every channel up to a row's step, by cumulative operations.

A trajectory is read once, however many rows it has, so a task with a row at every step costs as many operations as a
task with one row a trajectory. A step of P samples is P steps of the cumulative operations: every sample counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jepa_core.data.rarity import fewest_of, observers
from jepa_downstream.baseline_channels import Histories, Observed
from jepa_downstream.rows import Rows, by_trajectory

STATISTICS = ("last", "recent", "mean", "minimum", "maximum", "deviation", "first", "share", "since", "slope")
"""Of each channel: the last value, the mean of the last RECENT steps, then mean, extremes, standard deviation and first
value of all there is; the share of samples observed, the steps since the last one, and the least-squares slope a step
over the last RECENT steps. NaN where it is not defined."""

RECENT = 6
"""Steps of `recent` and `slope`."""


class TabularInputs:
    """The inputs of the tabular methods: F = 1 + K0 + len(STATISTICS) * K columns.

    The steps seen, K0 static facts, then the statistics in their order, each of K channels.
    """

    def __init__(self, histories: Histories, observed: Observed) -> None:
        self._histories, self._observed = histories, observed
        self._first, self._channels = 1 + len(observed.static), len(observed.dynamic)
        columns = np.arange(self._first + len(STATISTICS) * self._channels)
        self.may_miss = (columns >= 1) & (columns < self._first + 2 * self._channels)
        """(F,) whether a column's absence is a fact of its own: of the others it follows from `last`."""

    def __call__(self, rows: Rows) -> np.ndarray:
        """The inputs of rows in their order: (R, F) float32."""
        inputs = np.empty((len(rows), len(self.may_miss)), dtype=np.float32)
        for _, part in by_trajectory(rows):
            inputs[part] = self._of_trajectory(int(rows.trajectory[part[0]]), rows.step[part])
        return inputs

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"kind": "statistics", "observed": dict(vars(self._observed))}

    def known(self, inputs: np.ndarray, subject: np.ndarray) -> np.ndarray:
        """Columns of static facts and of channels that enough of the subjects (R,) of the inputs (R, F) show."""
        last, fewest = slice(self._first, self._first + self._channels), fewest_of(subject)
        static, dynamic = (
            observers(~np.isnan(inputs[:, part]), subject) >= fewest for part in (slice(1, self._first), last)
        )
        return np.flatnonzero(np.concatenate([[True], static, np.tile(dynamic, len(STATISTICS))]))

    def _of_trajectory(self, trajectory: int, steps: np.ndarray) -> np.ndarray:
        static, samples = self._histories.read(trajectory, int(steps.max()) + 1)
        facts = np.broadcast_to(static[self._observed.static], (len(steps), len(self._observed.static)))
        summaries = step_statistics(samples[:, self._observed.dynamic], self._histories.samples, steps)
        return np.concatenate([steps[:, None] + 1, facts, summaries.reshape(len(steps), -1)], axis=1, dtype=np.float32)


def step_statistics(samples: np.ndarray, per_step: int, steps: np.ndarray) -> np.ndarray:
    """Statistics of K channels over the steps from 0 to each of R given ones: (R, len(STATISTICS), K) float32.

    samples: (T * per_step, K), NaN for none. steps: (R,), from 0. What comes after a step is not read for it, not even
    in rounding: each cumulative operation goes from the first sample to the last.
    """
    ends = (steps + 1) * per_step - 1
    seen, position = ~np.isnan(samples), np.arange(len(samples))[:, None]
    last_place = np.maximum.accumulate(np.where(seen, position, -1), axis=0)[ends]
    first = np.take_along_axis(samples, seen.argmax(axis=0)[None], axis=0)
    offset = np.where(seen, samples.astype(np.float64) - first, 0.0)
    time = np.where(seen, position / per_step, 0.0)
    count, recent_count = _sums(seen.astype(np.float64), ends, per_step)
    total, recent_total = _sums(offset, ends, per_step)
    square = np.cumsum(offset**2, axis=0)[ends]
    times, time_squares, products = (_sums(term, ends, per_step)[1] for term in (time, time**2, time * offset))
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = products - times * recent_total / recent_count
        summaries = {
            "last": np.take_along_axis(samples, np.maximum(last_place, 0), axis=0),
            "recent": first + recent_total / recent_count,
            "mean": first + total / count,
            "minimum": np.fmin.accumulate(samples, axis=0)[ends],
            "maximum": np.fmax.accumulate(samples, axis=0)[ends],
            "deviation": np.sqrt(np.maximum(square / count - (total / count) ** 2, 0.0)),
            "first": np.broadcast_to(first, count.shape),
            "since": (ends[:, None] - last_place) / per_step,
            "slope": np.where(recent_count > 1, covariance / (time_squares - times**2 / recent_count), np.nan),
        }
    summaries = {name: np.where(count > 0, values, np.nan) for name, values in summaries.items()}
    summaries["share"] = count / (ends + 1)[:, None]
    return np.stack([summaries[name] for name in STATISTICS], axis=1).astype(np.float32)


def _sums(terms: np.ndarray, ends: np.ndarray, per_step: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of terms (T * per_step, K) up to each end, and of the last RECENT steps up to it: (R, K) each."""
    running, window = np.cumsum(terms, axis=0), RECENT * per_step
    before = np.where((ends >= window)[:, None], running[np.maximum(ends - window, 0)], 0.0)
    return running[ends], running[ends] - before
