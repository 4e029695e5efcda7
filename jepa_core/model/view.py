"""What a frozen model makes of a data set, one trajectory at a time: all that heads read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from jepa_core.contracts import Latents
from jepa_core.model.frozen import Frozen

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner

KEPT_BYTES = 2**28
"""Bytes of latents that are kept, about: those of states, actions and static facts lie together."""


@dataclass(frozen=True)
class View:
    """A frozen model before a data set. dataset: as the encoder reads it. window_length: steps of a window in training.
    channels: opens the same trajectories as numbers; None where the source cannot render them.

    The same class stands before the run's own data and before new ones, so that a head scores both alike.
    """

    frozen: Frozen
    dataset: Dataset
    window_length: int
    channels: Callable[[], Dataset] | None = None
    _kept: dict[int, Latents] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, learner: Learner, evaluation: Evaluation) -> View:
        """Of a learner that was frozen, before the data of an evaluation."""
        return cls(Frozen.of(learner), learner.dataset, evaluation.window_length, evaluation.channels)

    def beliefs(self, trajectory: int) -> Tensor:
        """Beliefs at every step of a trajectory: (T, W); see `Frozen.beliefs`."""
        return self.frozen.beliefs(self.latents(trajectory), self.window_length)

    def latents(self, trajectory: int) -> Latents:
        """Latents of every step of a trajectory; see `Frozen.latents`. As many as KEPT_BYTES hold are kept, for every
        head that asks."""
        latents = self._kept.get(trajectory)
        if latents is None:
            latents = self.frozen.latents(self.dataset, trajectory)
            size = latents.static.nbytes + latents.states.nbytes + latents.actions.nbytes
            if (len(self._kept) + 1) * size < KEPT_BYTES:
                self._kept[trajectory] = latents
        return latents
