"""The contract of a listener: who is told how a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.results.findings import Findings

if TYPE_CHECKING:
    from jepa_core.training.curriculum import Progress


@dataclass(frozen=True)
class RunFacts:
    """What a listener that a recipe names may know of its run.

    folder: the run's own; what is shared by runs lies beside it. plan: models, phases and seed by name, in plain
    values; nothing of the data.
    """

    folder: Path
    plan: Mapping[str, str | int]


class Listener:
    """Is told how one run goes on: writes metrics or checkpoints, shows progress, feeds a tracker.

    A listener belongs to one run, and is made anew when an interrupted run goes on. All of a run's listeners are told
    in the order in which the run was given them. None of them may change what a run finds.

    A recipe names listeners under `trackers`: components like others, built as `Class(config, facts)` with the
    `RunFacts` of the run. One that raises an error is told no more, and the run goes on. A plugin may also bring
    listeners to every run, by the hook `jepa_listeners` (jepa_core.plugin); an error that one of these raises ends the
    run.
    """

    def run_started(self) -> None:
        """The data are ready, the learner is built, the first phase has not begun."""

    def phase_started(self, progress: Progress) -> None:
        """A phase begins, or goes on after a resume."""

    def step_ended(self, progress: Progress) -> None:
        """An optimizer step is done. `progress.terms` holds tensors: reading one waits for the device."""

    def logged(self, record: Mapping[str, Any]) -> None:
        """A step was written down, with what its line in `metrics.jsonl` says: numbers, read off the device."""

    def phase_ended(self, progress: Progress) -> None:
        """A phase is done, its `finish` included."""

    def evaluation_started(self, name: str, index: int, count: int) -> None:
        """An evaluator begins, the one at `index` (from 0) of so many; not told of one that was done before."""

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        """An evaluator has returned its findings, and they are written; also when a finished run is evaluated again,
        and, when a run goes on, of evaluators that were done before."""

    def run_ended(self) -> None:
        """Everything is done, the report included."""

    def close(self) -> None:
        """The run is over, however it ended: whole, stopped, or in an error."""
