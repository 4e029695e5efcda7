"""Beliefs of trajectories, and what may be made of them up to a row's step.

Symbols: S steps, T steps of one trajectory, W belief size, F numbers that decoders read of a belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from jepa_core.model.frozen import belief_windows
from jepa_downstream.encoded import PROJECTED, Projection, on_disk, on_host
from jepa_downstream.rows import Rows, by_trajectory

if TYPE_CHECKING:
    from jepa_core.data.windows import Windows
    from jepa_core.model.view import View
    from jepa_core.training.learner import Learner


class Belief(Protocol):
    """Beliefs by trajectory. view: of the model whose they are."""

    view: View

    def of(self, trajectory: int) -> np.ndarray:
        """Of every step: (T, W) float32."""


class AloneBeliefs:
    """Beliefs of any trajectory, made when they are asked for: a function of the trajectory alone, to the bit."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._latest: tuple[int, np.ndarray] | None = None

    def of(self, trajectory: int) -> np.ndarray:
        """Of every step; asked again for the same trajectory, they are not made again."""
        if self._latest is None or self._latest[0] != trajectory:
            self._latest = (trajectory, on_host(self.view.beliefs(trajectory)))
        return self._latest[1]


class AllBeliefs:
    """Beliefs of every step of an evaluation, (S, W) float32, in a file without a name in `scratch`.

    Those of the trajectories that are measured are made one by one, as those of new data will be; the others in batches
    of the same windows, out of the learner's cache.
    """

    def __init__(
        self, view: View, learner: Learner, measured: np.ndarray, batch_size: int, scratch: Path | None
    ) -> None:
        """measured: (M,) trajectories."""
        self.view, self._learner = view, learner
        dataset = view.dataset
        self._first, self._steps = np.asarray(dataset.store.first_step), np.asarray(dataset.steps)
        self._array = on_disk((int(self._steps.sum()), learner.predictor.belief_dim), scratch)
        others = np.setdiff1d(np.arange(len(self._steps)), measured)
        windows = belief_windows(others, self._steps[others], view.window_length)
        done = np.zeros(len(self._steps), dtype=np.int64)
        for start in range(0, len(windows), batch_size):
            self._write(windows, np.arange(start, min(start + batch_size, len(windows))), done)
        alone = AloneBeliefs(view)
        for trajectory in measured.tolist():
            self._array[self._part(trajectory)] = alone.of(trajectory)

    def of(self, trajectory: int) -> np.ndarray:
        """Of every step."""
        return self._array[self._part(trajectory)]

    def _part(self, trajectory: int) -> slice:
        return slice(int(self._first[trajectory]), int(self._first[trajectory]) + int(self._steps[trajectory]))

    def _write(self, windows: Windows, part: np.ndarray, done: np.ndarray) -> None:
        """Those steps of some windows that are not there yet. done: (N,) steps that each trajectory has."""
        with torch.no_grad():
            made = on_host(self._learner.prediction(self.view.dataset.batch(windows, part)).belief)
        for row, window in enumerate(part):
            trajectory, start = windows.trajectory[window], int(windows.start[window])
            begin, end = int(done[trajectory]), start + int(windows.length[window])
            place = self._first[trajectory]
            self._array[place + begin : place + end] = made[row, begin - start : end - start]
            done[trajectory] = end


class BeliefSummaries:
    """The last belief and the mean of those so far: (R, 2 W) float32."""

    def __init__(self, belief: Belief) -> None:
        self._belief = belief

    def __call__(self, rows: Rows) -> np.ndarray:
        made: list[np.ndarray] = []
        order: list[np.ndarray] = []
        for trajectory, index in by_trajectory(rows):
            made.append(last_and_mean(self.read(self._belief.of(trajectory)), rows.step[index]))
            order.append(index)
        if not made:
            return np.zeros((0, 1), dtype=np.float32)
        return np.concatenate(made)[np.argsort(np.concatenate(order))]

    def read(self, beliefs: np.ndarray) -> np.ndarray:
        """What is taken of the beliefs (T, W) of a trajectory, step by step."""
        return beliefs

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"kind": "beliefs"}


class DecodedBeliefs(BeliefSummaries):
    """The same of all that decoders read of a belief, side by side, or of its principal directions: (R, 2 F)
    float32."""

    def __init__(self, belief: Belief, names: Sequence[str], projection: Projection | None = None) -> None:
        """names: of the decoders, which the view's model has. projection: of all that they read; None keeps it."""
        super().__init__(belief)
        self._names, self._projection = list(names), projection
        self._decoders = [belief.view.frozen.decoders[name] for name in self._names]

    @classmethod
    def fit(cls, belief: Belief, names: Sequence[str], components: int | None, seed: int) -> DecodedBeliefs:
        """On so many principal directions of what is read in the train split, at some thousands of its steps."""
        whole = cls(belief, names)
        if components is None:
            return whole
        dataset = belief.view.dataset
        order = np.random.default_rng(seed).permutation(dataset.trajectories("train"))
        drawn = order[: int(np.searchsorted(np.cumsum(dataset.steps[order]), PROJECTED)) + 1]
        read = np.concatenate([whole.read(belief.of(int(one))) for one in drawn])
        return cls(belief, names, Projection.of(read, components))

    @torch.no_grad()
    def read(self, beliefs: np.ndarray) -> np.ndarray:
        """What the decoders read of beliefs (T, W): (T, F)."""
        given = torch.from_numpy(np.asarray(beliefs)).to(self._belief.view.frozen.device)
        read = on_host(torch.cat([decoder(given) for decoder in self._decoders], dim=-1))
        return read if self._projection is None else self._projection(read)

    def to_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"kind": "decoded_beliefs", "decoders": self._names}
        return state if self._projection is None else state | {"projection": vars(self._projection)}


def last_and_mean(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Of values (T, K) the one at each of `steps` (r,) and the mean up to it: (r, 2 K) float32.

    Running sums from the first step on: what comes after a step cannot change a bit of its mean.
    """
    mean = np.cumsum(values, axis=0, dtype=np.float64)[steps] / (steps + 1)[:, None]
    return np.concatenate([values[steps], mean.astype(np.float32)], axis=1)
