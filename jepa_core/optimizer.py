"""The contracts of an optimizer and of a schedule: how the parameters that a phase trains move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import torch

from jepa_core.config import OptimizerConfig, ScheduleConfig

OptimizerC = TypeVar("OptimizerC", bound=OptimizerConfig, covariant=True)
ScheduleC = TypeVar("ScheduleC", bound=ScheduleConfig, covariant=True)


class Optimizer(ABC, Generic[OptimizerC]):
    """How the parameters that a phase trains move along their gradients.

        class Descent(Optimizer[DescentConfig]):
            def over(self, groups):
                return torch.optim.SGD(groups, lr=0.0)

    The loop sets the rates before every step, clips the gradients before it, and keeps what the optimizer knows of each
    parameter in checkpoints.
    """

    def __init__(self, config: OptimizerC) -> None:
        self.config = config

    @abstractmethod
    def over(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over groups of parameters, as torch takes them: of one module each, with the keys `params`,
        `weight_decay`, `matrices` (whether they map one vector onto another) and `peak_lr`. Every group keeps its keys.

        Its state holds tensors alone, by name. Parameters without a gradient do not move.
        """


class Schedule(ABC, Generic[ScheduleC]):
    """The course of the learning rates over a phase, in shares of their peaks. Each phase has its own, so that dropping
    one changes no other."""

    def __init__(self, config: ScheduleC) -> None:
        self.config = config

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """What the peaks are multiplied by at step `step` of `steps`, counted from 0: a function of these two alone."""
