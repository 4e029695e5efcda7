"""What is seen of a study: while it runs, lines for logs and pipes or bars on a terminal; at its end, its sentences."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from jepa_core.io.bars import Bars
from jepa_core.io.files import content_of
from jepa_core.io.screen import within
from jepa_core.io.terminal import ErrorOutput
from jepa_core.results.record import read_findings
from jepa_core.results.text import duration
from jepa_core.study.definition import Cell
from jepa_core.study.folder import StudyFolder, steps_of

log = logging.getLogger("jepa")

BEAT_SECONDS = 60.0
LEAST_NAME = 12
"""Columns that the name of a run has at least."""
COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


class StudyDisplay:
    """Counts runs as they come along; what shows them is a subclass. `begun` is called from several threads."""

    def __init__(self) -> None:
        self._runs = self._over = self._failed = 0
        self._since = 0.0
        self._working: list[Cell] = []
        self._changing = threading.Lock()

    @contextlib.contextmanager
    def showing(self, cells: Sequence[Cell], folder: StudyFolder) -> Iterator[None]:
        """Show how these runs come along while the block runs."""
        self._runs, self._since = len(cells), time.monotonic()
        yield

    @contextlib.contextmanager
    def preparing(self, words: Path) -> Iterator[None]:
        """Show that data are prepared while the block runs. words: what is said of it."""
        yield

    def begun(self, cell: Cell) -> None:
        """A run is at work. Of a run in a cluster nobody is told."""
        with self._changing:
            self._working.append(cell)

    def ended(self, cell: Cell, how: str, failed: bool = False) -> None:
        """A run is over, in words."""
        self._over += 1
        self._failed += failed
        self._left(cell)

    def stopped(self, cell: Cell, how: str) -> None:
        """A run that had begun is not over and not at work any more, in words."""
        self._left(cell)

    def _left(self, cell: Cell) -> bool:
        """Whether the run was at work; it no longer is."""
        with self._changing:
            was = cell in self._working
            if was:
                self._working.remove(cell)
        return was

    def _at_work(self) -> list[Cell]:
        with self._changing:
            return list(self._working)

    def _standing(self) -> str:
        """How many are left or failed, and how long the rest will take if it goes on like this."""
        left = self._runs - self._over
        parts = [f"{self._failed} failed"] if self._failed else []
        if left:
            parts.append(f"{left} to go")
        if left and self._over:
            parts.append(f"about {duration((time.monotonic() - self._since) / self._over * left)}")
        return ", ".join(parts)


class StudyLines(StudyDisplay):
    """One line when a run begins, one when it is over, and now and then one that says how far those at work are."""

    @contextlib.contextmanager
    def showing(self, cells: Sequence[Cell], folder: StudyFolder) -> Iterator[None]:
        def told() -> str:
            return f"at work: {'; '.join(_how_far(folder, cell) for cell in self._at_work()) or 'none'}"

        with super().showing(cells, folder), _beating(told):
            yield

    @contextlib.contextmanager
    def preparing(self, words: Path) -> Iterator[None]:
        with _beating(lambda: f"preparing data: {_said_last(words)}"):
            yield

    def begun(self, cell: Cell) -> None:
        super().begun(cell)
        log.info("%s begins", cell.name)

    def ended(self, cell: Cell, how: str, failed: bool = False) -> None:
        super().ended(cell, how, failed)
        standing = self._standing()
        level = logging.WARNING if failed else logging.INFO
        log.log(level, "%d/%d  %s %s%s", self._over, self._runs, cell.name, how, f"  ({standing})" if standing else "")

    def stopped(self, cell: Cell, how: str) -> None:
        if self._left(cell):
            log.warning("%s %s", cell.name, how)


@contextlib.contextmanager
def _beating(told: Callable[[], str]) -> Iterator[None]:
    """Say now and then how far it has come, while the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            log.info("%s", told())

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()


class StudyBars(StudyDisplay):
    """A bar for the study and one for each run at work, by its optimizer steps; before them, a line for the data."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(file=ErrorOutput())
        self._bars = _Polled(self._console)

    @contextlib.contextmanager
    def showing(self, cells: Sequence[Cell], folder: StudyFolder) -> Iterator[None]:
        with super().showing(cells, folder):
            self._bars.folder = folder
            if not cells:
                yield
                return
            self._total = self._bars.add_task("study", total=len(cells), now=self._standing())
            with self._bars:
                yield

    @contextlib.contextmanager
    def preparing(self, words: Path) -> Iterator[None]:
        with _Preparing(words, self._console) as line:
            line.add_task("preparing data", total=None, now="")
            yield

    def begun(self, cell: Cell) -> None:
        super().begun(cell)
        self._bars.add(cell)

    def ended(self, cell: Cell, how: str, failed: bool = False) -> None:
        super().ended(cell, how, failed)
        self._bars.remove(cell)
        self._say(cell, how, "red" if failed else "green")
        self._bars.update(self._total, completed=self._over, now=self._standing())

    def stopped(self, cell: Cell, how: str) -> None:
        if self._left(cell):
            self._bars.remove(cell)
            self._say(cell, how, "yellow")

    def _say(self, cell: Cell, how: str, colour: str) -> None:
        _say(self._console, cell.name, f" {how}", colour)


class _Polled(Bars):
    """Bars that read how far each run has come from the steps it writes down, whenever they are drawn."""

    folder: StudyFolder

    def __init__(self, console: Console) -> None:
        self._drawn: dict[str, tuple[Cell, TaskID]] = {}  # by name: a cell's recipe may hold what cannot be a key
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._name = max(LEAST_NAME, console.width // 3)
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=min(20, console.width // 10)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            _Clock(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[now]}", markup=False, table_column=rest),  # cut first
        )
        super().__init__(*columns, console=console, refresh_per_second=2)

    def add(self, cell: Cell) -> None:
        name = f"  {cut_within(cell.name, self._name)}"
        task = self.add_task(name, total=steps_of(cell.recipe), now="")  # draws, so it may hold no lock
        with self._lock:
            self._drawn[cell.name] = (cell, task)

    def remove(self, cell: Cell) -> None:
        with self._lock:
            if cell.name in self._drawn:
                self.remove_task(self._drawn.pop(cell.name)[1])

    def get_renderables(self) -> Iterable[RenderableType]:
        with self._lock:  # the same that guards the tasks, so that none goes between look and update
            for cell, task in self._drawn.values():
                step, doing = _come_to(self.folder, cell)
                self.update(task, completed=step, now=doing)
        yield from super().get_renderables()


class _Preparing(Bars):
    """A line with a clock, and what was said last of the data that are prepared."""

    def __init__(self, words: Path, console: Console) -> None:
        self._words = words
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            _Clock(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[now]}", markup=False, table_column=rest),
        )
        super().__init__(*columns, console=console, refresh_per_second=2)

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.task_ids:
            self.update(task, now=_said_last(self._words))
        yield from super().get_renderables()


class _Clock(ProgressColumn):
    """How long a run has been at work: its steps may be done long before it is."""

    def render(self, task: Task) -> Text:
        return Text(str(timedelta(seconds=int(task.elapsed or 0))), style="progress.elapsed")


def cut_within(name: str, columns: int) -> str:
    """A name with what is too much cut out of its middle: names of runs differ at their ends."""
    left = (columns - 1) // 2
    return name if len(name) <= columns else f"{name[:left]}…{name[left + 1 - columns :]}"


def _how_far(folder: StudyFolder, cell: Cell) -> str:
    step, doing = _come_to(folder, cell)
    return f"{cell.name} {step}/{steps_of(cell.recipe)} {doing}"


def _come_to(folder: StudyFolder, cell: Cell) -> tuple[int, str]:
    """The last step that a run wrote down, and what it is at: its phase while it trains, what it said last before and
    after that."""
    last = _last_line(folder.run(cell) / "metrics.jsonl", whole=True)
    try:
        record = json.loads(last)
        step, phase = int(record["total_step"]), str(record["phase"])
    except (ValueError, KeyError, TypeError, RecursionError):  # nothing yet
        step, phase = 0, ""
    if 0 < step < steps_of(cell.recipe):
        return step, phase
    return step, _said_last(folder.log(cell))


def _said_last(words: Path) -> str:
    """What a process said last, by its log."""
    return _last_line(words).strip() or "starting"


def _last_line(path: Path, whole: bool = False) -> str:
    """The last line of a file to which another process writes; empty if there is none. whole: without one that is not
    at its end yet."""
    try:
        text = content_of(path).decode(errors="replace")
    except OSError:
        return ""
    return (text.rpartition("\n")[0] if whole else text.rstrip()).rpartition("\n")[2]


def tell(folder: StudyFolder) -> None:
    """Say what the study found: a sentence a variant."""
    console = Console(file=ErrorOutput())
    for verdict in read_findings(folder.path / "findings" / "study.json").verdicts:
        _say(console, verdict.level, f": {verdict.text}", COLOURS[verdict.level])


def _say(console: Console, first: str, rest: str, colour: str) -> None:
    """A line whose first words are coloured; a long one goes on below, between two words, and no path is cut."""
    told = Text(within(first + rest, console.width) if console.is_terminal else first + rest)
    told.stylize(colour, 0, len(first))
    console.print(told, soft_wrap=True, highlight=False)
