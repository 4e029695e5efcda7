"""The MIMIC-IV demo in MEDS form, with the recipe that is shipped for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest

from jepa_core.data.preparation import Prepared, prepare_data
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe


@pytest.fixture(scope="module")
def prepared(real_meds: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Registry], Prepared]:
    folder = tmp_path_factory.mktemp("stores")

    def make(registry: Registry) -> Prepared:
        recipe = load_recipe("clin_jepa_meds", [], registry, {"MEDS": str(real_meds)})
        return prepare_data(recipe, folder)

    return make


def test_every_stay_is_a_trajectory_and_every_shown_event_within_it_is_in_the_store(
    prepared: Callable[[Registry], Prepared], registry: Registry, real_meds: Path
) -> None:
    store = prepared(registry).store
    rows = ds.dataset(real_meds / "data", format="parquet").to_table(columns=["subject_id", "time", "code"]).to_pylist()
    starts = [row for row in rows if row["code"].startswith("ICU_ADMISSION")]
    assert len(store) == len(starts) == 140
    assert len(set(store.subject.tolist())) == len({row["subject_id"] for row in starts}) == 100
    assert [int((store.split == number).sum()) for number in range(3)] == [113, 15, 12]

    stays = {}
    for row in rows:
        if re.match("ICU_(ADMISSION|DISCHARGE)", row["code"]):
            stays.setdefault(row["subject_id"], []).append(row["time"])
    dated = "Blood|BMI|Height|Weight"
    hidden = rf"MEDS_|DIAGNOSIS|DRG|HCPCS|PROCEDURE//ICD|(HOSPITAL|ICU)_DISCHARGE|TRANSFER_TO//discharge|{dated}"
    expected = 0
    for row in rows:
        times = stays[row["subject_id"]]
        spans = zip(times[::2], times[1::2], strict=True)
        if row["time"] is not None and not re.match(hidden, row["code"]):
            expected += any(
                start <= row["time"] < end and (row["time"] - start).total_seconds() < 336 * 3600
                for start, end in spans
            )
    assert store.event_count("state") + store.event_count("action") == expected


def test_an_hour_reads_as_an_hour(prepared: Callable[[Registry], Prepared], registry: Registry) -> None:
    dataset = prepared(registry).dataset()
    texts = [dataset.rendering.take(dataset.rendering.state[[number]])[0] for number in range(200)]
    assert texts[0].startswith("t=0h | ") and any("LAB//220045//bpm: " in text for text in texts)
    static = dataset.rendering.take(dataset.rendering.static)
    assert all(re.fullmatch(r"Age: \d+ years\. GENDER//[FM]\.", text) for text in static)
    every = "\n".join(dataset.rendering.take(np.arange(dataset.rendering.count)))
    assert not re.search("MEDS_DEATH|DIAGNOSIS//|DRG//|DISCHARGE", every)
