"""Variants beside the reference: paired differences over seeds and subjects, and a test of each with Holm's correction.

A difference is paired twice: seed by seed, since both runs of a seed begin with the same weights and see the data in
the same order, and subject by subject, since both measured the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from jepa_core.results.paired import stable_draws
from jepa_core.results.statistics import percentile_interval
from jepa_core.study.metrics import RunMetric

LEVEL = 0.05


@dataclass(frozen=True)
class VariantDifference:
    """A metric of a variant less that of the reference.

    value: mean over the seeds that both have. by_seed: (seed, difference). subjects_low, subjects_high: 95 % percentile
    interval over redrawn subjects of the mean over seeds, None without draws or where too many of them have no value.
    seeds_low, seeds_high: 95 % interval of Student's t over seeds, None for a single one. p: of the two-sided test that
    the mean is 0, with the variance over subjects and that over seeds added (Welch and Satterthwaite's degrees of
    freedom); None where neither is known. p_holm: p after Holm's correction (Scand. J. Statist. 6, 1979) over the
    variants of a study, metric by metric.
    """

    value: float
    by_seed: tuple[tuple[int, float], ...]
    subjects_low: float | None = None
    subjects_high: float | None = None
    seeds_low: float | None = None
    seeds_high: float | None = None
    p: float | None = None
    p_holm: float | None = None


def difference(variant: Mapping[int, RunMetric], reference: Mapping[int, RunMetric]) -> VariantDifference | None:
    """The difference over the seeds in which both measured the same subjects; None if there is no such seed."""
    seeds = [seed for seed in sorted(variant.keys() & reference.keys()) if _alike(variant[seed], reference[seed])]
    if not seeds:
        return None
    by_seed = np.array([variant[seed].value - reference[seed].value for seed in seeds])
    by_seeds = VariantDifference(float(by_seed.mean()), tuple(zip(seeds, by_seed.tolist(), strict=True)))
    draws = _mean_draws([(variant[seed].draws, reference[seed].draws) for seed in seeds])
    subjects = variant[seeds[0]].subjects or 0
    if draws is not None and subjects > 1:
        low, high = percentile_interval(draws)
        by_seeds = replace(by_seeds, subjects_low=float(low), subjects_high=float(high))
    if len(seeds) > 1:
        half = stats.t.ppf(1 - LEVEL / 2, len(seeds) - 1) * by_seed.std(ddof=1) / np.sqrt(len(seeds))
        by_seeds = replace(by_seeds, seeds_low=by_seeds.value - half, seeds_high=by_seeds.value + half)
    return replace(by_seeds, p=_p(by_seeds.value, by_seed, draws, subjects))


def _alike(metric: RunMetric, other: RunMetric) -> bool:
    """Whether two runs measured the same rows, as far as they tell."""
    return None in (metric.rows, other.rows) or metric.rows == other.rows


def _mean_draws(pairs: Sequence[tuple[np.ndarray | None, np.ndarray | None]]) -> np.ndarray | None:
    """(draws,) mean over seeds of the difference of each draw; None if a run has none, or too few are finite."""
    both = [value - other for value, other in pairs if value is not None and other is not None]
    return stable_draws(np.mean(both, axis=0)) if len(both) == len(pairs) else None


def _p(value: float, by_seed: np.ndarray, draws: np.ndarray | None, subjects: int) -> float | None:
    parts = []
    if draws is not None and subjects > 1:
        parts.append((float(draws.var(ddof=1)), subjects - 1))
    if len(by_seed) > 1:
        parts.append((float(by_seed.var(ddof=1)) / len(by_seed), len(by_seed) - 1))
    if not parts:
        return None
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 1.0 if value == 0 else 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if part > 0)
    return float(2 * stats.t.sf(abs(value) / np.sqrt(variance), freedom))


def with_holm(differences: Sequence[VariantDifference | None]) -> list[VariantDifference | None]:
    """The differences of one metric, with p after Holm's correction over those that have one."""
    known = [
        (each.p, number, each) for number, each in enumerate(differences) if each is not None and each.p is not None
    ]
    corrected, largest = list(differences), 0.0
    for rank, (p, number, each) in enumerate(sorted(known, key=lambda entry: entry[:2])):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[number] = replace(each, p_holm=largest)
    return corrected
