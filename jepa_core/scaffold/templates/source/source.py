"""The source my_component."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from jepa_core.contracts import Source
from jepa_core.data.splits import split_by_subject
from jepa_core.data.store import StoreWriter
from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_core.data.words import plain_number
from jepa_core.errors import DataError, RecipeError
from jepa_core.io.files import digest_pieces
from jepa_my_component.config import MyComponentConfig

CHANNELS = [Channel("floor"), Channel("temperature", "C"), Channel("heating", "kW")]
COLUMNS = ("room", "floor", "hour", "heating", "temperature")


class MyComponent(Source):
    """One room is a subject with one trajectory, one hour is a step; the heating is the action.

    The file is read twice: once for the rooms, which are dealt to the splits, and once room by room.
    """

    def __init__(self, config: MyComponentConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Digest of the file and of the seed."""
        if not self.config.path.is_file():
            raise DataError(self.config.missing()[0])
        digest = hashlib.sha256(f"my_component 1 {self.config.seed} ".encode())
        digest_pieces(self.config.path, digest)
        return digest.hexdigest()

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write every room as a block."""
        writer.channels(CHANNELS)
        rooms = [room for room, _ in self._rooms()]
        if len(set(rooms)) < len(rooms):
            raise DataError(f"{self.config.path}: the rows of a room must stand together; sort the file by room")
        subjects = np.arange(len(rooms))
        splits = split_by_subject(subjects, np.zeros(len(rooms)), (0.6, 0.2, 0.2), self.config.seed)
        for subject, (_, hours) in enumerate(self._rooms()):
            writer.append(_trajectory(subject, splits[subject], np.array(list(hours))))

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Channel values, or texts such as `temperature 20.5 C`."""
        grids = [_grid(trajectories.events(role), len(channels)) for role in ("static", "state", "action")]
        if modality == "channels":
            return Rendered(*grids)
        if modality == "text":
            return Rendered(*([_sentence(item[:, 0], channels) for item in grid] for grid in grids))
        raise RecipeError(f"the source my_component renders text and channels, not {modality}")

    def _rooms(self) -> Iterator[tuple[str, Iterator[list[float]]]]:
        """Each room, and its hours as [floor, heating, temperature]."""
        path = self.config.path
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            absent = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if absent:
                raise DataError(f"{path} has no column {absent[0]}; it needs {', '.join(COLUMNS)}")
            for room, rows in groupby(reader, key=lambda row: row["room"]):
                yield room, (self._numbers(row, reader.line_num) for row in rows)

    def _numbers(self, row: dict[str, str], line: int) -> list[float]:
        """The numbers of one row; an empty cell was not measured."""
        try:
            return [float(row[name]) if row[name] else math.nan for name in ("floor", "heating", "temperature")]
        except ValueError:
            raise DataError(
                f"{self.config.path}, line {line}: floor, heating and temperature must be numbers or empty"
            ) from None


def _trajectory(subject: int, split: int, hours: np.ndarray) -> Trajectories:
    """One room; hours: (T, 3)."""
    times = np.arange(len(hours), dtype=float)
    return Trajectories(
        identifier=np.array([subject]),
        subject=np.array([subject]),
        split=np.array([split]),
        steps=np.array([len(hours)]),
        static=_events(hours[:1, 0], 0, np.array([math.nan])),
        state=_events(hours[:, 2], 1, times),
        action=_events(hours[:, 1], 2, times),
        texts=np.array([], dtype=object),
    )


def _events(values: np.ndarray, channel: int, times: np.ndarray) -> Events:
    """At most one event an owner, on one channel; what is NaN was not measured."""
    measured = ~np.isnan(values)
    count = int(measured.sum())
    return Events(
        offsets=np.concatenate([[0], np.cumsum(measured)]),
        channel=np.full(count, channel),
        value=values[measured],
        text=np.full(count, -1),
        time=times[measured],
    )


def _grid(events: Events, channels: int) -> np.ndarray:
    """Events of one role as (owners, C, 1) float32, NaN where nothing was measured."""
    grid = np.full((len(events.offsets) - 1, channels, 1), np.nan, dtype=np.float32)
    grid[np.repeat(np.arange(len(grid)), np.diff(events.offsets)), events.channel, 0] = events.value
    return grid


def _sentence(values: np.ndarray, channels: Sequence[Channel]) -> str:
    told = [(channel, value) for channel, value in zip(channels, values, strict=True) if not np.isnan(value)]
    return "; ".join(f"{channel.name} {plain_number(float(value))} {channel.unit}".rstrip() for channel, value in told)
