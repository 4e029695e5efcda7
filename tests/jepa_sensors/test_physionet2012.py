"""The recipe of PhysioNet 2012, whole and on a few of its stays."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.plugin import discover
from jepa_core.recipe import load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run

TINY = [
    "encoder.width=16", "encoder.feedforward=16", "encoder.latent_size=16", "predictor.width=16",
    "predictor.feedforward=16", "evaluators.mortality.baselines=[linear]", "evaluators.mortality.bootstrap=100",
    "runtime.threads=1", "evaluators.rollout_drift=null",
    *(f"curriculum.{phase}.steps=2" for phase in ("predictor_warmup", "joint_refinement", "ema_alignment")),
    "curriculum.predictor_finalization.steps=2",
]  # fmt: skip
FEW = 150


@pytest.fixture
def few(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first stays in a folder of their own, which the environment names; their ids."""
    whole, folder = real_data / "physionet2012", tmp_path / "few"
    folder.mkdir()
    outcomes = pv.read_csv(whole / "outcomes-a.csv").slice(0, FEW)
    readings = pq.read_table(whole / "set-a.parquet")
    pv.write_csv(outcomes, folder / "outcomes-a.csv")
    kept = readings.filter(pc.is_in(readings["record_id"].cast("int64"), outcomes["RecordID"]))
    pq.write_table(kept, folder / "set-a.parquet")
    monkeypatch.setenv("PHYSIONET2012", str(folder))
    return outcomes["RecordID"].to_pylist()


def test_the_recipe_is_valid_where_the_data_are_not() -> None:
    recipe = load_recipe("physionet2012", [], discover())
    shape = recipe.item_shape()
    assert (shape.channels, shape.samples) == (36 + 36 + 3 + 4 + 1, 1)


def test_every_stay_has_48_hours_and_the_splits_are_2800_600_600(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSIONET2012", str(real_data / "physionet2012"))
    source = load_recipe("physionet2012", [], discover()).source.build()
    store = open_store(source, "table", tmp_path)
    assert np.bincount(store.split).tolist() == [2800, 600, 600] and set(store.steps.tolist()) == {48}
    assert store.outcome("in_hospital_death").sum() == 554
    assert store.event_count("static") == 4 * 4000 - 1894 - 3


def test_a_tiny_run_ends_in_findings_and_names_no_stay(few: list[int], tmp_path: Path) -> None:
    registry = discover()
    run = Run.create(tmp_path / "run", load_recipe("physionet2012", TINY, registry), registry, "")
    execute(run)
    found = json.loads((run.findings / "mortality.json").read_text())
    scores = next(table for table in found["tables"] if table["name"] == "scores")
    names = [column["name"] for column in scores["columns"]]
    made = {row[names.index("method")]: row[names.index("auroc")] for row in scores["rows"]}
    assert {"latents", "decoded latents", "latents and rollout", "logistic / ridge"} <= made.keys()
    assert all(0 <= value <= 1 for value in made.values())
    texts = [path for path in run.folder.rglob("*") if path.suffix in (".json", ".jsonl", ".html", ".csv", ".yaml")]
    named = re.compile(rf"(?<![\d.])({'|'.join(map(str, few))})(?![\d.])")
    assert len(texts) > 5 and not [path.name for path in texts if named.search(path.read_text())]
