"""How far steps are from what was expected of them, and on what scale that is much.

Symbols: T steps, K horizons, C channels (or dimensions of a latent).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jepa_anomalies.foreseeing import Foresight
from jepa_anomalies.readout import ChannelReadout

LEAST_SHARE = 1e-3
"""A residual is standardised by this share of the channel's own spread at the least: one that train foresees to
rounding would turn rounding into a surprise."""

Observed = Callable[[int], np.ndarray]
"""What the steps of a trajectory show, by its position: (T, C) in the data's units, NaN where nothing was observed."""


class Residuals(Protocol):
    """What came, less what was expected of it."""

    def __call__(self, trajectory: int) -> np.ndarray:
        """(K, T, C) of a trajectory, by its position in the data; NaN where nothing came, or nothing was expected."""


@dataclass(frozen=True)
class ChannelResiduals:
    """Of channels, as the belief some steps before told them."""

    foresight: Foresight
    readout: ChannelReadout
    observed: Observed

    def __call__(self, trajectory: int) -> np.ndarray:
        return self.observed(trajectory)[None] - self.readout(self.foresight(trajectory).belief)


@dataclass(frozen=True)
class LatentResiduals:
    """Of the latents of states."""

    foresight: Foresight

    def __call__(self, trajectory: int) -> np.ndarray:
        foreseen = self.foresight(trajectory)
        return foreseen.encoded[None].astype(np.float64) - foreseen.state


@dataclass(frozen=True)
class LastValueResiduals:
    """Of channels, if each went on as it last was. Nothing is trained."""

    observed: Observed

    def __call__(self, trajectory: int) -> np.ndarray:
        values = self.observed(trajectory)
        before = np.full_like(values, np.nan)
        before[1:] = carried_on(values)[:-1]
        return (values - before)[None]


def carried_on(values: np.ndarray) -> np.ndarray:
    """(T, C) what each column last showed, NaN before the first."""
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))[:, None]), axis=0)
    return np.where(last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=0), np.nan)


@dataclass(frozen=True)
class Moments:
    """Of what is known among values (K, T, C): count, mean and sum of squared deviations from it, (K, C) each."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """NaN is not known."""
        known = np.isfinite(values)
        count = known.sum(axis=1)
        mean = np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1)
        return cls(count, mean, (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1))

    def __add__(self, other: Moments) -> Moments:
        """Of both together (Chan, Golub & LeVeque 1983)."""
        count = self.count + other.count
        share, apart = other.count / np.maximum(count, 1), other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * share * self.count
        return Moments(count, self.mean + apart * share, squares)

    @property
    def deviation(self) -> np.ndarray:
        """(K, C) standard deviation."""
        return np.sqrt(self.squares / np.maximum(self.count, 1))


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of residuals on the train split: (K, C) each, NaN where too few were seen."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, residuals: Moments, spread: np.ndarray) -> Scale:
        """residuals: of some trajectories. spread: (C,) standard deviation of what came itself."""
        enough = (residuals.count > 1) & (spread > 0)
        deviation = np.maximum(residuals.deviation, LEAST_SHARE * spread)
        return cls(np.where(enough, residuals.mean, np.nan), np.where(enough, deviation, np.nan))

    def surprise(self, residuals: np.ndarray) -> np.ndarray:
        """(T, C) mean over the horizons of absolute residuals (K, T, C), in standard deviations of train. NaN where
        none is known."""
        sizes = np.abs(residuals - self.mean[:, None]) / self.deviation[:, None]
        return mean_of_known(sizes, axis=0)

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scale:
        return cls(state["mean"], state["deviation"])


def overall(surprise: np.ndarray, span: int) -> np.ndarray:
    """Score of each step from surprises (T, C): the root mean square over the channels that are known, and of that the
    mean over the last `span` steps that have one. (T,); NaN where none of them has."""
    return trailing_mean(np.sqrt(mean_of_known(surprise**2, axis=1)), span)


def trailing_mean(values: np.ndarray, span: int) -> np.ndarray:
    """(T,) mean of what is known among the last `span` values, the present one included."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    begin = np.maximum(np.arange(len(values)) + 1 - span, 0)
    count = counts[1:] - counts[begin]
    return np.where(count > 0, (sums[1:] - sums[begin]) / np.maximum(count, 1), np.nan)


def mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean along an axis of what is no NaN; NaN where all are."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan)
