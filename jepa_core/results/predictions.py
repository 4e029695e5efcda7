"""Predictions on disk, in the schema of meds-evaluation, so that anybody can recompute every figure.

A file holds subject_id (int64), prediction_time (timestamp[us]), boolean_value, predicted_boolean_value,
predicted_boolean_probability; for a value float_value and predicted_float_value in place of the last three; then
trajectory and step (int64) and whatever else the evaluator adds. The time is counted from the trajectory's own origin,
which is put at 1970-01-01: no time of a record is told.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from jepa_core.io.files import write_atomically
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
    parts = (re.sub(r"[^A-Za-z0-9_-]+", "_", part) for part in (evaluator, task, method))
    return folder / f"{'.'.join(parts)}.parquet"


def write_scores(
    path: Path, kind: str, subject: np.ndarray, trajectory: np.ndarray, step: np.ndarray, seconds: np.ndarray,
    score: np.ndarray,
) -> None:  # fmt: skip
    """Write scores (R,) of rows whose truth nobody knows yet, in the same schema without it."""
    columns = _whose(subject, seconds) | _scored(kind, score) | _places(trajectory, step)
    held = io.BytesIO()
    parquet.write_table(pa.table(columns), held, compression="zstd")
    write_atomically(path, held.getvalue())


def _table(one: Predictions) -> pa.Table:
    truth = pa.array(one.truth if one.kind == "float" else one.truth == 1)
    columns = _whose(one.subject, one.seconds) | {f"{one.kind}_value": truth} | _scored(one.kind, one.score)
    columns |= _places(one.trajectory, one.step)
    return pa.table(columns | {name: pa.array(values) for name, values in one.extra.items()})


def _whose(subject: np.ndarray, seconds: np.ndarray) -> dict[str, pa.Array]:
    time = pa.array(np.round(seconds * 1e6).astype(np.int64)).cast(pa.timestamp("us"))
    return {"subject_id": pa.array(subject, pa.int64()), "prediction_time": time}


def _scored(kind: str, score: np.ndarray) -> dict[str, pa.Array]:
    if kind == "float":
        return {"predicted_float_value": pa.array(score)}
    return {"predicted_boolean_value": pa.array(score >= DECIDED), "predicted_boolean_probability": pa.array(score)}


def _places(trajectory: np.ndarray, step: np.ndarray) -> dict[str, pa.Array]:
    return {"trajectory": pa.array(trajectory, pa.int64()), "step": pa.array(step, pa.int64())}
