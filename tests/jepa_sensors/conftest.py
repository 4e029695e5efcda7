"""Small tables made by hand, and what the source makes of them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Rendered, Trajectories
from jepa_core.plugin import Registry, discover
from jepa_sensors.config import TableConfig
from jepa_sensors.source import TableSource

SPLITS = ("train", "tuning", "held_out")

Build = Callable[..., Store]


class Built:
    """A store, the source that made it, and all its trajectories."""

    def __init__(self, store: Store, source: TableSource) -> None:
        self.store = store
        self.source = source
        (self.all,) = store.blocks(10_000)

    def items(self, modality: str = "channels") -> Rendered:
        return self.source.render(self.all, self.store.channels, modality)

    def part(self, trajectory: int) -> slice:
        """The steps of a trajectory."""
        first = int(self.store.first_step[trajectory])
        return slice(first, first + int(self.store.steps[trajectory]))

    @property
    def names(self) -> list[str]:
        return [channel.name for channel in self.store.channels]


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Built]:
    """Build the store of a config given as keys."""

    def make(**keys: Any) -> Built:
        source = TableSource(TableConfig.model_validate({"files": str(tmp_path / "data.csv")} | keys))
        return Built(open_store(source, "table", tmp_path / "stores"), source)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write rows under a header as CSV."""

    def make(header: str, rows: Iterable[Sequence[object]], name: str = "data.csv") -> Path:
        path = tmp_path / name
        lines = [header, *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    return make


@pytest.fixture(scope="session")
def registry() -> Registry:
    plugins = ("jepa_anomalies", "jepa_channels", "jepa_clin", "jepa_downstream", "jepa_latent_eval", "jepa_sensors")
    return discover([importlib.metadata.EntryPoint(name, name, "jepa") for name in plugins])


def machines(count: int = 6, length: int = 5) -> list[tuple[object, ...]]:
    """Rows of machine, seconds, heat, speed, valve: in order, all known, all different."""
    random = np.random.default_rng(0)
    values = random.normal(size=(count * length, 3)).round(3).tolist()
    return [(row // length, row % length, *values[row]) for row in range(count * length)]


def same(left: Trajectories, right: Trajectories) -> bool:
    """Whether two sets of trajectories are equal in everything."""
    pairs = [(getattr(left, name), getattr(right, name)) for name in ("identifier", "subject", "split", "steps")]
    for role in ("static", "state", "action"):
        one, other = left.events(role), right.events(role)
        pairs += [(getattr(one, name), getattr(other, name)) for name in ("offsets", "channel", "value", "time")]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
