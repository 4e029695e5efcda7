"""A source in five partitions, which can be told to fail in one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jepa_core.data.source import PartitionedSource, Staged
from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_core.errors import DataError, Preempted

PARTITIONS = 5


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise DataError("rows.csv, row 7: the mass is negative; correct it")


def stop() -> None:
    raise Preempted("interrupted")


@dataclass
class PiecesSource(PartitionedSource):
    """made: a file that gets a line for each thing done. trouble: what happens instead of staging (-1) or of a
    partition."""

    made: Path
    version: str = "one"
    trouble: dict[int, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        return f"{self.version}pieces".ljust(12, "0")

    def stage(self, scratch: Path) -> Staged:
        self._do(-1)
        (scratch / "first.txt").write_text("100")
        return Staged(PARTITIONS, [Channel("height", "m")], {"attrition": [{"step": "all", "trajectories": 15}]})

    def partition(self, scratch: Path, number: int, channels: Sequence[Channel]) -> Iterator[Trajectories]:
        assert [channel.name for channel in channels] == ["height"]
        self._do(number)
        first = int((scratch / "first.txt").read_text())
        for block in range(1 + number % 2):
            yield some_trajectories(first + 10 * number + 3 * block)

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        raise NotImplementedError

    def _do(self, number: int) -> None:
        {"die": die, "refuse": refuse, "stop": stop, None: lambda: None}[self.trouble.get(number)]()
        with self.made.open("a") as file:
            file.write(f"{number} ")


def some_trajectories(first: int) -> Trajectories:
    """Three trajectories of two steps, with texts of their own."""
    random = np.random.default_rng(first)

    def events(owners: int) -> Events:
        text = random.integers(-1, 3, owners)
        values = random.normal(size=owners).astype(np.float32)
        return Events(np.arange(owners + 1), np.zeros(owners), values, text, np.zeros(owners))

    names = np.arange(first, first + 3)
    return Trajectories(
        identifier=names, subject=names, split=np.zeros(3), steps=np.full(3, 2), static=events(3), state=events(6),
        action=events(6), texts=np.array([f"w{first % 4}", "common", f"x{first}"], dtype=object),
        labels={"high": random.normal(size=6)}, outcomes={"fell": random.normal(size=3)},
    )  # fmt: skip
