"""Our predictions through the evaluator of meds-evaluation itself.

It needs Python 3.12: set MEDS_EVALUATION_PYTHON to one that has it, or have it beside this one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sklearn.metrics import average_precision_score, roc_auc_score

from jepa_core.results.findings import Predictions
from jepa_core.results.predictions import MEDS, predictions_path, write_predictions

SCRIPT = """
import json, sys
import polars as pl
from meds_evaluation.evaluate import evaluate_binary_classification
found = evaluate_binary_classification(pl.read_parquet(sys.argv[1]))["samples_equally_weighted"]
print(json.dumps({name: value for name, value in found.items() if isinstance(value, float)}))
"""


@pytest.fixture
def predictions() -> Predictions:
    random = np.random.default_rng(0)
    rows = 60
    truth = (random.random(rows) < 0.4).astype(float)
    return Predictions(
        "task", "method", "boolean",
        subject=np.repeat(np.arange(20), 3), seconds=np.tile([3600.0, 7200.0, 10800.0], 20),
        trajectory=np.repeat(np.arange(20), 3), step=np.tile([0, 1, 2], 20),
        truth=truth, score=np.clip(0.3 * truth + 0.7 * random.random(rows), 0, 1),
    )  # fmt: skip


def test_the_file_for_meds_evaluation_has_its_columns_and_types_alone(predictions: Predictions, tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions", "tasks", [predictions])
    schema = parquet.read_schema(predictions_path(tmp_path / "predictions" / MEDS, "tasks", "task", "method"))
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "subject_id": "int64", "prediction_time": "timestamp[us]", "boolean_value": "bool",
        "predicted_boolean_value": "bool", "predicted_boolean_probability": "float",
    }  # fmt: skip


def test_what_is_measured_anew_leaves_no_file_of_before(predictions: Predictions, tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions", "tasks", [predictions])
    write_predictions(tmp_path / "predictions", "tasks", [])
    assert not list((tmp_path / "predictions").rglob("*.parquet"))


def test_the_evaluator_takes_the_file_as_it_is_and_has_our_figures(predictions: Predictions, tmp_path: Path) -> None:
    here = sys.executable if importlib.util.find_spec("meds_evaluation") else None
    python = os.environ.get("MEDS_EVALUATION_PYTHON", here)
    if python is None:
        pytest.skip("meds-evaluation is not installed; it needs Python 3.12 (MEDS_EVALUATION_PYTHON)")
    write_predictions(tmp_path / "predictions", "tasks", [predictions])
    file = predictions_path(tmp_path / "predictions" / MEDS, "tasks", "task", "method")
    done = subprocess.run([python, "-c", SCRIPT, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    score = predictions.score.astype(np.float32)
    assert found["roc_auc_score"] == pytest.approx(roc_auc_score(predictions.truth, score))
    assert found["average_precision_score"] == pytest.approx(average_precision_score(predictions.truth, score))
