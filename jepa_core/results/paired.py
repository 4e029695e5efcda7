"""Differences between two runs on the same subjects, with intervals that redraw the subjects for both at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_core.results.findings import Redrawn, Samples
from jepa_core.results.predictions import Predicted
from jepa_core.results.ranking import BLOCK, Ranking
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval, redrawn_weights

DRAWS = 1000
SEED = 0
LABELLING_SEED = 1
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


def redraw(values: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Means over the rows of redrawn subjects, to make the draws of a `Redrawn` from: (DRAWS, K) or (DRAWS,).

    Arguments as of `bootstrap_subjects`. Equal subjects are redrawn alike in every run, whatever the run's seed.
    """
    return bootstrap_subjects(values, subjects, DRAWS, SEED)


def metric_draws(kept: Samples | Redrawn) -> Drawn | None:
    """The metric that an evaluator kept by subject; None if its samples weigh nothing."""
    return Drawn(kept.value, kept.draws) if isinstance(kept, Redrawn) else _sample_draws(kept)


def _sample_draws(samples: Samples) -> Drawn | None:
    sums = np.stack([samples.weights * samples.values, samples.weights], axis=1)
    above, below = sums.sum(axis=0)
    if not below > 0:
        return None
    redrawn = redraw(sums, samples.subjects)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Drawn(float(above / below), redrawn[:, 0] / redrawn[:, 1])


def score_draws(predicted: Predicted) -> dict[str, Drawn]:
    """What is measured of predictions: Brier score, AUROC and average precision of probabilities, the last two only
    where the rows are of two classes; RMSE and MAE of values. The mean over labellings, where there are several."""
    measure = _of_probabilities if predicted.kind == "boolean" else _of_values
    parts = [
        measure(predicted.truth[mine], predicted.score[mine], predicted.subject[mine])
        for mine in (predicted.labelling == labelling for labelling in np.unique(predicted.labelling))
    ]
    if len(parts) == 1:
        return parts[0]
    return {
        name: Drawn(
            float(np.mean([part[name].value for part in parts])),
            over_labellings(np.stack([part[name].draws for part in parts], axis=1)),
        )
        for name in parts[0]
    }


def _of_probabilities(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> dict[str, Drawn]:
    errors = (score - truth) ** 2
    scores = {"Brier score": Drawn(float(errors.mean()), redraw(errors, subjects))}
    if truth.all() or not truth.any():
        return scores
    areas, redrawn = _areas(truth, score, subjects)
    names = ("AUROC", "average precision")
    return {name: Drawn(float(areas[at]), redrawn[:, at]) for at, name in enumerate(names)} | scores


def _of_values(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> dict[str, Drawn]:
    errors = score - truth
    squares, sizes = redraw(np.stack([errors**2, np.abs(errors)], axis=1), subjects).T
    return {
        "RMSE": Drawn(float(np.sqrt((errors**2).mean())), np.sqrt(squares)),
        "MAE": Drawn(float(np.abs(errors).mean()), sizes),
    }


def over_labellings(draws: np.ndarray) -> np.ndarray:
    """Draws of a mean over K labellings, from those of each over subjects: (B, K) -> (B,).

    Draw b takes the subjects of draw b, and K of the labellings with replacement. Few labellings drawn from themselves
    spread too little, by (K - 1) / K in variance: their deviations from the mean are widened by that (Rao & Wu, JASA
    83, 1988). The labellings of a draw are the same for every method and run, so that differences are paired.
    """
    length, count = draws.shape
    if count == 1:
        return draws[:, 0]
    times = np.random.default_rng(LABELLING_SEED).multinomial(count, np.full(count, 1 / count), size=length)
    return ((1 + np.sqrt(count / (count - 1)) * (times - 1)) * draws).mean(axis=1)


def metric_difference(reference: Samples | Redrawn, other: Samples | Redrawn) -> PairedDifference | str:
    """Difference of a metric that both runs kept of the same subjects, or why there is none."""
    if not np.array_equal(reference.subjects, other.subjects):
        return "measured on other subjects"
    first, second = metric_draws(reference), metric_draws(other)
    if first is None or second is None:
        return "nothing to divide by"
    return _difference(first, second, reference.subjects)


def score_differences(first: Predicted, other: Predicted) -> dict[str, PairedDifference | str]:
    """Differences of everything that `score_draws` measures, or why there are none."""
    if not first.of_same_rows(other):
        return {"scores": "predicted for other rows, or with other truths"}
    mine, its = score_draws(first), score_draws(other)
    areas = dict.fromkeys(("AUROC", "average precision"), "the rows are of one class")
    reasons = areas if first.kind == "boolean" else {}
    return reasons | {name: _difference(mine[name], its[name], first.subject) for name in mine}


def _areas(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision: (2,), and under each draw, (draws, 2); NaN where a draw has one class,
    and of one subject."""
    ranking = Ranking(truth, score)
    names, owner = np.unique(subjects[ranking.order], return_inverse=True)
    areas = ranking.areas(np.ones((1, len(truth))))[0]
    if len(names) == 1:
        return areas, np.full((DRAWS, 2), np.nan)
    drawn = redrawn_weights(len(names), DRAWS, SEED, max(1, BLOCK // len(truth)))
    return areas, np.concatenate([ranking.areas(block[:, owner]) for block in drawn])


def stable_draws(draws: np.ndarray) -> np.ndarray | None:
    """The draws that have a value; None if too many have none for an interval."""
    known = draws[np.isfinite(draws)]
    return known if len(known) >= (1 - UNSTABLE) * len(draws) else None


def _difference(first: Drawn, second: Drawn, subjects: np.ndarray) -> PairedDifference:
    known, count = stable_draws(second.draws - first.draws), len(np.unique(subjects))
    bounds: tuple[float | None, float | None] = (None, None)
    if count > 1 and known is not None:
        low, high = percentile_interval(known)
        bounds = float(low), float(high)
    return PairedDifference(first.value, second.value, second.value - first.value, *bounds, count)
