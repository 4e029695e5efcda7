"""Labels of early-event prediction: will the event begin within so many steps?

An event series is three-valued: 1 where the event is on, 0 where it is known to be off, NaN where nobody can tell. The
semantics are those of the ICareFM tasks as published with the package icu-features (`eep_label`); horizons are hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Task:
    """An event to be foreseen. series: name of its label in the store. horizon: hours ahead. switches_only: whether
    hours whose last known state is already positive are left out. is_label: the series is the label itself already."""

    series: str
    horizon: int
    switches_only: bool = True
    is_label: bool = False

    def label(self, events: np.ndarray, offsets: np.ndarray, step_hours: float = 1.0) -> np.ndarray:
        """(S,) labels made of the store's series; offsets: (N + 1,) of the trajectories."""
        if self.is_label:
            return np.asarray(events, dtype=np.float32)
        return eep_label(events, max(1, round(self.horizon / step_hours)), self.switches_only, offsets)


TASKS: dict[str, Task] = {
    "circulatory_failure": Task("event_circulatory_failure", 8),
    "respiratory_failure": Task("event_respiratory_failure", 24),
    "kidney_failure": Task("event_kidney_failure", 48),
    "liver_failure": Task("event_liver_failure", 48, switches_only=False),
    "decompensation": Task("event_decompensation", 24, is_label=True),
    "hyperglycaemia": Task("event_hyperglycaemia", 8, switches_only=False),
    "sepsis": Task("event_sepsis", 8),
}
"""The seven families. All but the horizon of sepsis, which is ours, is published with icu-features; which horizons and
thresholds Clin-JEPA used is not."""


def eep_label(
    events: np.ndarray, horizon: int, switches_only: bool = True, offsets: np.ndarray | None = None
) -> np.ndarray:
    """Labels of every step: (S,) float32, NaN where the step is not to be scored.

    events: (S,) 1, 0 or NaN. horizon: steps ahead, at least 1. offsets: (N + 1,), trajectory i is
    offsets[i]:offsets[i + 1]; None for one trajectory.

    A step is NaN while the event is on. Otherwise it is 1 if the event is on within the next `horizon` steps, else 0 if
    it is known to be off at one of them, else NaN. With `switches_only` a step whose last known state is on counts as
    on, unless only recovery lies ahead.
    """
    events = np.asarray(events, dtype=np.float32)
    if horizon < 1:
        raise ValueError("the horizon must be at least one step")
    bounds = np.array([0, len(events)]) if offsets is None else np.asarray(offsets, dtype=np.int64)
    first = np.repeat(bounds[:-1], np.diff(bounds))
    last = np.repeat(bounds[1:], np.diff(bounds)) - 1
    here = np.arange(len(events))
    until = np.minimum(here + horizon, last)
    positive = _next_where(events == 1) <= until
    negative = np.append(_next_where(events == 0)[1:], len(events)) <= until
    on = _last_known(events, first) == 1 if switches_only else events == 1
    label = np.where(positive, 1.0, np.where(negative, 0.0, np.nan))
    return np.where((label == 0) | ~on, label, np.nan).astype(np.float32)


def _next_where(holds: np.ndarray) -> np.ndarray:
    """Index of the next position, itself included, at which something holds; the length where there is none."""
    places = np.where(holds, np.arange(len(holds)), len(holds))
    return np.minimum.accumulate(places[::-1])[::-1]


def _last_known(events: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The last value that is not NaN, itself included, within the trajectory that begins at `first`; else NaN."""
    places = np.maximum.accumulate(np.where(np.isnan(events), -1, np.arange(len(events))))
    return np.where(places >= first, events[places], np.nan)
