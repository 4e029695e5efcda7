"""The loop over phases, written once.

It asks a phase what it trains and what its loss is, and never looks at its name. Progress bars, logs and checkpoints
are listeners' work. Nothing in it moves a tensor to the host; whoever listens decides when to read one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jepa_core.config import PhaseConfig, Split, StreamConfig
from jepa_core.contracts import Batch, Listener, Objective, Optimizer, Phase, Schedule
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.errors import LastingRunError, RunError
from jepa_core.rates import AdamwConfig, CosineConfig
from jepa_core.training.division import Division, refuse_undivided
from jepa_core.training.feeding import Cut, Streams
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors
from jepa_core.training.optimization import (
    clip_gradients,
    make_optimizer,
    refuse_idle_patterns,
    set_rates,
    trained_by,
)
from jepa_core.training.optimizers import Adamw
from jepa_core.training.schedules import Cosine
from jepa_core.training.stepping import Outcome, outcome_of, seed_draws
from jepa_core.training.validation import Standing, Validator, put_back


@dataclass
class BuiltPhase:
    """A phase as the curriculum runs it: its name in the recipe, the phase, the objectives added to its loss, by their
    names, and how its parameters move."""

    name: str
    phase: Phase
    objectives: Mapping[str, Objective] = field(default_factory=dict)
    optimizer: Optimizer = field(default_factory=lambda: Adamw(AdamwConfig()))
    schedule: Schedule = field(default_factory=lambda: Cosine(CosineConfig()))

    @property
    def config(self) -> PhaseConfig:
        return self.phase.config


@dataclass
class Progress:
    """Where the curriculum is.

    seed: of every draw. index: number of the phase. step: optimizer steps done in it. terms: loss terms of the last
    step, tensors on the device. metrics: what was logged beside them (`Learner.log`), as the terms are. optimizer: of
    the phase. first_bad_step: scalar tensor, the first step of the phase whose loss was not finite, -1 while there is
    none. standing: how the phase's validations have gone. validated: what the validation after the last step gave; None
    where none followed it.
    """

    phases: Sequence[BuiltPhase]
    learner: Learner
    seed: int = 0
    index: int = 0
    step: int = 0
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: torch.optim.Optimizer | None = None
    first_bad_step: Tensor | None = None
    standing: Standing = field(default_factory=Standing)
    validated: Outcome | None = None

    @property
    def current(self) -> BuiltPhase:
        return self.phases[self.index]

    @property
    def total_step(self) -> int:
        """Where the curriculum is in its steps; those that a phase left out by ending early count as done."""
        return sum(built.config.steps for built in self.phases[: self.index]) + self.step

    @property
    def over(self) -> bool:
        """Whether the phase has taken its last step, be it early."""
        config = self.current.config
        return self.step >= config.steps or self.standing.ends(config.validation)

    def check_finite(self) -> None:
        """Wait for the device and stop if any loss so far was not finite.

        Raises RunError naming the phase, the step and the terms.
        """
        if self.first_bad_step is not None and int(self.first_bad_step) >= 0:
            values = ", ".join(f"{name} = {float(value):.4g}" for name, value in self.terms.items())
            raise LastingRunError(
                f"the loss of phase '{self.current.name}' was not finite at step {int(self.first_bad_step) + 1} "
                f"(now {values}); lower its learning rates"
            )


def _no_more_windows(split: Split, stream: StreamConfig) -> Windows:
    raise RunError(f"a phase looks at windows of the {split} split, and the curriculum was given none")


def run_curriculum(
    phases: Sequence[BuiltPhase],
    learner: Learner,
    windows: Windows,
    seed: int,
    listeners: Sequence[Listener] = (),
    restore: Callable[[Progress], object] = lambda progress: None,
    cut: Cut = _no_more_windows,
) -> None:
    """Run the phases in order. windows: of the train split. restore: may set the progress to where an earlier run
    stopped, its optimizer included. cut: gives the windows of the tuning split, for
    validations, and those of further streams."""
    for built in phases:
        refuse_idle_patterns(learner, built)
        refuse_undivided(learner.processes, built.name, built.config)
    progress = Progress(phases, learner, seed)
    restore(progress)
    validators = {built.name: Validator(built, learner, cut, seed) for built in phases if built.config.validates}
    for index in range(progress.index, len(phases)):
        if index != progress.index:
            progress.index, progress.step, progress.optimizer = index, 0, None
        with memory_errors(f"phase '{progress.current.name}'"):
            _run_phase(progress, windows, validators.get(progress.current.name), listeners, cut)


def _run_phase(
    progress: Progress, windows: Windows, validator: Validator | None, listeners: Sequence[Listener], cut: Cut
) -> None:
    built, learner = progress.current, progress.learner
    config = built.config
    if progress.optimizer is None:
        begin_phase(progress)
    progress.first_bad_step = torch.tensor(-1, device=learner.device)
    for listener in listeners:
        listener.phase_started(progress)
    order = WindowOrder(len(windows), config.batch_size, progress.seed, built.name)
    division = Division(learner.processes, config.accumulate, lambda ids: learner.dataset.sizes(ids))
    streams = Streams(built, learner.dataset, "train", cut, progress.seed)
    while not progress.over:
        built.phase.streams = streams.batches(progress.step)
        take_step(progress, division, learner.dataset.batch(windows, order.batch(progress.step)))
        _validate(progress, validator)
        for listener in listeners:
            listener.step_ended(progress)
    put_back(progress.standing, learner, built)
    built.phase.finish(learner)
    _put_away_modules(progress)
    for listener in listeners:
        listener.phase_ended(progress)


def take_step(progress: Progress, division: Division, batch: Batch) -> None:
    """One optimizer step on a batch."""
    built, learner, optimizer, config = progress.current, progress.learner, progress.optimizer, progress.current.config
    assert optimizer is not None and progress.first_bad_step is not None
    learner.encode_together(batch.items)
    set_rates(optimizer, built.schedule.factor(progress.step, config.steps))
    outcome = division.backward(lambda part: outcome_of(built, learner, part, progress.seed, progress.step), batch)
    division.add_gradients(trained_by(optimizer))
    clip_gradients(learner, built)
    optimizer.step()
    optimizer.zero_grad()
    built.phase.after_step(learner)
    progress.first_bad_step = _first_bad(progress.first_bad_step, outcome.loss, progress.step)
    progress.terms, progress.metrics = outcome.terms, outcome.metrics
    progress.step += 1


def _validate(progress: Progress, validator: Validator | None) -> None:
    """Validate the phase after its last step, and every so many."""
    config = progress.current.config
    due = validator and (progress.step == config.steps or progress.step % config.validation.every == 0)
    progress.validated = validator.validate(progress.step, progress.standing) if validator and due else None


def begin_phase(progress: Progress) -> None:
    """Set what trains in the phase, and build its phase's own module, those of its objectives, and its optimizer."""
    built, learner = progress.current, progress.learner
    progress.standing, progress.validated = Standing(), None
    objectives = built.objectives if built.config.steps else {}
    build_modules(progress.phases, learner, progress.seed, objectives)
    learner.begin(built.config.trains, objectives, built.config.only)
    if not built.config.steps:
        return
    for name, objective in objectives.items():
        objective.module = learner.modules.get(name)
    seed_draws(progress.seed, f"{built.name}.module", 0)  # no phase can be called that: names have no dot
    module = built.phase.build_module(learner.encoder.latent_dim)
    built.phase.module = None if module is None else module.to(learner.device)
    progress.optimizer = make_optimizer(learner, built)


def build_modules(phases: Sequence[BuiltPhase], learner: Learner, seed: int, names: Collection[str]) -> None:
    """Build the modules of objectives that the learner has not yet; each is that of the first phase which names it.

    Raises KeyError for a name that no phase has.
    """
    first = {name: objective for built in reversed(phases) for name, objective in built.objectives.items()}
    for name in names:
        if name not in learner.modules:
            seed_draws(seed, f"objective.{name}", 0)
            module = first[name].build_module(learner.shape)
            if module is not None:
                learner.modules[name] = module.to(learner.device)


def _put_away_modules(progress: Progress) -> None:
    """Drop the phase's own module, and those of objectives that no later phase takes and that are not kept."""
    built, learner = progress.current, progress.learner
    built.phase.module, built.phase.streams = None, {}
    later = {name for phase in progress.phases[progress.index + 1 :] if phase.config.steps for name in phase.objectives}
    for name, objective in built.objectives.items():
        objective.module = None
        if name not in later and not objective.config.keep:
            learner.modules.pop(name, None)


def _first_bad(first_bad: Tensor, loss: Tensor, step: int) -> Tensor:
    return torch.where((first_bad < 0) & ~torch.isfinite(loss), step, first_bad)
