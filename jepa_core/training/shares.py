"""Work that the processes of a run share, for whoever evaluates: each process does some of the parts, and has what was
made of all.

Every process calls these functions, with the same parts in the same order, as it does whatever else an evaluator does;
alone they are loops. A part is computed as one process would compute it, so what comes of it has the same bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np
import torch

from jepa_core.contracts import Batch
from jepa_core.data.windows import Windows
from jepa_core.errors import RunError
from jepa_core.io.files import take_space
from jepa_core.io.ticker import Ticker
from jepa_core.training.processes import Arrays, Peers

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

PartT = TypeVar("PartT")

ENCODED_AT_ONCE = 256
"""Windows whose items are encoded together before they are gone through."""
TRAJECTORIES = 16
"""Trajectories of a part: enough that handing round what was made of them costs little."""

Placed = tuple[np.ndarray, np.ndarray]
"""Rows (n,) of an array, and what belongs there (n, columns)."""


def each(processes: Peers, parts: Sequence[PartT], work: Callable[[PartT], Arrays]) -> Iterator[Arrays]:
    """What `work` makes of every part, in their order, on all processes. Nothing in it may ask for other processes.

    Raises RunError if the processes have not equally many parts.
    """
    if processes.in_lockstep:  # nobody may encode by itself
        yield from map(work, parts)
        return
    _require_alike(processes, len(parts))
    for begin in range(0, len(parts), processes.count):
        round_of = parts[begin : begin + processes.count]
        own = None
        if processes.number < len(round_of):
            with processes.being_apart():
                own = work(round_of[processes.number])
        for giver in range(len(round_of)):
            yield processes.hand_round(own, giver)


def fill(
    processes: Peers,
    arrays: Mapping[str, np.ndarray],
    parts: Sequence[PartT],
    work: Callable[[PartT], Mapping[str, Placed]],
) -> None:
    """Have what `work` makes of every part in arrays of `rows_on_disk`. Where several parts write a row, they write the
    same. Within a machine nothing is sent: each process writes what it made."""
    if processes.machines > 1 and not processes.in_lockstep:
        _fill_machines(processes, arrays, parts, work)
        return
    _require_alike(processes, len(parts))
    if processes.in_lockstep:  # nobody may encode by itself
        for part in parts:
            _put(arrays, work(part))
    else:
        with processes.being_apart():
            for part in parts[processes.number :: processes.count]:
                _put(arrays, work(part))
    processes.wait()


def over_windows(
    learner: Learner,
    windows: Windows,
    index: np.ndarray,
    batch_size: int,
    work: Callable[[np.ndarray, Batch], Arrays],
) -> Iterator[Arrays]:
    """What `work` makes of every batch of the windows at `index`, in their order: it is given the part of `index` and
    the batch, and no gradient is kept. The latents of all of them are encoded first, each by one process."""
    encode_windows(learner, windows, index)
    ticker = Ticker("going through windows", len(index))

    @torch.no_grad()
    def of_batch(part: np.ndarray) -> Arrays:
        return work(part, learner.dataset.batch(windows, part))

    parts = batches_of(index, batch_size)
    for part, arrays in zip(parts, each(learner.processes, parts, of_batch), strict=True):
        yield arrays
        ticker.add(windows=len(part))


def windows_on_disk(
    learner: Learner,
    windows: Windows,
    batch_size: int,
    columns: Mapping[str, int],
    folder: Path | None,
    work: Callable[[Batch], Arrays],
) -> dict[str, np.ndarray]:
    """What `work` makes of every window, in files as those of `rows_on_disk`: (W, columns) float32 for each name, for
    what is too much to hold. No gradient is kept; latents are encoded first, each by one process."""
    processes, every = learner.processes, np.arange(len(windows))
    arrays = {name: rows_on_disk(processes, (len(windows), count), folder) for name, count in columns.items()}
    encode_windows(learner, windows, every)
    ticker = Ticker("going through windows", len(windows))

    @torch.no_grad()
    def of_batch(part: np.ndarray) -> dict[str, Placed]:
        of_each = work(learner.dataset.batch(windows, part))
        ticker.add(windows=len(part) * (1 if processes.in_lockstep else processes.count))
        return {name: (part, values.reshape(len(part), -1)) for name, values in of_each.items()}

    fill(processes, arrays, batches_of(every, batch_size), of_batch)
    return arrays


def over_trajectories(
    processes: Peers, trajectories: np.ndarray, work: Callable[[int], Arrays], at_once: int = TRAJECTORIES
) -> Iterator[Arrays]:
    """What `work` makes of every trajectory, by its position in the data, in their order; they are handed round so many
    at once."""

    def of_some(part: np.ndarray) -> Arrays:
        of_each = [work(number) for number in part.tolist()]
        return {f"{at}.{name}": values for at, arrays in enumerate(of_each) for name, values in arrays.items()}

    parts = batches_of(trajectories, at_once)
    for part, arrays in zip(parts, each(processes, parts, of_some), strict=True):
        for at in range(len(part)):
            begin = f"{at}."
            yield {name.removeprefix(begin): value for name, value in arrays.items() if name.startswith(begin)}


def end_to_end(parts: Iterator[Arrays]) -> dict[str, np.ndarray]:
    """Parts behind one another, name by name; there is one at the least.

    They are put where there is room for more, which is doubled when it is full: small arrays that are kept between
    large ones that are not would keep the memory of these.
    """
    held: dict[str, np.ndarray] = {}
    counts: Counter[str] = Counter()
    for part in parts:
        for name, values in part.items():
            held[name] = _appended(held.get(name), counts[name], values)
            counts[name] += len(values)
    return {name: array[: counts[name]] for name, array in held.items()}


def _appended(array: np.ndarray | None, count: int, values: np.ndarray) -> np.ndarray:
    """An array that holds values behind its first `count` rows: the same, or a larger one."""
    if array is None or count + len(values) > len(array):
        larger = np.empty((2 * (count + len(values)), *values.shape[1:]), values.dtype)
        if array is not None:
            larger[:count] = array[:count]
        array = larger
    array[count : count + len(values)] = values
    return array


def batches_of(index: np.ndarray, size: int) -> list[np.ndarray]:
    """An index in pieces of so many."""
    return [index[at : at + size] for at in range(0, len(index), size)]


def encode_windows(learner: Learner, windows: Windows, index: np.ndarray) -> None:
    """Have the latents of some windows in the cache, each encoded by one of the processes; one alone encodes them when
    they are read."""
    if learner.processes.count == 1:
        return
    for part in batches_of(index, ENCODED_AT_ONCE):
        learner.encode_together(learner.dataset.batch(windows, part).items)


def rows_on_disk(processes: Peers, shape: tuple[int, int], folder: Path | None) -> np.ndarray:
    """Zeros (rows, columns) float32 in a file that has no name, and is gone with the processes, whatever happens to
    them. All processes of a machine have the same memory. The file has its space from the beginning.

    folder: where the file lies, the same for all processes; None for the system's own, of one process. Raises OSError
    where the disk has no room for it.
    """
    rows, columns = max(1, shape[0]), max(1, shape[1])
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if processes.count == 1:
        with TemporaryFile(dir=folder) as file:
            give_length(file, rows * columns * 4)
            return np.memmap(file, dtype=np.float32, shape=(rows, columns))[: shape[0], : shape[1]]
    assert folder is not None, "several processes find one another's files in a folder"
    path = folder / f"rows-{processes.machine}"
    if processes.local_number == 0:
        with path.open("wb") as begun:
            give_length(begun, rows * columns * 4)
    processes.wait()
    with path.open("r+b") as file:
        array = np.memmap(file, dtype=np.float32, shape=(rows, columns))
    processes.wait()
    if processes.local_number == 0:
        with suppress(FileNotFoundError):
            path.unlink()
    processes.wait()
    return array[: shape[0], : shape[1]]


def give_length(file: IO[bytes], length: int) -> None:
    """Give an empty file its length, and the space for it."""
    file.truncate(length)
    take_space(file.fileno(), 0, length)


def _fill_machines(
    processes: Peers,
    arrays: Mapping[str, np.ndarray],
    parts: Sequence[PartT],
    work: Callable[[PartT], Mapping[str, Placed]],
) -> None:
    """What is made is handed round, and one process of every machine writes it."""

    def in_rows(part: PartT) -> Arrays:
        placed = work(part)
        rows = {f"rows.{name}": rows for name, (rows, _) in placed.items()}
        return rows | {f"values.{name}": values for name, (_, values) in placed.items()}

    for given in each(processes, parts, in_rows):
        if processes.local_number == 0:
            names = [name.removeprefix("rows.") for name in given if name.startswith("rows.")]
            _put(arrays, {name: (given[f"rows.{name}"], given[f"values.{name}"]) for name in names})
    processes.wait()


def _put(arrays: Mapping[str, np.ndarray], placed: Mapping[str, Placed]) -> None:
    for name, (rows, values) in placed.items():
        arrays[name][rows] = values


def _require_alike(processes: Peers, count: int) -> None:
    if processes.count == 1:
        return
    most, least = processes.largest(torch.tensor([count, -count])).tolist()
    if most != -least:
        raise RunError(
            f"the processes of this run divide different work ({-least} and {most} parts); an evaluator must do the "
            "same in each of them"
        )
