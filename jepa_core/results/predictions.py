"""Predictions on disk, in the schema of meds-evaluation, so that anybody can recompute every figure.

A file holds subject_id (int64), prediction_time (timestamp[us]), boolean_value, predicted_boolean_value,
predicted_boolean_probability; for a value float_value and predicted_float_value in place of the last three; then
trajectory and step (int64) and whatever else the evaluator adds. The time is counted from the trajectory's own origin,
which is put at 1970-01-01: no time of a record is told.

A method that was fitted anew for each of several drawings of who has labels says `labelling` (int64), and has every row
once a labelling: what is measured of it is the mean over labellings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from jepa_core.errors import DataError, RunError
from jepa_core.io.files import write_atomically
from jepa_core.results.findings import Predictions

KINDS: dict[Literal["boolean", "float"], tuple[str, str]] = {
    "boolean": ("boolean_value", "predicted_boolean_probability"),
    "float": ("float_value", "predicted_float_value"),
}
"""Columns of truth and score."""
ROW = ("labelling", "subject_id", "trajectory", "step")
"""Columns that name a row of a file; labelling is 0 where there is but one."""
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


@dataclass(frozen=True)
class Predicted:
    """What a method said, as it is on disk, in one order of the rows: subject, trajectory, step, labelling (R,) int64;
    truth (R,), bool or float64; score (R,) float64."""

    kind: Literal["boolean", "float"]
    labelling: np.ndarray
    subject: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    truth: np.ndarray
    score: np.ndarray

    @property
    def rows(self) -> tuple[np.ndarray, ...]:
        """The columns that predictions of the same rows have in common."""
        return self.labelling, self.subject, self.trajectory, self.step, self.truth

    def of_same_rows(self, other: Predicted) -> bool:
        """Whether another method or run was asked about the same rows, which have the same truths."""
        return self.kind == other.kind and all(map(np.array_equal, self.rows, other.rows))


def read_predictions(paths: Sequence[Path]) -> Predicted:
    """The predictions in a file, or in those of runs that each held out another part of the subjects.

    Raises RunError if a file holds no predictions, DataError if two of them hold the same subject.
    """
    found = [_read(path) for path in paths]
    kind = found[0][0]
    if any(other != kind for other, _ in found):
        raise RunError(f"{paths[0].name} predicts what is true in one run and a value in another")
    subjects = [np.unique(columns["subject_id"]) for _, columns in found]
    if len(np.unique(np.concatenate(subjects))) < sum(map(len, subjects)):
        raise DataError(
            f"{paths[0].name}: a subject is held out by more than one run, so these are no folds of a split"
        )
    columns = {name: np.concatenate([part[name] for _, part in found]) for name in found[0][1]}
    order = np.lexsort([columns[name] for name in reversed(ROW)])
    return Predicted(kind, *(columns[name][order] for name in (*ROW, *KINDS[kind])))


def _read(path: Path) -> tuple[Literal["boolean", "float"], dict[str, np.ndarray]]:
    try:
        table = parquet.read_table(path)
        kind = next(kind for kind, columns in KINDS.items() if set(columns) <= set(table.column_names))
        names = [name for name in (*ROW, *KINDS[kind]) if name != "labelling" or name in table.column_names]
        columns = {name: table[name].to_numpy() for name in names}
    except (pa.ArrowInvalid, OSError, KeyError, StopIteration) as error:
        raise RunError(f"{path} does not hold predictions; run the evaluation again") from error
    return kind, {"labelling": np.zeros(table.num_rows, dtype=np.int64)} | columns
