"""One cohort from its tables and from its MEDS form: the same stays, hours, times and values, where both have them."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource

EVERY = {"min_age": 0, "min_hours": 0.001, "first_icu_stay": False, "max_steps": 2000, "split": None}
EPISODES = {"start": "ICU_ADMISSION//.*", "end": "ICU_DISCHARGE//.*"}
Place = tuple[int, int]
"""Subject, and which of their stays, in order of time."""

SAME = {
    "vitalsign/heart_rate": "LAB//220045//bpm",
    "vitalsign/spo2": "LAB//220277//%",
    "chemistry/creatinine": "LAB//50912//mg/dL",
    "chemistry/sodium": "LAB//50983//mEq/L",
    "chemistry/potassium": "LAB//50971//mEq/L",
    "chemistry/albumin": "LAB//50862//g/dL",
    "complete_blood_count/wbc": "LAB//51301//K/uL",
    "complete_blood_count/platelet": "LAB//51265//K/uL",
    "coagulation/inr": "LAB//51237//UNK",
    "enzyme/ast": "LAB//50878//IU/L",
    "bg/lactate": "LAB//50813//mmol/L",
}
"""Channels that one item alone makes, with the code of that item."""


class Cohort:
    """A store, and which stay each trajectory is."""

    def __init__(self, store: Store, order: list[object]) -> None:
        """order: of each trajectory, what stays of a subject are in order of."""
        self._names = [channel.name for channel in store.channels]
        (self._all,) = store.blocks(10_000)
        self._stay: dict[int, Place] = {}
        turns: Counter[int] = Counter()
        for trajectory in sorted(range(len(store)), key=lambda number: (int(store.subject[number]), order[number])):
            subject = int(store.subject[trajectory])
            self._stay[trajectory] = (subject, turns[subject])
            turns[subject] += 1

    @property
    def steps(self) -> dict[Place, int]:
        return {place: int(self._all.steps[trajectory]) for trajectory, place in self._stay.items()}

    def events(self, name: str) -> Counter[tuple[Place, int, float, float]]:
        """How often each stay, step, time and value occurs of a channel. Events without a value are left out, as are
        those of 0, which no bound of the tables' source lets pass."""
        events, owner = (
            self._all.state,
            np.repeat(np.arange(int(self._all.steps.sum())), np.diff(self._all.state.offsets)),
        )
        trajectory, step = np.repeat(np.arange(len(self._all.steps)), self._all.steps), self._all.step_numbers()
        chosen = np.flatnonzero((events.channel == self._names.index(name)) & (events.value > 0))
        return Counter(
            (
                self._stay[int(trajectory[owner[at]])],
                int(step[owner[at]]),
                float(events.time[at]),
                float(events.value[at]),
            )
            for at in chosen
        )


@pytest.fixture(scope="module")
def tables(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = real_data / "mimic-iv-demo"
    config = MimicIVConfig.model_validate({"tables": str(folder), "lab_visibility": "charted", **EVERY})
    store = open_store(MimicIVSource(config), "mimic_iv", tmp_path_factory.mktemp("tables"))
    with gzip.open(folder / "icu" / "icustays.csv.gz", "rt") as file:
        begins = {int(row["stay_id"]): row["intime"] for row in csv.DictReader(file)}
    return Cohort(store, [begins[int(stay)] for stay in store.identifier])


@pytest.fixture(scope="module")
def meds(real_meds: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    keys = {"path": str(real_meds), "trajectory": EPISODES, "max_steps": 2000, "names": "code"}
    config = MedsConfig.model_validate(keys | {"exclude": ["DIAGNOSIS//.*"]})
    store = open_store(MedsSource(config), "meds", tmp_path_factory.mktemp("meds"))
    return Cohort(store, list(range(len(store))))


def test_both_have_the_same_stays_of_the_same_length(tables: Cohort, meds: Cohort) -> None:
    assert tables.steps == meds.steps and len(tables.steps) == 140


@pytest.mark.parametrize("channel", SAME)
def test_both_have_the_same_values_at_the_same_times(tables: Cohort, meds: Cohort, channel: str) -> None:
    of_tables = tables.events(channel)
    assert of_tables.total() > 100 and of_tables == meds.events(SAME[channel])


def test_a_channel_of_several_items_is_their_mean_in_the_tables_and_two_codes_in_meds(
    tables: Cohort, meds: Cohort
) -> None:
    breaths = tables.events("vitalsign/resp_rate")
    assert breaths != meds.events("LAB//220210//insp/min")
    assert {(place, step) for place, step, _, _ in meds.events("LAB//220210//insp/min")} <= {
        (place, step) for place, step, _, _ in breaths
    }
