"""Errors by horizon and everything that is read off them, with intervals over subjects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from jepa_core.results.findings import Redrawn, Samples
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT


@dataclass(frozen=True)
class BoundedCurve:
    """Values with the bounds of their 95 % intervals over subjects; NaN where they are undefined."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Curves:
    """Mean l1 by horizon of every forecast of one encoder, over one cohort.

    means: (H,) for each forecast. draws: (draws, H) for each, means over the same redrawn subjects.
    """

    means: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]

    def l1(self, forecast: str) -> BoundedCurve:
        """l1, mean over dimensions and windows."""
        return _estimate(self.means[forecast], self.draws[forecast])

    def drift(self, forecast: str) -> BoundedCurve:
        """Growth of the error since h = 1 in per cent, as the Clin-JEPA paper has it."""
        return _estimate(_growth(self.means[forecast]), _growth(self.draws[forecast]))

    def scaled(self, forecast: str) -> BoundedCurve:
        """l1 relative to the latents' own scale, which makes encoders comparable."""
        return _estimate(
            _ratio(self.means[forecast], self.scale), _ratio(self.draws[forecast], self._scale_draws[:, None])
        )

    def minus(self, control: str) -> BoundedCurve:
        """Rollout minus a control, paired by window; below 0 where the rollout is better."""
        return _estimate(self.means[ROLLOUT] - self.means[control], self.draws[ROLLOUT] - self.draws[control])

    def scaled_minus_control(self, control: str) -> BoundedCurve:
        """`minus`, relative to the latents' own scale."""
        return _estimate(
            _ratio(self.means[ROLLOUT] - self.means[control], self.scale),
            _ratio(self.draws[ROLLOUT] - self.draws[control], self._scale_draws[:, None]),
        )

    def over(self, control: str) -> BoundedCurve:
        """Rollout over a control, paired by window; below 1 where the rollout is better."""
        return _estimate(
            _ratio(self.means[ROLLOUT], self.means[control]), _ratio(self.draws[ROLLOUT], self.draws[control])
        )

    def scaled_minus(self, other: Curves) -> BoundedCurve:
        """Scaled rollout of this encoder minus that of another, paired by window."""
        return _estimate(
            _ratio(self.means[ROLLOUT], self.scale) - _ratio(other.means[ROLLOUT], other.scale),
            _ratio(self.draws[ROLLOUT], self._scale_draws[:, None])
            - _ratio(other.draws[ROLLOUT], other._scale_draws[:, None]),
        )

    @cached_property
    def scale(self) -> float:
        """Mean absolute deviation of the target states from the mean latent, over all horizons."""
        return float(self.means[MEAN].mean())

    @cached_property
    def _scale_draws(self) -> np.ndarray:
        return self.draws[MEAN].mean(axis=1)

    def skill_horizon(self) -> BoundedCurve:
        """The last h such that the rollout beats persistence and the mean at every horizon up to it, or 0."""
        return _estimate(*self.skill())

    def skill(self) -> tuple[np.ndarray, np.ndarray]:
        """The skill horizon, and that of each draw: (draws,)."""
        return _skill(self.means), _skill(self.draws)


@dataclass(frozen=True)
class MeasuredContext:
    """What was found at one context. samples, skill: of the trained encoder, by subject. acts: whether the data have
    actions."""

    context: int
    horizon: int
    windows: int
    subjects: int
    trained: Curves
    untrained: Curves | None
    samples: list[Samples] = field(default_factory=list)
    skill: Redrawn | None = None
    acts: bool = True


@dataclass(frozen=True)
class UnmeasuredContext:
    """A context without a cohort, and why."""

    context: int
    reason: str


def mean_curves(errors: dict[str, np.ndarray], subjects: np.ndarray, draws: int, seed: int) -> Curves:
    """Means over windows, and over those of redrawn subjects. errors: (N, H) for each forecast. subjects: (N,)."""
    stacked = np.stack(list(errors.values()), axis=1)
    means = stacked.mean(axis=0)
    redrawn = bootstrap_subjects(stacked, subjects, draws, seed)
    return Curves(
        {name: means[index] for index, name in enumerate(errors)},
        {name: redrawn[:, index] for index, name in enumerate(errors)},
    )


def _estimate(value: np.ndarray, draws: np.ndarray) -> BoundedCurve:
    low, high = percentile_interval(draws)
    return BoundedCurve(value, low, high)


def _ratio(above: np.ndarray, below: np.ndarray | float) -> np.ndarray:
    """NaN, not infinity, where the latents have no spread to divide by."""
    below = np.broadcast_to(below, np.shape(above))
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _growth(error: np.ndarray) -> np.ndarray:
    return 100 * (_ratio(error, error[..., :1]) - 1)


def _skill(error: dict[str, np.ndarray]) -> np.ndarray:
    beats = (error[ROLLOUT] < error[PERSISTENCE]) & (error[ROLLOUT] < error[MEAN])
    return np.cumprod(beats, axis=-1).sum(axis=-1)
