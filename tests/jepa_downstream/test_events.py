"""Labels of early-event prediction against the published examples and a reading of the rules step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_downstream.events import eep_label, steps_to_event

GOLDEN_EVENTS = "- 1 - - 0 0 - - - - - 0 0 0 - - 1 - 1 - 0 0 0 - 1 0 1"
GOLDEN = {
    True: "1 - 0 0 0 - - 0 0 0 0 0 1 1 1 1 - - - 0 1 1 1 1 - 1 -",
    False: "1 - 0 0 0 - - 0 0 0 0 0 1 1 1 1 - 1 - 0 1 1 1 1 - 1 -",
}


def series(written: str) -> np.ndarray:
    return np.array([np.nan if one == "-" else float(one) for one in written.split()], dtype=np.float32)


@pytest.mark.parametrize("switches_only", [True, False])
def test_the_published_example_is_reproduced(switches_only):
    found = eep_label(series(GOLDEN_EVENTS), 4, switches_only)

    assert np.array_equal(found, series(GOLDEN[switches_only]), equal_nan=True)


def test_the_short_published_example_is_reproduced():
    assert np.array_equal(eep_label(series("- 0 - 1 - 0 -"), 2), series("0 1 1 - 0 - -"), equal_nan=True)


def by_the_rules(events: list[float], horizon: int, switches_only: bool) -> list[float]:
    """The published rules, one step at a time."""
    labels, state = [], np.nan
    for step, event in enumerate(events):
        state = state if switches_only and np.isnan(event) else event
        ahead = events[step + 1 : step + 1 + horizon]
        label = 1.0 if event == 1 or 1.0 in ahead else 0.0 if 0.0 in ahead else np.nan
        labels.append(np.nan if label != 0 and state == 1 else label)
    return labels


three_valued = st.lists(st.sampled_from([0.0, 1.0, np.nan]), max_size=30)


@given(st.lists(three_valued, max_size=4), st.integers(1, 9), st.booleans())
def test_many_trajectories_at_once_are_labelled_as_each_alone_by_the_rules(trajectories, horizon, switches_only):
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in trajectories])]).astype(np.int64)
    joined = np.array([event for one in trajectories for event in one])

    found = eep_label(joined, horizon, switches_only, offsets)

    expected = [label for one in trajectories for label in by_the_rules(one, horizon, switches_only)]
    assert np.array_equal(found, np.array(expected, dtype=np.float32), equal_nan=True)


def test_a_horizon_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        eep_label(series("0 1"), 0)


def test_a_positive_step_knows_how_far_away_its_event_is():
    events, offsets = series("0 - 0 1 0 0 0 1"), np.array([0, 5, 8])
    label = eep_label(events, 2, True, offsets)

    assert same(label, series("0 1 1 - - 1 1 -"))
    assert same(steps_to_event(events, label, False, offsets), series("- 2 1 - - 2 1 -"))


def test_a_ready_series_announces_the_step_after_its_run_or_the_end():
    label, offsets = series("0 1 1 0 1 1 1 0"), np.array([0, 6, 8])

    assert same(steps_to_event(label, label, True, offsets), series("- 2 1 - 2 1 1 -"))


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return np.array_equal(found, expected, equal_nan=True)
