"""Beliefs of all trajectories, computed once, in a file, and what may be made of them up to a row's step.

Symbols: S steps, W belief size, F numbers that decoders read of a belief.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Decoder
from jepa_downstream.encoded import by_trajectory, on_disk

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.data.windows import Windows
    from jepa_core.training.learner import Learner
    from jepa_downstream.rows import Rows

Read = Callable[[np.ndarray], np.ndarray]
"""Beliefs (T, W) -> what is read of each (T, F)."""


class Beliefs:
    """What the predictor knows at every step: (S, W) float32, in a file without a name in `scratch`.

    Windows of training overlap by half, and a step's belief is that of the first window which holds it: it has seen
    every step before it, or half a window at the least. No later step takes part.
    """

    def __init__(
        self, learner: Learner, dataset: Dataset, window_length: int, batch_size: int, scratch: Path | None
    ) -> None:
        self._learner, self._dataset, self._batch_size = learner, dataset, batch_size
        self._first = np.asarray(dataset.store.first_step)
        self.size = learner.predictor.belief_dim
        self.array = on_disk((int(dataset.steps.sum()), self.size), scratch)
        windows = dataset.windows_of(np.arange(len(dataset.steps)), window_length, max(1, window_length // 2), 1)
        done = np.zeros(len(dataset.steps), dtype=np.int64)
        for start in range(0, len(windows), batch_size):
            self._write(windows, np.arange(start, min(start + batch_size, len(windows))), done)

    def _write(self, windows: Windows, part: np.ndarray, done: np.ndarray) -> None:
        """Those steps of some windows that are not there yet. done: (N,) steps that each trajectory has."""
        with torch.no_grad():
            made = self._learner.prediction(self._dataset.batch(windows, part)).belief.float().cpu().numpy()
        for row, window in enumerate(part):
            trajectory, start = windows.trajectory[window], int(windows.start[window])
            begin, end = int(done[trajectory]), start + int(windows.length[window])
            place = self._first[trajectory]
            self.array[place + begin : place + end] = made[row, begin - start : end - start]
            done[trajectory] = end

    def summaries(self, rows: Rows, read: Read = lambda beliefs: beliefs) -> np.ndarray:
        """Of what is read of each belief, the last and the mean so far: (R, 2 F) float32."""
        made: list[np.ndarray] = [read(self.array[:0]).repeat(2, axis=1)]
        order = [np.empty(0, dtype=np.int64)]
        for trajectory, index in by_trajectory(rows):
            steps, first = rows.step[index], self._first[trajectory]
            seen = read(self.array[first : first + int(steps.max()) + 1])
            mean = np.cumsum(seen, axis=0, dtype=np.float64)[steps] / (steps + 1)[:, None]
            made.append(np.concatenate([seen[steps], mean.astype(np.float32)], axis=1))
            order.append(index)
        return np.concatenate(made)[np.argsort(np.concatenate(order))]


def reader(decoders: Sequence[Decoder], device: torch.device) -> Read:
    """All that decoders read, side by side."""

    @torch.no_grad()
    def read(beliefs: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.asarray(beliefs)).to(device)
        return torch.cat([one(given) for one in decoders], dim=-1).float().cpu().numpy()

    return read
