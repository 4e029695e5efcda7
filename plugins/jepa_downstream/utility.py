"""What alarms are worth by when they are raised.

It is the utility of the PhysioNet/CinC Challenge 2019 (Reyna et al., Critical Care Medicine 2020).

Every row of a trajectory is an alarm or silence, and is worth something by the steps s since the event begins (negative
before it; the first positive row has s = -best):

* an alarm rises from 0 at s = -early to `true_alarm` at s = -best, and falls to 0 at s = late; earlier than -early it
  costs as much as a false one;
* silence is free up to s = -best, and falls to `missed` at s = late;
* after `late` nothing counts; where no event comes, an alarm costs `false_alarm` and silence nothing.

The sum over all rows is put on a scale on which silence everywhere has 0 and the best of both at every row has 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_downstream.config import UtilityConfig
from jepa_downstream.measures import DrawnEstimate, Draws
from jepa_downstream.rows import Rows


@dataclass(frozen=True)
class RowUtilities:
    """silent, alarm: (R,) what each row is worth without and with an alarm."""

    silent: np.ndarray
    alarm: np.ndarray

    @classmethod
    def of(cls, rows: Rows, config: UtilityConfig) -> RowUtilities:
        """Rows: every one of their trajectories."""
        since = _steps_since(rows, config.best)
        span = config.late + config.best
        rising = config.true_alarm * (since + config.early) / (config.early - config.best)
        falling = config.true_alarm * (config.late - since) / span
        alarm = np.where(since <= -config.best, np.maximum(rising, config.false_alarm), falling)
        silent = np.where(since <= -config.best, 0.0, config.missed * (since + config.best) / span)
        over = since > config.late
        return cls(np.where(over, 0.0, silent), np.where(over, 0.0, alarm))

    @property
    def gain(self) -> np.ndarray:
        """(R,) what an alarm adds to silence."""
        return self.alarm - self.silent


def _steps_since(rows: Rows, best: int) -> np.ndarray:
    """(R,) steps since the event of each row's trajectory begins; -inf where none comes."""
    trajectories, owner = np.unique(rows.trajectory, return_inverse=True)
    begins = np.full(len(trajectories), np.inf)
    positive = rows.truth == 1
    np.minimum.at(begins, owner[positive], rows.step[positive] + best)
    return rows.step - begins[owner]


def most_useful_threshold(utilities: RowUtilities, score: np.ndarray) -> float | None:
    """The threshold at which alarms are worth most: the largest of several; None if silence is worth as much."""
    order = np.argsort(-score, kind="stable")
    ranked, total = score[order], np.cumsum(utilities.gain[order])
    last = np.append(np.diff(ranked) != 0, True)[: len(ranked)]  # of equal scores all rows are alarms, or none
    if not last.any() or total[last].max() <= 0:
        return None
    return float(ranked[last][np.argmax(total[last])])


def alarmed_rows(score: np.ndarray, threshold: float | None) -> np.ndarray:
    """(R,) whether a row is an alarm."""
    return np.zeros(len(score), dtype=bool) if threshold is None else score >= threshold


def utility(utilities: RowUtilities, alarm: np.ndarray, subject: np.ndarray, draws: Draws) -> DrawnEstimate:
    """The utility of alarms (R,) between that of silence, 0, and the best there is, 1; undefined without an event."""
    gain = utilities.gain
    terms = np.column_stack([np.where(alarm, gain, 0.0), np.maximum(gain, 0.0)])
    sums = draws.sums(draws.owner(subject), terms)
    total = terms.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
        value = total[0] / total[1] if total[1] > 0 else np.nan
    return draws.estimate(value, drawn)
