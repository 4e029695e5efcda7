"""Latents of the states of a split, window by window, so that no more than a batch need be held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Latents
from jepa_core.errors import DataError
from jepa_core.io.ticker import Ticker

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset, Windows
    from jepa_core.training.learner import Learner


@dataclass(frozen=True)
class Cover:
    """Windows that hold each step of a split once, and the drawn ones among them.

    index: ascending indices of the drawn windows. skip: (len(windows),) leading steps that the window before it in the
    trajectory holds already, as a trajectory's last window ends with it.
    """

    windows: Windows
    index: np.ndarray
    skip: np.ndarray


@dataclass(frozen=True)
class States:
    """Latents of N steps, and whose they are. latents: (N, D) float32. trajectory, step: (N,) int64, steps from 0."""

    latents: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray


def cover(dataset: Dataset, split: str, window_length: int, steps: int, seed: int) -> Cover:
    """Draw windows that hold about `steps` steps of a split; all windows if they hold no more.

    Whole windows are drawn, because spread over time needs several steps of a trajectory. At least one is drawn if
    there is any.
    """
    windows = dataset.windows(split=split, length=window_length, stride=window_length, min_length=1)
    end = windows.start + windows.length
    follows = np.zeros(len(windows), dtype=bool)
    follows[1:] = windows.trajectory[1:] == windows.trajectory[:-1]
    skip = np.where(follows, np.maximum(np.roll(end, 1) - windows.start, 0), 0)
    order = np.random.default_rng(seed).permutation(len(windows))
    drawn = int(np.searchsorted(np.cumsum((windows.length - skip)[order]), steps, side="right"))
    return Cover(windows, np.sort(order[: max(1, drawn)]), skip)


def encoded(
    learner: Learner, dataset: Dataset, windows: Windows, index: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, Latents]]:
    """Latents of the windows of `index`, a batch at a time, with the part of `index` that each batch holds."""
    ticker = Ticker("going through windows", len(index))
    for first in range(0, len(index), batch_size):
        part = index[first : first + batch_size]
        with torch.no_grad():
            latents = learner.latents(dataset.batch(windows, part))
        yield part, latents
        ticker.add(windows=len(part))


def states_of(learner: Learner, dataset: Dataset, part: Cover, batch_size: int) -> Iterator[States]:
    """Latents of the states of the drawn windows, a batch at a time."""
    windows = part.windows
    for index, latents in encoded(learner, dataset, windows, part.index, batch_size):
        position = np.arange(latents.mask.shape[1])
        kept = latents.mask.cpu().numpy() & (position >= part.skip[index][:, None])
        row, position = np.nonzero(kept)
        states = latents.states.float().cpu().numpy()[kept]
        yield States(states, windows.trajectory[index][row], windows.start[index][row] + position)


def all_states_of(learner: Learner, dataset: Dataset, part: Cover, batch_size: int) -> States:
    """Latents of the states of the drawn windows, together."""
    count = int((part.windows.length - part.skip)[part.index].sum())
    states = States(
        np.empty((count, learner.encoder.latent_dim), dtype=np.float32),
        *(np.empty(count, dtype=np.int64) for _ in range(2)),
    )
    first = 0
    for batch in states_of(learner, dataset, part, batch_size):
        rows = slice(first, first + len(batch.step))
        states.latents[rows], states.trajectory[rows], states.step[rows] = batch.latents, batch.trajectory, batch.step
        first = rows.stop
    return states


def mean_state(learner: Learner, dataset: Dataset, part: Cover, batch_size: int) -> np.ndarray:
    """Mean latent of the states of the drawn windows, (D,) float32.

    Raises DataError if there is none.
    """
    if len(part.index) == 0:
        raise DataError("the train split has no step, so there is no mean latent to compare with; give it trajectories")
    total, count = np.zeros(learner.encoder.latent_dim), 0
    for batch in states_of(learner, dataset, part, batch_size):
        total += batch.latents.sum(axis=0, dtype=np.float64)
        count += len(batch.latents)
    return (total / count).astype(np.float32)
