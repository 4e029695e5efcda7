"""States that the predictor rolls out from a row's step with the last action held, at some horizons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Latents, Predictor
from jepa_core.data.windows import Windows
from jepa_core.model.frozen import roll_out
from jepa_core.training.shares import TRAJECTORIES, Placed, batches_of, encode_windows, fill, rows_on_disk
from jepa_downstream.encoded import Alone, Encoded, Latent, on_host
from jepa_downstream.rows import Rows, by_trajectory

AT_ONCE = 64
"""Steps of a trajectory that are rolled out at once."""


class Rollouts:
    """Change from a row's state to the states that are foreseen, at each horizon: (R, horizons * K) float32.

    A row is rolled out beside the steps of its own trajectory around it, whichever of them are asked for, so that what
    is foreseen is a function of the trajectory alone, to the bit.
    """

    def __init__(self, latent: Latent, horizons: Sequence[int], context: int) -> None:
        """horizons: in steps, ascending. context: most steps that are seen."""
        self.latent, self.horizons, self.context = latent, list(horizons), context

    @classmethod
    def in_windows(cls, latent: Latent, horizons: Sequence[int], context: int | None) -> Rollouts:
        """Without horizons that leave no step of a training window as context, which is at most what the window leaves
        besides the longest; None for as much."""
        length = latent.view.window_length
        kept = [horizon for horizon in sorted(set(horizons)) if horizon < length]
        room = length - max(kept, default=0)
        return cls(latent, kept, min(room, context or room))

    def __call__(self, rows: Rows) -> np.ndarray:
        features = np.empty((len(rows), len(self.horizons) * self.latent.projections.size), dtype=np.float32)
        for trajectory, index in by_trajectory(rows):
            latents, group = self.latent.view.latents(trajectory), rows.step[index] // AT_ONCE
            for number in np.unique(group).tolist():
                own = index[group == number]
                features[own] = self._group(latents, number)[rows.step[own] - number * AT_ONCE]
        return features

    def _group(self, latents: Latents, number: int) -> np.ndarray:
        """Of the steps number * AT_ONCE and on, AT_ONCE at most: (n, horizons * K)."""
        device, steps = latents.states.device, latents.states.shape[1]
        last = torch.arange(number * AT_ONCE, min((number + 1) * AT_ONCE, steps), device=device)
        start = (last + 1 - self.context).clamp(min=0)
        length = min(self.context, int(last[-1]) + 1)
        seen = (start[:, None] + torch.arange(length, device=device)).clamp(max=steps - 1)
        acted = (start[:, None] + torch.arange(length + self.horizons[-1], device=device)).minimum(last[:, None])
        actions = latents.actions[0, acted]
        known = Latents(
            latents.static.expand(len(last), -1), latents.states[0, seen], actions[:, :length],
            torch.ones(seen.shape, dtype=torch.bool, device=device),
        )  # fmt: skip
        with self.latent.view.frozen.precision():
            foreseen = self.rolled(self.latent.view.frozen.predictor, known, actions, last - start)
        return self.changes(latents.states[0, last], foreseen)

    @torch.no_grad()
    def rolled(self, predictor: Predictor, seen: Latents, actions: Tensor, origins: Tensor) -> Tensor:
        """States at the horizons from one origin (B,) of each window: (B, horizons, D). The actions go on behind the
        steps that are seen for the longest horizon."""
        states = roll_out(predictor, seen, actions, origins[:, None], self.horizons[-1]).states[:, 0]
        return states[:, [horizon - 1 for horizon in self.horizons]]

    def changes(self, states: Tensor, foreseen: Tensor) -> np.ndarray:
        """States (n, D) and those that are foreseen from them (n, horizons, D) to (n, horizons * K)."""
        project = self.latent.projections
        now, then = project("states", on_host(states)), project("states", on_host(foreseen))
        return (then - now[:, None]).reshape(len(now), -1)

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return {
            "kind": "rollouts", "projections": self.latent.projections.to_state(), "horizons": self.horizons,
            "context": self.context,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], latent: Latent) -> Rollouts:
        return cls(latent, state["horizons"], state["context"])


class BatchedRollouts:
    """The same for all trajectories of an evaluation, each (trajectory, step) made once whichever tasks ask for it:
    those that are measured as by `Rollouts`, the others in batches of windows out of the learner's cache."""

    def __init__(self, encoded: Encoded, alone: Rollouts) -> None:
        self._encoded, self._alone = encoded, alone
        steps = len(encoded.arrays["states"])
        self._processes = encoded.learner.processes
        self._made = rows_on_disk(self._processes, (steps, len(alone.horizons) * encoded.size), encoded.scratch)
        self._done = np.zeros(steps, dtype=bool)

    @classmethod
    def of(cls, encoded: Encoded, horizons: Sequence[int], context: int | None) -> BatchedRollouts:
        latent = Alone(encoded.view, encoded.projections)
        return cls(encoded, Rollouts.in_windows(latent, horizons, context))

    @property
    def horizons(self) -> list[int]:
        return self._alone.horizons

    def __call__(self, rows: Rows) -> np.ndarray:
        rows_at = self._encoded.first[rows.trajectory] + rows.step
        wanted = np.flatnonzero(~self._done[rows_at])
        measured = np.isin(rows.trajectory[wanted], list(self._encoded.measured))
        alone, others = wanted[measured], wanted[~measured]
        if len(alone):
            self._roll_measured(rows.take(alone), rows_at[alone])
        if len(others):
            self._roll(rows, others, rows_at)
        self._done[rows_at[wanted]] = True
        return self._made[rows_at]

    def to_state(self) -> dict[str, Any]:
        return self._alone.to_state()

    def _roll_measured(self, rows: Rows, rows_at: np.ndarray) -> None:
        """Some trajectories at a time."""
        index = [part for _, part in by_trajectory(rows)]
        parts = [np.concatenate(index[at : at + TRAJECTORIES]) for at in range(0, len(index), TRAJECTORIES)]

        def rolled(part: np.ndarray) -> dict[str, Placed]:
            return {"made": (rows_at[part], self._alone(rows.take(part)))}

        fill(self._processes, {"made": self._made}, parts, rolled)

    def _roll(self, rows: Rows, wanted: np.ndarray, rows_at: np.ndarray) -> None:
        """Batches of equal length, so that nothing is padded."""
        length = np.minimum(rows.step[wanted] + 1, self._alone.context)
        windows = Windows(rows.trajectory[wanted], rows.step[wanted] + 1 - length, length)
        order = np.argsort(length, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(length[order])) + 1)
        parts = [part for group in groups for part in batches_of(group, self._encoded.batch_size)]

        def rolled(part: np.ndarray) -> dict[str, Placed]:
            return {"made": (rows_at[wanted[part]], self._rolled(windows, part))}

        encode_windows(self._encoded.learner, windows, np.arange(len(windows)))
        fill(self._processes, {"made": self._made}, parts, rolled)

    @torch.no_grad()
    def _rolled(self, windows: Windows, part: np.ndarray) -> np.ndarray:
        learner = self._encoded.learner
        seen = learner.latents(self._encoded.dataset.batch(windows, part))
        held = seen.actions[:, -1:].expand(-1, self.horizons[-1], -1)
        actions = torch.cat([seen.actions, held], dim=1)
        origins = torch.full((len(part),), seen.states.shape[1] - 1, dtype=torch.int64, device=held.device)
        return self._alone.changes(seen.states[:, -1], self._alone.rolled(learner.predictor, seen, actions, origins))
