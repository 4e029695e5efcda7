"""Trajectories as sequences of event tokens: what was observed, in quantile bins, between tokens of time.

Symbols: K columns of what was observed, T steps of a trajectory, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.data.rarity import fewest_of, shared_near
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
        """Bins of about equally many values of each column in trajectories of the train split. No label is read."""
        observed = Observed.of(histories, dataset, seed)
        drawn = np.random.default_rng(seed).permutation(dataset.trajectories("train"))[:PROFILED]
        statics, dynamics = [], []
        for value in np.sort(drawn):
            static, dynamic = step_means(histories, int(value), int(dataset.steps[value]))
            statics.append(static[observed.static])
            dynamics.append(dynamic[:, observed.dynamic])
        subject = dataset.store.subject[np.sort(drawn)]
        steps = np.repeat(subject, [len(dynamic) for dynamic in dynamics])
        edges = *_shared_edges(np.array(statics), subject, bins), *_shared_edges(np.concatenate(dynamics), steps, bins)
        return cls(observed, edges, times)

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


def _shared_edges(values: np.ndarray, subject: np.ndarray, bins: int) -> Iterator[np.ndarray]:
    """Bounds between bins of each column of values (N, K), NaN for none, of subjects (N,): quantiles that enough
    subjects have, and in the place of others the mean of the values next to one, of as many; none where fewer have
    any."""
    shares, fewest = np.arange(1, bins) / bins, fewest_of(subject)
    for column in values.T:
        shown, owner = column[~np.isnan(column)], subject[~np.isnan(column)]
        quantiles = np.unique(np.quantile(shown, shares, method="nearest"))
        near = (shared_near(shown, owner, float(quantile), fewest) for quantile in quantiles)
        yield np.unique([bound for bound in near if bound is not None])


def step_means(histories: Histories, trajectory: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Static facts (C,), and the mean of each step's samples (T, 2 C), NaN where nothing was observed."""
    static, samples = histories.read(trajectory, steps)
    parts = samples.reshape(steps, -1, samples.shape[1])
    seen = ~np.isnan(parts)
    count = seen.sum(axis=1)
    total = np.where(seen, parts, 0).sum(axis=1)
    return static, np.where(count > 0, total / np.maximum(count, 1), np.nan)
