"""Differences between two runs on the same subjects, with intervals that redraw the subjects for both at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.findings import Samples
from jepa_core.ranking import Ranking
from jepa_core.statistics import bootstrap_subjects, percentile_interval

DRAWS = 1000
SEED = 0
UNSTABLE = 0.05
"""Share of draws without a value above which there is no interval."""


@dataclass(frozen=True)
class PairedDifference:
    """A metric of two runs and its difference, the second less the first. low, high: 95 % percentile interval over
    subjects; None where no interval can be given."""

    reference: float
    value: float
    difference: float
    low: float | None
    high: float | None
    subjects: int


def sample_difference(reference: Samples, other: Samples) -> PairedDifference | str:
    """Difference of the metric that samples of the same subjects give, or why there is none."""
    if not np.array_equal(reference.subjects, other.subjects):
        return "measured on other subjects"
    both = [part for one in (reference, other) for part in (one.weights * one.values, one.weights)]
    sums = np.stack(both, axis=1)
    totals = sums.sum(axis=0)
    if not (totals[1] > 0 and totals[3] > 0):
        return "nothing to divide by"
    redrawn = bootstrap_subjects(sums, reference.subjects, DRAWS, SEED)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = redrawn[:, [0, 2]] / redrawn[:, [1, 3]]
    return _difference(totals[[0, 2]] / totals[[1, 3]], values, reference.subjects)


def probability_differences(
    truth: np.ndarray, reference: np.ndarray, other: np.ndarray, subjects: np.ndarray
) -> dict[str, PairedDifference | str]:
    """Differences of AUROC, average precision and Brier score between two sets of probabilities for the same rows.

    truth: (N,) bool. reference, other: (N,) probabilities. subjects: (N,).
    """
    errors = np.stack([(one - truth) ** 2 for one in (reference, other)], axis=1)
    brier = _difference(errors.mean(axis=0), bootstrap_subjects(errors, subjects, DRAWS, SEED), subjects)
    if truth.all() or not truth.any():
        reason = "the rows are of one class"
        return {"AUROC": reason, "average precision": reason, "Brier score": brier}
    areas, redrawn = zip(*(_areas(truth, one, subjects) for one in (reference, other)), strict=True)
    values, draws = np.stack(areas, axis=1), np.stack(redrawn, axis=2)
    return {
        "AUROC": _difference(values[0], draws[:, 0], subjects),
        "average precision": _difference(values[1], draws[:, 1], subjects),
        "Brier score": brier,
    }


def value_differences(
    truth: np.ndarray, reference: np.ndarray, other: np.ndarray, subjects: np.ndarray
) -> dict[str, PairedDifference | str]:
    """Differences of RMSE and MAE between two sets of values for the same rows. Arguments as above, truth of values."""
    errors = np.stack([one - truth for one in (reference, other)], axis=1)
    squares = bootstrap_subjects(errors**2, subjects, DRAWS, SEED)
    sizes = bootstrap_subjects(np.abs(errors), subjects, DRAWS, SEED)
    return {
        "RMSE": _difference(np.sqrt((errors**2).mean(axis=0)), np.sqrt(squares), subjects),
        "MAE": _difference(np.abs(errors).mean(axis=0), sizes, subjects),
    }


def _areas(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision: (2,), and under each draw, (draws, 2); NaN where a draw has one class."""
    ranking = Ranking(truth, score)
    names, owner = np.unique(subjects[ranking.order], return_inverse=True)
    generator = np.random.default_rng(SEED)
    chances = np.full(len(names), 1 / len(names))
    drawn = (generator.multinomial(len(names), chances).astype(np.float64) for _ in range(DRAWS))
    return np.array(ranking.areas(np.ones(len(truth)))), np.array([ranking.areas(one[owner]) for one in drawn])


def _difference(values: np.ndarray, draws: np.ndarray, subjects: np.ndarray) -> PairedDifference:
    """values: (2,), of the first run and the second. draws: (draws, 2)."""
    differences = draws[:, 1] - draws[:, 0]
    known = differences[np.isfinite(differences)]
    count = len(np.unique(subjects))
    bounds: tuple[float | None, float | None] = (None, None)
    if count > 1 and len(known) >= (1 - UNSTABLE) * len(differences):
        low, high = percentile_interval(known)
        bounds = float(low), float(high)
    first, second = (float(value) for value in values)
    return PairedDifference(first, second, second - first, *bounds, count)
