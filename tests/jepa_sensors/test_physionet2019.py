"""The recipe of PhysioNet 2019 on made-up files in its layout: a file a patient, a row an hour, two hospitals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.preparation import open_store
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run

VITALS = ["HR", "O2Sat", "Temp", "SBP", "MAP", "DBP", "Resp", "EtCO2"]
LABS = [
    "BaseExcess", "HCO3", "FiO2", "pH", "PaCO2", "SaO2", "AST", "BUN", "Alkalinephos", "Calcium", "Chloride",
    "Creatinine", "Bilirubin_direct", "Glucose", "Lactate", "Magnesium", "Phosphate", "Potassium", "Bilirubin_total",
    "TroponinI", "Hct", "Hgb", "PTT", "WBC", "Fibrinogen", "Platelets",
]  # fmt: skip
ABOUT = ["Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS", "SepsisLabel"]
COLUMNS = [*VITALS, *LABS, *ABOUT]
PATIENTS = 30
TINY = [
    "encoder.width=16", "encoder.feedforward=16", "encoder.latent_size=16", "predictor.width=16",
    "predictor.feedforward=16", "evaluators.sepsis.baselines=[linear]", "evaluators.sepsis.bootstrap=100",
    "evaluators.sepsis.methods=[latents, untrained_latents, train_mean]", "evaluators.sepsis.heads={rounds: 5}",
    "runtime.threads=1", "evaluators.rollout_drift=null", "evaluators.latent_collapse=null",
    *(f"curriculum.{phase}.steps=2" for phase in ("predictor_warmup", "joint_refinement", "ema_alignment")),
    "curriculum.predictor_finalization.steps=2",
]  # fmt: skip


def write_patient(path: Path, rng: np.random.Generator, number: int, first_hour: int, without: str) -> None:
    """A heart that beats faster in the hours before sepsis; every other value now and then, `without` never."""
    hours, septic, unit = int(rng.integers(12, 30)), number % 3 == 0, ("NaN", "0", "1")[number % 4 % 3]
    label = np.arange(hours) >= hours - 8 if septic else np.zeros(hours, dtype=bool)
    fever = np.convolve(label, np.ones(4))[3:] > 0
    lines = ["|".join(COLUMNS)]
    for hour in range(hours):
        cells = {name: f"{rng.normal(20, 3):.2f}" if rng.random() < 0.3 else "NaN" for name in VITALS + LABS}
        cells |= {
            "HR": f"{rng.normal(80 + 30 * fever[hour], 5):.0f}",
            without: "NaN",
            "Age": f"{40 + number}.5",
            "Gender": str(number % 2),
        }
        cells |= {
            "Unit1": unit,
            "Unit2": {"0": "1", "1": "0"}.get(unit, unit),
            "HospAdmTime": f"{-number}.56",
            "ICULOS": str(first_hour + hour),
        }
        lines.append("|".join({**cells, "SepsisLabel": str(int(label[hour]))}[name] for name in COLUMNS))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hospitals; in the first no EtCO2 is measured, and its second patient comes into view in the seventh hour."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for hospital, first in (("A", 1), ("B", 100_001)):
        (folder / f"training_set{hospital}").mkdir()
        for number in range(PATIENTS):
            path = folder / f"training_set{hospital}" / f"p{first + number:06}.psv"
            without = "EtCO2" if hospital == "A" else "Bilirubin_direct"
            write_patient(path, rng, number, 7 if number == 1 else 1, without)
    return folder


@pytest.fixture
def registry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("PHYSIONET2019", str(folder))
    return discover()


def test_one_hospital_is_learned_from_and_the_other_is_held_out(registry: Registry, tmp_path: Path) -> None:
    source = load_recipe("physionet2019", [], registry).source.build()
    store = open_store(source, "table", tmp_path)
    assert np.bincount(store.split).tolist() == [26, 4, PATIENTS]
    assert len(np.unique(store.subject)) == 2 * PATIENTS and set(store.split[PATIENTS:].tolist()) == {2}


def test_the_label_and_the_hour_count_are_no_channel_and_the_first_row_is_the_first_step(
    registry: Registry, folder: Path, tmp_path: Path
) -> None:
    store = open_store(load_recipe("physionet2019", [], registry).source.build(), "table", tmp_path)
    names = {channel.name for channel in store.channels}
    assert names == set(COLUMNS) - {"SepsisLabel", "ICULOS", "EtCO2"}
    late = folder / "training_setA" / "p000002.psv"
    rows = [line.split("|") for line in late.read_text().splitlines()[1:]]
    label = store.label("sepsis")[store.first_step[1] : store.first_step[1] + store.steps[1]]
    assert rows[0][COLUMNS.index("ICULOS")] == "7" and store.steps[1] == len(rows)
    assert label.tolist() == [float(row[-1]) for row in rows]


def test_one_hospital_alone_is_divided_by_patient(registry: Registry, tmp_path: Path) -> None:
    alone = ["source.split={held_out: [], fractions: [0.70, 0.15, 0.15]}"]
    store = open_store(load_recipe("physionet2019", alone, registry).source.build(), "table", tmp_path)
    assert np.bincount(store.split).sum() == PATIENTS and (np.bincount(store.split) > 0).all()


def test_a_tiny_run_measures_utility_in_the_other_hospital_and_names_no_patient(
    registry: Registry, tmp_path: Path
) -> None:
    run = Run.create(tmp_path / "run", load_recipe("physionet2019", TINY, registry), registry, "")
    execute(run)
    found = json.loads((run.findings / "sepsis.json").read_text())
    table = next(table for table in found["tables"] if table["name"] == "utility")
    names = [column["name"] for column in table["columns"]]
    by_method = {row[1]: dict(zip(names, row, strict=True)) for row in table["rows"]}
    logistic = by_method["logistic / ridge"]
    assert 0 < logistic["utility_low"] < logistic["utility"] <= logistic["utility_high"] <= 1
    assert by_method.keys() == {"latents", "untrained latents", "train mean", "logistic / ridge"}
    texts = [path for path in run.folder.rglob("*") if path.suffix in (".json", ".jsonl", ".html", ".csv", ".yaml")]
    named = re.compile(r"p[01]0\d{4}")
    assert len(texts) > 5 and not [path.name for path in texts if named.search(path.read_text())]
