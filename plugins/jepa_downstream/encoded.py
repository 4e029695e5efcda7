"""Latents of all trajectories, encoded once, in a file, and what may be made of them up to a row's step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Latents
from jepa_core.data.windows import Windows

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner
    from jepa_downstream.rows import Rows

ROLES = ("static", "states", "actions")
RECENT = 6
"""Steps over which a change is taken, and actions are averaged."""
PROJECTED = 20_000
"""Steps of the train split, about, that principal directions are found on."""


@dataclass(frozen=True)
class Projection:
    """Principal directions of latents: (D, K), with their mean (D,)."""

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, latents: np.ndarray, components: int) -> Projection | None:
        """Of latents (N, D); None where D is no more than `components`, and latents stay as they are."""
        if latents.shape[1] <= components:
            return None
        mean = latents.mean(axis=0, dtype=np.float64)
        centred = latents - mean
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return cls(mean.astype(np.float32), vectors[:, ::-1][:, :components].astype(np.float32))

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        return (latents - self.mean) @ self.directions


class Encoded:
    """Latents of N trajectories with S steps, K numbers each: static (N, K), states and actions (S, K) float32.

    K is D, or `components` if that is less: then each role is projected on its principal directions in the train split.
    They lie in files without a name in `scratch`, so memory does not grow with the number of steps.
    """

    def __init__(
        self, learner: Learner, dataset: Dataset, window_length: int, components: int, batch_size: int, seed: int,
        scratch: Path | None,
    ) -> None:  # fmt: skip
        self.learner, self.dataset, self.batch_size, self.scratch = learner, dataset, batch_size, scratch
        self.first = np.asarray(dataset.store.first_step)
        everything = dataset.windows_of(np.arange(len(dataset.steps)), window_length, window_length, 1)
        self.projections = self._projections(everything, components, seed)
        self.size = min(learner.encoder.latent_dim, components)
        count, steps = len(dataset.steps), int(dataset.steps.sum())
        self.arrays = {
            role: on_disk((count if role == "static" else steps, self.size), scratch) for role in ROLES
        }  # fmt: skip
        for part, latents in self._encoded(everything, np.arange(len(everything))):
            self._write(everything, part, latents)

    def project(self, role: str, latents: np.ndarray) -> np.ndarray:
        """(..., D) -> (..., K)"""
        projection = self.projections[role]
        return latents if projection is None else projection(latents)

    def _projections(self, windows: Windows, components: int, seed: int) -> dict[str, Projection | None]:
        if self.learner.encoder.latent_dim <= components:
            return dict.fromkeys(ROLES)
        train = np.flatnonzero(np.asarray(self.dataset.split)[windows.trajectory] == 0)
        order = np.random.default_rng(seed).permutation(train)
        drawn = order[: int(np.searchsorted(np.cumsum(windows.length[order]), PROJECTED)) + 1]
        parts: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
        for _, latents in self._encoded(windows, np.sort(drawn)):
            mask = latents.mask.cpu().numpy()
            parts["static"].append(_numpy(latents.static))
            parts["states"].append(_numpy(latents.states)[mask])
            parts["actions"].append(_numpy(latents.actions)[mask])
        return {role: Projection.of(np.concatenate(found), components) for role, found in parts.items()}

    def _encoded(self, windows: Windows, index: np.ndarray) -> Iterator[tuple[np.ndarray, Latents]]:
        for start in range(0, len(index), self.batch_size):
            part = index[start : start + self.batch_size]
            with torch.no_grad():
                yield part, self.learner.latents(self.dataset.batch(windows, part))

    def _write(self, windows: Windows, part: np.ndarray, latents: Latents) -> None:
        """The last window of a trajectory overlaps the one before it: the same latents are written twice."""
        made = {role: self.project(role, _numpy(getattr(latents, role))) for role in ROLES}
        self.arrays["static"][windows.trajectory[part]] = made["static"]
        for row, window in enumerate(part):
            start = self.first[windows.trajectory[window]] + windows.start[window]
            steps = int(windows.length[window])
            for role in ("states", "actions"):
                self.arrays[role][start : start + steps] = made[role][row, :steps]

    def summaries(self, rows: Rows) -> np.ndarray:
        """Causal summaries of the rows: (R, 8 K) float32.

        static, last state, mean, standard deviation, least and largest of the states so far, change of the state over
        the last RECENT steps (or since the first), mean of the last RECENT actions.
        """
        made = np.empty((len(rows), 8 * self.size), dtype=np.float32)
        for trajectory, index in by_trajectory(rows):
            steps = rows.step[index]
            part = slice(self.first[trajectory], self.first[trajectory] + int(steps.max()) + 1)
            states, actions = self.arrays["states"][part], self.arrays["actions"][part]
            static = np.broadcast_to(self.arrays["static"][trajectory], (len(steps), self.size))
            made[index] = np.concatenate([static, summarise(states, actions, steps)], axis=1)
        return made


def summarise(states: np.ndarray, actions: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """All summaries but the static one, of the states (T, K) and actions (T, K) up to each of `steps` (r,): (r, 7 K).

    Running operations from the first step on: what comes after a step cannot change a bit of its summaries.
    """
    count = (steps + 1)[:, None]
    # From the first state, so that squares of a large common offset do not drown a small spread.
    offset = states.astype(np.float64) - states[0]
    mean = np.cumsum(offset, axis=0)[steps] / count
    square = np.cumsum(offset**2, axis=0)[steps] / count
    before = np.maximum(steps - RECENT, 0)
    running = np.cumsum(actions, axis=0, dtype=np.float64)
    earlier = np.where((steps >= RECENT)[:, None], running[before], 0.0)
    parts = [
        states[steps],
        mean + states[0],
        np.sqrt(np.maximum(square - mean**2, 0.0)),
        np.minimum.accumulate(states, axis=0)[steps],
        np.maximum.accumulate(states, axis=0)[steps],
        states[steps] - states[before],
        (running[steps] - earlier) / np.minimum(count, RECENT),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


class Rollouts:
    """States that the predictor rolls out from a row's step with the last action held, at some horizons.

    Each (trajectory, step) is rolled out once, whichever tasks ask for it.
    """

    def __init__(self, encoded: Encoded, horizons: Sequence[int], window_length: int, context: int | None) -> None:
        """horizons: in steps; those that leave no step of a training window as context are left out. context: most
        steps that are seen, None for all that fit into a training window."""
        self.horizons = [horizon for horizon in sorted(set(horizons)) if horizon < window_length]
        self._encoded = encoded
        room = window_length - max(self.horizons, default=0)
        self._context = min(room, context or room)
        steps = len(encoded.arrays["states"])
        self._made = on_disk((steps, len(self.horizons) * encoded.size), encoded.scratch)
        self._done = np.zeros(steps, dtype=bool)

    def __call__(self, rows: Rows) -> np.ndarray:
        """(R, horizons * K) float32: change from the row's state to the state that is foreseen."""
        place = self._encoded.first[rows.trajectory] + rows.step
        wanted = np.flatnonzero(~self._done[place])
        if len(wanted):
            self._roll(rows, wanted, place)
        return self._made[place]

    def _roll(self, rows: Rows, wanted: np.ndarray, place: np.ndarray) -> None:
        """Batches of equal length, so that nothing is padded."""
        length = np.minimum(rows.step[wanted] + 1, self._context)
        windows = Windows(rows.trajectory[wanted], rows.step[wanted] + 1 - length, length)
        order = np.argsort(length, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(length[order])) + 1):
            for start in range(0, len(group), self._encoded.batch_size):
                part = group[start : start + self._encoded.batch_size]
                self._made[place[wanted[part]]] = self._rolled(windows, part)
        self._done[place[wanted]] = True

    def _rolled(self, windows: Windows, part: np.ndarray) -> np.ndarray:
        learner, horizon = self._encoded.learner, self.horizons[-1]
        with torch.no_grad():
            seen = learner.latents(self._encoded.dataset.batch(windows, part))
            memory = learner.predictor(seen).memory
            held = seen.actions[:, -1:].expand(-1, horizon, -1)
            longer = Latents(
                seen.static,
                torch.cat([seen.states, torch.zeros_like(held)], dim=1),
                torch.cat([seen.actions, held], dim=1),
                seen.mask.new_ones(len(held), seen.mask.shape[1] + horizon),
            )
            origins = torch.full((len(held), 1), seen.states.shape[1] - 1, dtype=torch.int64, device=held.device)
            rolled = learner.predictor.rollout(longer, memory, origins, horizon).states[:, 0]
        project = self._encoded.project
        now = project("states", _numpy(seen.states[:, -1:]))
        foreseen = project("states", _numpy(rolled[:, [one - 1 for one in self.horizons]]))
        return (foreseen - now).reshape(len(part), -1)


def by_trajectory(rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
    """Each trajectory with the indices of its rows."""
    order = np.argsort(rows.trajectory, kind="stable")
    for index in np.split(order, np.flatnonzero(np.diff(rows.trajectory[order])) + 1):
        if len(index):
            yield int(rows.trajectory[index[0]]), index


def on_disk(shape: tuple[int, int], folder: Path | None) -> np.ndarray:
    """Zeros (rows, columns) float32 in a file without a name, which is gone with the process, whatever happens to it;
    pages that nothing is written to take no space."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    rows, columns = max(1, shape[0]), max(1, shape[1])
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(rows * columns * 4)
        return np.memmap(file, dtype=np.float32, shape=(rows, columns))[: shape[0], : shape[1]]


def _numpy(latents: torch.Tensor) -> np.ndarray:
    return latents.float().cpu().numpy()
