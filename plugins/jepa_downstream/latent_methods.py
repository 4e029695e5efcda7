"""Methods that read frozen latents alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_downstream.decoded import Readings
from jepa_downstream.encoded import BLOCK, Encoded, Rollouts
from jepa_downstream.heads import Examples, Head, Scaling, select_head
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows, Task

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.training.learner import Learner
    from jepa_downstream.config import HeadsConfig, PredictionTasksConfig

_READ = "from which a linear map reads the channels, summarised"

Inputs = Callable[[Rows], np.ndarray]
"""Rows -> (R, F) float32: what may be known of each at its step."""


@dataclass(frozen=True)
class LatentMethod:
    """A head on inputs that are made of latents."""

    name: str
    information: str
    inputs: Inputs
    heads: HeadsConfig

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedHead:
        if len(train) == 0:
            raise CannotFit("the train split has no row")
        made = self.inputs(train)
        scaling = Scaling.of(made)
        examples = Examples(scaling(made), train.truth)
        del made
        head, chosen = select_head(
            task.kind, examples, Examples(scaling(self.inputs(tuning)), tuning.truth), self.heads, seed
        )
        return FittedHead(chosen, self.inputs, scaling, head)


@dataclass(frozen=True)
class FittedHead:
    """A head, and what it needs to score rows a block at a time."""

    chosen: dict[str, Any]
    inputs: Inputs
    scaling: Scaling
    head: Head

    def scores(self, rows: Rows) -> np.ndarray:
        return np.concatenate([self.head(self.scaling(self.inputs(part))) for part in _blocks(rows)] or [np.empty(0)])


def _blocks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), BLOCK):
        yield rows.take(np.arange(start, min(start + BLOCK, len(rows))))


class LatentMethods:
    """Makes the methods of one evaluation; they share what is encoded."""

    def __init__(self, evaluation: Evaluation, config: PredictionTasksConfig) -> None:
        self._evaluation, self._config = evaluation, config
        self._encoded = cache(self._encode)
        self._readings = cache(self._read)

    def latents(self) -> LatentMethod:
        encoded = self._encoded(self._evaluation.learner)
        return self._method("latents", "frozen latents up to the step", encoded.summaries)

    def with_rollout(self) -> LatentMethod:
        encoded = self._encoded(self._evaluation.learner)
        config = self._config
        length = self._evaluation.window_length
        rollouts = Rollouts(encoded, config.rollout_horizons, length, config.rollout_context)
        if not rollouts.horizons:
            raise CannotFit("no horizon of the rollout is shorter than the windows of training")
        steps = ", ".join(map(str, rollouts.horizons))
        information = f"the same, and the predictor's rollout {steps} steps ahead with the last action held"
        return self._method(
            "latents and rollout",
            information,
            lambda rows: np.concatenate([encoded.summaries(rows), rollouts(rows)], axis=1),
        )

    def untrained(self) -> LatentMethod:
        encoded = self._encoded(self._untrained())
        return self._method("untrained latents", "latents of the encoder as it was before training", encoded.summaries)

    def decoded(self) -> LatentMethod:
        readings = self._readings(self._evaluation.learner)
        return self._method("decoded latents", f"frozen latents up to the step, {_READ}", readings.summaries)

    def decoded_untrained(self) -> LatentMethod:
        readings = self._readings(self._untrained())
        information = f"latents of the encoder as it was before training, {_READ}"
        return self._method("decoded untrained latents", information, readings.summaries)

    def _untrained(self) -> Learner:
        if self._evaluation.untrained is None:
            raise CannotFit("no phase of the curriculum could train a predictor for an untrained encoder")
        return self._evaluation.untrained()

    def _read(self, learner: Learner) -> Readings:
        if self._evaluation.channels is None:
            raise CannotFit("the source does not render its steps as numbers, which are read off the latents")
        return Readings(self._encoded(learner), self._evaluation.channels(), self._evaluation.seed)

    def _method(self, name: str, information: str, inputs: Inputs) -> LatentMethod:
        return LatentMethod(name, information, inputs, self._config.heads)

    def _encode(self, learner: Learner) -> Encoded:
        one = self._evaluation
        return Encoded(
            learner,
            one.dataset,
            one.window_length,
            self._config.components,
            self._config.batch_size,
            one.seed,
            one.scratch,
        )
