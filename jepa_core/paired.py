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


@dataclass(frozen=True)
class Drawn:
    """A metric of one run, and under redrawn subjects: (draws,), NaN where a draw does not define it. Draw i is of the
    same subjects for every metric and run of those subjects."""

    value: float
    draws: np.ndarray


def sample_draws(samples: Samples) -> Drawn | None:
    """The metric that samples give; None if they weigh nothing."""
    sums = np.stack([samples.weights * samples.values, samples.weights], axis=1)
    above, below = sums.sum(axis=0)
    if not below > 0:
        return None
    redrawn = bootstrap_subjects(sums, samples.subjects, DRAWS, SEED)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Drawn(float(above / below), redrawn[:, 0] / redrawn[:, 1])


def probability_draws(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> dict[str, Drawn]:
    """Brier score, AUROC and average precision of probabilities; the last two only where the rows are of two classes.

    truth: (N,) bool. score, subjects: (N,).
    """
    errors = (score - truth) ** 2
    found = {"Brier score": Drawn(float(errors.mean()), bootstrap_subjects(errors, subjects, DRAWS, SEED))}
    if truth.all() or not truth.any():
        return found
    areas, redrawn = _areas(truth, score, subjects)
    names = ("AUROC", "average precision")
    return {name: Drawn(float(areas[at]), redrawn[:, at]) for at, name in enumerate(names)} | found


def value_draws(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> dict[str, Drawn]:
    """RMSE and MAE of values. Arguments as above, truth of values."""
    errors = score - truth
    squares = bootstrap_subjects(errors**2, subjects, DRAWS, SEED)
    sizes = bootstrap_subjects(np.abs(errors), subjects, DRAWS, SEED)
    return {
        "RMSE": Drawn(float(np.sqrt((errors**2).mean())), np.sqrt(squares)),
        "MAE": Drawn(float(np.abs(errors).mean()), sizes),
    }


def sample_difference(reference: Samples, other: Samples) -> PairedDifference | str:
    """Difference of the metric that samples of the same subjects give, or why there is none."""
    if not np.array_equal(reference.subjects, other.subjects):
        return "measured on other subjects"
    first, second = sample_draws(reference), sample_draws(other)
    if first is None or second is None:
        return "nothing to divide by"
    return _difference(first, second, reference.subjects)


def probability_differences(
    truth: np.ndarray, reference: np.ndarray, other: np.ndarray, subjects: np.ndarray
) -> dict[str, PairedDifference | str]:
    """Differences of AUROC, average precision and Brier score between two sets of probabilities for the same rows.

    truth: (N,) bool. reference, other: (N,) probabilities. subjects: (N,).
    """
    first, second = (probability_draws(truth, one, subjects) for one in (reference, other))
    reason = dict.fromkeys(("AUROC", "average precision"), "the rows are of one class")
    return reason | {name: _difference(first[name], second[name], subjects) for name in first}


def value_differences(
    truth: np.ndarray, reference: np.ndarray, other: np.ndarray, subjects: np.ndarray
) -> dict[str, PairedDifference | str]:
    """Differences of RMSE and MAE between two sets of values for the same rows. Arguments as above, truth of values."""
    first, second = (value_draws(truth, one, subjects) for one in (reference, other))
    return {name: _difference(first[name], second[name], subjects) for name in first}


def _areas(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision: (2,), and under each draw, (draws, 2); NaN where a draw has one class."""
    ranking = Ranking(truth, score)
    names, owner = np.unique(subjects[ranking.order], return_inverse=True)
    generator = np.random.default_rng(SEED)
    chances = np.full(len(names), 1 / len(names))
    drawn = (generator.multinomial(len(names), chances).astype(np.float64) for _ in range(DRAWS))
    return np.array(ranking.areas(np.ones(len(truth)))), np.array([ranking.areas(one[owner]) for one in drawn])


def _difference(first: Drawn, second: Drawn, subjects: np.ndarray) -> PairedDifference:
    differences = second.draws - first.draws
    known = differences[np.isfinite(differences)]
    count = len(np.unique(subjects))
    bounds: tuple[float | None, float | None] = (None, None)
    if count > 1 and len(known) >= (1 - UNSTABLE) * len(differences):
        low, high = percentile_interval(known)
        bounds = float(low), float(high)
    return PairedDifference(first.value, second.value, second.value - first.value, *bounds, count)
