"""Columns that may hold the answer: what is named or behaves like a label, like what remains, like another column
later, and what tells a label by itself. Whether one of them may be an input is for a person to say."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jepa_sensors.column_names import EARLIER, is_label

_AHEAD = 24
"""Rows ahead at which a column is looked for in another."""
_SPAN = 50
"""Rows by which columns are recognised before they are compared whole."""
_IDS = 100
"""Ids in which a column is looked at for what remains."""
_CELL = 0.02
"""Share of a standard deviation to which stretches are alike."""
_ROUNDED = 1e-4
"""Share of its range to which a column is another one."""
_ROWS = 20_000
"""Rows that are compared, evenly spaced."""
_TELLS = 0.99
"""Area under the ROC curve, or rank correlation, from which a column tells a label by itself."""
_FEWEST = 10
"""Rows (ids, of what is constant in each) of either sort that a comparison needs."""


@dataclass(frozen=True)
class OrderedRows:
    """Rows in the order of id and time. key: (rows,) int64. time: (rows,). columns: (rows,) float64 by name."""

    key: np.ndarray
    time: np.ndarray
    columns: Mapping[str, np.ndarray]

    @classmethod
    def ordered(cls, key: np.ndarray, time: np.ndarray, columns: Mapping[str, np.ndarray]) -> OrderedRows:
        """Rows in any order."""
        order = np.lexsort((time, key))
        return cls(key[order], time[order], {name: values[order] for name, values in columns.items()})


def answers(readings: OrderedRows, wordy: Collection[str]) -> dict[str, str]:
    """For each column that seems to be an answer by itself, why. wordy: columns of words, whose values are names."""
    named = {name: "its name says so" for name in readings.columns if is_label(name)}
    numbers = [name for name in readings.columns if name not in named and name not in wordy]
    return named | {name: why for name in numbers if (why := _remains(readings, readings.columns[name]))}


def suspects(readings: OrderedRows, wordy: Collection[str]) -> dict[str, str]:
    """For each column that may hold the answer, why: the answers themselves, and what gives one away."""
    reasons = dict(labels := answers(readings, wordy))
    numbers = [name for name in readings.columns if name not in reasons and name not in wordy]
    reasons |= dict(_twins(readings, numbers))
    for label in labels:
        for name in readings.columns:
            if name not in reasons and _tells(readings, label, name, wordy):
                reasons[name] = f"it tells {label} by itself"
    return reasons


# --- what remains -----------------------------------------------------------------------------------------------------


def _remains(readings: OrderedRows, values: np.ndarray) -> str:
    """Whether a column counts down within each id, or runs to one end in all of them however long they are."""
    drifts = [_drift(readings.time[part], values[part]) for part in _runs(readings.key)[:_IDS]]
    known = [drift for drift in drifts if drift is not None]
    if not known or len(known) < len(drifts) or sum(rows for *_, rows in known) < 2 * _FEWEST:
        return ""
    rates, lasts = (np.array(column) for column in list(zip(*known, strict=True))[:2])
    if np.all(rates < 0):
        return "it counts down within each id"
    one_end = len(lasts) > 2 and np.ptp(lasts) <= 0.02 * np.abs(lasts).max()
    if np.all(rates > 0) and one_end and np.ptp(rates) > 0.05 * rates.max():
        return "it runs to one end in each id, however long that is"
    return ""


def _drift(time: np.ndarray, values: np.ndarray) -> tuple[float, float, int] | None:
    """Rate, last value and rows of a column that changes by one rate, but for a time in which it stands still; None if
    it does not."""
    known = np.isfinite(values)
    step, passed = np.diff(values[known]), np.diff(time[known])
    moving = step != 0
    if len(step) < 2 or np.any(passed <= 0) or np.mean(moving) < 0.5:
        return None
    rates = step[moving] / passed[moving]
    rate = float(np.median(rates))
    even = np.mean(np.abs(rates - rate) < 0.02 * abs(rate)) >= 0.99
    return (rate, float(values[known][-1]), len(step)) if even else None


# --- copies -----------------------------------------------------------------------------------------------------------


def _twins(readings: OrderedRows, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Columns that are another one, at once or some rows later, in whatever unit."""
    run = max(_runs(readings.key), key=lambda part: part.stop - part.start)
    length = min(_SPAN, run.stop - run.start)
    middle = (run.start + run.stop - length) // 2
    prints: dict[bytes, list[str]] = {}
    for name in names:
        for print_of in _fingerprints(readings.columns[name][middle : middle + length]):
            prints.setdefault(print_of, []).append(name)
    for other in names:
        for ahead in range(min(_AHEAD, run.stop - middle - length) + 1):
            shifted = _fingerprints(readings.columns[other][middle + ahead : middle + ahead + length])
            for name in dict.fromkeys(name for shift in shifted for name in prints.get(shift, [])):
                if _is_derived(name, other, names, ahead) and _is_same(readings, name, other, ahead):
                    yield name, f"it is {other}" + (f" {ahead} rows later" if ahead else ", in whatever unit")


def _is_derived(name: str, other: str, names: Sequence[str], ahead: int) -> bool:
    """Whether, of two columns that tell the same, the first is made of the other: as its name tells, else the one that
    stands behind. What tells the past is made of the present, and no answer."""
    if name == other or EARLIER.fullmatch(other) and ahead:
        return False
    contained = (other in name) - (name in other)
    return contained > 0 or contained == 0 and names.index(name) > names.index(other)


def _fingerprints(values: np.ndarray) -> list[bytes]:
    """What a stretch of a column has in common with itself in other units, cut in two ways, since what is rounded may
    fall to either side of one cut; none if it is too plain to be known."""
    known = np.isfinite(values)
    if known.sum() < _FEWEST or len(np.unique(values[known])) < 4:
        return []
    scaled = (values - values[known].mean()) / values[known].std()
    sign = np.sign(scaled[known][np.flatnonzero(np.abs(scaled[known]) > 0.1)[0]])
    cells = np.nan_to_num(scaled * sign, nan=1e6) / _CELL
    return [np.floor(cells + shift).tobytes() for shift in (0.25, 0.75)]


def _is_same(readings: OrderedRows, name: str, other: str, ahead: int) -> bool:
    """Whether a column is another some rows ahead, up to a factor and a summand, in all rows but one of a hundred."""
    count = len(readings.key) - ahead
    later = slice(ahead, ahead + count)
    early, late = readings.columns[name][:count], readings.columns[other][later]
    both = (readings.key[:count] == readings.key[later]) & np.isfinite(early) & np.isfinite(late)
    if both.sum() < 2 * _FEWEST or np.ptp(late[both]) == 0:
        return False
    factor, summand = np.polyfit(late[both], early[both], 1)
    off = np.abs(early[both] - factor * late[both] - summand)
    return bool(np.mean(off <= _ROUNDED * np.ptp(early[both])) >= 0.99)


# --- what tells a label -----------------------------------------------------------------------------------------------


def _tells(readings: OrderedRows, label: str, name: str, wordy: Collection[str]) -> bool:
    """Whether a column alone tells a label, or the very lack of its value does."""
    truth, values = readings.columns[label], readings.columns[name]
    if _is_constant(readings.key, truth) or _is_constant(readings.key, values):
        rows = np.array([part.stop - 1 for part in _runs(readings.key)])
    else:
        rows = np.arange(len(truth))[:: max(1, len(truth) // _ROWS)]
    rows = rows[np.isfinite(truth[rows])]
    truth, values = truth[rows], values[rows]
    classes = np.unique(truth)
    if len(classes) < 2 or len(rows) < 2 * _FEWEST:
        return False
    if label in wordy and len(classes) > 2:
        return _determines(values, truth)
    if len(classes) > 2:
        both = np.isfinite(values)
        return both.sum() >= 2 * _FEWEST and abs(_correlation(_ranks(values[both]), _ranks(truth[both]))) >= _TELLS
    positive = truth == classes[1]
    if min(positive.sum(), (~positive).sum()) < _FEWEST:
        return False
    scores = [np.isnan(values).astype(float)]
    both = np.isfinite(values)
    if name in wordy:
        scores.append(_share_by_word(values, positive))
    elif min(positive[both].sum(), (~positive[both]).sum()) >= _FEWEST:
        return max(_distinguishes(scores[0], positive), _distinguishes(values[both], positive[both])) >= _TELLS
    return max(_distinguishes(score, positive) for score in scores) >= _TELLS


def _determines(values: np.ndarray, truth: np.ndarray) -> bool:
    """Whether every value of a column, of which there are few, goes with one class."""
    pairs = len(np.unique(np.stack([values, truth]), axis=1).T)
    distinct = len(np.unique(values))
    return pairs == distinct and 1 < distinct <= len(values) / _FEWEST


def _share_by_word(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The share of positive rows among those of the same word."""
    inverse = np.unique(np.nan_to_num(values, nan=-1), return_inverse=True)[1]
    return (np.bincount(inverse, positive) / np.bincount(inverse))[inverse]


def _distinguishes(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve, or over it (Mann-Whitney U over the product of the counts)."""
    above = _ranks(score)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    area = above / (positive.sum() * (~positive).sum())
    return float(max(area, 1 - area))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[inverse]


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    spread = left.std() * right.std()
    return float(np.mean((left - left.mean()) * (right - right.mean())) / spread) if spread > 0 else 0.0


def _is_constant(key: np.ndarray, values: np.ndarray) -> bool:
    """Whether a column never changes within an id."""
    changes = np.diff(values)
    return not np.any((np.diff(key) == 0) & np.isfinite(changes) & (changes != 0))


def _runs(key: np.ndarray) -> list[slice]:
    """The rows of each id."""
    borders = [0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), len(key)]
    return [slice(*pair) for pair in itertools.pairwise(borders)]
