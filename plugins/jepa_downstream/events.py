"""Labels of early-event prediction: will the event begin within so many steps?

An event series is three-valued: 1 where the event is on, 0 where it is known to be off, NaN where nobody can tell. The
semantics are those of the ICareFM tasks (Burger et al.) as published in code, `eep_label`.
"""

from __future__ import annotations

import numpy as np


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
    first, last = _bounds(events, offsets)
    until = np.minimum(np.arange(len(events)) + horizon, last)
    positive = _next_where(events == 1) <= until
    negative = np.append(_next_where(events == 0)[1:], len(events)) <= until
    on = last_known(events, first) == 1 if switches_only else events == 1
    label = np.where(positive, 1.0, np.where(negative, 0.0, np.nan))
    return np.where((label == 0) | ~on, label, np.nan).astype(np.float32)


def steps_to_event(events: np.ndarray, label: np.ndarray, ready: bool, offsets: np.ndarray) -> np.ndarray:
    """Steps from each positive step to the event it announces: (S,) float64, NaN where the label is not 1.

    The event begins at the next step that is on; where the series is the label already (`ready`), at the step after the
    run of positive steps, which may be the end of the trajectory.
    """
    numbers = np.arange(len(label))
    _, last = _bounds(label, offsets)
    begins = np.minimum(_next_where(label != 1), last + 1) if ready else _next_where(np.asarray(events) == 1)
    return np.where(label == 1, begins - numbers, np.nan)


def last_known(events: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The last value that is not NaN, itself included, within the trajectory that begins at `first` (S,); else NaN."""
    places = np.maximum.accumulate(np.where(np.isnan(events), -1, np.arange(len(events))))
    return np.where(places >= first, events[places], np.nan)


def _bounds(events: np.ndarray, offsets: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """First and last step of the trajectory of every step: (S,) each."""
    bounds = np.array([0, len(events)]) if offsets is None else np.asarray(offsets, dtype=np.int64)
    lengths = np.diff(bounds)
    return np.repeat(bounds[:-1], lengths), np.repeat(bounds[1:], lengths) - 1


def _next_where(holds: np.ndarray) -> np.ndarray:
    """Index of the next position, itself included, at which something holds; the length where there is none."""
    places = np.where(holds, np.arange(len(holds)), len(holds))
    return np.minimum.accumulate(places[::-1])[::-1]
