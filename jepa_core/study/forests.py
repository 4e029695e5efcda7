"""Differences to the reference as forest plots: one panel a metric, one row a variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.report.forest import Forest, ForestRow, Judged
from jepa_core.results.text import number, with_unit, words
from jepa_core.study.differences import LEVEL, VariantDifference

if TYPE_CHECKING:
    from jepa_core.study.findings import VariantMetric

NOTE = (
    "Variant less reference, mean over the seeds that both have. Thick: 95 % interval over redrawn subjects; thin: "
    "over seeds, an arrow where it goes on; a dot a seed. A sign is filled where p_holm, corrected over the variants, "
    f"is below {LEVEL:g}. With one seed there is no thin interval, without values by subject no thick one."
)


def forests(rows: Sequence[VariantMetric], reference: str) -> list[Forest]:
    """A panel for every headline and every score of a task that a variant differs in from the reference."""
    by_metric: dict[str, list[VariantMetric]] = {}
    for row in rows:
        if row.headline or (row.better and row.name.at < 0):
            by_metric.setdefault(f"{row.name.evaluator}: {row.name}", []).append(row)
    drawn = [_forest(title, of_metric, reference) for title, of_metric in by_metric.items()]
    return [forest for forest in drawn if forest.rows]


def _forest(title: str, rows: Sequence[VariantMetric], reference: str) -> Forest:
    base = next((row for row in rows if row.variant == reference), None)
    mean = "" if base is None else number(float(np.mean([value for _, value in base.seeds])))
    first = rows[0]
    direction = f", {first.better} is better" if first.better else ""
    unit = f" ({first.name.unit})" if first.name.unit else ""
    return Forest(
        name="".join(letter if letter.isalnum() else "_" for letter in title),
        title=words(title),
        about=f"less that of {reference}, {with_unit(mean, first.name.unit)}",
        x_label=f"difference{unit}{direction}",
        rows=[forest_row(row.variant, row.found, row.better) for row in rows if row.found is not None],
    )


def forest_row(label: str, found: VariantDifference, better: str) -> ForestRow:
    """A difference as a row of a panel. better: which way is better, empty where neither is."""
    points = [value for _, value in found.by_seed]
    return ForestRow(
        label=label,
        value=found.value,
        inner=_bounds(found.subjects_low, found.subjects_high),
        outer=_bounds(found.seeds_low, found.seeds_high),
        points=points if len(points) > 1 else [],
        judged=judged(found, better),
    )


def judged(found: VariantDifference | None, better: str) -> Judged:
    """What a difference is, by its corrected test."""
    if found is None or found.p_holm is None or found.p_holm >= LEVEL:
        return ""
    if not better:
        return "other"
    return "worse" if (found.value < 0) == (better == "higher") else "better"


def _bounds(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
