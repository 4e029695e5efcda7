"""The gradient of a step whose batch is divided: among processes, and into parts that each computes in turn.

With one part a process, totals are added up between the processes while the loss is computed (`jepa_core.training.
totals`). With several, a process cannot hold the activations of all at once: a first pass without gradient adds up the
totals, a second computes each part again, with the same draws, and its gradient given the totals (gradient caching: Gao
et al., arXiv 2101.06983). So `accumulate` costs one more forward pass, and every loss is that of the whole batch,
whatever it makes of its totals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import Tensor, nn

from jepa_core.config import PhaseConfig
from jepa_core.contracts import Batch
from jepa_core.errors import LastingRunError, RecipeError
from jepa_core.training.draws import WindowDraws
from jepa_core.training.parts import parts_of
from jepa_core.training.processes import Peers
from jepa_core.training.stepping import Outcome, mean_outcome
from jepa_core.training.totals import Adder, FirstPass, Poison, SecondPass, adding, in_place_of, refuse_totals_of_totals

Compute = Callable[[Batch], Outcome]
"""What a batch gives, the same each time."""


class Division:
    """How the steps of a phase are divided: among processes, each of which computes `accumulate` parts in turn."""

    def __init__(self, processes: Peers, accumulate: int, sizes: Callable[[Tensor], Tensor]) -> None:
        """sizes: what encoding items costs, by their ids (see `parts_of`)."""
        self._processes = processes
        self._accumulate = accumulate
        self._sizes = sizes
        self._checked = False

    def backward(self, compute: Compute, batch: Batch) -> Outcome:
        """What a step gives, without graphs; its gradients are added to those of the parameters, on every process those
        of the parts that it computed. Metrics are means over these.

        Raises RunError if the loss cannot be divided.
        """
        count = self._processes.count * self._accumulate
        if count == 1:
            return _backward(compute(batch))
        parts = parts_of(batch, count, self._sizes)[self._processes.number :: self._processes.count]
        outcomes = self._at_once(compute, parts[0]) if len(parts) == 1 else self._in_turn(compute, parts)
        if not self._checked:
            _refuse_different(outcomes, self._processes)
            self._checked = True
        return Outcome(outcomes[0].terms, mean_outcome(outcomes).metrics)

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the gradients of the whole step."""
        self._processes.add_gradients(parameters)

    def _at_once(self, compute: Compute, part: Batch) -> list[Outcome]:
        with _of_part(part, _BetweenProcesses(self._processes)):
            return [_backward(compute(part))]

    def _in_turn(self, compute: Compute, parts: Sequence[Batch]) -> list[Outcome]:
        first, outcomes = FirstPass(), []
        with torch.no_grad():
            if not self._checked:
                _check_totals(compute, parts[0])
            for part in parts:
                first.begin_part()
                with _of_part(part, first):
                    compute(replace(part))
        sums = [self._processes.sum(partial_sum) for partial_sum in first.sums]
        for part in parts:
            with _of_part(part, SecondPass(sums)):
                outcomes.append(_backward(compute(replace(part))))
        return outcomes


def refuse_undivided(processes: Peers, name: str, config: PhaseConfig) -> None:
    """Refuse a phase whose batches cannot be divided: they have fewer windows than there are parts, or batches of
    further streams beside them, whose windows belong to no part.

    Raises RecipeError naming what to change.
    """
    parts = processes.count * config.accumulate
    if config.steps and config.batch_size < parts:
        raise RecipeError(
            f"phase '{name}' has batches of {config.batch_size} windows, which {processes.count} processes that "
            f"compute {config.accumulate} parts each cannot divide; set curriculum.{name}.batch_size to {parts} or "
            "more, or take fewer processes"
        )
    if config.steps and processes.count > 1 and config.streams():
        raise RecipeError(
            f"phase '{name}' reads further streams ({', '.join(config.streams())}), whose batches are not divided; "
            "run it in one process"
        )


class _BetweenProcesses:
    """Adds up what the processes have, each once."""

    def __init__(self, processes: Peers) -> None:
        self._processes = processes

    def total(self, part: Tensor) -> Tensor:
        return in_place_of(part, self._processes.sum(part.detach()))


def _of_part(part: Batch, adder: Adder) -> ExitStack:
    """Totals as `adder` knows them, and draws that are those of the part's windows."""
    assert part.part is not None
    stack = ExitStack()
    stack.enter_context(adding(adder))
    stack.enter_context(WindowDraws(part.part.rows, len(part.part.mask)))
    return stack


def _backward(outcome: Outcome) -> Outcome:
    loss = outcome.loss
    if loss.requires_grad:  # a part may have nothing that counts
        loss.backward()
    return outcome.detached()


def _check_totals(compute: Compute, part: Batch) -> None:
    clean, poison = FirstPass(), Poison()
    for adder in (clean, poison):
        with _of_part(part, adder):
            compute(replace(part))
    refuse_totals_of_totals(poison, clean.sums)


def _refuse_different(outcomes: Sequence[Outcome], processes: Peers) -> None:
    """Refuse a loss that is another one for each part: it is not made of totals.

    Raises RunError naming the terms.
    """
    values = torch.stack([torch.stack([term.double() for term in outcome.terms.values()]) for outcome in outcomes])
    highest = processes.largest(values.amax(dim=0))
    lowest = -processes.largest(-values.amin(dim=0))
    apart = (highest - lowest) > 1e-4 * highest.abs().clamp(min=1e-6)
    wrong = [name for name, differs in zip(outcomes[0].terms, apart.tolist(), strict=True) if differs]
    if wrong:
        raise LastingRunError(
            f"the terms {', '.join(wrong)} are not those of the whole batch where it is divided; make them of sums "
            "over the step (jepa_core.training.totals.total), or compute batches whole: one process, accumulate 1"
        )
