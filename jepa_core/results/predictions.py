"""Predictions on disk, in the schema of meds-evaluation, so that anybody can recompute every figure.

A file holds subject_id (int64), prediction_time (timestamp[us]), boolean_value, predicted_boolean_value,
predicted_boolean_probability; for a value float_value and predicted_float_value in place of the last three; then
trajectory and step (int64) and whatever else the evaluator adds. The time is counted from the trajectory's own origin,
which is put at 1970-01-01: no time of a record is told.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from jepa_core.io.files import plain_name, write_atomically
from jepa_core.results.findings import Predictions

DECIDED = 0.5
"""Probability from which `predicted_boolean_value` is true."""


def write_predictions(folder: Path, evaluator: str, predictions: Sequence[Predictions]) -> None:
    """Write each as FOLDER/<evaluator>.<task>.<method>.parquet, in place of all that the evaluator wrote before;
    readable by its owner alone, as it names subjects."""
    for old in folder.glob(f"{evaluator}.*.parquet"):
        old.unlink()
    if predictions:
        folder.mkdir(exist_ok=True, mode=0o700)
    for one in predictions:
        held = io.BytesIO()
        parquet.write_table(_table(one), held, compression="zstd")
        write_atomically(predictions_path(folder, evaluator, one.task, one.method), held.getvalue())


def predictions_path(folder: Path, evaluator: str, task: str, method: str) -> Path:
    """Where those of a method on a task lie."""
    return folder / f"{'.'.join(map(plain_name, (evaluator, task, method)))}.parquet"


def _table(one: Predictions) -> pa.Table:
    time = pa.array(np.round(one.seconds * 1e6).astype(np.int64)).cast(pa.timestamp("us"))
    columns = {"subject_id": pa.array(one.subject, pa.int64()), "prediction_time": time, **_said(one)}
    columns |= {name: pa.array(getattr(one, name), pa.int64()) for name in ("trajectory", "step")}
    return pa.table(columns | {name: pa.array(values) for name, values in one.extra.items()})


def _said(one: Predictions) -> dict[str, pa.Array]:
    if one.kind == "float":
        return {"float_value": pa.array(one.truth), "predicted_float_value": pa.array(one.score)}
    return {
        "boolean_value": pa.array(one.truth == 1),
        "predicted_boolean_value": pa.array(one.score >= DECIDED),
        "predicted_boolean_probability": pa.array(one.score),
    }
