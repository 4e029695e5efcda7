"""Runs of a study, each in a process of its own: on the cores of this machine, on its GPUs, or on a dask cluster.

A run that fails is written down and stops no other. A run that was stopped goes on from its checkpoint, one that is
done is never started again. Data are prepared once, before the first run; what else the runs share
(jepa_core.runs.sharing) is removed when none is left that could go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from jepa_core.errors import Busy, Preempted
from jepa_core.libraries import library
from jepa_core.study.definition import Cell, Study
from jepa_core.study.display import StudyDisplay
from jepa_core.study.folder import StudyFolder

log = logging.getLogger("jepa")

STOPPED = (75, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)
"""Exit codes of a process that was stopped, rather than failed: the run goes on another time."""
BUSY_SECONDS = 2


@dataclass(frozen=True)
class Command:
    """What a process is asked to do: `jepa` with arguments, its words into a log, under some further environment."""

    arguments: tuple[str, ...]
    log: str
    environment: tuple[tuple[str, str], ...] = ()


@dataclass
class Processes:
    """Processes that are at work, so that they can all be told to stop."""

    _alive: set[subprocess.Popen[bytes]] = field(default_factory=set)
    # Reentrant: a signal may come while the main thread itself holds it, and `stop` runs on that thread.
    _lock: threading.RLock = field(default_factory=threading.RLock)
    stopping: bool = False

    def run(self, command: Command) -> int:
        """Run a command to its end and return its exit code; 75 at once when all are told to stop.

        A study that was killed leaves its runs at work: a command that finds its run busy is given again until that one
        has ended.
        """
        while (code := self._once(command)) == Busy.exit_code:
            time.sleep(BUSY_SECONDS)
        return code

    def _once(self, command: Command) -> int:
        with Path(command.log).open("ab") as words:
            with self._lock:
                if self.stopping:
                    return Preempted.exit_code
                process = subprocess.Popen(
                    [sys.executable, "-m", "jepa_core", *command.arguments],
                    stdout=words,
                    stderr=words,
                    stdin=subprocess.DEVNULL,
                    env=os.environ | dict(command.environment),
                    start_new_session=True,  # Ctrl-C reaches this process alone, which then tells the others in order
                )
                self._alive.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._alive.discard(process)

    def stop(self, *_: object) -> None:
        """Tell every process to save what it has and end."""
        with self._lock:
            self.stopping = True
            for process in self._alive:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Stop all of them when this process is asked to end."""
        before = {number: signal.signal(number, self.stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_study(
    study: Study, folder: StudyFolder, display: StudyDisplay, jobs: int, gpus: Sequence[str] = (), cluster: str = ""
) -> None:
    """Do every run that is not done. Runs that failed before are tried again.

    display: what shows how the runs come along.
    jobs: processes at once. gpus: one process each, instead. cluster: address of a dask.distributed scheduler whose
    workers see the study's folder, instead.
    Raises Preempted if this process was asked to stop, PluginError if `cluster` is given and distributed is missing.
    """
    waiting = [cell for cell in study.cells if folder.state(cell) != "done"]
    log.info("study: %s; %d runs, %d of them done", folder.path, len(study.cells), len(study.cells) - len(waiting))
    for cell in waiting:
        folder.forget_failure(cell)
    processes = Processes()
    if waiting:
        folder.shared.mkdir(exist_ok=True, mode=0o700)
    with processes.listening():
        _prepare(study, folder, processes)
        with display.showing(waiting, folder):
            if cluster:
                _on_cluster(waiting, folder, cluster, display)
            else:
                _here(waiting, folder, processes, jobs, gpus, display)
    if all(folder.state(cell) in ("done", "failed") for cell in study.cells):
        shutil.rmtree(folder.shared, ignore_errors=True)
    if processes.stopping:
        raise Preempted("the study was stopped; what is done is kept, and the same command goes on from there")


def _prepare(study: Study, folder: StudyFolder, processes: Processes) -> None:
    """Prepare the data of every source and modality once; a run would find them being prepared by another."""
    seen = set()
    for cell in study.cells:
        key = (repr(cell.recipe.source.config), cell.recipe.encoder.config.modality)
        if key in seen or folder.state(cell) == "done":
            continue
        seen.add(key)
        log.info("preparing data: %s", folder.log(cell))
        arguments = ("prepare", str(folder.recipe(cell)), "--runs", str(folder.runs))
        processes.run(Command(arguments, str(folder.log(cell))))


def command_of(cell: Cell, folder: StudyFolder, environment: Sequence[tuple[str, str]] = ()) -> Command:
    """Begin a run, or go on with it."""
    run = folder.run(cell)
    begun = (run / "manifest.json").is_file()
    begin = ("run", str(folder.recipe(cell)), "--out", str(run), "--runs", str(folder.runs))
    return Command(("resume", str(run)) if begun else begin, str(folder.log(cell)), tuple(environment))


def _here(
    cells: Sequence[Cell],
    folder: StudyFolder,
    processes: Processes,
    jobs: int,
    gpus: Sequence[str],
    display: StudyDisplay,
) -> None:
    places: queue.SimpleQueue[tuple[tuple[str, str], ...]] = queue.SimpleQueue()
    count = len(gpus) or jobs
    for place in range(count):
        places.put((("CUDA_VISIBLE_DEVICES", gpus[place]),) if gpus else ())

    def work(cell: Cell) -> int:
        environment = places.get()
        if not processes.stopping:
            display.begun(cell)
        try:
            return processes.run(command_of(cell, folder, environment))
        finally:
            places.put(environment)

    with ThreadPoolExecutor(count) as pool:
        _collect({pool.submit(work, cell): cell for cell in cells}, as_completed, folder, display)


def _on_cluster(cells: Sequence[Cell], folder: StudyFolder, address: str, display: StudyDisplay) -> None:
    with library("distributed"):
        from distributed import Client
        from distributed import as_completed as completed
    with Client(address) as client:
        futures = {client.submit(_in_worker, command_of(cell, folder), pure=False, retries=2): cell for cell in cells}
        _collect(futures, completed, folder, display)


def _in_worker(command: Command) -> int:
    """What a worker of a cluster does with one run."""
    return Processes().run(command)


def _collect(
    futures: dict[Future[int], Cell],
    completed: Callable[[dict[Future[int], Cell]], Iterator[Future[int]]],
    folder: StudyFolder,
    display: StudyDisplay,
) -> None:
    """Say how each run ended, and write down those that failed."""
    for future in completed(futures):
        cell, code = futures[future], future.result()
        if code == 0:
            display.ended(cell, "is done")
        elif code in STOPPED:
            display.ended(cell, "was stopped and goes on another time")
        else:
            folder.note_failure(cell, code)
            display.ended(cell, f"failed (exit code {code}): see {folder.log(cell)}", failed=True)
