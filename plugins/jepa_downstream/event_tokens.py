"""Trajectories as sequences of event tokens: what was observed, in quantile bins, between tokens of time.

Symbols: K columns of what was observed, T steps of a trajectory, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.data.rarity import LEAST_SUBJECTS
from jepa_downstream.baseline_channels import PROFILED, Histories, Observed

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset

BEGIN, END = 0, 1
FIRST_TIME = 2
"""The token of a trajectory's first step; those of the next steps follow it, and the last of them stands for all later
ones."""


@dataclass(frozen=True)
class Vocabulary:
    """Token of every event. observed: columns that have tokens. edges: of each of these columns, static ones first, the
    bounds between its bins. times: steps that have a token of their own."""

    observed: Observed
    edges: tuple[np.ndarray, ...]
    times: int

    @classmethod
    def fit(cls, histories: Histories, dataset: Dataset, bins: int, times: int, seed: int) -> Vocabulary:
        """Bins of about equally many values of each column in trajectories of the train split, between edges that tell
        of no few subjects. No label is read."""
        observed = Observed.of(histories, dataset, seed)
        drawn = np.random.default_rng(seed).permutation(dataset.trajectories("train"))[:PROFILED]
        statics, dynamics, owners = [], [], []
        for value in np.sort(drawn):
            static, dynamic = step_means(histories, int(value), int(dataset.steps[value]))
            statics.append(static[observed.static])
            dynamics.append(dynamic[:, observed.dynamic])
            owners.append(np.full(len(dynamic), dataset.subject[value]))
        by_step = np.concatenate(owners)
        fewest = max(1, min(LEAST_SUBJECTS, len(np.unique(by_step))))
        columns = [(column, dataset.subject[np.sort(drawn)]) for column in np.array(statics).T]
        columns += [(column, by_step) for column in np.concatenate(dynamics).T]
        shares = np.arange(1, bins) / bins
        return cls(observed, tuple(_edges(column, owner, shares, fewest) for column, owner in columns), times)

    @property
    def size(self) -> int:
        """Tokens that there are."""
        return FIRST_TIME + self.times + int(sum(len(of_channel) + 1 for of_channel in self.edges))

    def time(self, step: int) -> int:
        """Token of a step, counted from 0."""
        return FIRST_TIME + min(step, self.times - 1)

    def is_time(self, tokens: np.ndarray) -> np.ndarray:
        """Which tokens begin a step."""
        return (tokens >= FIRST_TIME) & (tokens < FIRST_TIME + self.times)

    def tokens(self, histories: Histories, trajectory: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Static facts (L0,), and the first T steps, each begun by its time (L,): int64."""
        static, dynamic = step_means(histories, trajectory, steps)
        count = len(self.observed.static)
        facts = self._ids(static[None, self.observed.static], 0)
        events = self._ids(dynamic[:, self.observed.dynamic], count)
        times = np.array([self.time(step) for step in range(steps)], dtype=np.int64)
        rows = np.concatenate([times[:, None], events], axis=1)
        return np.append(BEGIN, facts[facts >= 0]), rows[rows >= 0]

    def _ids(self, values: np.ndarray, begin: int) -> np.ndarray:
        """Tokens of values (T, columns), of the columns from `begin` on; -1 where nothing was observed."""
        ids = np.full(values.shape, -1, dtype=np.int64)
        first = FIRST_TIME + self.times + sum(len(of_channel) + 1 for of_channel in self.edges[:begin])
        for column, edges in enumerate(self.edges[begin : begin + values.shape[1]]):
            seen = ~np.isnan(values[:, column])
            ids[seen, column] = first + np.searchsorted(edges, values[seen, column], side="right")
            first += len(edges) + 1
        return ids

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {
            "observed": dict(vars(self.observed)), "times": self.times,
            "edges": {str(number): of_channel for number, of_channel in enumerate(self.edges)},
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vocabulary:
        edges = tuple(state["edges"][str(number)] for number in range(len(state["edges"])))
        return cls(Observed(**state["observed"]), edges, state["times"])


def _edges(values: np.ndarray, owner: np.ndarray, shares: np.ndarray, fewest: int) -> np.ndarray:
    """Different quantiles of values (V,), NaN for none, each in the form that `fewest` of their subjects share. owner:
    subjects (V,). No edge where fewer have a value."""
    seen = ~np.isnan(values)
    order = np.argsort(values[seen], kind="stable")
    ordered, owner = values[seen][order], owner[seen][order]
    if len(np.unique(owner)) < fewest:
        return np.empty(0)
    return np.unique([_shared_edge(ordered, owner, float(share), fewest) for share in shares])


def _shared_edge(ordered: np.ndarray, owner: np.ndarray, share: float, fewest: int) -> float:
    """A quantile as it is, where enough subjects have that value; else the mean of theirs who have the values next to
    it, each counted once. `ordered` ascends."""
    at = ordered[round(share * (len(ordered) - 1))]
    low, high = np.searchsorted(ordered, at, "left"), np.searchsorted(ordered, at, "right")
    if len(np.unique(owner[low:high])) >= fewest:
        return float(at)
    reach = 1
    while len(np.unique(owner[low:high])) < fewest:
        low, high, reach = max(low - reach, 0), min(high + reach, len(ordered)), 2 * reach
    _, place, counts = np.unique(owner[low:high], return_inverse=True, return_counts=True)
    return float((np.bincount(place, weights=ordered[low:high]) / counts).mean())


def step_means(histories: Histories, trajectory: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Static facts (C,), and the mean of each step's samples (T, 2 C), NaN where nothing was observed."""
    static, samples = histories.read(trajectory, steps)
    parts = samples.reshape(steps, -1, samples.shape[1])
    seen = ~np.isnan(parts)
    count = seen.sum(axis=1)
    total = np.where(seen, parts, 0).sum(axis=1)
    return static, np.where(count > 0, total / np.maximum(count, 1), np.nan)
