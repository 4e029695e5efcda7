"""How a run is shown on a terminal: a bar a phase, a bar for the evaluators, one line each whatever the width."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from jepa_core.io.bars import Bars
from jepa_core.io.terminal import ErrorOutput
from jepa_core.results.findings import Findings
from jepa_core.results.wording import HOUSE
from jepa_core.runs.listeners import RunDisplay, describe_work, ended_early, step_figures
from jepa_core.training.curriculum import Progress

log = logging.getLogger("jepa")

COUNTER, CLOCK = 9, 8
"""Columns of the screen that these take, whatever they say; what is said of a step is cut first."""
WIDE = 100
"""Columns from which a screen has room for long names."""
STILL = 1.0
"""Seconds that the bar of a pass is kept for while other work goes on and nothing goes through the pass."""


class RunBars(RunDisplay):
    """A progress bar a phase, and one for the evaluators; a finished one is left above the next, with the time it took.

    While a bar is drawn, what the run says of its work (fitting a task) stands behind it rather than in lines of its
    own; a pass whose length is known, such as encoding latents, has a bar below it for as long as it takes. Warnings
    are lines all the same.
    """

    def __init__(self, noun: str = HOUSE) -> None:
        super().__init__(noun)
        self._console = Console(file=ErrorOutput())
        self._bar: Bars | None = None
        self._task = TaskID(0)
        self._passes: dict[str, TaskID] = {}
        self._came: dict[str, float] = {}
        wide = self._console.width >= WIDE
        self._name, self._length = (40, 16) if wide else (31, 8)
        self._level = logging.NOTSET

    def phase_started(self, progress: Progress) -> None:
        name = f"{progress.index + 1}/{len(progress.phases)} {progress.current.name}"
        steps = progress.current.config.steps
        if not steps:
            told = f"{name:<{self._name}} {describe_work(progress.current)}"
            self._console.print(escape(told), no_wrap=True, overflow="ellipsis", highlight=False)
            return
        left = TimeRemainingColumn(elapsed_when_finished=True, table_column=_fixed(CLOCK))
        self._begin(name, steps, progress.step, left)

    def step_ended(self, progress: Progress) -> None:
        assert self._bar is not None, "a phase with steps has a bar"
        self._bar.update(self._task, completed=progress.step)
        self._forget_still()

    def logged(self, record: Mapping[str, Any]) -> None:
        assert self._bar is not None, "a phase with steps has a bar"
        figures = step_figures(record) | {"rank": record["rank"], "steps/s": record["steps_per_second"]}
        told = [f"{value:.3g} {name}" for name, value in figures.items() if value is not None]
        self._bar.update(self._task, now="  ".join(told))  # figures before words, of which the last are cut

    def phase_ended(self, progress: Progress) -> None:
        self.close()
        if early := ended_early(progress):
            self._console.print(f"{progress.current.name} {early}")

    def evaluation_started(self, name: str, index: int, count: int) -> None:
        self._begin(f"evaluating {name}", count, index, TimeElapsedColumn(table_column=_fixed(CLOCK)))

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        if self._bar is not None:
            self._bar.advance(self._task)
        self.close()
        for verdict in self._verdicts(findings):
            if verdict.level == "bad":
                self._console.print(f"[red]not sound[/] {name}: {escape(verdict.text)}", highlight=False)

    def close(self) -> None:
        if self._bar is not None:
            log.removeFilter(self._taken)
            log.setLevel(self._level)
            self._forget_passes()
            self._bar.update(self._task, now="")
            self._bar.stop()
            self._bar = None

    def _begin(self, name: str, total: int, completed: int, clock: TimeRemainingColumn | TimeElapsedColumn) -> None:
        self.close()
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            TextColumn("{task.description}", table_column=_fixed(self._name, "left")),
            BarColumn(bar_width=self._length),
            MofNCompleteColumn(table_column=_fixed(COUNTER)),
            clock,
            TextColumn("{task.fields[now]}", markup=False, table_column=rest),
        )
        self._bar = Bars(*columns, console=self._console)
        self._bar.start()
        self._task = self._bar.add_task(escape(name), total=total, completed=completed, now="")
        self._level = log.level
        log.setLevel(logging.DEBUG)  # how far a pass has come is told between its lines, to bars alone
        log.addFilter(self._taken)

    def _taken(self, record: logging.LogRecord) -> bool:
        """Put what is said in passing behind the bar; anything graver is let through to be a line."""
        if self._bar is None or record.levelno > logging.INFO:
            return True
        doing, share = getattr(record, "come", ("", None))
        if share is not None:
            self._pass(doing, share)
        elif record.levelno == logging.INFO:
            self._forget_passes()
            self._bar.update(self._task, now=record.getMessage())
        return False

    def _pass(self, doing: str, share: float) -> None:
        """A bar for a pass, in hundredths; it goes once the pass is over, or the work goes on without it."""
        assert self._bar is not None, "passes are drawn below a bar"
        self._came[doing] = time.monotonic()
        self._forget_still()
        if doing not in self._passes:
            self._passes[doing] = self._bar.add_task(escape(f"  {doing}"), total=100, now="")
        self._bar.update(self._passes[doing], completed=int(100 * share))
        if share >= 1:
            self._forget_passes()

    def _forget_still(self) -> None:
        """Drop the bars of passes through which nothing has gone for a while."""
        since = time.monotonic() - STILL
        self._forget([doing for doing in self._passes if self._came[doing] < since])

    def _forget_passes(self) -> None:
        self._forget(list(self._passes))

    def _forget(self, passes: Iterable[str]) -> None:
        assert self._bar is not None, "passes are drawn below a bar"
        for doing in passes:
            self._bar.remove_task(self._passes.pop(doing))


def _fixed(width: int, justify: JustifyMethod = "right") -> Column:
    return Column(min_width=width, max_width=width, no_wrap=True, overflow="ellipsis", justify=justify)
