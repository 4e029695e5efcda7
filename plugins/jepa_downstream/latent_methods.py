"""Methods that read frozen latents and beliefs alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.contracts import Decoder
from jepa_downstream.beliefs import Beliefs, reader
from jepa_downstream.decoded import Readings
from jepa_downstream.encoded import Encoded, Rollouts
from jepa_downstream.heads import Examples, Head, Scaling, select_head
from jepa_downstream.kept import Inputs, Kept
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows, Task, blocks

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.training.learner import Learner
    from jepa_downstream.config import HeadsConfig, TasksConfig

_READ = "from which a linear map reads the channels, summarised"


@dataclass(frozen=True)
class LatentMethod:
    """A head on inputs that are made of latents or beliefs."""

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
        return np.concatenate([self.head(self.scaling(self.inputs(part))) for part in blocks(rows)] or [np.empty(0)])


class LatentMethods:
    """Makes the methods of one evaluation; they share what is encoded."""

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        self._evaluation, self._config = evaluation, config
        self._encoded = cache(self._encode)
        self._summaries = cache(self._summarise)
        self._readings = cache(self._read)
        self._beliefs = cache(self._believe)

    def latents(self) -> LatentMethod:
        inputs = self._summaries(self._evaluation.learner)
        return self._method("latents", "frozen latents up to the step", inputs)

    def with_rollout(self) -> LatentMethod:
        learner, config = self._evaluation.learner, self._config
        encoded, summaries = self._encoded(learner), self._summaries(learner)
        length = self._evaluation.window_length
        rollouts = Rollouts(encoded, config.rollout_horizons, length, config.rollout_context)
        if not rollouts.horizons:
            raise CannotFit("no horizon of the rollout is shorter than the windows of training")
        steps = ", ".join(map(str, rollouts.horizons))
        information = f"the same, and the predictor's rollout {steps} steps ahead with the last action held"
        return self._method(
            "latents and rollout",
            information,
            lambda rows: np.concatenate([summaries(rows), rollouts(rows)], axis=1),
        )

    def untrained(self) -> LatentMethod:
        inputs = self._summaries(self._untrained())
        return self._method("untrained latents", "latents of the encoder as it was before training", inputs)

    def decoded(self) -> LatentMethod:
        readings = self._readings(self._evaluation.learner)
        return self._method("decoded latents", f"frozen latents up to the step, {_READ}", readings)

    def decoded_untrained(self) -> LatentMethod:
        readings = self._readings(self._untrained())
        information = f"latents of the encoder as it was before training, {_READ}"
        return self._method("decoded untrained latents", information, readings)

    def belief(self) -> LatentMethod:
        beliefs = self._beliefs(self._evaluation.learner)
        return self._method("belief", "the predictor's belief, last and mean", self._keep(beliefs.summaries))

    def decoded_belief(self) -> LatentMethod:
        inputs = self._decoded_beliefs(self._evaluation.learner)
        return self._method("decoded belief", "what decoders read of the belief, last and mean", inputs)

    def untrained_belief(self) -> LatentMethod:
        beliefs = self._beliefs(self._untrained())
        information = "the belief, last and mean, of a predictor trained on the encoder as it was before training"
        return self._method("untrained belief", information, self._keep(beliefs.summaries))

    def decoded_untrained_belief(self) -> LatentMethod:
        inputs = self._decoded_beliefs(self._untrained())
        information = "what decoders that were trained for it read of that belief, last and mean"
        return self._method("decoded untrained belief", information, inputs)

    def _decoded_beliefs(self, learner: Learner) -> Kept:
        decoders = [one for one in learner.modules.values() if isinstance(one, Decoder)]
        if not decoders:
            raise CannotFit("no objective of the curriculum keeps a decoder of beliefs")
        beliefs, read = self._beliefs(learner), reader(decoders, learner.device)
        return self._keep(lambda rows: beliefs.summaries(rows, read))

    def _untrained(self) -> Learner:
        if self._evaluation.untrained is None:
            raise CannotFit("no phase of the curriculum could train a predictor for an untrained encoder")
        return self._evaluation.untrained()

    def _summarise(self, learner: Learner) -> Kept:
        return self._keep(self._encoded(learner).summaries)

    def _read(self, learner: Learner) -> Kept:
        if self._evaluation.channels is None:
            raise CannotFit("the source does not render its steps as numbers, which are read off the latents")
        return self._keep(
            Readings(self._encoded(learner), self._evaluation.channels(), self._evaluation.seed).summaries
        )

    def _keep(self, inputs: Inputs) -> Kept:
        return Kept(inputs, self._evaluation.dataset.store, self._evaluation.scratch)

    def _believe(self, learner: Learner) -> Beliefs:
        one = self._evaluation
        return Beliefs(learner, one.dataset, one.window_length, self._config.batch_size, one.scratch)

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
