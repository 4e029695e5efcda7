"""Latents of all trajectories, encoded once, in a file, and what may be made of them up to a row's step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from jepa_core.contracts import Latents
from jepa_core.data.windows import Windows
from jepa_core.training.shares import TRAJECTORIES, Placed, batches_of, encode_windows, fill, rows_on_disk
from jepa_downstream.rows import Rows, by_trajectory

if TYPE_CHECKING:
    from jepa_core.model.view import View
    from jepa_core.training.learner import Learner

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


@dataclass(frozen=True)
class Projections:
    """A projection for each role; None where latents stay as they are. size: K."""

    size: int
    of: Mapping[str, Projection | None]

    def __call__(self, role: str, latents: np.ndarray) -> np.ndarray:
        """(..., D) -> (..., K)"""
        projection = self.of[role]
        return latents if projection is None else projection(latents)

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {"size": self.size} | {
            role: vars(projection) for role, projection in self.of.items() if projection is not None
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Projections:
        return cls(state["size"], {role: Projection(**state[role]) if role in state else None for role in ROLES})


class Projected(NamedTuple):
    """Latents of a trajectory of T steps, K numbers each: static (K,), states and actions (T, K) float32."""

    static: np.ndarray
    states: np.ndarray
    actions: np.ndarray


class Latent(Protocol):
    """Projected latents by trajectory. view: of the model that they are of."""

    view: View
    projections: Projections

    def of(self, trajectory: int) -> Projected:
        """Of a whole trajectory."""


class Alone:
    """Latents of any trajectory, made when they are asked for: a function of the trajectory alone, to the bit."""

    def __init__(self, view: View, projections: Projections) -> None:
        self.view, self.projections = view, projections
        self._latest: tuple[int, Projected] | None = None

    def of(self, trajectory: int) -> Projected:
        """Of a whole trajectory; asked again for the same one, it is not encoded again."""
        if self._latest is None or self._latest[0] != trajectory:
            latents = self.view.latents(trajectory)
            projected = (self.projections(role, on_host(getattr(latents, role))[0]) for role in ROLES)
            self._latest = (trajectory, Projected(*projected))
        return self._latest[1]


class Encoded:
    """Latents of N trajectories with S steps, K numbers each: static (N, K), states and actions (S, K) float32.

    K is D, or `components` if that is less: then each role is projected on its principal directions in the train split.
    They lie in files without a name in `scratch`, so memory does not grow with the number of steps. Those of the
    trajectories that are measured are encoded one by one, as those of new data will be; the others come from the
    learner's cache.
    """

    def __init__(
        self, view: View, learner: Learner, measured: np.ndarray, components: int, batch_size: int, seed: int,
        scratch: Path | None,
    ) -> None:  # fmt: skip
        """measured: (M,) trajectories."""
        self.view, self.learner, self.dataset = view, learner, view.dataset
        self.measured = frozenset(measured.tolist())
        self.batch_size, self.scratch = batch_size, scratch
        self.first = np.asarray(self.dataset.store.first_step)
        count, steps = len(self.dataset.steps), int(self.dataset.steps.sum())
        self.projections = self._projections(self._windows(np.arange(count)), components, seed)
        self.size = self.projections.size
        processes = learner.processes
        self.arrays = {
            role: rows_on_disk(processes, (count if role == "static" else steps, self.size), scratch) for role in ROLES
        }
        others = self._windows(np.setdiff1d(np.arange(count), measured))
        every = np.arange(len(others))
        encode_windows(learner, others, every)
        fill(processes, self.arrays, batches_of(every, batch_size), partial(self._of_windows, others))
        fill(processes, self.arrays, batches_of(measured, TRAJECTORIES), self._of_measured)

    def of(self, trajectory: int) -> Projected:
        """Of a whole trajectory."""
        part = self._part(trajectory)
        return Projected(self.arrays["static"][trajectory], self.arrays["states"][part], self.arrays["actions"][part])

    def _part(self, trajectory: int) -> slice:
        return slice(int(self.first[trajectory]), int(self.first[trajectory]) + int(self.dataset.steps[trajectory]))

    def _windows(self, trajectories: np.ndarray) -> Windows:
        length = self.view.window_length
        return self.dataset.windows_of(trajectories, length, length, 1)

    def _projections(self, windows: Windows, components: int, seed: int) -> Projections:
        size = self.learner.encoder.latent_dim
        if size <= components:
            return Projections(size, dict.fromkeys(ROLES))
        train = np.flatnonzero(np.asarray(self.dataset.split)[windows.trajectory] == 0)
        order = np.random.default_rng(seed).permutation(train)
        drawn = order[: int(np.searchsorted(np.cumsum(windows.length[order]), PROJECTED)) + 1]
        parts: dict[str, list[np.ndarray]] = {role: [] for role in ROLES}
        for _, latents in self._encoded(windows, np.sort(drawn)):
            mask = latents.mask.cpu().numpy()
            parts["static"].append(on_host(latents.static))
            parts["states"].append(on_host(latents.states)[mask])
            parts["actions"].append(on_host(latents.actions)[mask])
        projections = {role: Projection.of(np.concatenate(part), components) for role, part in parts.items()}
        return Projections(components, projections)

    def _encoded(self, windows: Windows, index: np.ndarray) -> Iterator[tuple[np.ndarray, Latents]]:
        for part in batches_of(index, self.batch_size):
            with torch.no_grad():
                yield part, self.learner.latents(self.dataset.batch(windows, part))

    def _of_windows(self, windows: Windows, part: np.ndarray) -> dict[str, Placed]:
        """The last window of a trajectory overlaps the one before it: the same latents are written twice."""
        with torch.no_grad():
            latents = self.learner.latents(self.dataset.batch(windows, part))
        projected = {role: self.projections(role, on_host(getattr(latents, role))) for role in ROLES}
        mask = latents.mask.cpu().numpy()
        trajectory = windows.trajectory[part]
        steps = ((self.first[trajectory] + windows.start[part])[:, None] + np.arange(mask.shape[1]))[mask]
        dynamic = {role: (steps, projected[role][mask]) for role in ("states", "actions")}
        return {"static": (trajectory, projected["static"]), **dynamic}

    def _of_measured(self, trajectories: np.ndarray) -> dict[str, Placed]:
        alone = Alone(self.view, self.projections)
        latents = [alone.of(trajectory) for trajectory in trajectories.tolist()]
        steps = np.concatenate([np.arange(part.start, part.stop) for part in map(self._part, trajectories.tolist())])
        static = np.stack([projected.static for projected in latents])
        states, actions = (np.concatenate([getattr(each, role) for each in latents]) for role in ("states", "actions"))
        return {"static": (trajectories, static), "states": (steps, states), "actions": (steps, actions)}


class LatentSummaries:
    """Causal summaries of the rows: (R, 8 K) float32.

    static, last state, mean, standard deviation, least and largest of the states so far, change of the state over
    the last RECENT steps (or since the first), mean of the last RECENT actions.
    """

    def __init__(self, latent: Latent) -> None:
        self._latent = latent

    def __call__(self, rows: Rows) -> np.ndarray:
        features = np.empty((len(rows), 8 * self._latent.projections.size), dtype=np.float32)
        for trajectory, index in by_trajectory(rows):
            steps = rows.step[index]
            static, states, actions = self._latent.of(trajectory)
            until = int(steps.max()) + 1
            facts = np.broadcast_to(static, (len(steps), len(static)))
            features[index] = np.concatenate([facts, causal_summaries(states[:until], actions[:until], steps)], axis=1)
        return features

    def to_state(self) -> dict[str, Any]:
        return {"kind": "summaries", "projections": self._latent.projections.to_state()}


def causal_summaries(states: np.ndarray, actions: np.ndarray, steps: np.ndarray) -> np.ndarray:
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


def on_host(latents: torch.Tensor) -> np.ndarray:
    """Latents as float32 numbers on the host."""
    return latents.float().cpu().numpy()
