"""Figures of the runs of one variant as one: the mean over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jepa_core.results.findings import Figure, Findings, Mark, Series
from jepa_core.results.text import counted


def headline_figures(runs: Sequence[dict[str, Findings]]) -> list[tuple[str, Figure]]:
    """The headline figures of runs by evaluator, each averaged over the runs that have it. runs: findings by
    evaluator."""
    by_figure: dict[tuple[str, str], list[Figure]] = {}
    for run in runs:
        for evaluator, findings in run.items():
            for figure in findings.figures:
                if figure.headline:
                    by_figure.setdefault((evaluator, figure.name), []).append(figure)
    return [(evaluator, mean_figure(figures)) for (evaluator, _), figures in by_figure.items()]


def mean_figure(figures: Sequence[Figure]) -> Figure:
    """The mean of figures of the same lines, its bands and bounds from the least to the greatest; the figure itself
    where there is one. Lines and marks that not all of them have, at the same places, are left out."""
    first, *others = figures
    if not others:
        return first
    series = [[curve for figure in figures for curve in figure.series if _same(curve, line)] for line in first.series]
    marks = [
        [candidate for figure in figures for candidate in figure.marks if candidate.label == mark.label]
        for mark in first.marks
    ]
    band = f"Mean over {counted(len(figures), 'seed')}; band and brackets: from the least seed to the greatest."
    return replace(
        first,
        series=[_mean_series(curves) for curves in series if len(curves) == len(figures)],
        marks=[_mean_mark(same) for same in marks if len(same) == len(figures)],
        band=band,
    )


def _same(curve: Series, other: Series) -> bool:
    return curve.label == other.label and curve.x == other.x


def _mean_series(series: Sequence[Series]) -> Series:
    columns = list(zip(*(curve.y for curve in series), strict=True))
    known = [None not in column for column in columns]
    mean, low, high = (
        [float(of(column)) if there else None for column, there in zip(columns, known, strict=True)]
        for of in (np.mean, min, max)
    )
    control = series[0].control
    return replace(series[0], y=mean, low=[] if control else low, high=[] if control else high)


def _mean_mark(marks: Sequence[Mark]) -> Mark:
    mean: dict[str, Any] = {key: _mean([getattr(mark, key) for mark in marks]) for key in ("x", "y", "value")}
    values = [mark.value for mark in marks if mark.value is not None]
    if len(values) < len(marks):
        return replace(marks[0], **mean, low=None, high=None)
    return replace(marks[0], **mean, low=min(values), high=max(values))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
