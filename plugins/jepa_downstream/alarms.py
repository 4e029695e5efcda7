"""Event-level measures: alarms that a score raises, and the events they announce.

After circEWS (Hyland et al., Nature Medicine 2020), with steps in place of minutes:

* an alarm is raised at a row whose score is at least the threshold, unless one was raised within the last `silence`
  steps of the trajectory;
* an alarm is true if its row is positive: the event begins within the horizon;
* an event is a beginning that at least one row should have announced; it is caught if an alarm was raised at one of
  those rows; its lead time is counted from the first of them.

The threshold is chosen on tuning: of those at which the share of true alarms is at least the wanted precision, the one
that catches most events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_downstream.measures import DrawnEstimate, Draws
from jepa_downstream.rows import Rows


@dataclass(frozen=True)
class AnnouncedEvents:
    """The events that rows announce. ahead: (R,) steps from a row to its event, NaN where it announces none. of_row:
    (R,) number of that event, -1 for none. count: how many there are."""

    ahead: np.ndarray
    of_row: np.ndarray
    count: int

    @classmethod
    def of(cls, rows: Rows, ahead: np.ndarray) -> AnnouncedEvents:
        """Rows of one trajectory whose event begins at the same step announce the same event."""
        announces = np.flatnonzero(~np.isnan(ahead))
        begins = np.stack([rows.trajectory[announces], rows.step[announces] + ahead[announces].astype(np.int64)])
        events, number = np.unique(begins, axis=1, return_inverse=True)
        of_row = np.full(len(rows), -1)
        of_row[announces] = number.ravel()
        return cls(ahead, of_row, events.shape[1])


@dataclass(frozen=True)
class Alarms:
    """Alarms at one threshold. row: (A,) indices of the rows they are raised at. event_of_row: (R,) number of the event
    that a row announces, -1 for none. lead: (E,) steps from the first alarm to each event, NaN where it is missed."""

    row: np.ndarray
    event_of_row: np.ndarray
    lead: np.ndarray

    @property
    def precision(self) -> float:
        """Share of true alarms; NaN without an alarm."""
        return float((self.event_of_row[self.row] >= 0).mean()) if len(self.row) else np.nan

    @property
    def recall(self) -> float:
        """Share of events caught; NaN without an event."""
        return float((~np.isnan(self.lead)).mean()) if len(self.lead) else np.nan


def raise_alarms(rows: Rows, events: AnnouncedEvents, score: np.ndarray, threshold: float, silence: int) -> Alarms:
    """The alarms of one threshold."""
    return _raised(events, score >= threshold, _silent_until(rows, silence))


def _raised(events: AnnouncedEvents, hot: np.ndarray, until: np.ndarray) -> Alarms:
    """The alarms of rows that are `hot` (R,) bool; `until` as `_silent_until` gives it."""
    row = _unsilenced(hot, until)
    lead = np.full(events.count, -np.inf)
    true = row[events.of_row[row] >= 0]
    np.maximum.at(lead, events.of_row[true], events.ahead[true])
    return Alarms(row, events.of_row, np.where(np.isfinite(lead), lead, np.nan))


def _silent_until(rows: Rows, silence: int) -> np.ndarray:
    """The first row (R,) after each, in their order, that an alarm at it does not silence; R where there is none."""
    longest = int(rows.step.max(initial=0)) + silence + 1
    row_of_step = rows.trajectory.astype(np.int64) * longest + rows.step
    return np.searchsorted(row_of_step, row_of_step + silence + 1)


def _unsilenced(hot: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Those of the rows that are `hot` (R,) at which an alarm is raised: each silences what follows it too soon."""
    row = np.flatnonzero(hot)
    before = np.zeros(len(hot) + 1, dtype=np.int64)
    np.cumsum(hot, out=before[1:])
    following = before[until[row]].data
    chain, at = [], 0
    while at < len(row):
        chain.append(at)
        at = following[at]
    return row[chain]


def choose_threshold(
    rows: Rows, events: AnnouncedEvents, score: np.ndarray, precision: float, silence: int, tried: int
) -> float | None:
    """The threshold that catches most events at no less than the wanted precision; None if none reaches it."""
    distinct = np.unique(score)
    candidates = distinct[np.unique(np.linspace(0, len(distinct) - 1, min(tried, len(distinct))).round().astype(int))]
    until = _silent_until(rows, silence)
    best: tuple[float, float] | None = None
    for threshold in candidates[::-1]:
        raised = _raised(events, score >= threshold, until)
        if raised.precision >= precision and (best is None or raised.recall > best[0]):
            best = (raised.recall, float(threshold))
    return None if best is None else best[1]


def event_estimates(rows: Rows, alarms: Alarms, draws: Draws) -> dict[str, DrawnEstimate]:
    """event_recall, alarm_precision, alarms_per_1000_steps (over the rows at which one could be raised), lead_median
    (steps, of the events that are caught)."""
    owner = draws.owner(rows.subject)
    first = np.full(len(alarms.lead), -1)
    announcing = np.flatnonzero(alarms.event_of_row >= 0)
    first[alarms.event_of_row[announcing]] = announcing  # any row of an event tells whose it is
    caught = ~np.isnan(alarms.lead)
    per_event = draws.sums(owner[first], np.column_stack([caught, np.ones(len(first))]).astype(np.float64))
    raised = np.zeros(len(rows))
    raised[alarms.row] = 1
    true = raised * (alarms.event_of_row >= 0)
    per_row = draws.sums(owner, np.column_stack([raised, true, np.ones(len(rows))]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "event_recall": draws.estimate(alarms.recall, per_event[:, 0] / per_event[:, 1]),
            "alarm_precision": draws.estimate(alarms.precision, per_row[:, 1] / per_row[:, 0]),
            "alarms_per_1000_steps": draws.estimate(
                1000 * len(alarms.row) / len(rows), 1000 * per_row[:, 0] / per_row[:, 2]
            ),
            "lead_median": _median(alarms.lead[caught], owner[first[caught]], draws),
        }  # fmt: skip


def _median(values: np.ndarray, owner: np.ndarray, draws: Draws) -> DrawnEstimate:
    """NaN in draws that have none of the values. owner: index of each value's subject."""
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    drawn = (np.repeat(values, weight[owner]) for weight in draws.weights)
    medians = [
        (of_hour[(len(of_hour) - 1) // 2] + of_hour[len(of_hour) // 2]) / 2 if len(of_hour) else np.nan
        for of_hour in drawn
    ]
    return draws.estimate(np.median(values) if len(values) else np.nan, np.array(medians))
