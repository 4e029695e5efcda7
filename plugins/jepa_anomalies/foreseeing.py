"""What a frozen model foresees of every step of a trajectory, from one or several steps before it.

Symbols: T steps, K horizons, D latent size, W belief size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Latents, Predictor
from jepa_core.model.frozen import belief_windows
from jepa_core.model.view import View

AT_ONCE = 16
"""Windows that are rolled out at once."""


@dataclass(frozen=True)
class ForeseenSteps:
    """What was foreseen of each step, NaN where no step stands so far before it. belief: (K, T, W), which the state
    (K, T, D) was read from. encoded: (T, D), the states as they came."""

    belief: np.ndarray
    state: np.ndarray
    encoded: np.ndarray


class Foresight:
    """Foresees each step under the recorded actions before it: nothing of the step itself, or after it, is read.

    A step is foreseen by a rollout of h steps from the state h steps before it, which has seen a window of training
    less the longest horizon, or half of that at the least. Only the last trajectory asked for is kept.
    """

    def __init__(self, view: View, horizons: Sequence[int]) -> None:
        """horizons: ascending. Those that no window of training reaches give NaN."""
        self._view, self.horizons = view, tuple(horizons)
        self._latest: tuple[int, ForeseenSteps] | None = None

    def __call__(self, trajectory: int) -> ForeseenSteps:
        """What is foreseen of a trajectory, by its position in the data."""
        if self._latest is None or self._latest[0] != trajectory:
            self._latest = trajectory, self._foreseen(trajectory)
        return self._latest[1]

    def _foreseen(self, trajectory: int) -> ForeseenSteps:
        latents = self._view.latents(trajectory)
        steps = latents.states.shape[1]
        reach = min(max(self.horizons), self._view.window_length - 1)
        encoded = latents.states[0].float().cpu().numpy()
        if reach < 1:
            nothing = np.full((len(self.horizons), steps, 1), np.nan)
            return ForeseenSteps(nothing, nothing, encoded)
        belief, state = self._rolled_out(latents, reach)
        return ForeseenSteps(self._arriving(belief, steps), self._arriving(state, steps), encoded)

    def _arriving(self, rolled: np.ndarray, steps: int) -> np.ndarray:
        """Rollouts (T, H, W) from every step, by the step that they arrive at: (K, T, W)."""
        arriving = np.full((len(self.horizons), steps, rolled.shape[2]), np.nan, dtype=np.float32)
        for row, horizon in enumerate(self.horizons):
            if horizon <= rolled.shape[1]:
                arriving[row, horizon:] = rolled[: max(0, steps - horizon), horizon - 1]
        return arriving

    @torch.no_grad()
    def _rolled_out(self, latents: Latents, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Beliefs (T, H, W) and states (T, H, D) that are rolled out from every step of a trajectory."""
        steps = latents.states.shape[1]
        length = self._view.window_length - horizon
        windows = belief_windows(np.zeros(1, dtype=np.int64), np.array([steps]), length)
        new = np.diff(windows.start + windows.length, prepend=0).tolist()
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        for first in range(0, len(windows), AT_ONCE):
            start = torch.from_numpy(windows.start[first : first + AT_ONCE]).to(latents.states.device)
            with self._view.frozen.precision():
                rolled = _from_every_step(self._view.frozen.predictor, latents, start, int(windows.length[0]), horizon)
            pairs = zip(*rolled, new[first : first + AT_ONCE], strict=True)
            parts += [(belief[-count:], state[-count:]) for belief, state, count in pairs]
        belief, state = (np.concatenate(part) for part in zip(*parts, strict=True))
        return belief, state


def _from_every_step(
    predictor: Predictor, latents: Latents, start: Tensor, length: int, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rollouts from all steps of the windows of a trajectory that begin at `start` (B,): beliefs (B, T, H, W) and
    states (B, T, H, D). Behind the trajectory's end the last action is held; what is rolled out there is not used."""
    offset = torch.arange(length + horizon - 1, device=start.device)
    whole = start[:, None] + offset
    seen, last = whole[:, :length], latents.states.shape[1] - 1
    mask = torch.ones_like(seen, dtype=torch.bool)
    static = latents.static.expand(len(start), -1)
    context = Latents(static, latents.states[0, seen], latents.actions[0, seen], mask)
    memory = predictor(context).memory
    blank = context.states.new_zeros(len(start), horizon - 1, context.states.shape[2])
    actions = latents.actions[0, whole.clamp(max=last)]
    longer = Latents(static, torch.cat([context.states, blank], dim=1), actions, actions.new_ones(whole.shape).bool())
    origins = torch.arange(length).expand(len(start), -1)
    rolled = predictor.rollout(longer, memory, origins, horizon)
    return rolled.belief.float().cpu().numpy(), rolled.states.float().cpu().numpy()
