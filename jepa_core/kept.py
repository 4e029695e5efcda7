"""What an evaluator fitted and a run keeps, at work again on data that it was not fitted on.

`Evaluator.head` makes one of what the evaluator kept (`jepa_core.results.findings.KeptHead`).

Symbols in shapes: R rows, T steps, C channels, D latent size, H horizon.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.data.trajectories import Channel
    from jepa_core.model.view import View


class Head(ABC):
    """Something that an evaluator fitted, at work again on any data that the run's source reads: made by
    `Evaluator.head` of what it kept."""

    @abstractmethod
    def steps(self, length: int) -> np.ndarray:
        """Numbers from 0 of the steps at which a trajectory of so many steps is scored as it was in the run (or would
        have been, if its truth were known): (r,) int64."""

    @abstractmethod
    def scores(self, view: View, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Scores (R,) float64 of rows ordered by (trajectory, step), both (R,) int64: what the run's `Predictions` say
        of them, to the bit, whatever other rows and trajectories are there. Nothing is read that comes after a row's
        step, beyond rounding.

        Raises DataError if the data lack what the head reads.
        """

    def truth(self, dataset: Dataset, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        """What was to be predicted at rows (R,), as far as the data tell it: (R,) float64, 1 or 0 of a class, NaN
        where nobody can tell; nothing, by default."""
        return np.full(len(step), np.nan)


class Surprise(Head):
    """Scores every step by how far it is from what was foreseen of it; made by `Evaluator.head` of what it kept.

    channels: whose surprises there are. threshold: of scores, beyond which a step raises an alarm; infinite where too
    little was seen to find one.
    """

    channels: list[Channel]
    threshold: float

    @abstractmethod
    def by_channel(self, view: View, trajectory: int) -> np.ndarray:
        """Surprise of every step and channel of a trajectory, in what it usually is on the train split: (T, C) float64,
        NaN where nothing was observed, or nothing foreseen. Nothing is read that comes after a step.

        Raises DataError if the data lack what the head reads.
        """


class Readout(ABC):
    """Reads values off states, latent by latent; made by `Evaluator.head` of what it kept. It was fitted on a frozen
    model, where a `Decoder` is trained with it.

    channels: what the values are, with their units.
    """

    channels: list[Channel]

    @abstractmethod
    def decode(self, states: np.ndarray) -> np.ndarray:
        """States (..., D) to values (..., C), in the units of the channels."""


@dataclass(frozen=True)
class Intervals:
    """Intervals around what a kept decoder reads of a forecast, fitted where nothing else was; made by `Evaluator.head`
    of what it kept.

    level: share of the values that they are to cover. names: (C,) of the channels. widths: (H, C) half-widths in normal
    scores, infinite where too few values were seen to tell. noise: (H, C) standard deviation in normal scores of what
    no member of an ensemble foresees: of the forecast's errors, less that of the members among themselves.
    """

    level: float
    names: list[str]
    widths: np.ndarray
    noise: np.ndarray

    def at(self, names: Sequence[str], horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Half-widths and noise (horizon, len(names)); NaN beyond the horizon and the channels that they were fitted
        for, and where they are infinite."""
        return self._placed(self.widths, names, horizon), self._placed(self.noise, names, horizon)

    def _placed(self, fitted: np.ndarray, names: Sequence[str], horizon: int) -> np.ndarray:
        placed = np.full((horizon, len(names)), np.nan)
        steps = min(horizon, len(fitted))
        for column, name in enumerate(names):
            if name in self.names:
                placed[:steps, column] = fitted[:steps, self.names.index(name)]
        return np.where(np.isfinite(placed), placed, np.nan)
