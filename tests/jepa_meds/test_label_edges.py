"""The edges of labels in MEDS, row by row as docs/labels.md has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_downstream.events import eep_label

from .conftest import ICU, Folder, Row, build, cohort, stay
from .test_labels import write_labels


def placed(folder: Path, place: Path, rows: list[tuple[int, float, bool]], **options: object) -> list[list[float]]:
    """Steps and values of the labels of the first subject's trajectories."""
    labels = write_labels(place / "task.parquet", rows)
    store = build(folder, place / "stores", **{"trajectory": ICU, "labels": {"task": str(labels)}} | options).store
    values = store.label("task")
    parts = np.split(values, np.cumsum(store.steps)[:-1])
    return [[(step, value) for step, value in enumerate(part.tolist()) if value == value] for part in parts]


def test_an_event_at_the_prediction_time_is_not_among_what_the_row_sees(tmp_path: Path) -> None:
    rows = [*cohort(1), (0, 3.0, "LAB//AT//TIME", 7.0, None)]
    rows.sort(key=lambda row: (row[1] is not None, row[1] or 0))
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(1)
    labels = write_labels(tmp_path / "task.parquet", [(0, 3.0, True)])

    built = build(made.path, tmp_path / "stores", trajectory=ICU, labels={"task": str(labels)})

    assert np.flatnonzero(built.store.label("task") == 1).tolist() == [2]
    shown = ["AT//TIME" in text for text in built.texts[0][1]]
    assert shown == [False, False, False, True, False]


def test_a_label_at_the_end_of_a_stay_stands_at_its_last_whole_step(tmp_path: Path) -> None:
    whole = Folder(tmp_path / "whole").write({"0.parquet": stay(0, 5.0)}).describe().split(1)
    broken = Folder(tmp_path / "broken").write({"0.parquet": stay(0, 4.5)}).describe().split(1)

    assert placed(whole.path, tmp_path / "a", [(0, 5.0, True)]) == [[(4, 1.0)]]
    assert placed(broken.path, tmp_path / "b", [(0, 4.5, True)]) == [[(3, 1.0)]], "the last half hour is no whole step"


def test_a_label_at_the_moment_of_death_is_kept_whether_the_death_is_shown_or_not(tmp_path: Path) -> None:
    rows: list[Row] = [(0, 0.0, "LAB//A", 1.0, None), (0, 3.0, "MEDS_DEATH", None, None)]
    made = Folder(tmp_path / "meds").write({"0.parquet": rows}).describe().split(1)
    for hidden in ([], ["MEDS_DEATH"]):
        place = tmp_path / str(len(hidden))
        found = placed(made.path, place, [(0, 3.0, True)], trajectory="subject", exclude=hidden)
        assert found == [[(2, 1.0)]]


@pytest.mark.parametrize(("hour", "kept"), [(0.0, []), (0.99, []), (1.0, [(0, 1.0)])])
def test_a_window_that_ends_where_a_trajectory_begins_has_no_step(
    folder: Folder, tmp_path: Path, hour: float, kept: list[tuple[int, float]]
) -> None:
    assert placed(folder.path, tmp_path, [(0, hour, True), (1, hour, False)])[0] == kept


def test_between_two_stays_nobody_can_tell(tmp_path: Path) -> None:
    second = [(0, hour + 10 if hour is not None else None, *rest) for _, hour, *rest in stay(0)[3:7] + stay(0)[9:10]]
    made = Folder(tmp_path / "meds").write({"0.parquet": stay(0)[:10] + second}).describe().split(1)

    assert placed(made.path, tmp_path, [(0, 8.0, True), (0, 5.0, True)]) == [[(4, 1.0)], []]
    assert placed(made.path, tmp_path / "b", [(0, 10.0, True), (0, 11.0, True)]) == [[], [(0, 1.0)]]


def test_of_two_labels_of_one_step_the_later_counts(folder: Folder, tmp_path: Path) -> None:
    assert placed(folder.path, tmp_path, [(0, 2.9, True), (0, 2.0, False)])[0] == [(1, 1.0)]


def test_a_label_that_is_foreseen_begins_behind_its_row() -> None:
    """What the labels of a store say of steps, the rows of tasks say of what follows."""
    assert np.array_equal(eep_label(np.array([0, 0, 1.0]), 1), [0, 1, np.nan], equal_nan=True)
