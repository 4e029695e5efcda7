"""Windows: slices of trajectories, and the order in which a phase sees them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """W windows. trajectory: (W,) int64 index in the store. start: (W,) int64 first step. length: (W,) int64 steps."""

    trajectory: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def __len__(self) -> int:
        return len(self.trajectory)


def cut_windows(trajectories: np.ndarray, steps: np.ndarray, length: int, stride: int, min_length: int) -> Windows:
    """Cut trajectories into windows of `length` steps, `stride` apart.

    trajectories: (N,) indices. steps: (N,) their numbers of steps. The last window of a trajectory ends with it, so no
    final step is left out; a trajectory shorter than `length` is one window if it has `min_length` steps, and none
    otherwise.
    """
    kept = steps >= min(min_length, length)
    trajectories, steps = trajectories[kept].astype(np.int64), steps[kept].astype(np.int64)
    room = np.maximum(steps - length, 0)
    counts = -(-room // stride) + 1
    owner = np.repeat(np.arange(len(trajectories)), counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = np.minimum(number * stride, room[owner])
    return Windows(trajectories[owner], start, np.minimum(steps[owner], length))


class WindowOrder:
    """The windows of every step of a phase, as a function of (seed, phase name, step) alone.

    Each epoch is a permutation of all windows; a batch that crosses the border of two epochs takes from both. Nothing
    is remembered from step to step, so a resumed phase sees exactly the batches that the uninterrupted one would have.
    """

    def __init__(self, windows: int, batch_size: int, seed: int, phase: str) -> None:
        self._windows = windows
        self._batch_size = batch_size
        self._key = [seed, zlib.crc32(phase.encode())]
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> np.ndarray:
        """Indices (B,) of the windows of a step, counted from 0."""
        places = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs = places // self._windows
        parts = [self._epoch_order(epoch)[places[epochs == epoch] % self._windows] for epoch in np.unique(epochs)]
        return np.concatenate(parts)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([*self._key, epoch]).permutation(self._windows)
            self._epoch = epoch
        return self._permutation
