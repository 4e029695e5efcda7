"""Cases that an event sets in for, and stable controls matched to them on baseline and horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.data.windows import Windows

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset


@dataclass(frozen=True)
class EventCourse:
    """How the trajectories of a split go with regard to an event: (N,) arrays over `trajectory`.

    onset: step at which the event sets in, -1 where it never does. known: first step at which the event is known to be
    off; beyond the last step where it never is. stable: whether the event is known to be off at some step, and on at
    none.
    """

    trajectory: np.ndarray
    onset: np.ndarray
    known: np.ndarray
    stable: np.ndarray


@dataclass(frozen=True)
class Matched:
    """S sets of one case and up to K controls, as R windows from the baseline to H steps later.

    windows: R windows of H + 1 steps. group: (R,) number of the set. case: (R,) bool. subjects: (R,). unmatched: cases
    left out because no other subject has a stable trajectory as long.
    """

    horizon: int
    windows: Windows
    group: np.ndarray
    case: np.ndarray
    subjects: np.ndarray
    unmatched: int


def event_course(dataset: Dataset, split: str, label: str) -> EventCourse:
    """The course of an event: a label of the store that is 1 while the event is on, 0 off, NaN where nobody can tell.

    Raises DataError if the store has no such label.
    """
    values = dataset.store.label(label)
    trajectories = dataset.trajectories(split)
    firsts, steps = dataset.store.first_step[trajectories], dataset.steps[trajectories]
    parts = [values[first : first + count] for first, count in zip(firsts, steps, strict=True)]
    onset = np.array([_first(part == 1) for part in parts], dtype=np.int64)
    known = np.array([_first(part == 0) for part in parts], dtype=np.int64)
    return EventCourse(trajectories, onset, np.where(known < 0, steps, known), (onset < 0) & (known >= 0))


def outcome_course(dataset: Dataset, split: str, outcome: str) -> EventCourse:
    """The course of an outcome, which sets in at a trajectory's last step where it is 1.

    Raises DataError if the store has no such outcome.
    """
    trajectories = dataset.trajectories(split)
    values, last = dataset.store.outcome(outcome)[trajectories], dataset.steps[trajectories].astype(np.int64) - 1
    return EventCourse(trajectories, np.where(values == 1, last, -1), np.zeros_like(last), values == 0)


def _first(holds: np.ndarray) -> int:
    return int(holds.argmax()) if holds.any() else -1


def match(dataset: Dataset, course: EventCourse, horizon: int, controls: int, seed: int) -> Matched | str:
    """Draw controls for every case; or say why there is nothing to compare.

    A case has its onset at least `horizon` steps after a step at which the event is known to be off; its baseline is
    `horizon` steps before the onset. Its controls are stable trajectories of other subjects over the same step numbers,
    drawn without replacement: a latent may move with time alone, which is the same for all.
    """
    cases = np.flatnonzero((course.onset >= horizon) & (course.known <= course.onset - horizon))
    if len(cases) == 0:
        return f"no trajectory has its onset {horizon} steps after it was known to be off"
    pool = np.flatnonzero(course.stable)
    rng = np.random.default_rng(seed)
    sets = list(_sets(dataset, course, cases, pool, horizon, controls, rng))
    if not sets:
        return f"no stable trajectory of another subject is as long as a case at its onset, {horizon} steps on"
    group = np.repeat(np.arange(len(sets)), [len(members) for members, _ in sets])
    members = np.concatenate([members for members, _ in sets])
    start = np.concatenate([np.full(len(members), baseline) for members, baseline in sets])
    windows = Windows(members, start, np.full(len(members), horizon + 1))
    case = np.r_[True, group[1:] != group[:-1]]
    return Matched(horizon, windows, group, case, dataset.subject[members], len(cases) - len(sets))


def _sets(
    dataset: Dataset,
    course: EventCourse,
    cases: np.ndarray,
    pool: np.ndarray,
    horizon: int,
    controls: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, int]]:
    """Trajectories of each set, the case first, with their common baseline."""
    steps, subject = dataset.steps[course.trajectory], dataset.subject[course.trajectory]
    for case in cases:
        baseline = int(course.onset[case]) - horizon
        fits = (steps[pool] > course.onset[case]) & (subject[pool] != subject[case]) & (course.known[pool] <= baseline)
        if fits.any():
            drawn = rng.permutation(pool[fits])[:controls]
            yield course.trajectory[np.r_[case, drawn]].astype(np.int64), baseline
