"""Where trajectories begin and end among the staged rows, how many steps they have, and which split they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from jepa_core.data.splits import divide, split_by_subject
from jepa_core.data.trajectories import SPLITS
from jepa_core.errors import DataError, RecipeError
from jepa_sensors.config import SECONDS, TableConfig
from jepa_sensors.staging import GROUPS, Database, StagedRows, quoted

_LARGEST = 1 << 24
"""Samples of a trajectory up to which float32 counts them exactly."""
_COUNTED = 1 << 53
"""Samples up to which float64 does; 64 bits hold the number of no later one for certain."""


@dataclass(frozen=True)
class Cuts:
    """N trajectories in the order of the staged rows. key: (N,) of the rows. start, stop: (N,) rows. origin: (N,) time
    of the first sample; slots: (N,) samples from there to the end; steps: (N,). width: time of a sample, None where
    every row is one."""

    key: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    origin: np.ndarray
    slots: np.ndarray
    steps: np.ndarray
    subject: np.ndarray
    split: np.ndarray
    width: float | None

    def __len__(self) -> int:
        return len(self.key)


def seconds_of(staged: StagedRows, config: TableConfig) -> float:
    """Seconds of one unit of the staged times."""
    return SECONDS[config.time_unit] if staged.clock == "number" else 1e-6


def width_of(staged: StagedRows, config: TableConfig) -> float | None:
    """Time of a sample, in the unit of the staged times; None where every row is a sample."""
    step = config.step
    return None if step.seconds is None else step.seconds / step.samples / seconds_of(staged, config)


def slots_of(time: np.ndarray, origin: np.ndarray, width: float) -> np.ndarray:
    """Number of the sample that each time belongs to, of those that can be counted. A time that rounding puts a hair
    below a border is on it."""
    return np.clip(np.floor((time - origin) / width + 1e-9), -_COUNTED, _COUNTED).astype(np.int64)


def cut(staged: StagedRows, config: TableConfig, database: Database) -> Cuts:
    """The trajectories: one of each id that has a row in its steps, or pieces of one series.

    Raises DataError if one is too long to be counted, a series too short to be cut, or no id has a row in its steps.
    """
    width = width_of(staged, config)
    key, start, count, low, high, row = _spans(staged, config, database)
    slots = count if width is None else slots_of(high, low, width) + 1
    if config.step.count is not None:
        slots = np.full(len(key), config.step.count * config.step.samples)
    if slots.max() > _LARGEST:
        where = staged.files.place(int(row[slots.argmax()]))
        raise DataError(
            f"{where}: the trajectory that begins there has {slots.max():,} samples, and at most {_LARGEST:,} are "
            "counted exactly; make source.step.seconds longer, or look for a wrong time among its rows"
        )
    if not config.id and config.split:
        return _pieces(staged, config, int(count[0]), low[0], int(slots[0]), width)
    return Cuts(
        key=key, start=start, stop=start + count, origin=low, slots=slots, steps=-(-slots // config.step.samples),
        subject=staged.subject[key], split=_split(staged.group[key], staged.subject[key], config), width=width,
    )  # fmt: skip


def _spans(staged: StagedRows, config: TableConfig, database: Database) -> Iterator[np.ndarray]:
    """Of each key that has a row in its steps: (K,) the key, its first such row, their number, the time at which it
    begins, the time of the last of them, and the place of one."""
    step, begin = config.step, config.step.begin
    if begin is not None and staged.clock != "number":
        raise RecipeError("source.step.begin is a number, and the times of the files are timestamps; leave it out")
    inside = ["time >= first"]
    if step.count is not None:  # the arithmetic of slots_of
        inside.append(f"(time - first) / {width_of(staged, config)!r} + 1e-9 < {step.count * step.samples}")
    began = "min(time)" if begin is None else f"{begin!r}::DOUBLE"
    counted = f"FILTER ({' AND '.join(inside)})"
    rows = database.rows(
        f"""WITH own AS (SELECT key, time, row FROM read_parquet({quoted(staged.path)})),
            firsts AS (SELECT key, {began} AS first FROM own GROUP BY key),
            spans AS (SELECT key, count(*) AS held, count(*) FILTER (time < first) AS before,
                      count(*) {counted} AS inside, any_value(first) AS low, max(time) {counted} AS high,
                      min(row) AS row
                      FROM own JOIN firsts USING (key) GROUP BY key),
            placed AS (SELECT *, sum(held) OVER (ORDER BY key) - held + before AS start FROM spans)
            SELECT key, start::BIGINT, inside, low, high, row FROM placed WHERE inside > 0 ORDER BY key"""
    )
    if not rows:
        raise DataError(f"{staged.files.place(0)}: no row of any id lies in its steps; see source.step.begin")
    return map(np.array, zip(*rows, strict=True))


def _split(group: np.ndarray, subject: np.ndarray, config: TableConfig) -> np.ndarray:
    """Splits that have files of their own take those; the others share the subjects of `files`."""
    given = config.split
    if given is None or given.folds is not None:
        return divide(subject, np.zeros(len(subject)), given)
    split = np.zeros(len(group), dtype=np.int8)
    own = {"tuning": bool(given.tuning), "held_out": bool(given.held_out)}
    shared = [number for number, name in enumerate(SPLITS) if not own.get(name)]
    main = group == 0
    for name in own:
        split[group == GROUPS.index(name)] = SPLITS.index(name)
    if len(shared) > 1:
        shares = np.array(given.fractions)[shared]
        dealt = split_by_subject(subject[main], np.zeros(main.sum()), tuple(shares / shares.sum()), given.seed)
        split[main] = np.array(shared, dtype=np.int8)[dealt]
    return split


def _pieces(staged: StagedRows, config: TableConfig, rows: int, origin: float, slots: int, width: float | None) -> Cuts:
    """Equal pieces of one series in order of time, those of a split together, with a gap between two splits. The steps
    that are left over are the earliest."""
    samples, given = config.step.samples, config.split
    assert given is not None
    counts = np.maximum(1, np.round(np.array(given.fractions) * given.pieces).astype(int))
    counts[0] = given.pieces - counts[1:].sum()
    steps = slots // samples
    length = (steps - 2 * given.gap) // given.pieces
    if length < 2 or counts[0] < 1:
        raise DataError(
            f"{staged.files.place(0)}: the series that begins there has {steps} steps, which give no {given.pieces} "
            "pieces of two steps or more; set fewer source.split.pieces, or a shorter source.step"
        )
    split = np.repeat(np.arange(len(SPLITS), dtype=np.int8), counts)
    first = steps - 2 * given.gap - length * given.pieces + np.arange(given.pieces) * length + split * given.gap
    number = np.arange(given.pieces)
    borders = np.concatenate([first, first + length]) * samples
    at = borders if width is None else _rows_before(staged, origin + borders * width)
    return Cuts(
        key=np.zeros_like(number), start=at[: len(number)], stop=np.minimum(at[len(number) :], rows),
        origin=np.full(len(number), origin) if width is None else origin + first * samples * width,
        slots=np.full(len(number), length * samples), steps=np.full(len(number), length),
        subject=number.astype(np.int64), split=split, width=width,
    )  # fmt: skip


def _rows_before(staged: StagedRows, borders: np.ndarray) -> np.ndarray:
    """Rows of a series before each of some times."""
    before = np.zeros(len(borders), dtype=np.int64)
    with pq.ParquetFile(staged.path) as file:
        for batch in file.iter_batches(columns=["time"]):
            before += np.searchsorted(batch.column(0).to_numpy(), borders)
    return before
