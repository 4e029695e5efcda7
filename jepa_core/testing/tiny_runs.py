"""What checks of several kinds run: a phase that trains a tiny predictor, and a stop in the middle of a curriculum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from jepa_core.config import Module, PhaseConfig
from jepa_core.contracts import Batch, Listener, Phase
from jepa_core.data.windows import Windows
from jepa_core.testing.bench import WINDOW
from jepa_core.training.curriculum import Progress
from jepa_core.training.learner import Learner

STEPS = 4
"""Of a phase that is checked, or that others are checked by."""


class HeardConfig(PhaseConfig):
    """Keys of the phase that listeners are told of."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})

    steps: int = STEPS
    batch_size: int = 8


class Heard(Phase[HeardConfig]):
    """Predicts the next state of every step, and logs a number."""

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        error = (learner.prediction(batch).next_states[:, :-1] - latents.states[:, 1:]).abs().mean(-1)
        loss = (error * latents.mask[:, 1:]).sum() / latents.mask[:, 1:].sum().clamp(min=1)
        learner.log("error", loss)
        return {"prediction": loss}


def training_windows(learner: Learner) -> Windows:
    """Windows of the train split, whole ones and padded ones."""
    return learner.dataset.windows("train", WINDOW, 4, 3)


class Stopped(Exception):
    """Ends a curriculum where a check is done with it."""


@dataclass
class StopAfter(Listener):
    """Ends a curriculum after a step, once what is to be written of it is written."""

    step: int
    write: Callable[[Progress], object] = lambda progress: None

    def step_ended(self, progress: Progress) -> None:
        if progress.step == self.step:
            self.write(progress)
            raise Stopped
