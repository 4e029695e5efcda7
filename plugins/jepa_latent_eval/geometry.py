"""Rank and spread of latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.results.findings import Redrawn
from jepa_core.results.paired import DRAWS, SEED, redraw
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval, redrawn_ranks, spectrum, spectrum_rank
from jepa_latent_eval.states import States

ROUNDING = 1e-6
"""Spread below this part of the latents' own size is that of float32 arithmetic, not of the data."""

MOST_DIMENSIONS = 512
"""Latents of more have no redrawn ranks: 1,000 of this size take half a minute of one core."""
AT_ONCE = 256
"""Dimensions whose deviations are held at once."""
RANK, OVER_TIME, ACROSS = "effective rank", "spread over time", "spread across trajectories"
"""Metrics that are kept for comparing runs."""


@dataclass(frozen=True)
class Spread:
    """A standard deviation of latents, root mean square over dimensions.

    per_dimension: (D,), or None where no group holds two latents. low and high: bounds of the 95 % interval of `value`.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    per_dimension: np.ndarray | None = None


@dataclass(frozen=True)
class Geometry:
    """How N latents of D dimensions lie.

    size: root mean square of a coordinate, offset included. shares: (min(N, D),) share of the variance along each
    principal direction, descending. total: spread around the grand mean. over_time: around the mean of the own
    trajectory. across: around the mean of the same step number in all trajectories, so that what every trajectory
    goes through alike does not count.
    """

    steps: int
    trajectories: int
    subjects: int
    dimensions: int
    size: float
    effective_rank: float
    shares: np.ndarray
    total: Spread
    over_time: Spread
    across: Spread

    @property
    def rank_limit(self) -> int:
        """The largest possible effective rank, min(N - 1, D)."""
        return min(self.steps - 1, self.dimensions)

    @property
    def rank_share(self) -> float | None:
        return self.effective_rank / self.rank_limit if self.rank_limit else None

    @property
    def relative_spread(self) -> float | None:
        """Total spread over size: near 0 if all latents are the same but for rounding, whatever their scale."""
        if self.size == 0:
            return 0.0
        return None if self.total.value is None else self.total.value / self.size

    def part(self, spread: Spread) -> float | None:
        """A spread as a part of the total one; None if either is unmeasured or the total is rounding."""
        if spread.value is None or not self.total.value or self.total.value < ROUNDING * self.size:
            return None
        return spread.value / self.total.value


def geometry(states: States, subjects: np.ndarray, draws: int, seed: int) -> Geometry:
    """Rank and spreads of latents, with intervals over subjects.

    states: N >= 1 latents. subjects: (N,) subject of each. The intervals redraw subjects around the group means found,
    and are left out where there are fewer than two subjects. The rank has none: a subject that is drawn twice adds no
    direction, so redrawn ranks lie below the true one.
    """
    latents = states.latents.astype(np.float64)
    singular = spectrum(latents)
    variance = singular**2
    everyone = np.zeros(len(latents), dtype=np.int64)
    groups = {"total": everyone, "over_time": states.trajectory, "across": states.step}
    spreads = {name: _spread(latents, group, subjects, draws, seed) for name, group in groups.items()}
    return Geometry(
        steps=len(latents),
        trajectories=len(np.unique(states.trajectory)),
        subjects=len(np.unique(subjects)),
        dimensions=latents.shape[1],
        size=float(np.sqrt(np.mean(latents**2))),
        effective_rank=spectrum_rank(singular),
        shares=variance / variance.sum() if variance.sum() else variance,
        **spreads,
    )


def redrawn_geometry(states: States, subjects: np.ndarray, found: Geometry) -> list[Redrawn]:
    """Rank and parts of the spread under redrawn subjects, for comparing runs.

    The redrawn ranks are moved as a whole, so that their mean is the rank found: they lie below it, as a subject that
    is drawn twice adds no direction, and by more the larger the rank. subjects: (N,) numbers. found: of the same.
    """
    latents, numbers = states.latents.astype(np.float64), np.unique(subjects)
    redrawn = []
    if latents.shape[1] <= MOST_DIMENSIONS:
        ranks = redrawn_ranks(latents, subjects, DRAWS, SEED)
        redrawn.append(Redrawn(RANK, numbers, found.effective_rank, ranks + (found.effective_rank - ranks.mean())))
    groups = {OVER_TIME: (states.trajectory, found.over_time), ACROSS: (states.step, found.across)}
    total = _squared_deviations(latents, np.zeros(len(latents), dtype=np.int64))
    for name, (group, spread) in groups.items():
        value = found.part(spread)
        if value is not None:
            squares = _squared_deviations(latents, group)
            columns = redraw(np.stack([squares.of_latents, total.of_latents], axis=1), subjects)
            parts = np.sqrt(
                np.divide(columns[:, 0], columns[:, 1], out=np.full(DRAWS, np.nan), where=columns[:, 1] > 0)
            )
            correction = value / np.sqrt(squares.of_latents.mean() / total.of_latents.mean())
            redrawn.append(Redrawn(name, numbers, 100 * value, 100 * correction * parts, "%"))
    return redrawn


def _spread(latents: np.ndarray, groups: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> Spread:
    """Pooled standard deviation within groups, with as many degrees of freedom as N less the number of groups."""
    squares = _squared_deviations(latents, groups)
    if squares.freedom == 0:
        return Spread(None)
    correction = len(latents) / squares.freedom
    per_dimension = np.sqrt(squares.of_dimensions * correction)
    value = float(np.sqrt(np.mean(per_dimension**2)))
    if len(np.unique(subjects)) < 2:
        return Spread(value, per_dimension=per_dimension)
    redrawn = np.sqrt(bootstrap_subjects(squares.of_latents, subjects, draws, seed) * correction)
    low, high = percentile_interval(redrawn)
    return Spread(value, float(low), float(high), per_dimension)


@dataclass(frozen=True)
class _Squares:
    """Squared deviations of latents (N, D) from the mean of the own group: means over dimensions (N,), and over latents
    (D,). freedom: their degrees of it."""

    of_latents: np.ndarray
    of_dimensions: np.ndarray
    freedom: int


def _squared_deviations(latents: np.ndarray, groups: np.ndarray) -> _Squares:
    """Some dimensions at a time, so that no second copy of all latents is made."""
    _, owner, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(owner, kind="stable")
    firsts = np.cumsum(counts) - counts
    of_latents, of_dimensions = np.zeros(len(latents)), np.empty(latents.shape[1])
    for first in range(0, latents.shape[1], AT_ONCE):
        part = latents[:, first : first + AT_ONCE]
        means = np.add.reduceat(part[order], firsts, axis=0) / counts[:, None]
        squares = (part - means[owner]) ** 2
        of_latents += squares.sum(axis=1)
        of_dimensions[first : first + AT_ONCE] = squares.mean(axis=0)
    return _Squares(of_latents / latents.shape[1], of_dimensions, len(latents) - len(counts))
