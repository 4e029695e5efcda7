"""Anomalies as events, and the alarms that find them.

* an event is a run of steps of one trajectory whose label is 1;
* it is caught if a score within it is beyond the threshold; the delay is counted from its first step to the first such;
* an alarm is raised at a step beyond the threshold, unless one was raised within the last `silence` steps: so one that
  is always on is counted again and again, and is right as often as anomalies are common;
* an alarm is true if it is raised within an event. Where the label tells nothing, it is not counted.

Symbols: R rows (steps), E events, S subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_anomalies.scored import ScoredSteps

RANDOM_DRAWS = 20
"""Draws of random alarms behind the control of point-adjusted F1."""


@dataclass(frozen=True)
class EventAlarms:
    """What one detector does at its threshold. hot: (R,) bool, beyond it. raised: (R,) bool, an alarm there. event:
    (R,) number of the event that a row belongs to, -1 for none. delay: (E,) steps until it is caught, NaN if it is
    not."""

    hot: np.ndarray
    raised: np.ndarray
    event: np.ndarray
    delay: np.ndarray


def events_of(rows: ScoredSteps) -> np.ndarray:
    """(R,) number of the event that each row belongs to, from 0; -1 for none."""
    on = rows.truth == 1
    begins = on.copy()
    begins[1:] &= ~(on[:-1] & (rows.trajectory[1:] == rows.trajectory[:-1]))
    return np.where(on, np.cumsum(begins) - 1, -1)


def alarms_at(rows: ScoredSteps, score: np.ndarray, threshold: float, silence: int) -> EventAlarms:
    """The alarms of one detector, and the events that they find."""
    event = events_of(rows)
    hot = score > threshold  # a score that is not known is not beyond
    raised = np.zeros(len(rows), dtype=bool)
    latest, owner = -np.inf, -1
    for row in np.flatnonzero(hot).tolist():
        if rows.trajectory[row] != owner or rows.step[row] - latest > silence:
            raised[row], latest, owner = True, rows.step[row], rows.trajectory[row]
    delay = np.full(int(event.max(initial=-1)) + 1, np.inf)
    caught = np.flatnonzero(hot & (event >= 0))
    onset = _onsets(rows, event, len(delay))
    np.minimum.at(delay, event[caught], (rows.step[caught] - onset[event[caught]]).astype(np.float64))
    return EventAlarms(hot, raised, event, np.where(np.isfinite(delay), delay, np.nan))


def _onsets(rows: ScoredSteps, event: np.ndarray, count: int) -> np.ndarray:
    """(E,) first step of each event."""
    within = np.flatnonzero(event >= 0)
    _, first = np.unique(event[within], return_index=True)
    return rows.step[within[first]] if count else np.empty(0, dtype=np.int64)


SUMS = ("caught", "events", "delay", "true", "judged", "false", "normal")
"""What is summed over the rows of a subject: events caught, events, steps until they were; alarms that are true, alarms
that are judged, false ones; steps without an anomaly."""


def sums_by_subject(rows: ScoredSteps, alarms: EventAlarms) -> tuple[np.ndarray, np.ndarray]:
    """The subjects (S,), and the sums (S, 7) of each, in the order of SUMS."""
    subjects, owner = np.unique(rows.subject, return_inverse=True)
    within = np.flatnonzero(alarms.event >= 0)
    _, first = np.unique(alarms.event[within], return_index=True)
    of_event = owner[within[first]]
    known = np.isfinite(rows.truth)
    caught = np.isfinite(alarms.delay)
    true, false = alarms.raised & (rows.truth == 1), alarms.raised & (rows.truth == 0)
    by_event = (caught, np.ones(len(caught)), np.where(caught, alarms.delay, 0.0))
    by_row = (true, alarms.raised & known, false, rows.truth == 0)
    count = len(subjects)
    sums = [np.bincount(of_event, values, count) for values in by_event]
    sums += [np.bincount(owner, values.astype(np.float64), count) for values in by_row]
    return subjects, np.stack(sums, axis=1)


def event_measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of sums (..., 7): event recall, alarm precision, their harmonic mean F1, mean delay of the events that
    are caught, and false alarms a thousand steps without an anomaly; NaN where there is nothing to divide by."""
    caught, events, delay, true, judged, false, normal = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = caught / events, true / judged
        quiet = np.where(judged > 0, precision, 0.0)  # no alarm at all: F1 is 0, whatever the precision of nothing
        f1 = np.where(recall + quiet > 0, 2 * recall * quiet / (recall + quiet), 0.0)
        return {
            "recall": recall,
            "precision": precision,
            "f1": np.where(events > 0, f1, np.nan),
            "delay": delay / caught,
            "false_alarms": 1000 * false / normal,
        }


def point_adjusted_f1(truth: np.ndarray, event: np.ndarray, hot: np.ndarray) -> float:
    """F1 of steps, where one step beyond the threshold counts for its whole event (Xu et al. 2018); NaN without an
    event. It is reported because others report it: random alarms reach high values (Kim et al., AAAI 2022)."""
    count = int(event.max(initial=-1)) + 1
    if count == 0:
        return np.nan
    caught = np.zeros(count, dtype=bool)
    caught[event[hot & (event >= 0)]] = True
    hits, wrong = int((caught[event] & (event >= 0)).sum()), int((hot & (truth == 0)).sum())
    missed = int((event >= 0).sum()) - hits
    return 2 * hits / (2 * hits + wrong + missed)


def random_point_adjusted_f1(truth: np.ndarray, event: np.ndarray, share: float, seed: int) -> float:
    """Mean point-adjusted F1 of alarms that are thrown on the same share of steps, by chance."""
    draws = np.random.default_rng(seed)
    drawn = [point_adjusted_f1(truth, event, draws.random(len(truth)) < share) for _ in range(RANDOM_DRAWS)]
    return float(np.mean(drawn))
