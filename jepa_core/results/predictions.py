"""Predictions on disk, so that anybody can recompute every figure, and so that meds-evaluation takes them as they are.

A file holds subject_id (int64), prediction_time (timestamp[us]), boolean_value, predicted_boolean_value,
predicted_boolean_probability; for a value float_value and predicted_float_value in place of the last three; then
trajectory and step (int64) and whatever else the evaluator adds. The time is counted from the trajectory's own origin,
which is put at 1970-01-01: no time of a record is told.

Beside each file of what is true or not lies the same without our own columns, in the folder `meds`: the schema of
meds-evaluation 0.0.6 refuses a file with any column but its own.

A method that was fitted anew for each of several drawings of who has labels says `labelling` (int64), and has every row
once a labelling: what is measured of it is the mean over labellings.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from jepa_core.errors import DataError, RunError
from jepa_core.io.files import plain_name, write_atomically
from jepa_core.results.evaluated import check_evaluation
from jepa_core.results.findings import Predictions

KINDS: dict[Literal["boolean", "float"], tuple[str, str]] = {
    "boolean": ("boolean_value", "predicted_boolean_probability"),
    "float": ("float_value", "predicted_float_value"),
}
"""Columns of truth and score."""
ROW = ("labelling", "subject_id", "trajectory", "step")
"""Columns that name a row of a file; labelling is 0 where there is but one."""
MEDS = "meds"
"""Folder within that of the predictions: those that meds-evaluation takes."""
DECIDED = 0.5
"""Probability from which `predicted_boolean_value` is true."""


def write_predictions(folder: Path, evaluator: str, predictions: Sequence[Predictions]) -> None:
    """Write each as FOLDER/<evaluator>.<task>.<method>.parquet, in place of all that the evaluator wrote before;
    readable by its owner alone, as it names subjects."""
    for within in (folder, folder / MEDS):
        for old in within.glob(f"{evaluator}.*.parquet"):
            old.unlink()
    for prediction in predictions:
        table = _table(prediction)
        write_table(table, predictions_path(folder, evaluator, prediction.task, prediction.method))
        if prediction.kind == "boolean" and "labelling" not in prediction.extra:
            write_table(
                meds_table(table), predictions_path(folder / MEDS, evaluator, prediction.task, prediction.method)
            )


def meds_table(table: pa.Table) -> pa.Table:
    """Predictions of what is true or not with the columns of meds-evaluation alone, in its types."""
    schema = pa.schema([
        ("subject_id", pa.int64()),
        ("prediction_time", pa.timestamp("us")),
        ("boolean_value", pa.bool_()),
        ("predicted_boolean_value", pa.bool_()),
        ("predicted_boolean_probability", pa.float32()),
    ])  # fmt: skip
    return table.select(schema.names).cast(schema)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a parquet file, whole or not at all; it may name subjects, so its folder is for its owner alone."""
    path.parent.mkdir(exist_ok=True, mode=0o700, parents=True)
    held = io.BytesIO()
    parquet.write_table(table, held, compression="zstd")
    write_atomically(path, held.getvalue())


def predictions_path(folder: Path, evaluator: str, task: str, method: str) -> Path:
    """Where those of a method on a task lie."""
    return folder / f"{'.'.join(map(plain_name, (evaluator, task, method)))}.parquet"


def write_scores(
    path: Path, kind: str, subject: np.ndarray, trajectory: np.ndarray, step: np.ndarray, seconds: np.ndarray,
    score: np.ndarray, truth: np.ndarray,
) -> None:  # fmt: skip
    """Write scores (R,) of rows in the same schema, without the column of truths (R,) where all are NaN, and with a
    null for one that is."""
    known = ~np.isnan(truth)
    values = pa.array(truth if kind == "float" else truth == 1, mask=~known)
    told = {f"{kind}_value": values} if known.any() else {}
    write_table(pa.table(_whose(subject, seconds) | told | _scored(kind, score) | _places(trajectory, step)), path)


def _table(predictions: Predictions) -> pa.Table:
    truth = pa.array(predictions.truth if predictions.kind == "float" else predictions.truth == 1)
    columns = (
        _whose(predictions.subject, predictions.seconds)
        | {f"{predictions.kind}_value": truth}
        | _scored(predictions.kind, predictions.score)
    )
    columns |= _places(predictions.trajectory, predictions.step)
    return pa.table(columns | {name: pa.array(values) for name, values in predictions.extra.items()})


def _whose(subject: np.ndarray, seconds: np.ndarray) -> dict[str, pa.Array]:
    time = pa.array(np.round(seconds * 1e6).astype(np.int64)).cast(pa.timestamp("us"))
    return {"subject_id": pa.array(subject, pa.int64()), "prediction_time": time}


def _scored(kind: str, score: np.ndarray) -> dict[str, pa.Array]:
    if kind == "float":
        return {"predicted_float_value": pa.array(score)}
    return {"predicted_boolean_value": pa.array(score >= DECIDED), "predicted_boolean_probability": pa.array(score)}


def _places(trajectory: np.ndarray, step: np.ndarray) -> dict[str, pa.Array]:
    return {"trajectory": pa.array(trajectory, pa.int64()), "step": pa.array(step, pa.int64())}


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
    tables = [_read(path) for path in paths]
    kind = tables[0][0]
    if any(other != kind for other, _ in tables):
        raise RunError(f"{paths[0].name} predicts what is true in one run and a value in another")
    subjects = [np.unique(columns["subject_id"]) for _, columns in tables]
    if len(np.unique(np.concatenate(subjects))) < sum(map(len, subjects)):
        raise DataError(
            f"{paths[0].name}: a subject is held out by more than one run, so these are no folds of a split"
        )
    columns = {name: np.concatenate([part[name] for _, part in tables]) for name in tables[0][1]}
    order = np.lexsort([columns[name] for name in reversed(ROW)])
    return Predicted(kind, *(columns[name][order] for name in (*ROW, *KINDS[kind])))


def _read(path: Path) -> tuple[Literal["boolean", "float"], dict[str, np.ndarray]]:
    check_evaluation(path, path.parent.parent)
    try:
        table = parquet.read_table(path)
        kind = next(kind for kind, columns in KINDS.items() if set(columns) <= set(table.column_names))
        names = [name for name in (*ROW, *KINDS[kind]) if name != "labelling" or name in table.column_names]
        columns = {name: table[name].to_numpy() for name in names}
    except (pa.ArrowInvalid, OSError, KeyError, StopIteration) as error:
        raise RunError(f"{path} does not hold predictions; run the evaluation again") from error
    return kind, {"labelling": np.zeros(table.num_rows, dtype=np.int64)} | columns
