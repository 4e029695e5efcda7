"""Validation: what a phase's own loss is on windows of the tuning split, every so many steps; whether the phase ends
early, and which weights it ends with.

Nothing of it moves what training does: modules are in evaluation mode, no gradient is kept, and every validation of a
phase draws the same numbers, so that two of them differ by the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jepa_core.config import StreamConfig, ValidationConfig
from jepa_core.contracts import Batch
from jepa_core.errors import LastingRunError, RecipeError
from jepa_core.training.feeding import Cut, Streams
from jepa_core.training.learner import Learner
from jepa_core.training.stepping import Outcome, outcome_of

if TYPE_CHECKING:
    from jepa_core.training.curriculum import BuiltPhase


@dataclass
class Standing:
    """How the validations of a phase have gone so far.

    best: value of what is watched, None before the first. best_step: optimizer steps before it. misses: validations
    since then without a gain. weights: those at the best one, on the CPU, where they are kept.
    """

    best: float | None = None
    best_step: int = 0
    misses: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def ends(self, config: ValidationConfig) -> bool:
        """Whether the phase has seen as many validations without a gain as it waits for."""
        return 0 < config.patience <= self.misses

    def take(self, value: float, step: int, config: ValidationConfig) -> bool:
        """Take up a validation; true if it is a gain, which no value that is no number is."""
        if self.best is None:
            gain = math.isfinite(value)
        else:
            gain = (self.best - value if config.better == "lower" else value - self.best) > config.gain
        if gain:
            self.best, self.best_step, self.misses = value, step, 0
        else:
            self.misses += 1
        return gain

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Everything as tensors by name."""
        yield "best", torch.tensor(math.nan if self.best is None else self.best, dtype=torch.float64)
        yield "counts", torch.tensor([self.best_step, self.misses])
        yield from ((f"weights.{name}", value) for name, value in self.weights.items())

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Standing:
        """What `state` gave, taken up again; nothing yet, where a checkpoint has none of it."""
        if not state:
            return cls()
        best = float(state["best"])
        best_step, misses = state["counts"].tolist()
        weights = {name.removeprefix("weights."): value for name, value in state.items() if name.startswith("weights.")}
        return cls(None if math.isnan(best) else best, best_step, misses, weights)


class Validator:
    """Validates a phase on some windows of the tuning split, the same every time."""

    def __init__(self, built: BuiltPhase, learner: Learner, cut: Cut, seed: int) -> None:
        self._built = built
        self._learner = learner
        self._seed = seed
        self._config = built.config.validation
        self._windows = cut("tuning", StreamConfig())
        self._streams = Streams(built, learner.dataset, "tuning", cut, seed, ".validation")
        count = min(self._config.windows, len(self._windows))
        self._chosen = np.linspace(0, len(self._windows) - 1, count).round().astype(np.int64)

    def validate(self, step: int, standing: Standing) -> Outcome:
        """What the validation after so many steps gives; the standing takes it up.

        Raises RunError if the loss is not finite, RecipeError if nothing goes by the name that is watched.
        """
        outcome = self._measure()
        value = float(self._watched(outcome))
        if not bool(torch.isfinite(outcome.loss)):
            values = ", ".join(f"{name} = {float(term):.4g}" for name, term in outcome.terms.items())
            raise LastingRunError(
                f"the validation of phase '{self._built.name}' was not finite after step {step} ({values}); lower its "
                "learning rates"
            )
        if standing.take(value, step, self._config) and self._config.keep == "best":
            standing.weights = {name: value.detach().to("cpu", copy=True) for name, value in self._everything()}
        return outcome

    def _measure(self) -> Outcome:
        """Means over the windows: of each batch with as much weight as it has windows. Of several processes each
        measures some of the batches, or all of them if they encode together."""
        terms: dict[str, Tensor] = {}
        metrics: dict[str, Tensor] = {}
        processes = self._learner.processes
        with self._learner.looking(self._built.phase.module):
            for number, batch in enumerate(self._batches()):
                if number % processes.count != processes.number and not processes.in_lockstep:
                    continue
                self._built.phase.streams = self._streams.batches(number)
                outcome = outcome_of(self._built, self._learner, batch, self._seed, number, ".validation")
                share = len(batch.mask) / len(self._chosen) / (processes.count if processes.in_lockstep else 1)
                _add(terms, outcome.terms, share)
                _add(metrics, outcome.metrics, share)
        return Outcome(processes.sums(terms, self._learner.device), processes.sums(metrics, self._learner.device))

    def _batches(self) -> Iterator[Batch]:
        size = self._built.config.batch_size
        for start in range(0, len(self._chosen), size):
            yield self._learner.dataset.batch(self._windows, self._chosen[start : start + size])

    def _watched(self, outcome: Outcome) -> Tensor:
        values = {**outcome.metrics, **outcome.terms, "loss": outcome.loss}
        if self._config.watch not in values:
            raise RecipeError(
                f"phase '{self._built.name}' watches '{self._config.watch}' (validation.watch), and its validation "
                f"gives {', '.join(sorted(values))}"
            )
        return values[self._config.watch]

    def _everything(self) -> Iterator[tuple[str, Tensor]]:
        """All weights that the phase may change: the learner's, and those of its own module."""
        yield from self._learner.weights()
        if self._built.phase.module is not None:
            yield from ((f"module.{name}", value) for name, value in self._built.phase.module.state_dict().items())


def _add(sums: dict[str, Tensor], values: Mapping[str, Tensor], share: float) -> None:
    for name, value in values.items():
        sums[name] = sums.get(name, torch.zeros((), device=value.device)) + share * value.float()


def put_back(standing: Standing, learner: Learner, built: BuiltPhase) -> None:
    """Give learner and phase the weights of the best validation, where they were kept."""
    if not standing.weights:
        return
    own = {name: value for name, value in standing.weights.items() if name.startswith("module.")}
    learner.load_weights({name: value for name, value in standing.weights.items() if name not in own})
    if built.phase.module is not None:
        built.phase.module.load_state_dict({name.removeprefix("module."): value for name, value in own.items()})
