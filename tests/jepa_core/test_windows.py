from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.data.dataset import trained_on
from jepa_core.data.windows import WindowOrder, cut_windows
from jepa_core.testing.bench import oscillators


def test_the_last_window_ends_with_the_trajectory() -> None:
    windows = cut_windows(np.array([5]), np.array([30]), length=12, stride=8, min_length=3)
    assert windows.start.tolist() == [0, 8, 16, 18]
    assert windows.length.tolist() == [12] * 4
    assert windows.trajectory.tolist() == [5] * 4


def test_a_short_trajectory_is_one_window_and_a_shorter_one_is_none() -> None:
    windows = cut_windows(np.array([0, 1, 2]), np.array([4, 2, 12]), length=12, stride=8, min_length=3)
    assert windows.trajectory.tolist() == [0, 2]
    assert windows.length.tolist() == [4, 12]


@given(
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    length=st.integers(2, 20),
    stride=st.integers(1, 20),
)
def test_every_step_of_a_long_enough_trajectory_is_in_some_window(steps: list[int], length: int, stride: int) -> None:
    stride = min(stride, length)
    windows = cut_windows(np.arange(len(steps)), np.array(steps), length, stride, min_length=2)
    covered = {
        (t, s + i) for t, s, n in zip(windows.trajectory, windows.start, windows.length, strict=True) for i in range(n)
    }
    assert covered == {(t, i) for t, count in enumerate(steps) if count >= 2 for i in range(count)}


def test_shares_of_train_are_whole_subjects_and_each_is_part_of_a_larger_one() -> None:
    dataset = oscillators()
    whole = trained_on(dataset, 1.0)
    assert whole.tolist() == dataset.trajectories("train").tolist()
    parts = {share: trained_on(dataset, share) for share in (0.001, 0.3, 0.6)}
    subjects = {share: set(np.asarray(dataset.subject)[part].tolist()) for share, part in parts.items()}
    every = set(np.asarray(dataset.subject)[whole].tolist())
    assert len(subjects[0.001]) == 1 and len(subjects[0.3]) == round(0.3 * len(every))
    assert subjects[0.001] < subjects[0.3] < subjects[0.6] < every
    for share, part in parts.items():
        assert part.tolist() == [one for one in whole if dataset.subject[one] in subjects[share]]


def test_an_epoch_shows_every_window_once_and_a_batch_may_cross_its_border() -> None:
    order = WindowOrder(windows=10, batch_size=4, seed=0, phase="a")
    seen = np.concatenate([order.batch(step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_a_batch_is_the_same_whatever_was_asked_before() -> None:
    walked = WindowOrder(10, 4, seed=0, phase="a")
    for step in range(7):
        batch = walked.batch(step)
    assert batch.tolist() == WindowOrder(10, 4, seed=0, phase="a").batch(6).tolist()


@pytest.mark.parametrize("other", [{"seed": 1, "phase": "a"}, {"seed": 0, "phase": "b"}])
def test_seed_and_phase_name_change_the_order(other: dict) -> None:
    first, second = WindowOrder(50, 8, seed=0, phase="a"), WindowOrder(50, 8, **other)
    assert first.batch(0).tolist() != second.batch(0).tolist()
