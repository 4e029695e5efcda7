"""What a run of the command is given to listen: metrics, progress on the terminal, checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from jepa_core.contracts import Listener, RunFacts
from jepa_core.errors import Preempted
from jepa_core.io.files import disk_errors, write_json
from jepa_core.io.terminal import ErrorOutput
from jepa_core.results.findings import Findings, Verdict
from jepa_core.results.record import read_costs
from jepa_core.results.statistics import effective_rank
from jepa_core.results.wording import HOUSE, in_words_of
from jepa_core.runs.cost import Stopwatch
from jepa_core.runs.guarding import guarded, plan_facts
from jepa_core.runs.interrupt import Interrupt
from jepa_core.runs.plan import make_plan
from jepa_core.runs.run import Run
from jepa_core.training.checkpoint import save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress
from jepa_core.training.learner import Learner
from jepa_core.training.processes import ALONE, Peers
from jepa_core.training.stepping import Outcome
from jepa_core.training.validation import Standing

LOGGED = 50
"""Times that a phase's terms are read and written down, at most; each time waits for the device."""
RANK_ROWS = 512
"""States of a batch that the logged latent rank is taken over."""


def is_logged(step: int, steps: int) -> bool:
    """Whether the `step`-th of `steps` optimizer steps (from 1) is written down: the first, the last, and every so
    many."""
    return step in (1, steps) or step % max(1, steps // LOGGED) == 0


class Metrics(Listener):
    """Writes `metrics.jsonl` and `costs.json`, and tells others of each line."""

    def __init__(self, folder: Path, others: Sequence[Listener]) -> None:
        self._folder = folder
        self._others = others
        self._cost = Stopwatch()
        self._began_at = 0

    def phase_started(self, progress: Progress) -> None:
        self._cost, self._began_at = Stopwatch(), progress.step

    def step_ended(self, progress: Progress) -> None:
        if is_logged(progress.step, progress.current.config.steps) or progress.validated:
            progress.check_finite()
            record = self._record(progress)
            with disk_errors(self._folder), (self._folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(record, sort_keys=True) + "\n")
            for listener in self._others:
                listener.logged(record)

    def phase_ended(self, progress: Progress) -> None:
        path = self._folder / "costs.json"
        costs = read_costs(path)
        before = {"steps": 0, "seconds": 0.0, "peak_bytes": 0} | costs.get(progress.current.name, {})
        cost = self._cost.read()
        seconds = before["seconds"] + cost["seconds"]
        steps = before["steps"] + progress.step - self._began_at
        costs[progress.current.name] = {
            **cost,
            "seconds": seconds,
            "peak_bytes": max(cost["peak_bytes"], before["peak_bytes"]),
            "steps": steps,
            "windows": steps * progress.current.config.batch_size,
            "steps_per_second": steps / seconds if steps else None,
            **_best(progress),
        }
        write_json(path, costs)

    def _record(self, progress: Progress) -> dict[str, Any]:
        assert progress.optimizer is not None, "a step was taken"
        terms = {name: float(value) for name, value in progress.terms.items()}
        seconds = self._cost.seconds
        done = progress.step - self._began_at
        return {
            "phase": progress.current.name,
            "step": progress.step,
            "steps": progress.current.config.steps,
            "total_step": progress.total_step,
            "loss": sum(terms.values()),
            "terms": terms,
            "metrics": _numbers(progress.metrics),
            "rank": _latent_rank(progress.learner),
            "learning_rate": max(group["lr"] for group in progress.optimizer.param_groups),
            "seconds": seconds,
            "steps_per_second": done / seconds,
            **({"validation": _validation(progress.validated, progress.standing)} if progress.validated else {}),
        }


def _best(progress: Progress) -> dict[str, Any]:
    """The best validation of a phase that validates, and the step whose weights it ended with."""
    config, standing = progress.current.config.validation, progress.standing
    if standing.best is None:
        return {}
    ended_with = standing.best_step if config.keep == "best" else progress.step
    return {"best": standing.best, "best_step": standing.best_step, "ended_with_step": ended_with}


def _validation(outcome: Outcome, standing: Standing) -> dict[str, Any]:
    """A validation, and the best one up to it of what is watched."""
    terms = {name: float(value) for name, value in outcome.terms.items()}
    best = {"best": standing.best, "best_step": standing.best_step}
    return {"loss": sum(terms.values()), "terms": terms, "metrics": _numbers(outcome.metrics), **best}


def _numbers(metrics: Mapping[str, Tensor]) -> dict[str, float | None]:
    """Metrics as JSON holds them; None for what is no number."""
    values = {name: float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _latent_rank(learner: Learner) -> float | None:
    """Effective rank of the latest batch's states."""
    latents = learner.latest_latents()
    if latents is None:
        return None
    states = latents.states[latents.mask].detach().float()[:RANK_ROWS]
    return effective_rank(states.cpu().numpy().astype(np.float64))


class RunDisplay(Listener):
    """What is shown of a run; this one shows nothing. noun: what its data call a subject."""

    def __init__(self, noun: str = HOUSE) -> None:
        self._noun = noun

    def _verdicts(self, findings: Findings) -> list[Verdict]:
        """What an evaluator says, in the words of the data."""
        return in_words_of(findings.verdicts, self._noun)


class RunLines(RunDisplay):
    """Lines, for logs and pipes: five or so a phase."""

    LINES = 5

    def __init__(self, noun: str = HOUSE) -> None:
        super().__init__(noun)
        self._output = ErrorOutput()
        self._due = 0.0

    def phase_started(self, progress: Progress) -> None:
        built = progress.current
        self._print(f"phase {progress.index + 1}/{len(progress.phases)} {built.name}: {describe_work(built)}")
        self._due = 0.0

    def logged(self, record: Mapping[str, Any]) -> None:
        share = record["step"] / record["steps"]
        if share < self._due and share < 1:
            return
        self._due = share + 1 / self.LINES
        rate = record["steps_per_second"]
        left = (record["steps"] - record["step"]) / rate
        self._print(
            f"  step {record['step']}/{record['steps']}  {describe_step(record)}  {rate:.2f} steps/s  {left:.0f} s left"
        )

    def phase_ended(self, progress: Progress) -> None:
        if early := ended_early(progress):
            self._print(f"  {early}")

    def evaluation_started(self, name: str, index: int, count: int) -> None:
        self._print(f"evaluating {index + 1}/{count} {name}")

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        for verdict in self._verdicts(findings):
            self._print(f"  {name}: {verdict.level}: {verdict.text}")

    def _print(self, line: str) -> None:
        print(line, file=self._output, flush=True)


def describe_work(built: BuiltPhase) -> str:
    """What a phase does, in a few words."""
    trains = f"trains {' and '.join(sorted(built.config.trains))}" if built.config.steps else "acts at once"
    updates = f", updates the {built.config.updates}" if built.config.updates else ""
    return f"{built.config.steps} steps, {trains}{updates}"


def ended_early(progress: Progress) -> str:
    """What to say of a phase that has ended early; nothing of one that took all of its steps."""
    steps = progress.current.config.steps
    if progress.step == steps:
        return ""
    best = progress.standing.best_step
    return f"ended early, after step {progress.step} of {steps}: the best validation was after step {best}"


def describe_step(record: Mapping[str, Any]) -> str:
    """Loss terms, metrics and latent rank of a logged step, in a few words."""
    rank = [f"rank {record['rank']:.1f}"] if record["rank"] is not None else []
    return "  ".join([*(f"{name} {value:.4f}" for name, value in step_figures(record).items()), *rank])


def step_figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Loss terms, metrics and loss of validation of a logged step, by name."""
    values = {**record["terms"], **record["metrics"]}
    if "validation" in record:
        values["validation"] = record["validation"]["loss"]
    return {name: value for name, value in values.items() if value is not None}


class Stopper(Listener):
    """Ends the training of a run when a stop is asked for, in all of its processes after the same step, whichever of
    them was asked.

    It comes last of a run's listeners: a stop ends the step, and whoever came after it would not be told of it.
    """

    def __init__(self, interrupt: Interrupt, processes: Peers = ALONE) -> None:
        self._interrupt = interrupt
        self._processes = processes

    def phase_started(self, progress: Progress) -> None:
        self._interrupt.training(True)

    def step_ended(self, progress: Progress) -> None:
        stop = self._processes.any(self._interrupt.requested)
        self.keep(progress, stop, phase_done=False)
        self._end(progress, stop)

    def phase_ended(self, progress: Progress) -> None:
        self.keep(progress, False, phase_done=True)
        self._interrupt.training(False)
        self._end(progress, self._processes.any(self._interrupt.requested))

    def keep(self, progress: Progress, stop: bool, phase_done: bool) -> None:
        """Keep what a later process needs to go on; here nothing, since another process does."""

    def _end(self, progress: Progress, stop: bool) -> None:
        if stop:
            self._processes.outlive_first()
            raise Preempted(
                f"stopped in phase '{progress.current.name}' after step {progress.step}; everything so far is kept"
            )


class Checkpointer(Stopper):
    """Writes a checkpoint every so many steps, at the end of each phase, and when a stop is asked for."""

    def __init__(self, folder: Path, every: int, interrupt: Interrupt, processes: Peers = ALONE) -> None:
        super().__init__(interrupt, processes)
        self._folder = folder
        self._every = every

    def keep(self, progress: Progress, stop: bool, phase_done: bool) -> None:
        if phase_done or stop or progress.step % self._every == 0:
            progress.check_finite()
            save_checkpoint(self._folder, progress, phase_done)


def listeners_of(run: Run, display: RunDisplay, interrupt: Interrupt, processes: Peers = ALONE) -> list[Listener]:
    """What a run is given that writes down how it goes on, shows it, and can be stopped and resumed; what plugins bring
    and the recipe names is told between them. Of several processes the first alone has all that."""
    if not processes.first:
        return [Stopper(interrupt, processes)]
    checkpointer = Checkpointer(run.checkpoints, run.recipe.runtime.checkpoint_every, interrupt, processes)
    trackers = run.recipe.trackers
    facts = RunFacts(run.folder, plan_facts(make_plan(run.recipe)) if trackers else {})
    others = [display, *run.registry.listeners(run), *(guarded(use, facts) for use in trackers)]
    return [Metrics(run.folder, others), *others, checkpointer]
