"""States to come, rolled out from a step of every trajectory.

Symbols: n trajectories, C steps of context, H horizon, D latent size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Latents
from jepa_core.errors import DataError, RecipeError
from jepa_core.model.frozen import Frozen, roll_out

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.view import View

AT_ONCE = 64
"""Trajectories that are rolled out at once."""


@dataclass(frozen=True)
class Reach:
    """How far a predictor sees and foresees. window: steps of a window in training. longest: most steps of a window
    that it can take; None for no limit."""

    window: int
    longest: int | None

    def context(self, at: int, horizon: int) -> int:
        """Steps that are seen before a forecast: as many as leave the horizon within a window of training, one at the
        least.

        Raises RecipeError if at or horizon is no step, or if the predictor cannot reach so far, or was trained on no
        window that is so long.
        """
        if not all(isinstance(count, int | np.integer) and count >= 1 for count in (at, horizon)):
            raise RecipeError(
                f"a forecast sees and foresees at least 1 step; at={at}, horizon={horizon} were asked for"
            )
        if horizon > self.window:
            raise RecipeError(
                f"a horizon of {horizon} steps is longer than the windows of {self.window} steps that the predictor "
                f"was trained on; ask for at most {self.window}"
            )
        context = min(at, max(1, self.window - horizon))
        if self.longest is not None and context + horizon - 1 > self.longest:
            raise RecipeError(
                f"a horizon of {horizon} steps is beyond the predictor, which takes windows of {self.longest} steps; "
                f"ask for at most {self.longest}"
            )
        return context


@dataclass(frozen=True)
class Origin:
    """A trajectory up to the step from which it is foreseen. seen: its C steps, a batch of one. actions: (1, C + H - 1,
    D), those steps' and the ones after. recorded: (H,) whether the action before each step foreseen is recorded; the
    last recorded one is held otherwise."""

    seen: Latents
    actions: Tensor
    recorded: np.ndarray


def long_enough(dataset: Dataset, at: int) -> np.ndarray:
    """Positions of the trajectories that have `at` steps. Raises DataError if there is none."""
    chosen = np.flatnonzero(dataset.steps >= at)
    if len(chosen) == 0:
        raise DataError(f"no trajectory has {at} steps; the longest has {int(dataset.steps.max())}")
    return chosen


def origin_of(view: View, trajectory: int, at: int, context: int, horizon: int) -> Origin:
    """The origin after the first `at` steps of a trajectory, with the actions that it recorded."""
    known = view.latents(trajectory)
    steps = known.states.shape[1]
    part = slice(at - context, at)
    wanted = np.arange(at - context, at + horizon - 1)
    held = torch.from_numpy(np.minimum(wanted, steps - 1)).to(view.frozen.device)
    seen = Latents(known.static, known.states[:, part], known.actions[:, part], known.mask[:, part])
    return Origin(seen, known.actions[:, held], wanted[context - 1 :] < steps)


@dataclass(frozen=True)
class Foreseen:
    """What was rolled out from n origins. state: (n, H, D) float32. belief: (n, H, W) float32, which each state was
    read from. recorded: (n, H) bool, whether the action that leads to it is recorded. member_state, member_belief: (n,
    K, H, D) and (n, K, H, W of a member), what each member of an ensemble imagines by itself; K is 1 where there is
    none."""

    state: np.ndarray
    belief: np.ndarray
    recorded: np.ndarray
    member_state: np.ndarray
    member_belief: np.ndarray


def foresee(frozen: Frozen, origins: Iterator[Origin], horizon: int) -> Foreseen:
    """Roll out from every origin; all have equally many steps of context."""
    parts = list(_in_parts(frozen, origins, horizon))
    return Foreseen(*(np.concatenate(blocks) for blocks in zip(*parts, strict=True)))


def _in_parts(frozen: Frozen, origins: Iterator[Origin], horizon: int) -> Iterator[tuple[np.ndarray, ...]]:
    """AT_ONCE origins at a time."""
    held: list[Origin] = []
    for origin in origins:
        held.append(origin)
        if len(held) == AT_ONCE:
            yield _rolled(frozen, held, horizon)
            held = []
    if held:
        yield _rolled(frozen, held, horizon)


@torch.no_grad()
def _rolled(frozen: Frozen, origins: list[Origin], horizon: int) -> tuple[np.ndarray, ...]:
    parts = [origin.seen for origin in origins]
    seen = Latents(
        static=torch.cat([part.static for part in parts]),
        states=torch.cat([part.states for part in parts]),
        actions=torch.cat([part.actions for part in parts]),
        mask=torch.cat([part.mask for part in parts]),
    )
    actions = torch.cat([origin.actions for origin in origins])
    last = torch.full((len(origins), 1), seen.states.shape[1] - 1)

    def rolled(of_member: Frozen) -> tuple[np.ndarray, np.ndarray]:
        with of_member.precision():
            rollout = roll_out(of_member.predictor, seen, actions, last, horizon)
        return rollout.states[:, 0].float().cpu().numpy(), rollout.belief[:, 0].float().cpu().numpy()

    whole, members = rolled(frozen), frozen.apart()
    by_itself = [rolled(member) for member in members] if len(members) > 1 else [whole]
    apart = (np.stack(part, axis=1) for part in zip(*by_itself, strict=True))
    return *whole, np.stack([origin.recorded for origin in origins]), *apart
