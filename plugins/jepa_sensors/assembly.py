"""The second pass: the staged rows of every trajectory as samples, and the samples as events of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jepa_core.data.trajectories import Channel, Events, Role, Trajectories
from jepa_core.errors import DataError, RecipeError
from jepa_sensors.config import CALENDAR_CHANNELS, TableConfig
from jepa_sensors.config_parts import SeenColumn
from jepa_sensors.cutting import Cuts, seconds_of, slots_of
from jepa_sensors.staging import StagedRows
from jepa_sensors.targets import Targets

BLOCK_ROWS = 1 << 17
"""Rows that are held at least; a longer trajectory is held whole."""

_PERIODS = {"hour_of_day": 86_400, "day_of_week": 7 * 86_400, "day_of_year": 365.2425 * 86_400}
_MONDAY = 4 * 86_400
"""Seconds from the beginning of 1970, a Thursday, to a Monday."""


@dataclass(frozen=True)
class CutRows:
    """R rows of K trajectories. cuts: of these. owner: (R,) which of them. time, row: (R,). values: of each column (R,)
    float32. slot: (R,) number of the sample in the trajectory. step: (R,) number of the step among all S of the K."""

    cuts: Cuts
    owner: np.ndarray
    time: np.ndarray
    row: np.ndarray
    values: list[np.ndarray]
    slot: np.ndarray
    step: np.ndarray

    @property
    def steps(self) -> int:
        return int(self.cuts.steps.sum())


class RowAssembly:
    """Makes trajectories of staged rows."""

    def __init__(self, config: TableConfig, staged: StagedRows, cuts: Cuts, targets: Targets) -> None:
        self._config = config
        self._staged = staged
        self._cuts = cuts
        self._targets = targets
        self._seen = config.seen_columns()
        self._first_channel = dict(zip((column.name for column in self._seen), _starts(self._seen), strict=True))

    def blocks(self) -> Iterator[Trajectories]:
        """All trajectories in order, some at a time."""
        for first, last, table in self._tables():
            yield self._block(self._rows(first, last, table))

    def _tables(self) -> Iterator[tuple[int, int, pa.Table]]:
        """The rows of trajectories first:last, for a few of them at a time."""
        stop = self._cuts.stop
        held: pa.Table | None = None
        at = done = 0
        with pq.ParquetFile(self._staged.path) as file:
            for batch in file.iter_batches(BLOCK_ROWS):
                table = pa.Table.from_batches([batch])
                held = table if held is None or held.num_rows == 0 else pa.concat_tables([held, table])
                whole = int(np.searchsorted(stop, at + held.num_rows, side="right"))
                if whole > done:
                    yield done, whole, held.slice(0, int(stop[whole - 1]) - at)
                    held, at, done = held.slice(int(stop[whole - 1]) - at), int(stop[whole - 1]), whole

    def _rows(self, first: int, last: int, table: pa.Table) -> CutRows:
        """Rows of some trajectories, without those that belong to none."""
        cuts = _part(self._cuts, first, last)
        before = int(self._cuts.stop[first - 1]) if first else 0
        number = np.arange(table.num_rows) + before
        owner = np.searchsorted(cuts.start, number, side="right") - 1
        kept = owner >= 0
        kept &= number < cuts.stop[np.maximum(owner, 0)]
        table = table.filter(pa.array(kept))
        owner, number = owner[kept], number[kept]
        time = table["time"].to_numpy()
        slot = number - cuts.start[owner] if cuts.width is None else slots_of(time, cuts.origin[owner], cuts.width)
        values = [table[f"v{value_number}"].to_numpy() for value_number in range(len(self._staged.columns))]
        step = (np.cumsum(cuts.steps) - cuts.steps)[owner] + slot // self._config.step.samples
        rows = CutRows(cuts, owner, time, table["row"].to_numpy(), values, slot, step)
        self._refuse_repeated(rows)
        return rows

    def _refuse_repeated(self, rows: CutRows) -> None:
        again = np.flatnonzero((np.diff(rows.owner) == 0) & (np.diff(rows.time) == 0))
        if len(again) and self._config.time_column and self._config.repeats == "refuse":
            where = self._staged.files.place
            first, second = sorted(rows.row[again[0] : again[0] + 2].tolist())
            raise DataError(
                f"{where(second)}: the id and the time are those of {where(first)}; keep one of the rows, name what "
                "tells them apart in source.id, or set source.repeats to mean"
            )

    def _block(self, rows: CutRows) -> Trajectories:
        cuts = rows.cuts
        samples = self._samples(rows)
        events = {role: self._events(samples, role, rows.steps) for role in ("state", "action")}
        return Trajectories(
            identifier=cuts.key.astype(np.int64) if self._config.id else cuts.subject,
            subject=cuts.subject,
            split=cuts.split,
            steps=cuts.steps.astype(np.int32),
            static=self._statics(rows),
            texts=np.array([], dtype=object),
            labels=self._targets.labels(rows),
            outcomes=self._targets.outcomes(rows),
            **events,
        )

    # --- samples ------------------------------------------------------------------------------------------------------

    def _samples(self, rows: CutRows) -> _Samples:
        """What each sample holds: a row, or the mean of the readings in its share of time."""
        by_name = {column.name: values for column, values in zip(self._staged.columns, rows.values, strict=True)}
        seen = [column for column in self._seen if column.name in by_name and column.role != "static"]
        if rows.cuts.width is None:
            first = np.arange(len(rows.slot))
            values = [by_name[column.name] for column in seen]
        else:
            changed = (np.diff(rows.owner) != 0) | (np.diff(rows.slot) != 0)
            first = np.concatenate([[0], np.flatnonzero(changed) + 1])
            values = [
                (_last_of if column.categories else _mean_of)(by_name[column.name], first) for column in seen
            ]  # fmt: skip
        slot, step = rows.slot[first], rows.step[first]
        return _Samples(slot, step, [*seen, *self._calendar()], values + self._of_calendar(rows, first))

    def _calendar(self) -> list[SeenColumn]:
        names = self._config.calendar_columns()
        return [column for column in self._seen if column.name in names]

    def _of_calendar(self, rows: CutRows, first: np.ndarray) -> list[np.ndarray]:
        """Sine and cosine of where each sample begins in a day, a week, a year."""
        if not self._config.calendar:
            return []
        if rows.cuts.width is None:
            time = rows.time[first]
        else:
            time = rows.cuts.origin[rows.owner[first]] + rows.slot[first] * rows.cuts.width
        seconds = time * seconds_of(self._staged, self._config)
        by_role: dict[str, np.ndarray] = {}
        for part in self._config.calendar:
            turns = (seconds - (_MONDAY if part == "day_of_week" else 0)) / _PERIODS[part]
            for name, wave in zip(CALENDAR_CHANNELS[part], (np.sin, np.cos), strict=True):
                by_role[name] = wave(2 * np.pi * (turns % 1)).astype(np.float32)
        return [by_role[column.name] for column in self._calendar()]

    def _events(self, samples: _Samples, role: Role, owners: int) -> Events:
        """An event for each value that a sample holds, in the order of time. Its time counts samples."""
        chosen = [index for index, column in enumerate(samples.columns) if column.role == role]
        columns, values = [samples.columns[index] for index in chosen], [samples.values[index] for index in chosen]
        return self._told(columns, values, samples.step, samples.slot.astype(np.float32), owners)

    def _statics(self, rows: CutRows) -> Events:
        """The first value of every static column in each trajectory."""
        owners = len(rows.cuts)
        columns, numbers = [], []
        for column, values in zip(self._staged.columns, rows.values, strict=True):
            if column.role != "static":
                continue
            known = np.flatnonzero(~np.isnan(values))
            owner, first = np.unique(rows.owner[known], return_index=True)
            columns.append(column)
            numbers.append(np.full(owners, np.nan, dtype=np.float32))
            numbers[-1][owner] = values[known[first]]
        return self._told(columns, numbers, np.arange(owners), np.full(owners, np.nan, dtype=np.float32), owners)

    def _told(
        self, columns: list[SeenColumn], values: list[np.ndarray], owner: np.ndarray, time: np.ndarray, owners: int
    ) -> Events:
        """An event for each value of some columns. owner, time: of every row of the values, in ascending order."""
        grid = np.stack(values, axis=1) if values else np.zeros((len(owner), 0), dtype=np.float32)
        at, column = np.nonzero(~np.isnan(grid))
        channel, value = self._channels(columns, column, grid[at, column])
        counts = np.bincount(owner[at], minlength=owners)
        return Events(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), channel=channel, value=value,
            text=np.full(len(at), -1, dtype=np.int32), time=time[at],
        )  # fmt: skip

    def _channels(
        self, columns: Sequence[SeenColumn], column: np.ndarray, value: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Channel and value of each event: a category is the channel of its own that has the value 1."""
        first = np.array([self._first_channel[read_column.name] for read_column in columns], dtype=np.int32)[column]
        words = np.array([bool(read_column.categories) for read_column in columns], dtype=bool)[column]
        code = np.where(words, value, 0).astype(np.int32)
        return first + code, np.where(words, 1, value).astype(np.float32)


@dataclass(frozen=True)
class _Samples:
    """G samples. slot: (G,) number in the trajectory. step: (G,) among all steps. values: of each column (G,)."""

    slot: np.ndarray
    step: np.ndarray
    columns: list[SeenColumn]
    values: list[np.ndarray]


def channels_of(columns: Sequence[SeenColumn]) -> list[Channel]:
    """The channels of a store. Those of one column of words share a group, which is its name.

    Raises RecipeError if two have one name.
    """
    channels: list[Channel] = []
    for column in columns:
        group, labels = (column.name, column.categories) if column.categories else ("", (column.name,))
        for name, label in zip(column.channels(), labels, strict=True):
            channels.append(Channel(name, column.unit if not group else "", group, label, len(channels)))
    names = [channel.name for channel in channels]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise RecipeError(f"source: two channels are called {again[0]}, of a column or of its words; rename a column")
    return channels


def _starts(columns: Sequence[SeenColumn]) -> list[int]:
    widths = [column.width for column in columns]
    return (np.cumsum(widths) - widths).tolist()


def _part(cuts: Cuts, first: int, last: int) -> Cuts:
    part = slice(first, last)
    return Cuts(
        cuts.key[part], cuts.start[part], cuts.stop[part], cuts.origin[part], cuts.slots[part], cuts.steps[part],
        cuts.subject[part], cuts.split[part], cuts.width,
    )  # fmt: skip


def _mean_of(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Mean of the known values from each place in `first` to the next, NaN where none is known."""
    known = ~np.isnan(values)
    total = np.add.reduceat(np.where(known, values, 0).astype(np.float64), first)
    count = np.add.reduceat(known.astype(np.int64), first)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _last_of(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The last known value from each place in `first` to the next, NaN where none is known."""
    last = np.maximum.reduceat(np.where(np.isnan(values), -1, np.arange(len(values))), first)
    return np.where(last >= 0, values[last], np.nan).astype(np.float32)
