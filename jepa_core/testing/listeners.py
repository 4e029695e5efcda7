"""Checks of listeners that a recipe names: each tells the listener of a tiny run, as a run of the command would."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jepa_core.contracts import Listener, RunFacts
from jepa_core.results.findings import Findings, Headline
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    differing,
    oscillators,
    require,
    require_no_global_draws,
    require_silent,
    scratch,
    snapshot,
    tiny_learner,
)
from jepa_core.testing.tiny_runs import STEPS, Heard, HeardConfig, StopAfter, Stopped, training_windows
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner


@dataclass
class _Logging(Listener):
    """Writes down every step, as a run's metrics do, for the listener that is checked."""

    listener: Listener

    def step_ended(self, progress: Progress) -> None:
        terms = {name: float(value) for name, value in progress.terms.items()}
        metrics = {name: float(value) for name, value in progress.metrics.items()}
        position = {"phase": progress.current.name, "step": progress.step, "steps": STEPS, "total_step": progress.step}
        numbers = {"loss": sum(terms.values()), "rank": 2.0, "learning_rate": 1e-3, "seconds": 1.0}
        self.listener.logged({**position, **numbers, "terms": terms, "metrics": metrics, "steps_per_second": 1.0})


class ListenerBench(base.Bench):
    """A listener of a run of one phase and one evaluator, in a folder of its own."""

    def listener(self, folder: Path) -> Listener:
        """The listener, made for the run in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.component.load()(self.config, RunFacts(folder, {"recipe": "checked", "heard.steps": STEPS}))

    def whole_run(self, listener: Listener, learner: Learner) -> None:
        """Tell it of a run from beginning to end."""
        listener.run_started()
        self.train(listener, learner)
        listener.evaluation_ended("checking", Findings([Headline("error", 0.5), Headline("unknown", None, note="why")]))
        listener.run_ended()
        listener.close()

    def train(self, listener: Listener, learner: Learner, more: Sequence[Listener] = ()) -> None:
        """Tell it of a curriculum."""
        phases = [BuiltPhase("heard", Heard(HeardConfig()))]
        run_curriculum(phases, learner, training_windows(learner), 0, [_Logging(listener), listener, *more])


@contextmanager
def _folder() -> Any:
    """The folder of a run that is gone afterwards, with what lies beside it."""
    with tempfile.TemporaryDirectory(dir=scratch()) as beside:
        yield Path(beside) / "run"


def check_told_of_a_whole_run(bench: ListenerBench) -> None:
    """The listener takes everything that it is told of a run, headlines without a value included."""
    with _folder() as folder:
        bench.whole_run(bench.listener(folder), tiny_learner(oscillators("channels"), 0))


def check_goes_on_after_a_stop(bench: ListenerBench) -> None:
    """A run that was stopped is told on by a listener made anew, which finds what the first one left."""
    with _folder() as folder:
        first = bench.listener(folder)
        first.run_started()
        try:
            bench.train(first, tiny_learner(oscillators("channels"), 0), [StopAfter(STEPS // 2)])
        except Stopped:
            first.close()
        bench.whole_run(bench.listener(folder), tiny_learner(oscillators("channels"), 0))


def check_changes_nothing(bench: ListenerBench) -> None:
    """A run ends in the same bits with the listener as without: it looks on, and draws nothing that others would."""
    with _folder() as folder:
        alone, heard = (tiny_learner(oscillators("channels"), 0) for _ in range(2))
        bench.train(Listener(), alone)
        before = snapshot(dict(alone.weights()))
        listener = bench.listener(folder)
        listener.run_started()
        _without_draws(listener, lambda: bench.train(listener, heard))
        listener.close()
        changed = differing(before, dict(heard.weights()))
        require(not changed, f"the listener changed {', '.join(changed[:3])}; read what it is told, and set nothing")


def _without_draws(listener: Listener, train: Callable[[], None]) -> None:
    """Require that what it does with a logged step draws nothing from the process's random states."""
    logged = listener.logged
    listener.logged = lambda record: require_no_global_draws(lambda: logged(record))  # type: ignore[method-assign]
    train()


def check_no_prints(bench: ListenerBench) -> None:
    """The listener prints nothing: stdout is the result of a command, and stderr its log."""
    with _folder() as folder:
        learner = tiny_learner(oscillators("channels"), 0)
        require_silent(lambda: bench.whole_run(bench.listener(folder), learner))
