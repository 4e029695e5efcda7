"""The edges of labels in tables, row by row as docs/labels.md has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jepa_downstream.events import eep_label

from .conftest import Built

Build = Callable[..., Built]
Write = Callable[..., Path]

HOURLY = {"id": "machine", "time": "t", "states": ["heat"], "step": {"seconds": 60}}


def labelled(build: Build, write: Write, rows: list[tuple[object, ...]], **keys: object) -> np.ndarray:
    """The label of the first of three machines that have the same rows: time, heat, failed."""
    write("machine,t,heat,failed", [(machine, *row) for machine in range(3) for row in rows])
    built = build(**HOURLY | {"labels": {"failed": {"column": "failed"}}} | keys)
    return built.store.label("failed")[built.part(0)]


def test_an_event_at_the_prediction_time_is_foreseen_and_not_seen(build: Build, write: Write) -> None:
    rows = [(0, 1, 0), (60, 1, 0), (120, 9, 0), (179.999, 9, 0), (180, 1, 1)]
    series = labelled(build, write, rows)

    assert series.tolist() == [0, 0, 0, 1]
    assert np.array_equal(eep_label(series, horizon=1), [0, 0, 1, np.nan], equal_nan=True)


@pytest.mark.parametrize(("last", "steps"), [(119.9, 2), (120, 3)])
def test_the_end_of_a_record_leaves_no_row_behind_it(build: Build, write: Write, last: float, steps: int) -> None:
    series = labelled(build, write, [(0, 1, 0), (60, 1, 0), (last, 1, 0)])

    assert len(series) == steps
    assert np.array_equal(eep_label(series, horizon=5), [0] * (steps - 1) + [np.nan], equal_nan=True)


def test_what_remains_at_the_moment_of_failure_is_nothing(build: Build, write: Write) -> None:
    write("machine,t,heat", [(machine, t, 1) for machine in range(3) for t in (0, 60, 150)])
    built = build(**HOURLY, labels={"left": {"remaining": True}})

    assert built.store.label("left")[built.part(0)].tolist() == [150, 90, 0]


def test_what_is_written_at_the_first_moment_belongs_to_the_first_step(build: Build, write: Write) -> None:
    rows = [(-1, 1, 1), (0, 1, 0), (60, 1, 0)]

    cut = {"id": "machine", "time": "t", "states": ["heat"], "step": {"seconds": 60, "begin": 0}}
    assert labelled(build, write, rows, **cut).tolist() == [0, 0], "the row before the beginning is of no step"
    assert labelled(build, write, rows).tolist() == [0, 0], "the first row begins the first step: -1 and 0 are of it"


def test_of_two_labels_of_one_step_the_later_counts(build: Build, write: Write) -> None:
    assert labelled(build, write, [(0, 1, 1), (59, 1, 0), (60, 1, 1)]).tolist() == [0, 1]


def test_where_nothing_is_written_nobody_can_tell(build: Build, write: Write) -> None:
    series = labelled(build, write, [(0, 1, 0), (60, 1, ""), (180, 1, 1)])

    assert np.array_equal(series, [0, np.nan, np.nan, 1], equal_nan=True)
    assert np.array_equal(eep_label(series, horizon=2), [np.nan, 1, 1, np.nan], equal_nan=True)


def test_a_label_of_words_is_1_0_or_unknown_and_never_0_for_want_of_a_word(build: Build, write: Write) -> None:
    write("machine,t,heat,mode", [(m, t, 1, word) for m in range(3) for t, word in ((0, "on"), (60, "off"), (120, ""))])
    built = build(**HOURLY, labels={"mode": {"column": "mode"}}, categories={"mode": ["on", "off"]})

    assert np.array_equal(built.store.label("mode_on")[built.part(0)], [1, 0, np.nan], equal_nan=True)
