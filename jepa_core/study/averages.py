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
    found: dict[tuple[str, str], list[Figure]] = {}
    for run in runs:
        for evaluator, findings in run.items():
            for figure in findings.figures:
                if figure.headline:
                    found.setdefault((evaluator, figure.name), []).append(figure)
    return [(evaluator, mean_figure(figures)) for (evaluator, _), figures in found.items()]


def mean_figure(figures: Sequence[Figure]) -> Figure:
    """The mean of figures of the same lines, its bands and bounds from the least to the greatest; the figure itself
    where there is one. Lines and marks that not all of them have, at the same places, are left out."""
    first, *others = figures
    if not others:
        return first
    series = [[one for figure in figures for one in figure.series if _same(one, line)] for line in first.series]
    marks = [[one for figure in figures for one in figure.marks if one.label == mark.label] for mark in first.marks]
    band = f"Mean over {counted(len(figures), 'seed')}; band and brackets: from the least seed to the greatest."
    return replace(
        first,
        series=[_mean_series(some) for some in series if len(some) == len(figures)],
        marks=[_mean_mark(some) for some in marks if len(some) == len(figures)],
        band=band,
    )


def _same(one: Series, other: Series) -> bool:
    return one.label == other.label and one.x == other.x


def _mean_series(series: Sequence[Series]) -> Series:
    columns = list(zip(*(one.y for one in series), strict=True))
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
