"""Beliefs of trajectories, and what may be made of them up to a row's step.

Symbols: S steps, T steps of one trajectory, N trajectories, D latent size, W belief size, F numbers that decoders read
of a belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from jepa_core.model.frozen import belief_windows
from jepa_core.training.shares import TRAJECTORIES, Placed, batches_of, encode_windows, fill, rows_on_disk
from jepa_downstream.encoded import PROJECTED, Projection, on_host
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

    def static(self, trajectory: int) -> np.ndarray:
        """The latent of the static facts: (D,) float32."""


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

    def static(self, trajectory: int) -> np.ndarray:
        return on_host(self.view.latents(trajectory).static[0])


class AllBeliefs:
    """Beliefs of every step of an evaluation, (S, W) float32, and the latents of the static facts, (N, D) float32, in
    files without a name in `scratch`.

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
        processes = learner.processes
        self._array = rows_on_disk(processes, (int(self._steps.sum()), learner.predictor.belief_dim), scratch)
        self._static = rows_on_disk(processes, (len(self._steps), learner.encoder.latent_dim), scratch)
        others = np.setdiff1d(np.arange(len(self._steps)), measured)
        windows = belief_windows(others, self._steps[others], view.window_length)
        every, arrays = np.arange(len(windows)), {"beliefs": self._array, "static": self._static}
        encode_windows(learner, windows, every)
        fill(processes, arrays, batches_of(every, batch_size), partial(self._of_windows, windows, _skipped(windows)))
        fill(processes, arrays, batches_of(measured, TRAJECTORIES), self._of_measured)

    def of(self, trajectory: int) -> np.ndarray:
        """Of every step."""
        return self._array[self._part(trajectory)]

    def static(self, trajectory: int) -> np.ndarray:
        return self._static[trajectory]

    def _part(self, trajectory: int) -> slice:
        return slice(int(self._first[trajectory]), int(self._first[trajectory]) + int(self._steps[trajectory]))

    def _of_windows(self, windows: Windows, skipped: np.ndarray, part: np.ndarray) -> dict[str, Placed]:
        """Those steps of some windows that no window before them has."""
        batch = self.view.dataset.batch(windows, part)
        with torch.no_grad():
            beliefs = on_host(self._learner.prediction(batch).belief)
            static = on_host(self._learner.latents(batch).static)
        trajectory, step = windows.trajectory[part], np.arange(beliefs.shape[1])
        new = (step >= skipped[part][:, None]) & (step < windows.length[part][:, None])
        rows = ((self._first[trajectory] + windows.start[part])[:, None] + step)[new]
        return {"beliefs": (rows, beliefs[new]), "static": (trajectory, static)}

    def _of_measured(self, trajectories: np.ndarray) -> dict[str, Placed]:
        alone, numbers = AloneBeliefs(self.view), trajectories.tolist()
        both = [(alone.of(number), alone.static(number)) for number in numbers]
        rows = np.concatenate([np.arange(part.start, part.stop) for part in map(self._part, numbers)])
        beliefs, static = (np.concatenate([belief for belief, _ in both]), np.stack([facts for _, facts in both]))
        return {"beliefs": (rows, beliefs), "static": (trajectories, static)}


def _skipped(windows: Windows) -> np.ndarray:
    """Steps at the beginning of each window that the one before it has, which is of the same trajectory."""
    end = windows.start + windows.length
    follows = np.zeros(len(windows), dtype=bool)
    follows[1:] = windows.trajectory[1:] == windows.trajectory[:-1]
    return np.where(follows, np.maximum(np.roll(end, 1) - windows.start, 0), 0)


class BeliefSummaries:
    """The latent of the static facts, the last belief, the means of the last few and of all so far: (R, D + (2 + P) W)
    float32, where P is the number of `recent`.

    A recurrent belief may have forgotten after many steps what the static facts were; heads are told them beside it, as
    summaries of latents and of channels do.
    """

    def __init__(self, belief: Belief, recent: Sequence[int] = ()) -> None:
        """recent: over how many of the last beliefs means are taken."""
        self._belief, self._recent = belief, list(recent)

    def __call__(self, rows: Rows) -> np.ndarray:
        features = np.zeros((0, 1), dtype=np.float32)
        for trajectory, index in by_trajectory(rows):
            told = last_and_means(self.read(self._belief.of(trajectory)), rows.step[index], self._recent)
            facts = self._belief.static(trajectory)
            if not len(features):
                features = np.empty((len(rows), len(facts) + told.shape[1]), dtype=np.float32)
            features[index, : len(facts)], features[index, len(facts) :] = facts, told
        return features

    def read(self, beliefs: np.ndarray) -> np.ndarray:
        """What is taken of the beliefs (T, W) of a trajectory, step by step."""
        return beliefs

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"kind": "beliefs", "recent": self._recent}


class DecodedBeliefs(BeliefSummaries):
    """The same of all that decoders read of a belief, side by side, or of its principal directions: (R, D + (2 + P) F)
    float32."""

    def __init__(
        self, belief: Belief, names: Sequence[str], recent: Sequence[int] = (), projection: Projection | None = None
    ) -> None:
        """names: of the decoders, which the view's model has. projection: of all that they read; None keeps it."""
        super().__init__(belief, recent)
        self._names, self._projection = list(names), projection
        self._decoders = [belief.view.frozen.decoders[name] for name in self._names]

    @classmethod
    def fit(
        cls, belief: Belief, names: Sequence[str], recent: Sequence[int], components: int | None, seed: int
    ) -> DecodedBeliefs:
        """On so many principal directions of what is read in the train split, at some thousands of its steps."""
        whole = cls(belief, names, recent)
        if components is None:
            return whole
        dataset = belief.view.dataset
        order = np.random.default_rng(seed).permutation(dataset.trajectories("train"))
        drawn = order[: int(np.searchsorted(np.cumsum(dataset.steps[order]), PROJECTED)) + 1]
        read = np.concatenate([whole.read(belief.of(int(number))) for number in drawn])
        return cls(belief, names, recent, Projection.of(read, components))

    @torch.no_grad()
    def read(self, beliefs: np.ndarray) -> np.ndarray:
        """What the decoders read of beliefs (T, W): (T, F)."""
        given = torch.from_numpy(np.asarray(beliefs)).to(self._belief.view.frozen.device)
        read = on_host(torch.cat([decoder(given) for decoder in self._decoders], dim=-1))
        return read if self._projection is None else self._projection(read)

    def to_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"kind": "decoded_beliefs", "decoders": self._names, "recent": self._recent}
        return state if self._projection is None else state | {"projection": vars(self._projection)}


def last_and_means(values: np.ndarray, steps: np.ndarray, recent: Sequence[int]) -> np.ndarray:
    """Of values (T, K) the one at each of `steps` (r,), the means of the last `recent` (P) up to it, of fewer where it
    comes early, and the mean of all up to it: (r, (2 + P) K) float32.

    Running sums from the first step on: what comes after a step cannot change a bit of its means.
    """
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    counts = [np.minimum(count, steps + 1) for count in recent] + [steps + 1]
    means = [(sums[steps + 1] - sums[steps + 1 - count]) / count[:, None] for count in counts]
    return np.concatenate([values[steps], *means], axis=1).astype(np.float32)
