"""Labels in the files that `aces-cli` of es-aces 0.7.3 writes for a MEDS data set, with all their columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError

from .conftest import FIRST_SUBJECT, ICU, Folder, at, build

COHORT = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("prediction_time", pa.timestamp("us")),
        ("boolean_value", pa.bool_()),
        ("integer_value", pa.int64()),
        ("float_value", pa.float32()),
        ("categorical_value", pa.string()),
    ]
)
"""`cohort_dir/cohort_name.parquet`, or `cohort_dir/cohort_name/<shard>.parquet`."""

SUMMARY = pa.struct(
    [
        ("window_name", pa.large_string()),
        ("timestamp_at_start", pa.timestamp("us")),
        ("timestamp_at_end", pa.timestamp("us")),
        ("admission", pa.int64()),
        ("lab", pa.int64()),
    ]
)
STATISTICS = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("prediction_time", pa.timestamp("us")),
        ("boolean_value", pa.int64()),
        ("trigger", pa.timestamp("us")),
        ("input.end_summary", SUMMARY),
        ("input.start_summary", SUMMARY),
        ("target.end_summary", SUMMARY),
    ]
)
"""`window_stats_dir/cohort_name/<shard>.parquet`: one struct a window, and the label as a count of events."""

COUNTS = [0, 3, 1, 0]
"""Events of the label in the target window of subjects 0 to 3, asked 3 hours after admission."""


def cohort_rows(numbers: list[int]) -> pa.Table:
    rows = [
        {"subject_id": FIRST_SUBJECT + number, "prediction_time": at(3), "boolean_value": COUNTS[number] > 0}
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, schema=COHORT)


def statistics_rows(numbers: list[int]) -> pa.Table:
    def summary(window: str, begin: float, end: float, count: int) -> dict[str, object]:
        times = {"timestamp_at_start": at(begin), "timestamp_at_end": at(end)}
        return {"window_name": window, **times, "admission": 1, "lab": count}

    rows = [
        {
            "subject_id": FIRST_SUBJECT + number,
            "prediction_time": at(3),
            "boolean_value": COUNTS[number],
            "trigger": at(0),
            "input.end_summary": summary("input.end", 0, 3, 2),
            "input.start_summary": summary("input.start", 0, 3, 2),
            "target.end_summary": summary("target.end", 3, 27, COUNTS[number]),
        }
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, schema=STATISTICS)


def write_shards(folder: Path, shards: dict[str, pa.Table]) -> Path:
    for name, content in shards.items():
        file = folder / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, file)
    return folder


def task_folder(folder: Path, kind: str) -> Path:
    """A task over three shards, of which one has no row that fits, and the logs that are written beside them."""
    rows, without = {
        "labels": (cohort_rows, COHORT.empty_table()),
        "window statistics": (statistics_rows, pa.schema([("subject_id", pa.int64())]).empty_table()),
    }[kind]
    write_shards(folder, {"train/0": rows([0, 1]), "train/1": without, "held_out/0": rows([2, 3])})
    (folder / ".logs").mkdir()
    (folder / ".logs" / "multirun.yaml").write_text("hydra: {}\n")
    return folder


@pytest.mark.parametrize("kind", ["labels", "window statistics"])
def test_what_aces_wrote_stands_at_the_last_step_before_its_index_time_as_1_or_0(
    folder: Folder, tmp_path: Path, kind: str
) -> None:
    task = task_folder(tmp_path / "task", kind)
    store = build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(task)}).store
    values = store.label("task").reshape(6, 5)
    assert values[:4, 2].tolist() == [0, 1, 1, 0]
    assert np.isfinite(values).sum() == 4
    assert store.record("labels") == [
        {"label": "task", "rows": 4, "rows with a step": 4, "labelled steps": 4, "rows of 0 without": 0,
         "rows of 1 without": 0}
    ]  # fmt: skip


def test_a_task_without_an_index_time_is_refused_with_the_key_that_it_lacks(folder: Folder, tmp_path: Path) -> None:
    untimed = pa.Table.from_pylist([{"subject_id": FIRST_SUBJECT, "boolean_value": True}], schema=COHORT)
    file = write_shards(tmp_path, {"task": untimed}) / "task.parquet"
    with pytest.raises(DataError, match=r"task.parquet, row 0 .*prediction_time is null; .*index_timestamp"):
        build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(file)})


def test_a_task_that_fits_nobody_is_refused(folder: Folder, tmp_path: Path) -> None:
    task = write_shards(tmp_path / "task", {"train/0": COHORT.empty_table(), "held_out/0": COHORT.empty_table()})
    with pytest.raises(DataError, match=r"task holds no label: no row in 2 file"):
        build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(task)})
