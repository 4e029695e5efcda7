"""Small eICU tables made by hand, and the store that the source makes of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store
from jepa_eicu.config import EICUConfig
from jepa_eicu.layout import COLUMNS
from jepa_eicu.source import EICUSource

Rows = list[dict[str, Any]]
PATIENT = {
    "patientunitstayid": 1, "patienthealthsystemstayid": 11, "gender": "Female", "age": "63", "ethnicity": "Caucasian",
    "hospitaldischargestatus": "Alive", "unitvisitnumber": 1, "admissionweight": 80.0, "unitdischargeoffset": 600,
    "unitdischargestatus": "Alive", "uniquepid": "002-1001",
}  # fmt: skip
BEAT = {"patientunitstayid": 1, "observationoffset": 5, "heartrate": 80}


class Built:
    """A store with all of its trajectories, and what a channel shows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        (self.all,) = store.blocks(10_000)
        self._number = {channel.name: index for index, channel in enumerate(store.channels)}

    def shown(self, role: str, name: str) -> list[tuple[int, float]]:
        """Step and value of every event of a channel, values rounded."""
        events = self.all.events(role)  # type: ignore[arg-type]
        owner = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
        chosen = events.channel == self._number[name]
        return [
            (int(step), round(float(value), 4)) for step, value in zip(owner[chosen], events.value[chosen], strict=True)
        ]

    def words(self, role: str, name: str) -> list[str]:
        events = self.all.events(role)  # type: ignore[arg-type]
        return [str(self.all.texts[text]) for text in events.text[events.channel == self._number[name]]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write tables as CSV: the rows given, one patient and one heart beat where none are given, else nothing."""

    def make(**tables: Rows) -> Path:
        folder = tmp_path / "eicu"
        folder.mkdir(exist_ok=True)
        rows = {"patient": [PATIENT], "vitalPeriodic": [BEAT]} | tables
        for table, columns in COLUMNS.items():
            with (folder / f"{table}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(columns))
                writer.writeheader()
                writer.writerows(rows.get(table, []))
        return folder

    return make


@pytest.fixture
def build(write: Callable[..., Path], tmp_path: Path) -> Callable[..., Built]:
    """The store of tables, with keys of the config."""

    def make(keys: dict[str, Any] | None = None, **tables: Rows) -> Built:
        config = EICUConfig.model_validate({"tables": str(write(**tables)), "split": None} | (keys or {}))
        return Built(open_store(EICUSource(config), "eicu", tmp_path / "stores"))

    return make
