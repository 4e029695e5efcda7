"""What is measured of scores, with its bootstrap over subjects.

Values come from scikit-learn; the draws from sums by subject and from `Ranking`, which the tests hold equal to
scikit-learn under the draw's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import metrics

from jepa_core.results.paired import SEED
from jepa_core.results.ranking import BLOCK, Ranking
from jepa_core.results.statistics import percentile_interval

BINS = 10
"""Bins of equal width of the expected calibration error; meds-evaluation has as many, and does not weight them."""
UNSTABLE = 0.05
"""Share of draws without a value above which an interval is not given."""


class Draws:
    """Subjects drawn with replacement, the same for every method, task and run, so that all differences are paired.

    A drawn subject brings all of its rows. Of one subject alone nothing is known under draws: they would all be alike,
    and their interval a point.
    """

    def __init__(self, subjects: np.ndarray, draws: int, seed: int = SEED) -> None:
        """subjects: whom to draw from, in any order and number."""
        self.subjects = np.unique(subjects)
        count = max(1, len(self.subjects))
        generator = np.random.default_rng(seed)
        self.weights = generator.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.uint16)

    def estimate(self, value: float, drawn: np.ndarray) -> DrawnEstimate:
        """What a value that is NaN where it is not defined is, and under each draw."""
        known = drawn if len(self.subjects) > 1 else np.full_like(drawn, np.nan)
        return DrawnEstimate(float(value) if np.isfinite(value) else None, known)

    def owner(self, subject: np.ndarray) -> np.ndarray:
        """(R,) index of each row's subject."""
        return np.searchsorted(self.subjects, subject)

    def sums(self, owner: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(draws, K) sums over the rows of values (R, K) under each draw."""
        by_subject = np.stack(
            [np.bincount(owner, column, minlength=len(self.subjects)) for column in values.T], axis=1
        )  # fmt: skip
        blocks = np.array_split(self.weights, max(1, self.weights.size // 4_000_000))
        return np.concatenate([block.astype(np.float64) @ by_subject for block in blocks])


@dataclass(frozen=True)
class DrawnEstimate:
    """A value with its draws: None and NaN where it is not defined. low, high: 95 % percentile interval."""

    value: float | None
    draws: np.ndarray

    @property
    def skipped(self) -> float:
        """Share of the draws that have no value."""
        return float(np.isnan(self.draws).mean())

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        if self.value is None or self.skipped > UNSTABLE:
            return None, None
        low, high = percentile_interval(self.draws[~np.isnan(self.draws)])
        return float(low), float(high)

    def minus(self, other: DrawnEstimate) -> DrawnEstimate:
        """The paired difference."""
        value = None if self.value is None or other.value is None else self.value - other.value
        return DrawnEstimate(value, self.draws - other.draws)

    def times(self, factor: float) -> DrawnEstimate:
        """The same in another unit."""
        return DrawnEstimate(None if self.value is None else self.value * factor, self.draws * factor)


Estimates = dict[str, DrawnEstimate]


def subject_weights(subject: np.ndarray) -> np.ndarray:
    """(R,) weights under which every subject counts alike, however many rows it has."""
    _, owner, counts = np.unique(subject, return_inverse=True, return_counts=True)
    return 1 / counts[owner]


def binary(truth: np.ndarray, score: np.ndarray, subject: np.ndarray, draws: Draws, weight: np.ndarray) -> Estimates:
    """auroc, average_precision, brier, ece of probabilities. Needs a row; the first two need both classes.

    weight: (R,) of the rows themselves, which a draw multiplies.
    """
    owner = draws.owner(subject)
    areas = _areas(truth, score, owner, draws, weight)
    sides = (metrics.roc_auc_score, metrics.average_precision_score)
    one_class = len(np.unique(truth)) < 2
    values = [np.nan if one_class else metric(truth, score, sample_weight=weight) for metric in sides]
    terms = np.column_stack([weight, weight * (score - truth) ** 2, _by_bin(score, weight * (truth - score))])
    brier_ece = _brier_and_ece(draws.sums(owner, terms))
    brier_and_ece = _brier_and_ece(terms.sum(axis=0, keepdims=True))
    return {
        "auroc": draws.estimate(values[0], areas[:, 0]),
        "average_precision": draws.estimate(values[1], areas[:, 1]),
        "brier": draws.estimate(brier_and_ece[0][0], brier_ece[0]),
        "ece": draws.estimate(brier_and_ece[1][0], brier_ece[1]),
    }


def _areas(truth: np.ndarray, score: np.ndarray, owner: np.ndarray, draws: Draws, weight: np.ndarray) -> np.ndarray:
    ranking = Ranking(truth, score)
    owner, weight = owner[ranking.order], weight[ranking.order]
    blocks = range(0, len(draws.weights), max(1, BLOCK // len(owner)))
    return np.concatenate(
        [ranking.areas(draws.weights[first : first + blocks.step][:, owner] * weight) for first in blocks]
    )


def _by_bin(score: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(R, BINS): each value in the column of its score's bin."""
    bins = np.zeros((len(score), BINS))
    bins[np.arange(len(score)), bin_of(score)] = values
    return bins


def bin_of(score: np.ndarray) -> np.ndarray:
    """(R,) bin of each probability, from 0; a bin holds its lower edge, the last one both."""
    return np.clip((score * BINS).astype(np.int64), 0, BINS - 1)


def _brier_and_ece(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[:, 1] / sums[:, 0], np.abs(sums[:, 2:]).sum(axis=1) / sums[:, 0]


def regression(
    truth: np.ndarray, score: np.ndarray, subject: np.ndarray, draws: Draws, weight: np.ndarray
) -> Estimates:
    """rmse, mae, r2 of values. Needs a row; r2 needs two different truths."""
    centre = truth.mean()  # sums of squares about a common offset would lose digits
    error, about = score - truth, truth - centre
    terms = weight[:, None] * np.column_stack([np.ones(len(truth)), error**2, np.abs(error), about, about**2])
    sums = draws.sums(draws.owner(subject), terms)
    with np.errstate(invalid="ignore", divide="ignore"):
        rmse, mae = np.sqrt(sums[:, 1] / sums[:, 0]), sums[:, 2] / sums[:, 0]
        spread = sums[:, 4] - sums[:, 3] ** 2 / sums[:, 0]
        r2 = np.where(spread > 1e-12 * np.maximum(sums[:, 4], 1e-300), 1 - sums[:, 1] / spread, np.nan)
    constant = len(np.unique(truth)) < 2
    return {
        "rmse": draws.estimate(metrics.root_mean_squared_error(truth, score, sample_weight=weight), rmse),
        "mae": draws.estimate(metrics.mean_absolute_error(truth, score, sample_weight=weight), mae),
        "r2": draws.estimate(np.nan if constant else metrics.r2_score(truth, score, sample_weight=weight), r2),
    }


def asymmetric_score(
    truth: np.ndarray, score: np.ndarray, subject: np.ndarray, draws: Draws, weight: np.ndarray
) -> Estimates:
    """Score of the PHM 2008 challenge (Saxena et al.): with d = predicted - true, exp(-d / 13) - 1 where d < 0, else
    exp(d / 10) - 1, as sum over the rows and as mean: predictions that are too late cost more."""
    late = score - truth
    cost = weight * np.expm1(np.clip(np.where(late < 0, -late / 13, late / 10), None, 500))
    sums = draws.sums(draws.owner(subject), np.column_stack([weight, cost]))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[:, 1] / sums[:, 0]
    return {
        "score_sum": draws.estimate(cost.sum(), sums[:, 1]),
        "score_mean": draws.estimate(cost.sum() / weight.sum(), mean),
    }


Measure = Callable[[np.ndarray, np.ndarray, np.ndarray, Draws, np.ndarray], Estimates]


def calibration(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin that has a row: its number, mean probability, observed share, rows."""
    bins = bin_of(score)
    count = np.bincount(bins, minlength=BINS)
    used = count > 0
    foreseen, observed = (np.bincount(bins, values, minlength=BINS)[used] / count[used] for values in (score, truth))
    return np.flatnonzero(used), foreseen, observed, count[used]
