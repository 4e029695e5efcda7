"""Listeners that a recipe names: whatever happens to one of them, the run goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from jepa_core.contracts import Listener, RunFacts
from jepa_core.recipe import Use
from jepa_core.results.findings import Findings
from jepa_core.runs.plan import Plan
from jepa_core.training.curriculum import Progress

log = logging.getLogger("jepa")

LONGEST_REASON = 200


class Guarded(Listener):
    """Tells a listener what it is told, until that fails: then there is one warning, and it is told no more."""

    def __init__(self, name: str, make: Callable[[], Listener]) -> None:
        self._name = name
        self._make = make
        self._listener: Listener | None = None
        self._failed = False

    def run_started(self) -> None:
        self._tell(lambda listener: listener.run_started())

    def phase_started(self, progress: Progress) -> None:
        self._tell(lambda listener: listener.phase_started(progress))

    def step_ended(self, progress: Progress) -> None:
        self._tell(lambda listener: listener.step_ended(progress))

    def logged(self, record: Mapping[str, Any]) -> None:
        self._tell(lambda listener: listener.logged(record))

    def phase_ended(self, progress: Progress) -> None:
        self._tell(lambda listener: listener.phase_ended(progress))

    def evaluation_started(self, name: str, index: int, count: int) -> None:
        self._tell(lambda listener: listener.evaluation_started(name, index, count))

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        self._tell(lambda listener: listener.evaluation_ended(name, findings))

    def run_ended(self) -> None:
        self._tell(lambda listener: listener.run_ended())

    def close(self) -> None:
        if self._listener is not None:
            self._tell(lambda listener: listener.close())

    def _tell(self, call: Callable[[Listener], None]) -> None:
        if self._failed:
            return
        try:
            if self._listener is None:
                self._listener = self._make()
            call(self._listener)
        except Exception as error:  # a server that is away, a full disk, a library that is broken
            self._failed = True
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_REASON]
            log.warning("tracker '%s' failed and is told no more of this run, which goes on (%s)", self._name, reason)


def guarded(use: Use[Any], facts: RunFacts) -> Guarded:
    """The listener of a recipe, for one run."""
    return Guarded(use.name, lambda: use.build(facts))


def plan_facts(plan: Plan) -> dict[str, str | int]:
    """What a plan says of a run in plain values by name: models, phases and seed; no file that is read, and no value of
    the source's config."""
    facts: dict[str, str | int | None] = {
        "recipe": plan.recipe,
        "seed": plan.seed,
        "source": plan.source,
        "encoder": plan.encoder.use,
        "encoder.parameters": plan.encoder.parameters,
        "encoder.trainable": plan.encoder.trainable,
        "predictor": plan.predictor.use,
        "predictor.parameters": plan.predictor.parameters,
        "latent_dim": plan.latent_dim,
        "window_steps": plan.window_steps,
        "evaluators": ", ".join(plan.evaluators),
    }
    for phase in plan.phases:
        facts[f"{phase.name}.use"] = phase.use
        facts[f"{phase.name}.steps"] = phase.steps
        facts[f"{phase.name}.batch_size"] = phase.batch_size
        facts[f"{phase.name}.trains"] = ", ".join(phase.trains)
        facts[f"{phase.name}.objectives"] = ", ".join(phase.objectives)
    return {name: value for name, value in facts.items() if value is not None}
