"""Hand-made MIMIC-IV tables, and what the source makes of them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from jepa_core.data.trajectories import ROLES, Channel, Events, Trajectories
from jepa_mimic_iv.config import MimicIVConfig, StaySplitConfig
from jepa_mimic_iv.derived import SCORES, TREATMENTS
from jepa_mimic_iv.layout import COLUMNS
from jepa_mimic_iv.source import MimicIVSource

ADMITTED = datetime(2150, 3, 1, 10, 20)
EXTRA_COLUMNS = {"icu/chartevents": ["caregiver_id", "warning"], "hosp/labevents": ["labevent_id", "comments"]}
"""Columns that the distributed tables have and the source does not read."""

FIRST_SUBJECT = 77_000_001
"""Identifiers are distinctive, so that a test can look for them in messages."""


def at(hours: float) -> str:
    """The time that many hours after admission to intensive care."""
    return (ADMITTED + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class TableSet:
    """Rows of every table. Stay n is of subject FIRST_SUBJECT + n, admission and stay likewise."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {table: [] for table in COLUMNS})

    def add(self, table: str, **values: Any) -> dict[str, Any]:
        self.rows[table].append(values)
        return values

    def stay(self, number: int, hours: float = 30.0, age: int = 60, **changes: Any) -> None:
        subject = changes.get("subject", FIRST_SUBJECT + number)
        if not any(row["subject_id"] == subject for row in self.rows["hosp/patients"]):
            self.add(
                "hosp/patients", subject_id=subject, gender=changes.get("gender", "F"), anchor_age=age,
                anchor_year=2150, dod=changes.get("dod"),
            )  # fmt: skip
        admission = changes.get("admission", 88_000_000 + number)
        if not any(row["hadm_id"] == admission for row in self.rows["hosp/admissions"]):
            self.add(
                "hosp/admissions", subject_id=subject, hadm_id=admission, race=changes.get("race", "WHITE"),
                hospital_expire_flag=changes.get("died", number % 2), admittime=at(-5), dischtime=at(hours + 50),
                deathtime=changes.get("deathtime"),
            )  # fmt: skip
        begins = changes.get("begins", 0.0)
        self.add(
            "icu/icustays", subject_id=subject, hadm_id=admission, stay_id=99_000_000 + number,
            intime=at(begins), outtime=at(begins + hours),
        )  # fmt: skip

    def chart(
        self, number: int, hour: float, item: int, value: Any, text: str | None = None, **more: Any
    ) -> dict[str, Any]:
        return self.add(
            "icu/chartevents", stay_id=99_000_000 + number, charttime=at(hour), itemid=item,
            valuenum=value, value=text if text is not None else value, **more,
        )  # fmt: skip

    def lab(self, number: int, hour: float, item: int, valuenum: Any, **more: Any) -> dict[str, Any]:
        return self.add(
            "hosp/labevents",
            **{
                "subject_id": FIRST_SUBJECT + number, "hadm_id": 88_000_000 + number,
                "specimen_id": int(hour * 1000) + number, "itemid": item,
                "charttime": at(hour), "storetime": at(more.pop("stored", hour)), "valuenum": valuenum,
                "value": valuenum, **more,
            },
        )  # fmt: skip

    def pump(self, number: int, start: float, stop: float, item: int, **more: Any) -> None:
        self.add(
            "icu/inputevents",
            **{
                "stay_id": 99_000_000 + number, "starttime": at(start), "endtime": at(stop), "itemid": item,
                "ordercategorydescription": "Continuous Med", "statusdescription": "FinishedRunning",
                "patientweight": 80, **more,
            },
        )  # fmt: skip

    def procedure(self, number: int, start: float, stop: float, item: int, **more: Any) -> None:
        self.add(
            "icu/procedureevents",
            **{
                "stay_id": 99_000_000 + number, "starttime": at(start), "endtime": at(stop), "itemid": item,
                "value": 60 * (stop - start), "ordercategorydescription": "ContinuousProcess",
                "statusdescription": "FinishedRunning", **more,
            },
        )  # fmt: skip

    def urine(self, number: int, hour: float, value: float, item: int = 226559) -> None:
        self.add(
            "icu/outputevents", stay_id=99_000_000 + number, charttime=at(hour), itemid=item, value=value
        )  # fmt: skip

    def diagnosis(self, number: int, code: str, version: int = 10, **more: Any) -> None:
        self.add(
            "hosp/diagnoses_icd", **{"hadm_id": 88_000_000 + number, "icd_code": code, "icd_version": version, **more}
        )

    def culture(self, number: int, hour: float, **more: Any) -> None:
        self.add(
            "hosp/microbiologyevents",
            **{
                "subject_id": FIRST_SUBJECT + number, "micro_specimen_id": len(self.rows["hosp/microbiologyevents"]),
                "chartdate": at(hour)[:10] + " 00:00:00", "charttime": at(hour), **more,
            },
        )  # fmt: skip

    def order(self, number: int, hour: float, drug: str, **more: Any) -> None:
        self.add(
            "hosp/prescriptions",
            **{
                "hadm_id": 88_000_000 + number,
                "starttime": at(hour),
                "stoptime": at(hour + more.pop("lasts", 24)),
                "drug_type": "MAIN",
                "drug": drug,
                **more,
            },
        )

    def given(self, number: int, hour: float, drug: str | None, event: str = "Administered", **more: Any) -> None:
        self.add(
            "hosp/emar",
            **{
                "subject_id": FIRST_SUBJECT + number, "hadm_id": 88_000_000 + number, "charttime": at(hour),
                "medication": drug, "event_txt": event, **more,
            },
        )  # fmt: skip

    def write(self, folder: Path, suffix: str = ".csv") -> Path:
        for table, rows in self.rows.items():
            path = folder / f"{table}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = [*EXTRA_COLUMNS.get(table, []), *COLUMNS[table]]
            if suffix == ".parquet":
                _write_parquet(path, table, columns, rows)
                continue
            with gzip.open(path, "wt") if suffix == ".csv.gz" else path.open("w") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        return folder


def _write_parquet(path: Path, table: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
    kinds = {
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
        "TIMESTAMP": pa.string(),
        "DATE": pa.string(),
    }
    arrays = {}
    for column in columns:
        kind = kinds[COLUMNS[table].get(column, "VARCHAR")]
        cells = [row.get(column) for row in rows]
        arrays[column] = pa.array(
            [None if cell is None else str(cell) if kind == pa.string() else cell for cell in cells], kind
        )
        if COLUMNS[table].get(column) == "TIMESTAMP":
            arrays[column] = arrays[column].cast(pa.timestamp("us"))
        if COLUMNS[table].get(column) == "DATE":
            arrays[column] = arrays[column].cast(pa.date32())
    pa.parquet.write_table(pa.table(arrays), path)


@dataclass
class Kept:
    """Stands in for a store writer, and keeps what it is given."""

    blocks: list[Trajectories] = field(default_factory=list)
    declared: list[Channel] = field(default_factory=list)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def channels(self, channels: list[Channel]) -> None:
        self.declared = channels

    def append(self, trajectories: Trajectories) -> None:
        self.blocks.append(trajectories)

    def record(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.records[name] = rows


@dataclass
class Built:
    """What came of the tables. texts: by stay number, the static text, the state texts and the action texts; plain: the
    same without what is derived."""

    source: MimicIVSource
    kept: Kept
    texts: Texts
    plain: Texts

    def state(self, number: int, hour: int) -> str:
        return self.plain[number][1][hour].split(" | ")[1]

    def action(self, number: int, hour: int) -> str:
        return self.plain[number][2][hour].split(" | ")[1]

    def values(self, number: int, channel: str) -> dict[int, list[Any]]:
        """What a stay shows of a channel, by hour: numbers to four decimals, or words."""
        found: dict[int, list[Any]] = {}
        for block, place, first in self._places(number):
            wanted = [one.name for one in self.kept.declared].index(channel)
            for events in (block.state, block.action):
                step = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
                mine = (events.channel == wanted) & (step >= first) & (step < first + block.steps[place])
                for one in np.flatnonzero(mine):
                    text = events.text[one]
                    value = round(float(events.value[one]), 4) if text < 0 else str(block.texts[text])
                    found.setdefault(int(step[one] - first), []).append(value)
        return found

    def label(self, number: int, name: str) -> list[float]:
        """A label of the hours of a stay, to four decimals."""
        for block, place, first in self._places(number):
            return [round(float(one), 4) for one in block.labels[name][first : first + int(block.steps[place])]]
        raise KeyError(number)

    def outcome(self, number: int, name: str) -> float:
        for block, place, _ in self._places(number):
            return float(block.outcomes[name][place])
        raise KeyError(number)

    def before(self, number: int, cutoff: int) -> list[tuple[Any, ...]]:
        """Every event of a stay's static facts and of its hours before the cutoff, as the store has it."""
        names = [one.name for one in self.kept.declared]
        found: list[tuple[Any, ...]] = []
        for block, place, first in self._places(number):
            for role, low, high in (("static", place, place + 1), *((one, first, first + cutoff) for one in ROLES[1:])):
                events = block.events(role)
                for one in range(int(events.offsets[low]), int(events.offsets[high])):
                    text = str(block.texts[events.text[one]]) if events.text[one] >= 0 else ""
                    what = (names[events.channel[one]], str(events.value[one]), text, str(events.time[one]))
                    found.append((role, *what))
        return found

    def grid(self, number: int, role: str) -> np.ndarray:
        """The rows of a stay in the modality `channels`."""
        for block, place, first in self._places(number):
            rows = slice(place, place + 1) if role == "static" else slice(first, first + int(block.steps[place]))
            return np.asarray(getattr(self.source.render(block, self.kept.declared, "channels"), role))[rows, :, 0]
        raise KeyError(number)

    def _places(self, number: int) -> Iterator[tuple[Trajectories, int, int]]:
        for block in self.kept.blocks:
            for place in np.flatnonzero(block.identifier == 99_000_000 + number):
                yield block, int(place), int(block.steps[:place].sum())


Texts = dict[int, tuple[str, list[str], list[str]]]


def texts_of(source: MimicIVSource, blocks: list[Trajectories], channels: list[Channel]) -> Texts:
    """The texts of every stay, by its number."""
    texts = {}
    for block in blocks:
        rendered = source.render(block, channels, "text")
        for place, end in enumerate(block.steps.cumsum().tolist()):
            part = slice(end - int(block.steps[place]), end)
            number = int(block.identifier[place]) - 99_000_000
            texts[number] = (rendered.static[place], rendered.state[part], rendered.action[part])
    return texts


def without_derived(block: Trajectories, channels: list[Channel]) -> Trajectories:
    """The trajectories without the events of derived channels, so that tests of readings need not repeat the scores."""
    names = {variable.channel for variable in SCORES + TREATMENTS}
    derived = np.array([channel.name in names or channel.group == "procedureevents" for channel in channels])

    def kept(events: Events) -> Events:
        stays = ~derived[events.channel]
        step = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))[stays]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(step, minlength=len(events.offsets) - 1))])
        columns = (getattr(events, name)[stays] for name in ("channel", "value", "text", "time"))
        return Events(offsets, *columns)

    return replace(block, state=kept(block.state), action=kept(block.action))


@pytest.fixture
def build(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make trajectories and texts of a table set."""

    def run(tables: TableSet, **options: Any) -> Built:
        folder = tables.write(tmp_path_factory.mktemp("tables"))
        options.setdefault("split", StaySplitConfig(fractions=(0.34, 0.33, 0.33)))
        source = MimicIVSource(MimicIVConfig(tables=str(folder), threads=1, **options))
        kept = Kept()
        source.build(kept, tmp_path_factory.mktemp("scratch"))
        plain = [without_derived(block, kept.declared) for block in kept.blocks]
        shown, readings = (texts_of(source, blocks, kept.declared) for blocks in (kept.blocks, plain))
        return Built(source, kept, shown, readings)

    return run


@pytest.fixture
def three_stays() -> TableSet:
    """Three adults with a heart rate in hour 0: the smallest cohort that can be split."""
    tables = TableSet()
    for number in range(3):
        tables.stay(number)
        tables.chart(number, 0.1, 220045, 80 + number)
    for item, label in (
        (221906, "Norepinephrine"),
        (225158, "NaCl 0.9%"),
        (225943, "Solution"),
        (221794, "Furosemide (Lasix)"),
    ):
        tables.add("icu/d_items", itemid=item, label=label)
    tables.add("icu/d_items", itemid=225166, label="Potassium Chloride")
    return tables


@pytest.fixture
def adults(three_stays: TableSet) -> Any:
    """Makes a table set with at least so many adults as the three, so that one build serves a case for each."""

    def make(count: int) -> TableSet:
        for number in range(3, count):
            three_stays.stay(number)
            three_stays.chart(number, 0.1, 220045, 80)
        return three_stays

    return make


@pytest.fixture
def clock() -> Any:
    """The function that gives the time so many hours after admission."""
    return at
