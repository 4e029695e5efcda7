"""Small MEDS data sets made by hand, and what the source makes of them."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core import cli, plugin
from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store
from jepa_core.plugin import Registry, discover
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource

START = datetime(2150, 3, 1, 10, 20)
FIRST_SUBJECT = 77_000_001
"""Identifiers are distinctive, so that a test can look for them in messages."""
CANARY_TEXT = "words of a record"
CANARIES = ("7700000", "2150-03", "2150, 3", CANARY_TEXT)

SPLITS = ("train", "tuning", "held_out")
ICU = {"start": "ICU_ADMISSION//.*", "end": "ICU_DISCHARGE//.*"}

SCHEMA = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.large_string()),
    ]
)

Row = tuple[int, float | None, str, float | None, str | None]
"""Number of the subject, hours after START (None for static), code, number, words."""


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def table(rows: Iterable[Row], schema: pa.Schema = SCHEMA) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    subject = [None if one is None else FIRST_SUBJECT + one for one in columns[0]]
    time = [None if one is None else at(one) for one in columns[1]]
    return pa.table([subject, time, *map(list, columns[2:])], schema=schema)


def stay(number: int, hours: float = 5.0) -> list[Row]:
    """A subject of 60 years with a stay in intensive care, a death and things that must never be seen."""
    return [
        (number, None, "GENDER//F", None, None),
        (number, -60 * 365.25 * 24, "MEDS_BIRTH", None, None),
        (number, -30.0, "LAB//50912//mg/dL", 9.0, None),
        (number, 0.0, "ICU_ADMISSION//MICU", None, None),
        (number, 0.5, "LAB//220045//bpm", 88.0, None),
        (number, 1.25, "LAB//50912//mg/dL", 1.5, None),
        (number, 1.25, "INFUSION_START//221906", 0.004, CANARY_TEXT),
        (number, 2.0, "LAB//223900//UNK", 4.0, "Confused"),
        (number, 3.0, "DIAGNOSIS//ICD//10//A419", None, None),
        (number, hours, "ICU_DISCHARGE//MICU", None, None),
        (number, hours + 1, "MEDS_DEATH", None, None),
        (number, hours + 2, "DRG//870", None, None),
    ]


def cohort(subjects: int = 6) -> list[Row]:
    return [row for number in range(subjects) for row in stay(number)]


@dataclass
class Folder:
    """A MEDS data set on disk."""

    path: Path

    def write(self, shards: dict[str, pa.Table | list[Row]]) -> Folder:
        for name, content in shards.items():
            file = self.path / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(content if isinstance(content, pa.Table) else table(content), file)
        return self

    def describe(self, descriptions: dict[str, str | None] | None = None, **dataset: str) -> Folder:
        metadata = self.path / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        facts = {"dataset_name": "HAND", "dataset_version": "1", "meds_version": "0.4.0"} | dataset
        (metadata / "dataset.json").write_text(json.dumps(facts))
        codes = descriptions or {}
        columns = {"code": pa.array(list(codes), pa.string()), "description": pa.array(codes.values(), pa.string())}
        pq.write_table(pa.table(columns), metadata / "codes.parquet")
        return self

    def split(self, subjects: int = 6, names: list[str] | None = None) -> Folder:
        (self.path / "metadata").mkdir(parents=True, exist_ok=True)
        names = names or [SPLITS[number % 3] for number in range(subjects)]
        columns = {"subject_id": [FIRST_SUBJECT + number for number in range(len(names))], "split": names}
        pq.write_table(pa.table(columns), self.path / "metadata" / "subject_splits.parquet")
        return self


@dataclass
class Built:
    """A store and its texts. texts: for each trajectory the static facts, the states and the actions."""

    store: Store
    texts: list[tuple[str, list[str], list[str]]]


def build(folder: Path, place: Path, **options: Any) -> Built:
    """The store of a data set, and all its texts."""
    source = MedsSource(MedsConfig(path=str(folder), **options))
    store = open_store(source, "meds", place)
    texts = []
    for block in store.blocks(2):
        rendered = source.render(block, store.channels, "text")
        ends = np.cumsum(block.steps).tolist()
        for number, (end, steps) in enumerate(zip(ends, block.steps.tolist(), strict=True)):
            part = slice(end - steps, end)
            texts.append((rendered.static[number], rendered.state[part], rendered.action[part]))
    return Built(store, texts)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Six subjects in one flat shard."""
    return Folder(tmp_path / "meds").write({"0.parquet": cohort()}).describe().split()


@pytest.fixture
def registry() -> Registry:
    names = ("jepa_clin", "jepa_downstream", "jepa_latent_eval", "jepa_meds", "jepa_mimic_iv", "jepa_text")
    return discover([importlib.metadata.EntryPoint(name, name, "jepa") for name in names])


@pytest.fixture
def jepa(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterable[Callable[..., tuple[int, str, str]]]:
    """Run the command in this process: exit code, stdout and stderr."""
    monkeypatch.setattr(plugin, "shared_registry", lambda: registry)
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0o077)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    os.umask(mask)


@pytest.fixture(scope="session")
def real_meds() -> Path:
    """A real MEDS data set; tests that need it are skipped where JEPA_MEDS does not name one."""
    place = os.environ.get("JEPA_MEDS")
    if not place or not (Path(place) / "data").is_dir():
        pytest.skip("JEPA_MEDS does not name the folder of the MIMIC-IV demo in MEDS form")
    return Path(place)
