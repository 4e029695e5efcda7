"""What the alarms of every detector were worth, with intervals over subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.events import (
    SUMS,
    alarms_at,
    event_measures,
    point_adjusted_f1,
    random_point_adjusted_f1,
    sums_by_subject,
)
from jepa_anomalies.scored import ScoredSteps, conformal_threshold
from jepa_core.results.findings import Samples
from jepa_core.results.ranking import Ranking
from jepa_core.results.samples import ratio_samples, subject_numbers
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of the tuning split at which the curve of a detector is drawn."""


@dataclass(frozen=True)
class WithInterval:
    """A figure with its 95 % interval over subjects; None where it cannot be measured, or has no interval."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def cells(self) -> list[float | None]:
        """Value and bounds."""
        return [self.value, self.low, self.high]


@dataclass(frozen=True)
class Judged:
    """A detector at its threshold. hot: share of the steps beyond it. measures: see `events.event_measures`. auroc,
    average_precision: of its scores, step by step. point_adjusted, random: F1 with point adjustment, and that of random
    alarms as many. curve: false alarms a thousand normal steps and event recall, by RATES. f1_draws: F1 over redrawn
    subjects, the same draws for every detector; empty of one subject."""

    name: str
    threshold: float | None
    hot: float
    measures: dict[str, WithInterval]
    auroc: float | None
    average_precision: float | None
    point_adjusted: float | None
    random: float | None
    curve: list[tuple[float, float]]
    events: int
    alarms: int
    samples: list[Samples]
    f1_draws: np.ndarray


def judge(rows: ScoredSteps, tuning: ScoredSteps, name: str, config: AnomaliesConfig, seed: int) -> Judged:
    """One detector on the measured split, at the threshold that tuning gives."""
    score = rows.scores[name]
    threshold = conformal_threshold(tuning.scores[name], config.rate)
    alarms = alarms_at(rows, score, threshold, config.silence)
    subjects, sums = sums_by_subject(rows, alarms)
    drawn = _drawn(sums, config.bootstrap, seed)
    known = np.isfinite(rows.truth) & np.isfinite(score)
    auroc, average_precision = _areas(rows.truth[known], score[known])
    share = float(alarms.hot.mean()) if len(rows) else 0.0
    return Judged(
        name=name,
        threshold=threshold if np.isfinite(threshold) else None,
        hot=share,
        measures=_bounded(sums, drawn),
        auroc=auroc,
        average_precision=average_precision,
        point_adjusted=_known(point_adjusted_f1(rows.truth, alarms.event, alarms.hot)),
        random=_known(random_point_adjusted_f1(rows.truth, alarms.event, share, seed)),
        curve=list(_curve(rows, tuning.scores[name], score, config.silence)),
        events=len(alarms.delay),
        alarms=int(alarms.raised.sum()),
        samples=list(_samples(name, sums, subject_numbers(subjects, subjects))),
        f1_draws=drawn.get("f1", np.empty(0)),
    )


def _areas(truth: np.ndarray, score: np.ndarray) -> tuple[float | None, float | None]:
    if not 0 < truth.sum() < len(truth):
        return None, None
    auroc, average_precision = Ranking(truth, score).areas(np.ones((1, len(truth))))[0].tolist()
    return auroc, average_precision


def _drawn(sums: np.ndarray, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Measures over redrawn subjects; none of one subject."""
    if len(sums) < 2:
        return {}
    return event_measures(bootstrap_subjects(sums, np.arange(len(sums)), draws, seed))


def _bounded(sums: np.ndarray, drawn: dict[str, np.ndarray]) -> dict[str, WithInterval]:
    """Measures of all subjects together, with intervals that redraw them; without one where there is one subject."""
    values = event_measures(sums.sum(axis=0))
    return {name: with_interval(float(value), drawn.get(name, np.empty(0))) for name, value in values.items()}


def with_interval(value: float, draws: np.ndarray) -> WithInterval:
    """A value with the interval of its draws: none without draws, or where more than one of twenty is not defined."""
    defined = draws[np.isfinite(draws)]
    if not len(draws) or not np.isfinite(value) or len(defined) < 0.95 * len(draws):
        return WithInterval(_known(value))
    low, high = percentile_interval(defined)
    return WithInterval(value, float(low), float(high))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _curve(rows: ScoredSteps, tuning: np.ndarray, score: np.ndarray, silence: int) -> Iterator[tuple[float, float]]:
    """Points of finite thresholds, from the rarest alarms to the most common."""
    for rate in RATES:
        threshold = conformal_threshold(tuning, rate)
        if np.isfinite(threshold):
            _, sums = sums_by_subject(rows, alarms_at(rows, score, threshold, silence))
            values = event_measures(sums.sum(axis=0))
            if np.isfinite(values["false_alarms"]) and np.isfinite(values["recall"]):
                yield float(values["false_alarms"]), float(values["recall"])


def _samples(name: str, sums: np.ndarray, numbers: np.ndarray) -> Iterator[Samples]:
    """What runs are compared by, subject by subject."""
    columns = dict(zip(SUMS, sums.T, strict=True))
    for metric, above, below in (("event recall", "caught", "events"), ("alarm precision", "true", "judged")):
        if columns[below].sum() > 0:
            yield ratio_samples(f"{metric}, {name}", numbers, columns[above], columns[below])
