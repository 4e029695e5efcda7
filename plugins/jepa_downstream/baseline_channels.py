"""The channels of a trajectory up to a step, as the supervised baselines see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jepa_core.contracts import Channels
from jepa_core.data.rarity import fewest_of, observers
from jepa_downstream.methods import CannotFit

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.view import View
    from jepa_downstream.rows import Rows

PROFILED = 2000
"""Trajectories behind a profile: enough for moments, and few enough to hold. A channel that none of them observes is
left out."""

TRIM = 0.005
"""Share of the values at either end that moments leave out, because one slipped decimal point would set the scale."""


def samples(dataset: Dataset, ids: np.ndarray) -> torch.Tensor:
    """(N, C, P) samples of some items of a data set that is rendered as channels, NaN where nothing was observed."""
    items = dataset.items(torch.from_numpy(ids))
    assert isinstance(items, Channels)  # what that modality is
    return torch.where(items.observed, items.values, torch.nan)


class Histories:
    """Reads what was observed of a trajectory. Symbols: T steps, C channels, P samples of a channel in a step."""

    @classmethod
    def of(cls, given: Evaluation | View) -> Histories:
        """Of the trajectories of an evaluation or a view. Raises CannotFit where the source renders no channels."""
        if given.channels is None:
            raise CannotFit("the source does not render its steps as numbers, which this method reads")
        return cls(given.channels())

    def __init__(self, dataset: Dataset) -> None:
        """dataset: rendered for the modality `channels`."""
        self._dataset = dataset
        self.samples: int = samples(dataset, np.zeros(1, dtype=np.int64)).shape[2]

    def steps(self, trajectory: int) -> int:
        """How many steps a trajectory has."""
        return int(self._dataset.store.steps[trajectory])

    def read(self, trajectory: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Static facts (C,), and the samples of states and actions (T * P, 2 C) in their order, of the first T steps.

        float32, NaN where nothing was observed. The columns of actions follow those of states: a channel that may
        stand in both means two things. Samples of a static channel are averaged.
        """
        rendering, first = self._dataset.rendering, int(self._dataset.store.first_step[trajectory])
        part = slice(first, first + steps)
        ids = np.concatenate([rendering.static[trajectory, None], rendering.state[part], rendering.action[part]])
        values = samples(self._dataset, ids)
        static = values[0].nanmean(dim=1).numpy()
        dynamic = values[1:].unflatten(0, (2, steps)).permute(1, 3, 0, 2).flatten(2).flatten(0, 1)
        return static, dynamic.numpy()


@dataclass(frozen=True)
class Observed:
    """Columns of what `Histories.read` gives that trajectories of the train split observe. static, dynamic: (K,)
    int64."""

    static: np.ndarray
    dynamic: np.ndarray

    @classmethod
    def of(cls, histories: Histories, dataset: Dataset, seed: int) -> Observed:
        """Of whole trajectories, drawn from the train split. No label is read.

        A column that only carries on what another last showed (a source may add such for an encoder that sees one step)
        tells nothing more, hides when that was seen, and is left out.
        """
        drawn = np.random.default_rng(seed).permutation(dataset.trajectories("train"))[:PROFILED]
        static, seen, carried = [], [], []
        for number in np.sort(drawn):
            facts, samples = histories.read(int(number), int(dataset.steps[number]))
            static.append(~np.isnan(facts))
            seen.append(np.count_nonzero(~np.isnan(samples), axis=0))
            carried.append(_digest(carry_on(samples)))
        counts = np.sum(seen, axis=0)
        return cls(np.flatnonzero(np.any(static, axis=0)), _distinct(np.array(carried), counts))


def carry_on(samples: np.ndarray) -> np.ndarray:
    """(T, K) what was last seen of each column, NaN before the first."""
    position = np.where(np.isnan(samples), -1, np.arange(len(samples))[:, None])
    last = np.maximum.accumulate(position, axis=0)
    return np.where(last >= 0, np.take_along_axis(samples, np.maximum(last, 0), axis=0), np.nan)


def _digest(samples: np.ndarray) -> np.ndarray:
    """(K,) uint64: equal for equal columns of (T, K) float32, and for others by chance in 2 ** 64."""
    bits = np.where(np.isnan(samples), np.float32(np.nan), samples).astype(np.float32).view(np.uint32).astype(np.uint64)
    odd = np.random.default_rng(len(bits)).integers(0, 2**64, size=len(bits), dtype=np.uint64) | np.uint64(1)
    return (bits * odd[:, None]).sum(axis=0, dtype=np.uint64)


def _distinct(digests: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of the columns (N, K) that agree in every trajectory, the one that is observed least, and at all, in order."""
    order = np.argsort(counts, kind="stable")
    _, first = np.unique(digests[:, order], axis=1, return_index=True)
    chosen = np.sort(order[first])
    return chosen[counts[chosen] > 0]


@dataclass(frozen=True)
class Columns:
    """Some of the columns of what `Histories.read` gives. chosen: (K,) int64; mean, deviation: (K,) float32, of the
    trimmed values."""

    chosen: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, subject: np.ndarray) -> Columns:
        """The columns of `values` (N, columns), NaN for none, that enough of the subjects (N,) show."""
        chosen = np.flatnonzero(observers(~np.isnan(values), subject) >= fewest_of(subject))
        moments = np.array([_trimmed_moments(values[:, column]) for column in chosen], dtype=np.float32).reshape(-1, 2)
        return cls(chosen, moments[:, 0], np.where(moments[:, 1] > 0, moments[:, 1], 1.0))

    def standardised(self, values: np.ndarray, clip: float) -> np.ndarray:
        """The chosen columns of (..., columns) in standard deviations from their mean, at most `clip`; (..., K)."""
        return np.clip((values[..., self.chosen] - self.mean) / self.deviation, -clip, clip)


@dataclass(frozen=True)
class Profile:
    """What a method knows of the channels before it is trained: those that train rows of enough subjects observe, and
    their moments."""

    static: Columns
    dynamic: Columns

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {name: dict(vars(columns)) for name, columns in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Profile:
        return cls(Columns(**state["static"]), Columns(**state["dynamic"]))

    @classmethod
    def of(cls, histories: Histories, train: Rows, seed: int) -> Profile:
        """Profile of the train rows: nothing after the last row of a trajectory is read."""
        trajectories, firsts, inverse = np.unique(train.trajectory, return_index=True, return_inverse=True)
        steps = np.zeros(len(trajectories), dtype=np.int64)
        np.maximum.at(steps, inverse, train.step + 1)
        drawn = np.sort(np.random.default_rng(seed).permutation(len(trajectories))[:PROFILED])
        read = [histories.read(int(trajectories[drawn_row]), int(steps[drawn_row])) for drawn_row in drawn]
        subject, lengths = train.subject[firsts[drawn]], [len(samples) for _, samples in read]
        static, dynamic = (np.concatenate(parts) for parts in (
            [static[None] for static, _ in read], [dynamic for _, dynamic in read]
        ))  # fmt: skip
        return cls(Columns.of(static, subject), Columns.of(dynamic, np.repeat(subject, lengths)))


def _trimmed_moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what lies between the outer quantiles."""
    values = values[~np.isnan(values)].astype(np.float64)
    low, high = np.quantile(values, [TRIM, 1 - TRIM], method="nearest")  # values themselves: something lies between
    inner = values[(values >= low) & (values <= high)]
    return float(inner.mean()), float(inner.std())
