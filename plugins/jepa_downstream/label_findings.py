"""Tables, curves, headlines and predictions of label efficiency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jepa_core.results.findings import (
    Cell,
    Claim,
    Column,
    Figure,
    Findings,
    Headline,
    MadeWhenRead,
    Predictions,
    Redrawn,
    Series,
    Table,
    Verdict,
)
from jepa_core.results.paired import DRAWS
from jepa_core.results.text import listed
from jepa_core.training.aside import laid_aside
from jepa_downstream.claims import MEASURE, OURS, TERMS, UNDEFINED, UNTRAINED, Contender, compared, rarer
from jepa_downstream.measures import DrawnEstimate, Estimates
from jepa_downstream.rows import Rows, Task
from jepa_downstream.task_tables import estimate_cells, with_bounds

if TYPE_CHECKING:
    from jepa_downstream.config import LabelEfficiencyConfig

MEASURES = {"binary": ("auroc", "average_precision", "brier"), "regression": ("rmse", "mae", "r2")}
DRAWN = {"binary": ("auroc", "average_precision"), "regression": ("rmse",)}
"""Measures that have a curve, what is looked for first in front."""
WORDS = {"auroc": "AUROC", "average_precision": "average precision", "rmse": "RMSE"}
AXIS = "labelled subjects"
LABELLED = "subjects of the train split whose labels a method may see; the features are the same for any number of them"
NOTE = (
    "Each point is the mean over the labellings: subjects of train, drawn anew, the same for every method, the few "
    "among the many. With them alone heads are fitted and chosen: five fits, each chosen on the fifth that it did "
    "not see, and their mean score. The last point has the labels of all subjects of train, and one labelling. "
    "Intervals: 95 %, percentile, over subjects and labellings drawn with replacement, the same for every method."
)


@dataclass(frozen=True)
class Point:
    """A method with some labels. rows: the labelled ones, by labelling. scores: (labellings, R) of the measured rows,
    None where there are none, and `reason` says why. estimates: means over the labellings; spread: their standard
    deviation, None for a single one."""

    subjects: int
    every: bool
    rows: Sequence[Rows]
    scores: np.ndarray | None = None
    estimates: Estimates = field(default_factory=dict)
    spread: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""

    def aside(self, folder: Path | None) -> Point:
        """The same point, its scores in a file where they are many."""
        return self if self.scores is None else replace(self, scores=laid_aside(self.scores, folder))

    @property
    def label(self) -> str:
        return "all" if self.every else f"{self.subjects:,}"


@dataclass(frozen=True)
class Curve:
    """A method on a task, from few labels to all. rows: those that are measured. key: of the method in the recipe;
    name: what the tables call it."""

    task: Task
    rows: Rows
    key: str
    name: str
    information: str
    points: list[Point]

    @property
    def words(self) -> str:
        return self.task.name.replace("_", " ")

    @property
    def first(self) -> str:
        """The measure that is looked for first."""
        return DRAWN[self.task.kind][0]


@dataclass(frozen=True)
class Gap:
    """A curve less that of a reference, point by point, on the same rows and the same draws."""

    curve: Curve
    reference: Curve
    estimates: list[Estimates]

    @property
    def known(self) -> Iterator[tuple[Point, DrawnEstimate]]:
        """The points at which both have the measure that is looked for first, with its difference."""
        for point, estimates in zip(self.curve.points, self.estimates, strict=True):
            if self.curve.first in estimates:
                yield point, estimates[self.curve.first]


def label_findings(curves: list[Curve], config: LabelEfficiencyConfig, subjects: np.ndarray) -> Findings:
    """Findings of all curves. subjects: those that were drawn from, as numbers that may be written down."""
    gaps = list(_gaps(curves, config.references))
    own = [curve for curve in curves if curve.key.partition("+")[0] in config.methods]
    main = [curve for curve in own if curve.key == config.methods[0]]
    told = [gap for gap in gaps if gap.curve in main]
    kept = [
        *(entry for curve in own for entry in _kept(curve, subjects)),
        *(entry for gap in told for entry in _kept_of(gap, subjects)),
    ]
    return Findings(
        headlines=[*map(_headline, main), *(entry for gap in told for entry in _headline_of(gap))],
        verdicts=[_verdict(gap) for gap in told],
        tables=[*_tables(curves, gaps, config), _told(curves)],
        figures=list(_figures(curves)),
        claims=[_claim(curve, [gap.reference for gap in told if gap.curve is curve]) for curve in main],
        terms=TERMS | {"labelled": LABELLED},
        predictions=MadeWhenRead(
            [
                partial(_predictions, curve, point, config)
                for curve in curves
                for point in curve.points
                if point.scores is not None
            ]
        ),
        redrawn=[metric for metric in kept if len(metric.draws) == DRAWS],  # other draws pair with no other run's
    )


def _gaps(curves: list[Curve], references: Sequence[str]) -> Iterator[Gap]:
    by_key = {(curve.task.name, curve.key): curve for curve in curves}
    for curve in curves:
        for key in references if curve.key not in references else ():
            reference = by_key[curve.task.name, key]
            pairs = zip(curve.points, reference.points, strict=True)
            yield Gap(curve, reference, [_less(point.estimates, other.estimates) for point, other in pairs])


def _less(ours: Estimates, other: Estimates) -> Estimates:
    return {name: ours[name].minus(other[name]) for name in ours if name in other}


# --- headlines and verdicts -------------------------------------------------------------------------------------------


def _metric(curve: Curve, point: Point, less: str = "") -> str:
    """What a measure is called where runs are compared."""
    labels = ", all labels" if point.every else ""
    return f"{WORDS[curve.first]} of {curve.words}, {curve.name}{less}{labels}"


def _kept(curve: Curve, subjects: np.ndarray) -> Iterator[Redrawn]:
    for point in curve.points:
        yield from _redrawn(_metric(curve, point), point, point.estimates.get(curve.first), subjects)


def _kept_of(gap: Gap, subjects: np.ndarray) -> Iterator[Redrawn]:
    for point, estimate in gap.known:
        yield from _redrawn(_metric(gap.curve, point, f" less {gap.reference.name}"), point, estimate, subjects)


def _redrawn(metric: str, point: Point, estimate: DrawnEstimate | None, subjects: np.ndarray) -> Iterator[Redrawn]:
    if estimate is not None and estimate.value is not None:
        at: dict[str, Any] = {} if point.every else {"axis": AXIS, "at": float(point.subjects)}
        yield Redrawn(metric, subjects, estimate.value, estimate.draws, **at)


def _claim(curve: Curve, references: Sequence[Curve]) -> Claim:
    """What is reached with the fewest labels that could be measured."""
    index = curve.points.index(_fewest(curve))
    others = [
        Contender(reference.name, UNTRAINED if "untrained" in reference.key else reference.name)
        for reference in references
    ]
    estimates = [reference.points[index].estimates.get(curve.first, UNDEFINED) for reference in (curve, *references)]
    _, measure, better = MEASURE[curve.task.kind]
    methods = compared([Contender(curve.name, OURS), *others], estimates, curve.task.kind)
    point, rows = curve.points[index], curve.rows
    about = f"{curve.words}, {point.label} labelled subjects"
    rare = rarer(rows, curve.task.kind)
    return Claim(about, measure, better, methods, _subjects(rows), positives=rare, note=point.reason)


def _fewest(curve: Curve) -> Point:
    return next((point for point in curve.points if point.estimates), curve.points[0])


def _headline(curve: Curve) -> Headline:
    """With the fewest labels that could be measured."""
    point = _fewest(curve)
    return _told_by(curve, point, point.estimates.get(curve.first), _metric(curve, point), point.reason)


def _headline_of(gap: Gap) -> Iterator[Headline]:
    for point, estimate in gap.known:
        yield _told_by(gap.curve, point, estimate, _metric(gap.curve, point, f" less {gap.reference.name}"), "")
        return


def _told_by(curve: Curve, point: Point, estimate: DrawnEstimate | None, metric: str, note: str) -> Headline:
    key = metric if point.every else f"{metric}, {AXIS} = {point.subjects:g}"
    value = estimate.value if estimate else None
    low, high = estimate.bounds if estimate else (None, None)
    label = f"{metric}, {point.label} labelled"
    better: Literal["lower", "higher"] = "lower" if curve.first == "rmse" else "higher"
    return Headline(label, value, "", low, high, _subjects(curve.rows), note=note, better=better, metric=key)


def _subjects(rows: Rows) -> int:
    return len(np.unique(rows.subject))


def _verdict(gap: Gap) -> Verdict:
    """At which numbers of labels the interval of the difference lies on one side of 0."""
    by_outcome: dict[str, list[str]] = {"better": [], "worse": [], "no difference seen": [], "no interval": []}
    known = {id(point): estimate.bounds for point, estimate in gap.known}
    for point in gap.curve.points:
        low, high = known.get(id(point), (None, None))
        if low is None or high is None:
            by_outcome["no interval"].append(point.label)
        elif low <= 0 <= high:
            by_outcome["no difference seen"].append(point.label)
        else:
            by_outcome["better" if (low > 0) == (gap.curve.first != "rmse") else "worse"].append(point.label)
    parts = [f"{outcome} with {listed(curves_of)}" for outcome, curves_of in by_outcome.items() if curves_of]
    measure = f"{WORDS[gap.curve.first]}, labelled subjects of train"
    text = f"{gap.curve.name} against {gap.reference.name}, {gap.curve.words}: {'; '.join(parts)} ({measure})."
    return Verdict("good" if by_outcome["better"] and not by_outcome["worse"] else "warning", text)


# --- tables, figures, files -------------------------------------------------------------------------------------------


def _tables(curves: list[Curve], gaps: list[Gap], config: LabelEfficiencyConfig) -> Iterator[Table]:
    split = config.split.replace("_", " ")
    for kind, key, title in (("binary", "scores", "Probabilities"), ("regression", "values", "Values")):
        rows = [_cells(curve, point) for curve in curves if curve.task.kind == kind for point in curve.points]
        if rows:
            yield Table(key, f"{title} by labelled subjects: {split}", _columns(kind), rows, NOTE)
        rows = [row for gap in gaps if gap.curve.task.kind == kind for row in _gap_cells(gap)]
        if rows:
            title = f"{title}: differences to the references"
            yield Table(f"{key}_differences", title, _gap_columns(kind), rows, NOTE)


def _columns(kind: str) -> list[Column]:
    of_class = ("labelled_rows", "labelled_positives", "rows", "positives", "positive_subjects")
    counts = of_class if kind == "binary" else ("labelled_rows", "rows")
    return [
        Column("task"), Column("method"), Column("labelled", "subjects", digits=7), Column("labellings"),
        *with_bounds(MEASURES[kind]), Column(f"{MEASURES[kind][0]}_sd_over_labellings"),
        *(Column(name, digits=7) for name in counts), Column("subjects", digits=7), Column("remark"),
    ]  # fmt: skip


def _cells(curve: Curve, point: Point) -> list[Cell]:
    names, rows = MEASURES[curve.task.kind], curve.rows
    counts: list[list[Cell]] = [[_mean([len(rows_of) for rows_of in point.rows])], [len(rows)]]
    if curve.task.kind == "binary":
        counts[0].append(_mean([float(rows_of.truth.sum()) for rows_of in point.rows]))
        counts[1] += [int(rows.truth.sum()), len(np.unique(rows.subject[rows.truth == 1]))]
    remark = "; ".join(part for part in ("all of train" if point.every else "", point.reason) if part)
    return [
        curve.task.name, curve.name, point.subjects, len(point.rows), *estimate_cells(point.estimates, names),
        point.spread.get(names[0]), *counts[0], *counts[1], _subjects(rows), remark,
    ]  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _gap_columns(kind: str) -> list[Column]:
    head = [Column("task"), Column("method"), Column("reference"), Column("labelled", "subjects", digits=7)]
    return [*head, *with_bounds(MEASURES[kind]), Column("subjects", digits=7)]


def _gap_cells(gap: Gap) -> Iterator[list[Cell]]:
    names = MEASURES[gap.curve.task.kind]
    for point, estimates in zip(gap.curve.points, gap.estimates, strict=True):
        head: list[Cell] = [gap.curve.task.name, gap.curve.name, gap.reference.name, point.subjects]
        yield [*head, *estimate_cells(estimates, names), _subjects(gap.curve.rows)]


def _told(curves: list[Curve]) -> Table:
    rows: list[list[Cell]] = [
        [name, told] for name, told in {curve.name: curve.information for curve in curves}.items()
    ]
    return Table("methods", "What each method is told", [Column("method"), Column("information")], rows)


def _figures(curves: list[Curve]) -> Iterator[Figure]:
    for number, task in enumerate(dict.fromkeys(curve.task for curve in curves)):
        mine = [curve for curve in curves if curve.task == task]
        for name in DRAWN[task.kind]:
            title = f"{WORDS[name]} by labelled subjects: {mine[0].words}"
            series = [_series(curve, name) for curve in mine]
            yield Figure(
                f"{name}_by_labels_{task.name}", title, AXIS, WORDS[name], series, note=NOTE, x_scale="log",
                band="95 % over subjects and labellings.", headline=not number and name == mine[0].first,
            )  # fmt: skip


def _series(curve: Curve, name: str) -> Series:
    points = [(point, point.estimates[name]) for point in curve.points if name in point.estimates]
    low, high = zip(*(point.bounds for _, point in points), strict=True) if points else ((), ())
    x, y = [float(point.subjects) for point, _ in points], [point.value for _, point in points]
    return Series(curve.name, x, y, list(low), list(high))


def _predictions(curve: Curve, point: Point, config: LabelEfficiencyConfig) -> Predictions:
    """The measured rows once a labelling; each number of labels is a task of its own to those who compare methods."""
    assert point.scores is not None
    rows, count = curve.rows, len(point.scores)
    step = np.tile(rows.step, count)
    return Predictions(
        task=f"{curve.task.name}, {point.label} labelled",
        method=curve.name,
        kind="boolean" if curve.task.kind == "binary" else "float",
        subject=np.tile(rows.subject, count),
        trajectory=np.tile(rows.trajectory, count),
        step=step,
        seconds=(step + 1) * (config.step_seconds or 1.0),
        truth=np.tile(rows.truth, count),
        score=point.scores.ravel(),
        extra={"labelling": np.repeat(np.arange(count), len(rows))},
    )
