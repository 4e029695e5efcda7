"""Task labels in the MEDS schema, at the last step that was over by their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource

from .conftest import CANARIES, FIRST_SUBJECT, ICU, Folder, Row, at, build, stay


def write_labels(path: Path, rows: list[tuple[int, float, Any]], column: str = "boolean_value") -> Path:
    """rows: number of the subject, hours after its admission, value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subject, hour, value = zip(*rows, strict=True)
    columns = {"subject_id": [FIRST_SUBJECT + one for one in subject], "prediction_time": [at(one) for one in hour]}
    pq.write_table(pa.table(columns | {column: list(value)}), path)
    return path


def test_a_label_stands_at_the_last_step_that_was_over_by_its_time(folder: Folder, tmp_path: Path) -> None:
    rows = [(0, 0.9, True), (0, 1.0, False), (0, 3.4, True), (1, 4.99, True), (1, 5.0, False), (2, 5.01, True),
            (3, -2.0, True), (4, 99.0, True), (99, 2.0, True)]  # fmt: skip
    write_labels(tmp_path / "task" / "a" / "0.parquet", rows[:4])
    write_labels(tmp_path / "task" / "1.parquet", rows[4:])
    store = build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(tmp_path / "task")}).store
    values = store.label("task").reshape(6, 5)
    unknown = np.nan
    assert np.array_equal(values[0], [0, unknown, 1, unknown, unknown], equal_nan=True)
    assert np.array_equal(values[1], [unknown, unknown, unknown, 1, 0], equal_nan=True)
    assert np.array_equal(values[2], [unknown] * 4 + [1], equal_nan=True)
    assert np.isnan(values[3:]).all()
    assert store.record("labels") == [
        {"label": "task", "rows": 9, "rows with a step": 5, "labelled steps": 5, "rows of 0 without": 0,
         "rows of 1 without": 4}
    ]  # fmt: skip


def test_who_dies_without_an_event_before_the_prediction_keeps_the_label_as_who_lives_does(tmp_path: Path) -> None:
    """Four subjects die shortly after hour 6 and show nothing after hour 2, four live and show events all along."""
    rows: list[Row] = []
    for number in range(8):
        rows += [(number, hour, "LAB//A", 1.0, None) for hour in (0.0, 2.0)]
        later = [(6.5, "MEDS_DEATH")] if number < 4 else [(5.5, "LAB//A"), (9.0, "LAB//A")]
        rows += [(number, hour, code, None, None) for hour, code in later]
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(8)
    labels = write_labels(tmp_path / "death.parquet", [(number, 6.0, number < 4) for number in range(8)])
    options = {"trajectory": "subject", "exclude": ["MEDS_DEATH"], "labels": {"death": str(labels)}}
    store = build(made.path, tmp_path / "stores", **options).store
    values = store.label("death")[~np.isnan(store.label("death"))]
    assert sorted(values.tolist()) == [0.0] * 4 + [1.0] * 4
    assert store.steps.tolist() == [6] * 4 + [10] * 4
    last = store.first_step + 5
    assert not np.isnan(store.label("death")[last]).any()


def test_labels_of_which_a_class_is_lost_are_refused_with_the_counts(folder: Folder, tmp_path: Path) -> None:
    path = write_labels(tmp_path / "task.parquet", [(0, 99.0, True), (1, 99.0, True), (2, 2.0, False)])
    with pytest.raises(DataError, match="2 of 2 of value 1"):
        build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(path)})


def test_a_label_belongs_to_the_stay_that_it_is_made_in_and_the_latest_of_a_step_counts(tmp_path: Path) -> None:
    second = [(0, hour + 10 if hour is not None else None, *rest) for _, hour, *rest in stay(0)[3:7] + stay(0)[9:10]]
    made = Folder(tmp_path / "meds").write({"0.parquet": stay(0)[:10] + second + stay(1)}).describe().split(2)
    labels = write_labels(tmp_path / "days.parquet", [(0, 1.2, 7), (0, 12.9, 5), (0, 12.2, 3)], "integer_value")
    store = build(made.path, tmp_path / "stores", trajectory=ICU, labels={"days": str(labels)}).store
    values = store.label("days").reshape(3, 5)
    assert values[0][0] == 7 and values[1][1] == 5 and (~np.isnan(values)).sum() == 2


def test_labels_change_the_fingerprint_and_no_text(folder: Folder, tmp_path: Path) -> None:
    path = write_labels(tmp_path / "task.parquet", [(0, 2.0, 0.5)], "float_value")
    options = {"trajectory": ICU, "labels": {"task": str(path)}}

    def fingerprint(**changes: Any) -> str:
        return MedsSource(MedsConfig(path=str(folder.path), **options | changes)).fingerprint()

    first = fingerprint()
    assert first != fingerprint(labels={}) and first != fingerprint(labels={"other": str(path)})
    with_labels = build(folder.path, tmp_path / "a", **options).texts
    assert with_labels == build(folder.path, tmp_path / "b", trajectory=ICU).texts
    write_labels(path, [(0, 2.0, 0.25)], "float_value")
    assert fingerprint() != first


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"boolean_value": [True, None, True]}, "row 1 .*exactly one of the value columns"),
        ({"boolean_value": [True, True, True], "float_value": [None, None, 1.0]}, "row 2 .*exactly one"),
        ({"categorical_value": ["a", None, None]}, "row 0 .*is no number"),
        ({"float_value": [0.0, 1e39, None]}, "row 1 .*beyond the range of float32"),
        ({"float_value": ["high", None, None]}, "column float_value is string"),
        ({}, "column one of boolean_value, integer_value, float_value is missing"),
        ({"boolean_value": [True] * 3, "prediction_time": ["x"] * 3}, "column prediction_time is string"),
        ({"boolean_value": [True] * 3, "prediction_time": [at(1), None, at(2)]}, "row 1 .*prediction_time is null"),
        ({"boolean_value": [True] * 3, "subject_id": ["a"] * 3}, "column subject_id is string"),
    ],
)
def test_what_is_no_label_is_refused_naming_file_and_row(
    folder: Folder, tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    given = {"subject_id": [FIRST_SUBJECT] * 3, "prediction_time": [at(1), at(2), at(3)]} | columns
    pq.write_table(pa.table(given), tmp_path / "task.parquet")
    with pytest.raises(DataError, match="task.parquet.*" + said) as caught:
        build(folder.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(tmp_path / "task.parquet")})
    assert not [canary for canary in CANARIES if canary in str(caught.value)]


def test_labels_that_are_not_there_are_missing(folder: Folder, tmp_path: Path) -> None:
    config = MedsConfig(path=str(folder.path), labels={"task": str(tmp_path / "nowhere")})
    assert "nowhere" in config.missing()[0] and "labels.task" in config.missing()[0]
