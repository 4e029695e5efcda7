"""What one batch gives: the terms of the loss, and what is logged beside them, of a phase, its objectives and the
predictor. A step of training and a validation ask for the same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Batch
from jepa_core.training.learner import Learner
from jepa_core.training.precision import full

if TYPE_CHECKING:
    from jepa_core.training.curriculum import BuiltPhase


@dataclass(frozen=True)
class Outcome:
    """What a batch gave, scalars by name. terms: of the loss, weighted. metrics: what was logged beside them."""

    terms: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The sum of the terms, in fp32 at the least."""
        return torch.stack([full(term) for term in self.terms.values()]).sum()

    def detached(self) -> Outcome:
        """The same without gradients."""
        return Outcome({name: term.detach() for name, term in self.terms.items()}, self.metrics)


def outcome_of(built: BuiltPhase, learner: Learner, batch: Batch, seed: int, number: int, purpose: str = "") -> Outcome:
    """What a batch gives; of an ensemble that trains, the means over its members, each with its own draws beside the
    same latents. Asked again, it is the same.

    number: of the batch among those of the purpose, which all draws hang on with the seed and the phase's name.
    purpose: what the batch is for, empty for a step of training.
    """
    with learner.precision():
        outcomes = [
            _of_member(built, learner, batch, seed, f"{built.name}{purpose}", member, number)
            for member in learner.each_member()
        ]
    return outcomes[0] if len(outcomes) == 1 else mean_outcome(outcomes)


def _of_member(
    built: BuiltPhase, learner: Learner, batch: Batch, seed: int, name: str, member: int, number: int
) -> Outcome:
    """What a batch gives of the member that stands in the learner's predictor."""
    generator = seed_draws(seed, f"{name}.member_{member}" if member else name, number)
    learner.take_logged()  # what others logged that asked for a loss is none of this
    terms = built.phase.loss(learner, batch, generator)
    metrics = learner.take_logged()
    for objective in built.objectives:
        added = _of_objective(built, objective, learner, batch, seed_draws(seed, f"{name}.{objective}", number))
        terms, metrics = {**terms, **added.terms}, {**metrics, **added.metrics}
    return Outcome(terms | _of_predictor(built, learner), metrics)


def mean_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The means of terms and of metrics over what several batches, or members on one batch, gave."""
    return Outcome(_means([outcome.terms for outcome in outcomes]), _means([outcome.metrics for outcome in outcomes]))


def _means(values: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each name, over those that have it."""
    names = dict.fromkeys(name for of_member in values for name in of_member)
    return {
        name: torch.stack([of_member[name] for of_member in values if name in of_member]).mean(dim=0) for name in names
    }


def _of_objective(built: BuiltPhase, name: str, learner: Learner, batch: Batch, generator: torch.Generator) -> Outcome:
    """Terms of an objective, weighted, and what it logs, each under the objective's name."""
    objective = built.objectives[name]
    terms = objective.terms(learner, batch, generator)
    weight = objective.config.weight
    return Outcome(
        {f"{name}.{term}": weight * value for term, value in terms.items()},
        {f"{name}.{metric}": value for metric, value in learner.take_logged().items()},
    )


def _of_predictor(built: BuiltPhase, learner: Learner) -> dict[str, Tensor]:
    """Terms of the predictor's own, where it trains and the phase or an objective asked for its prediction."""
    if "predictor" not in built.config.trains:
        return {}
    return {f"predictor.{name}": term for name, term in learner.prediction_terms().items()}


def seed_draws(seed: int, name: str, number: int) -> torch.Generator:
    """Seed torch (dropout), and give a generator for a component's own draws, from these three alone."""
    torch_seed, own_seed = np.random.SeedSequence([seed, zlib.crc32(name.encode()), number]).generate_state(2)
    torch.manual_seed(int(torch_seed))
    return torch.Generator().manual_seed(int(own_seed))
