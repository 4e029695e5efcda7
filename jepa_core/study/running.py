"""Runs of a study, each in a process of its own: on the cores of this machine, on its GPUs, or on a dask cluster.

A run that fails is written down and stops no other. A run that was stopped goes on from its checkpoint, one that is
done is never started again. Data are prepared once, before the first run; what else the runs share
(jepa_core.runs.sharing) is removed when none is left that could go on.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.errors import Preempted
from jepa_core.io.cluster import client_of
from jepa_core.io.files import content_of
from jepa_core.study.definition import Cell, Study
from jepa_core.study.display import StudyDisplay
from jepa_core.study.folder import StudyFolder
from jepa_core.study.processes import STOPPED, Command, Processes

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("jepa")

ERROR_LINES = 5
"""Lines at the end of a log in which an error is looked for; one that stands before them was mended since."""


def run_study(
    study: Study, folder: StudyFolder, display: StudyDisplay, jobs: int, gpus: Sequence[str] = (), cluster: str = ""
) -> None:
    """Do every run that is not done. Runs that failed before are tried again.

    display: what shows how the runs come along.
    jobs: processes at once. gpus: one process each, instead. cluster: address of a dask.distributed scheduler whose
    workers see the study's folder, instead.
    Raises Preempted if this process was asked to stop, RunError if no scheduler answers or the disk is full,
    PluginError if `cluster` is given and distributed is missing.
    """
    waiting = [cell for cell in study.cells if folder.state(cell) != "done"]
    log.info("study: %s; %d runs, %d of them done", folder.path, len(study.cells), len(study.cells) - len(waiting))
    for cell in waiting:
        folder.forget_failure(cell)
    processes = Processes()
    if waiting:
        folder.shared.mkdir(exist_ok=True, mode=0o700)
    with processes.listening(), client_of(cluster) if cluster else contextlib.nullcontext() as client:
        _prepare(study, folder, processes, display)
        with display.showing(waiting, folder):
            if client:
                _on_cluster(waiting, folder, client, display)
            else:
                _here(waiting, folder, processes, jobs, gpus, display)
    if all(folder.state(cell) in ("done", "failed") for cell in study.cells):
        shutil.rmtree(folder.shared, ignore_errors=True)
    if processes.stopping:
        raise Preempted("the study was stopped; what is done is kept, and the same command goes on from there")


def _prepare(study: Study, folder: StudyFolder, processes: Processes, display: StudyDisplay) -> None:
    """Prepare the data of every source and modality once; a run would find them being prepared by another."""
    seen = set()
    for cell in study.cells:
        key = (repr(cell.recipe.source.config), cell.recipe.encoder.config.modality)
        if key in seen or folder.state(cell) == "done":
            continue
        seen.add(key)
        log.info("preparing data: %s", folder.log(cell))
        arguments = ("prepare", str(folder.recipe(cell)), "--runs", str(folder.runs))
        with display.preparing(folder.log(cell)):
            processes.run(partial(Command, arguments, str(folder.log(cell))))


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
    for number in range(count):
        places.put((("CUDA_VISIBLE_DEVICES", gpus[number]),) if gpus else ())

    def work(cell: Cell) -> int:
        environment = places.get()
        try:  # whatever happens, the place is free again: others wait for it
            if processes.stopping:
                return Preempted.exit_code
            display.begun(cell)
            return processes.run(partial(command_of, cell, folder, environment))
        finally:
            places.put(environment)

    with ThreadPoolExecutor(count) as pool:
        try:
            _collect({pool.submit(work, cell): cell for cell in cells}, as_completed, folder, display)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise


def _on_cluster(cells: Sequence[Cell], folder: StudyFolder, client: Client, display: StudyDisplay) -> None:
    with client.as_current():
        from distributed import as_completed as completed

        there = StudyFolder(folder.path.absolute())  # workers were started in other folders
        futures = {client.submit(_in_worker, command_of(cell, there), pure=False, retries=2): cell for cell in cells}
        _collect(futures, completed, folder, display)


def _in_worker(command: Command) -> int:
    """What a worker of a cluster does with one run."""
    return Processes().run(lambda: command)


def _collect(
    futures: dict[Any, Cell],
    completed: Callable[[dict[Any, Cell]], Iterator[Any]],
    folder: StudyFolder,
    display: StudyDisplay,
) -> None:
    """Say how each run ended, and write down those that failed.

    futures: those of concurrent.futures or of distributed, which `completed` gives as they are over.
    """
    for future in completed(futures):
        cell, code = futures[future], future.result()
        if code == 0 and folder.state(cell) == "done":
            display.ended(cell, "is done")
        elif code in STOPPED:
            display.stopped(cell, _stopped(code))
        else:
            folder.note_failure(cell, code)
            how = f"failed (exit code {code})" if code else "ended without a report"
            display.ended(cell, f"{how}: {_reason(folder.log(cell))}see {folder.log(cell)}", failed=True)


def _reason(path: Path) -> str:
    """The error that a log ends with, if it does."""
    try:
        ending = content_of(path).decode(errors="replace").splitlines()[-ERROR_LINES:]
    except OSError:
        return ""
    errors = [line.removeprefix("error: ").strip() for line in ending if line.startswith("error: ")]
    return f"{errors[-1]}; " if errors else ""


def _stopped(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, by hand or because memory ran out, and goes on another time"
    return "was stopped and goes on another time"
