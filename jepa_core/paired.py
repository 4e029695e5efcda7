"""Differences between two runs on the same subjects, with intervals that redraw the subjects for both at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.findings import Samples
from jepa_core.statistics import bootstrap_subjects, percentile_interval

DRAWS = 1000
SEED = 0
WEIGHTS_IN_MEMORY = 8_000_000
"""Row weights held at once: draws are made in blocks."""


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
    return _difference(totals[0] / totals[1], totals[2] / totals[3], values, len(reference.subjects))


def ranking_differences(
    positive: np.ndarray, reference: np.ndarray, other: np.ndarray, subjects: np.ndarray
) -> dict[str, PairedDifference | str]:
    """Differences of AUROC, average precision and Brier score between two sets of probabilities for the same rows.

    positive: (N,) bool. reference, other: (N,) probabilities. subjects: (N,). A redrawn set of one class has no AUROC
    and no average precision; it is left out of the interval.
    """
    if positive.all() or not positive.any():
        return dict.fromkeys(("AUROC", "average precision", "Brier score"), "the rows are of one class")
    _, owner, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(SEED)
    chances = np.full(len(counts), 1 / len(counts))
    block = max(1, WEIGHTS_IN_MEMORY // len(positive))
    whole = _scores(positive, (reference, other), np.ones((1, len(positive))))
    parts = []
    for first in range(0, DRAWS, block):
        weights = generator.multinomial(len(counts), chances, size=min(block, DRAWS - first)).astype(np.float64)
        parts.append(_scores(positive, (reference, other), weights[:, owner]))
    return {
        name: _difference(*whole[name][0], np.concatenate([part[name] for part in parts]), len(counts))
        for name in whole
    }


def _scores(
    positive: np.ndarray, probabilities: tuple[np.ndarray, np.ndarray], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """(draws, 2) of each score, for rows weighted by (draws, N)."""
    ranked = [_ranking(positive, one, weights) for one in probabilities]
    brier = [weights @ (one - positive) ** 2 / weights.sum(axis=1) for one in probabilities]
    return {
        "AUROC": np.stack([one[0] for one in ranked], axis=1),
        "average precision": np.stack([one[1] for one in ranked], axis=1),
        "Brier score": np.stack(brier, axis=1),
    }


def _ranking(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision (scikit-learn's definitions) of weighted rows, NaN where a class has no weight."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)  # rows of equal scores count as one threshold
    ordered, is_positive = weights[:, order], positive[order]
    hits = np.add.reduceat(ordered * is_positive, starts, axis=1)
    misses = np.add.reduceat(ordered * ~is_positive, starts, axis=1)
    above_hits, above_misses = np.cumsum(hits, axis=1), np.cumsum(misses, axis=1)
    all_hits, all_misses = above_hits[:, -1], above_misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (misses * (above_hits - hits / 2)).sum(axis=1) / (all_hits * all_misses)
        precision = np.nan_to_num(above_hits / (above_hits + above_misses))
        average = (hits * precision).sum(axis=1) / all_hits
    return area, average


def _difference(reference: float, value: float, draws: np.ndarray, subjects: int) -> PairedDifference:
    """draws: (draws, 2), of the first run and the second."""
    differences = draws[:, 1] - draws[:, 0]
    differences = differences[np.isfinite(differences)]
    bounds: tuple[float | None, float | None] = (None, None)
    if subjects > 1 and len(differences):
        low, high = percentile_interval(differences)
        bounds = float(low), float(high)
    return PairedDifference(float(reference), float(value), float(value - reference), *bounds, subjects)
