"""Arrays in files without a name: the same values, nothing left behind, nobody else's memory."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_core.results.findings import MadeWhenRead, Predictions
from jepa_core.training import aside


@pytest.fixture(autouse=True)
def everything_is_many(monkeypatch):
    monkeypatch.setattr(aside, "SMALL", 0)


@pytest.mark.parametrize("values", [
    np.arange(12), np.arange(12.0).reshape(3, 4), np.array([True, False, True]), np.arange(12)[::3],
    np.float32([[np.nan, -0.0]]),
], ids=["numbers", "rows", "answers", "every third", "no number"])  # fmt: skip
def test_what_is_laid_aside_is_the_same_values_in_the_same_type(values, tmp_path):
    laid = aside.laid_aside(values, tmp_path / "scratch")
    np.testing.assert_array_equal(laid, values)
    assert (laid.dtype, laid.shape) == (values.dtype, values.shape)
    assert not np.shares_memory(laid, values)
    assert list((tmp_path / "scratch").iterdir()) == [], "the file has no name"


def test_what_is_written_to_an_array_laid_aside_is_no_other_array_s(tmp_path):
    first = aside.laid_aside(np.zeros(4), tmp_path)
    again = aside.laid_aside(first, tmp_path)
    first[:] = 1
    assert again.tolist() == [0, 0, 0, 0]


def test_small_arrays_stay_where_they_are(monkeypatch, tmp_path):
    monkeypatch.setattr(aside, "SMALL", 32)
    values = np.zeros(4)
    assert aside.laid_aside(values, tmp_path) is values


def test_room_aside_keeps_what_is_put_there(tmp_path):
    room = aside.room_aside((3, 2), tmp_path)
    room[1] = 7
    assert room.tolist() == [[0, 0], [7, 7], [0, 0]]
    assert room.dtype == np.float32
    assert list(tmp_path.iterdir()) == []


def test_predictions_are_made_when_one_is_read_and_held_by_nobody():
    asked = []

    def maker(number: int):
        def make() -> Predictions:
            asked.append(number)
            empty = np.empty(0)
            return Predictions("task", str(number), "float", empty, empty, empty, empty, empty, empty)

        return make

    predictions = MadeWhenRead([maker(number) for number in range(3)])
    assert (len(predictions), asked) == (3, [])
    assert [told.method for told in predictions] == ["0", "1", "2"]
    assert predictions[-1].method == "2"
    assert [told.method for told in predictions[1:]] == ["1", "2"]
    assert asked == [0, 1, 2, 2, 1, 2]
