"""The sample data sets of meds-testing-helpers, as that package writes them, with their task labels.

It needs Python 3.12: set MEDS_TESTING_HELPERS_PYTHON to one that has it, or have it beside this one.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource

SCRIPT = """
import sys
from pathlib import Path
from meds_testing_helpers.dataset import MEDSDataset
from meds_testing_helpers.static_sample_data import SIMPLE_STATIC_SHARDED_BY_SPLIT_WITH_TASKS as told
MEDSDataset.from_yaml(told).write(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = sys.executable if importlib.util.find_spec("meds_testing_helpers") else None
    python = os.environ.get("MEDS_TESTING_HELPERS_PYTHON", here)
    if python is None:
        pytest.skip("meds-testing-helpers is not installed; it needs Python 3.12 (MEDS_TESTING_HELPERS_PYTHON)")
    folder = tmp_path_factory.mktemp("sample") / "data_set"
    done = subprocess.run([python, "-c", SCRIPT, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def store(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    (labels,) = (path for path in (sample / "task_labels").iterdir() if path.is_dir())
    config = MedsConfig.model_validate({"path": str(sample), "step_hours": 0.5, "labels": {"task": str(labels)}})
    return open_store(MedsSource(config), "meds", tmp_path_factory.mktemp("stores"))


def rows(folder: Path) -> list[dict]:
    return ds.dataset(folder, format="parquet").to_table().to_pylist()


def test_every_subject_and_event_is_in_the_store_and_in_the_split_of_the_data_set(sample: Path, store: Store) -> None:
    events = rows(sample / "data")
    splits = {row["subject_id"]: row["split"] for row in rows(sample / "metadata" / "subject_splits.parquet")}
    assert set(store.subject.tolist()) == {row["subject_id"] for row in events} == set(splits)
    told = [("train", "tuning", "held_out")[split] for split in store.split]
    assert told == [splits[subject] for subject in store.subject.tolist()]
    shown = [row for row in events if row["time"] is not None and not row["code"].startswith("MEDS_")]
    assert store.event_count("state") == len(shown) > 20


def test_every_label_has_a_step_and_its_value(sample: Path, store: Store) -> None:
    labels = rows(sample / "task_labels")
    (told,) = store.record("labels")
    kept, lost = told["rows with a step"], told.get("rows of 0 without", 0) + told.get("rows of 1 without", 0)
    assert told["rows"] == kept + lost == len(labels)
    placed = store.label("task")
    assert 0 < np.nansum(placed) < (~np.isnan(placed)).sum() == told["labelled steps"]
