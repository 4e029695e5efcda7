"""Methods that read frozen latents and beliefs alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.errors import DataError
from jepa_core.model.view import View
from jepa_core.training.aside import room_aside
from jepa_downstream.beliefs import AllBeliefs, AloneBeliefs, BeliefSummaries, DecodedBeliefs
from jepa_downstream.decoded import LinearReadings
from jepa_downstream.encoded import Alone, Encoded, LatentSummaries, Projection, Projections
from jepa_downstream.heads import ColumnScaling, Examples, Scorer, head_of, select_head
from jepa_downstream.kept import Inputs, Kept
from jepa_downstream.methods import CannotFit
from jepa_downstream.rollouts import BatchedRollouts, Rollouts
from jepa_downstream.rows import Rows, Task, blocks

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.model.view import View
    from jepa_core.training.learner import Learner
    from jepa_downstream.config import HeadsConfig, TasksConfig

_READ = "from which a linear map reads the channels, summarised"


@dataclass(frozen=True)
class LatentMethod:
    """A head on inputs that are made of latents or beliefs. control: whether they are of the untrained encoder.
    scratch: a folder for temporary files."""

    name: str
    information: str
    inputs: Inputs
    heads: HeadsConfig
    control: bool = False
    scratch: Path | None = None

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedHead:
        for name, rows in (("train", train), ("tuning", tuning)):  # of no row nobody can tell how wide inputs are
            if len(rows) == 0:
                raise CannotFit(f"the {name} split has no row")
        inputs = self.inputs(train)
        scaling = ColumnScaling.of(inputs)
        examples = Examples(scaling.in_place(inputs), train.truth)
        watched, first = room_aside((len(tuning), examples.inputs.shape[1]), self.scratch), 0
        for part in blocks(tuning):
            watched[first : first + len(part)] = scaling(self.inputs(part))
            first += len(part)
        head, chosen = select_head(task.kind, examples, Examples(watched, tuning.truth), self.heads, seed)
        return FittedHead(chosen, self.inputs, scaling, head, self.control)


@dataclass(frozen=True)
class FittedHead:
    """A head, and what it needs to score rows a block at a time."""

    chosen: dict[str, Any]
    inputs: Inputs
    scaling: ColumnScaling
    head: Scorer
    control: bool = False

    def scores(self, rows: Rows) -> np.ndarray:
        return np.concatenate([self.head(self.scaling(self.inputs(part))) for part in blocks(rows)] or [np.empty(0)])

    def to_state(self) -> dict[str, Any]:
        return {
            "kind": "latents", "chosen": self.chosen, "inputs": self.inputs.to_state(), "control": self.control,
            "scaling": self.scaling.to_state(), "head": self.head.to_state(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], view: View) -> FittedHead:
        """Raises DataError for a head on the untrained control, which a run does not keep."""
        if state["control"]:
            raise DataError("that method reads the untrained encoder, which a run does not keep; choose another method")
        inputs = inputs_of(state["inputs"], view)
        return cls(state["chosen"], inputs, ColumnScaling(**state["scaling"]), head_of(state["head"]))


def inputs_of(state: Mapping[str, Any], view: View) -> Inputs:
    """Inputs of the trajectories of a view, made as those that gave the state."""
    if state["kind"] == "beside":
        return Beside(*(inputs_of(state[number], view) for number in ("0", "1")))
    return _INPUTS[state["kind"]](state, view)


def _latent(state: Mapping[str, Any], view: View) -> Alone:
    return Alone(view, Projections.from_state(state["projections"]))


def _decoded_beliefs(state: Mapping[str, Any], view: View) -> DecodedBeliefs:
    projection = Projection(**state["projection"]) if "projection" in state else None
    return DecodedBeliefs(AloneBeliefs(view), state["decoders"], state["recent"], projection)


_INPUTS: dict[str, Callable[[Mapping[str, Any], View], Inputs]] = {
    "summaries": lambda state, view: LatentSummaries(_latent(state, view)),
    "rollouts": lambda state, view: Rollouts(_latent(state, view), state["horizons"], state["context"]),
    "readings": lambda state, view: LinearReadings(_latent(state, view), state["weights"], state["bias"]),
    "beliefs": lambda state, view: BeliefSummaries(AloneBeliefs(view), state["recent"]),
    "decoded_beliefs": _decoded_beliefs,
}
"""What makes inputs of a view, by the `kind` in their state."""


class Beside:
    """Two inputs beside one another."""

    def __init__(self, first: Inputs, second: Inputs) -> None:
        self._parts = (first, second)

    def __call__(self, rows: Rows) -> np.ndarray:
        return np.concatenate([part(rows) for part in self._parts], axis=1)

    def to_state(self) -> dict[str, Any]:
        return {"kind": "beside"} | {str(number): part.to_state() for number, part in enumerate(self._parts)}


class LatentMethods:
    """Makes the methods of one evaluation; they share what is encoded."""

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        self._evaluation, self._config = evaluation, config
        self._encoded = cache(self._encode)
        self._views = cache(lambda learner: View.of(learner, evaluation))
        self._summaries = cache(self._summarise)
        self._readings = cache(self._read)
        self._beliefs = cache(self._believe)

    def latents(self) -> LatentMethod:
        inputs = self._summaries(self._evaluation.learner)
        return self._method("latents", "frozen latents up to the step", inputs)

    def with_rollout(self) -> LatentMethod:
        learner, config = self._evaluation.learner, self._config
        encoded, summaries = self._encoded(learner), self._summaries(learner)
        rollouts = BatchedRollouts.of(encoded, config.rollout_horizons, config.rollout_context)
        if not rollouts.horizons:
            raise CannotFit("no horizon of the rollout is shorter than the windows of training")
        steps = ", ".join(map(str, rollouts.horizons))
        held = " with the last action held" if self._evaluation.dataset.store.event_count("action") else ""
        information = f"the same, and the predictor's rollout {steps} steps ahead{held}"
        return self._method("latents and rollout", information, Beside(summaries, rollouts))

    def untrained(self) -> LatentMethod:
        inputs = self._summaries(self._untrained())
        return self._method("untrained latents", "latents of the encoder as it was before training", inputs, True)

    def decoded(self) -> LatentMethod:
        readings = self._readings(self._evaluation.learner)
        return self._method("decoded latents", f"frozen latents up to the step, {_READ}", readings)

    def decoded_untrained(self) -> LatentMethod:
        readings = self._readings(self._untrained())
        information = f"latents of the encoder as it was before training, {_READ}"
        return self._method("decoded untrained latents", information, readings, True)

    def belief(self) -> LatentMethod:
        inputs = self._belief_summaries(self._evaluation.learner)
        return self._method("belief", "static latents, and the predictor's belief, last and means", inputs)

    def decoded_belief(self) -> LatentMethod:
        inputs = self._decoded_beliefs(self._evaluation.learner)
        return self._method(
            "decoded belief", "static latents, and what decoders read of the belief, last and means", inputs
        )

    def untrained_belief(self) -> LatentMethod:
        inputs = self._belief_summaries(self._untrained())
        information = "the same, of a predictor trained on the encoder as it was before training"
        return self._method("untrained belief", information, inputs, True)

    def decoded_untrained_belief(self) -> LatentMethod:
        inputs = self._decoded_beliefs(self._untrained())
        information = "the same of that predictor, and of decoders that were trained to read it"
        return self._method("decoded untrained belief", information, inputs, True)

    def _untrained(self) -> Learner:
        if self._evaluation.untrained is None:
            raise CannotFit("no phase of the curriculum could train a predictor for an untrained encoder")
        return self._evaluation.untrained()

    def _summarise(self, learner: Learner) -> Kept:
        return self._keep(LatentSummaries(self._encoded(learner)))

    def _read(self, learner: Learner) -> Kept:
        if self._evaluation.channels is None:
            raise CannotFit("the source does not render its steps as numbers, which are read off the latents")
        return self._keep(
            LinearReadings.fit(self._encoded(learner), self._evaluation.channels(), self._evaluation.seed)
        )

    def _belief_summaries(self, learner: Learner) -> Kept:
        return self._keep(BeliefSummaries(self._beliefs(learner), self._config.recent_beliefs))

    def _decoded_beliefs(self, learner: Learner) -> Kept:
        beliefs = self._beliefs(learner)
        names = list(beliefs.view.frozen.decoders)
        if not names:
            raise CannotFit("no objective of the curriculum keeps a decoder of beliefs")
        recent, components = self._config.recent_beliefs, self._config.decoded_components
        return self._keep(DecodedBeliefs.fit(beliefs, names, recent, components, self._evaluation.seed))

    def _keep(self, inputs: Inputs) -> Kept:
        return Kept(inputs, self._evaluation.dataset.store, self._evaluation.scratch)

    def _method(self, name: str, information: str, inputs: Inputs, control: bool = False) -> LatentMethod:
        return LatentMethod(name, information, inputs, self._config.heads, control, self._evaluation.scratch)

    def _encode(self, learner: Learner) -> Encoded:
        evaluation, config = self._evaluation, self._config
        view, measured = self._seen(learner)
        return Encoded(
            view, learner, measured, config.components, config.batch_size, evaluation.seed, evaluation.scratch
        )

    def _believe(self, learner: Learner) -> AllBeliefs:
        view, measured = self._seen(learner)
        return AllBeliefs(view, learner, measured, self._config.batch_size, self._evaluation.scratch)

    def _seen(self, learner: Learner) -> tuple[View, np.ndarray]:
        """The data as a learner sees them, and the trajectories that are seen one by one: none for the control, which
        scores no new data."""
        evaluation = self._evaluation
        measured = (
            evaluation.dataset.trajectories(self._config.split)
            if learner is evaluation.learner
            else np.empty(0, np.int64)
        )
        return self._views(learner), measured
