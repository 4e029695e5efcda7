"""A store built in partitions, by one process or by many, and gone on with where it was interrupted.

Beside the place of the store, until it is whole:

    .<store>.partitions/staged/       what the source staged
    .<store>.partitions/staged.json   written when staging is done
    .<store>.partitions/00000 ...     each finished partition, a store of its own
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from jepa_core.data.source import PartitionedSource, Staged
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Trajectories
from jepa_core.errors import RunError
from jepa_core.io.cluster import client_of
from jepa_core.io.records import Shape, read_sealed, write_sealed
from jepa_core.io.ticker import Ticker

Each: TypeAlias = Callable[[Callable[[int], None], Iterable[int]], Iterator[None]]
"""Does something for each of some numbers: the builtin `map`, or one that many processes share."""

STAGED = "staged.json"

log = logging.getLogger("jepa")


class _StagedShape(Shape):
    partitions: int
    channels: list[dict[str, str | int]]
    records: dict[str, list[dict[str, str | int | float]]]


def partitions_folder(store: Path) -> Path:
    """Where the partitions of a store lie until it is whole."""
    return store.with_name(f".{store.name}.partitions")


def finished_partitions(folder: Path) -> tuple[int, int]:
    """How many partitions are finished, of how many; (0, 0) before staging is done."""
    staged = _read_staged(folder)
    if staged is None:
        return 0, 0
    return staged.partitions - len(_pending(folder, staged)), staged.partitions


def make_partitions(source: PartitionedSource, folder: Path, each: Each) -> None:
    """Stage, if that is not done yet, and make the partitions that are not there yet. A single one is left to
    `join_partitions`, which can write it where it belongs.

    Raises DataError if the data break their contract, RunError if a worker is lost; finished partitions are kept.
    """
    staged = stage_once(source, folder)
    if staged.partitions == 1:
        return
    pending = _pending(folder, staged)
    make = functools.partial(make_partition, source, staged.channels, folder)
    ticker = Ticker("made")
    # Another process takes longer to start than a single small partition takes to make.
    for _ in (each if len(pending) > 1 else map)(make, pending):
        ticker.add(partitions=1)


def join_partitions(source: PartitionedSource, folder: Path, writer: StoreWriter) -> None:
    """Write the partitions to one store, in their order."""
    staged = _read_staged(folder)
    assert staged is not None
    writer.channels(staged.channels)
    for block in _blocks(source, folder, staged):
        writer.append(block)
    for name, rows in staged.records.items():
        writer.record(name, rows)


def _blocks(source: PartitionedSource, folder: Path, staged: Staged) -> Iterator[Trajectories]:
    if staged.partitions == 1:
        yield from source.partition(folder / "staged", 0, staged.channels)
        return
    for number in range(staged.partitions):
        yield from Store(_place(folder, number)).blocks()


def make_partition(source: PartitionedSource, channels: Sequence[Channel], folder: Path, number: int) -> None:
    """Write one partition, wherever this process runs."""
    if not (folder / STAGED).is_file():
        raise RunError(f"a worker does not see {folder}; every worker must share the file system of the stores")
    # A name of its own, because a process that was given up for lost may still be writing the same partition.
    mine = folder / f"{number:05d}.{uuid.uuid4().hex}"
    with StoreWriter(mine, "partition", "") as writer:
        for block in source.partition(folder / "staged", number, channels):
            writer.append(block)
    path = _place(folder, number)
    if not path.exists():
        mine.rename(path)


def stage_once(source: PartitionedSource, folder: Path) -> Staged:
    """What was staged, or else is now, from the beginning; what an interrupted staging left is thrown away."""
    staged = _read_staged(folder)
    if staged is not None:
        return staged
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "staged").mkdir(parents=True)
    folder.chmod(0o700)
    try:
        staged = source.stage(folder / "staged")
        write_sealed(folder / STAGED, asdict(staged))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return staged


def _read_staged(folder: Path) -> Staged | None:
    if not (folder / STAGED).exists():
        return None
    kept = read_sealed(folder / STAGED, _StagedShape, f"delete {folder} and begin again")
    return Staged(kept["partitions"], [Channel(**channel) for channel in kept["channels"]], kept["records"])


def _pending(folder: Path, staged: Staged) -> list[int]:
    return [number for number in range(staged.partitions) if not _place(folder, number).exists()]


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}"


# --- who makes the partitions -----------------------------------------------------------------------------------------


@contextmanager
def local_workers(count: int) -> Iterator[Each]:
    """Processes of this machine; with a count of 1 this process alone.

    Raises RunError if one of them dies.
    """
    if count == 1:
        yield map
        return
    # Spawned, not forked: the libraries that read and write have threads, which a fork would leave behind locked.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        yield pool.map
    except BrokenExecutor as error:
        raise RunError(
            "a worker process died, most likely because memory ran out; finished partitions are kept, "
            "and the same command goes on from there; give it fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it does: a killed parent would leave its workers waiting for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by a process"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def cluster_workers(address: str) -> Iterator[Each]:
    """Workers of the dask.distributed scheduler at `address`, which must see the same files and have the same packages.

    Raises PluginError if the extra is not installed, RunError if no scheduler answers or a worker dies again and again.
    """
    with client_of(address) as client:
        from distributed import KilledWorker

        try:
            yield client.get_executor(pure=False).map
        except KilledWorker as error:
            raise RunError(
                "workers of the cluster died over the same partition, most likely because memory ran out; finished "
                "partitions are kept, and the same command goes on from there; give each worker more memory"
            ) from error
