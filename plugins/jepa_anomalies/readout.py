"""Reads channels off beliefs: a ridge regression of what the next step shows, fitted on the train split.

Symbols: N rows, W belief size, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

STRENGTH = 1e-3
"""Ridge penalty for each row, on standardised beliefs."""
LEAST_ROWS = 50
"""Rows that show a channel, at least, for it to take part."""
OUTER = 5.0
"""Standard deviations beyond which a value is not learned from: one slipped decimal point would set the slope."""


@dataclass(frozen=True)
class ChannelReadout:
    """Values of the next step in the data's units: belief @ weights + bias. weights: (W, C), bias: (C,) float64; NaN
    for a channel that train shows too rarely, or that never changes there."""

    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, belief: np.ndarray, values: np.ndarray) -> ChannelReadout:
        """belief: (N, W). values: (N, C), what the step after shows, NaN where it shows nothing."""
        belief = belief.astype(np.float64)
        mean, deviation = belief.mean(axis=0), belief.std(axis=0)
        scaled = (belief - mean) / np.where(deviation > 1e-12, deviation, 1.0)
        weights, bias = np.full((belief.shape[1], values.shape[1]), np.nan), np.full(values.shape[1], np.nan)
        for shown, columns in _shown_together(values):
            rows = scaled[shown]
            wanted = _within(values[np.ix_(shown, columns)])
            centre, offset = rows.mean(axis=0), wanted.mean(axis=0)
            rows -= centre
            factor = cho_factor(rows.T @ rows + STRENGTH * len(rows) * np.eye(rows.shape[1]))
            slopes = cho_solve(factor, rows.T @ (wanted - offset))
            weights[:, columns] = slopes / np.where(deviation > 1e-12, deviation, 1.0)[:, None]
            bias[columns] = offset - centre @ slopes - mean @ weights[:, columns]
        return cls(weights, bias)

    def __call__(self, belief: np.ndarray) -> np.ndarray:
        """Beliefs (..., W) to values (..., C)."""
        return belief.astype(np.float64) @ self.weights + self.bias

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"weights": self.weights, "bias": self.bias}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ChannelReadout:
        return cls(state["weights"], state["bias"])


def _shown_together(values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows (bool, N) and the channels (k,) that just these rows show; channels without enough rows, or without two
    values, are left out."""
    groups: dict[bytes, list[int]] = {}
    for channel in range(values.shape[1]):
        known = values[:, channel][np.isfinite(values[:, channel])]
        if len(known) >= LEAST_ROWS and np.ptp(known) > 0:
            groups.setdefault(np.isfinite(values[:, channel]).tobytes(), []).append(channel)
    return [(np.frombuffer(shown, dtype=bool), np.array(columns)) for shown, columns in groups.items()]


def _within(values: np.ndarray) -> np.ndarray:
    """Values (N, k), float64, no further out than some standard deviations."""
    mean, reach = values.mean(axis=0, dtype=np.float64), OUTER * values.std(axis=0, dtype=np.float64)
    return np.clip(values.astype(np.float64), mean - reach, mean + reach)
