"""Label efficiency: every method with few labelled subjects, the same for all, drawn again and again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.results.findings import Findings
from jepa_core.results.paired import over_labellings
from jepa_core.results.samples import subject_numbers
from jepa_downstream.config import LabelEfficiencyConfig
from jepa_downstream.label_findings import Curve, Point, label_findings
from jepa_downstream.labelling import cross_fit, labelling, strata
from jepa_downstream.measures import DrawnEstimate, Draws, Estimates
from jepa_downstream.methods import CannotFit, Method
from jepa_downstream.prediction_tasks import made_methods, makers, measures
from jepa_downstream.results import UnmeasuredMethod
from jepa_downstream.rows import Rows, subjects_of
from jepa_downstream.tasks import TaskRows, task_rows

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset

log = logging.getLogger("jepa")


@dataclass(frozen=True)
class LabelledRows:
    """Rows of the labelled subjects in each labelling. subjects: how many have labels; every: whether all of train.
    lacking: why there are no such rows, else empty."""

    subjects: int
    every: bool
    rows: Sequence[Rows]
    lacking: str = ""


class LabelEfficiency(Evaluator[LabelEfficiencyConfig]):
    """What each method reaches with the labels of few subjects, and of all."""

    def check(self, dataset: Dataset) -> None:
        for task in self.config.tasks:
            task_rows(dataset, task, self.config.split)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        config, dataset = self.config, evaluation.dataset
        aside = evaluation.scratch
        tasks = [task_rows(dataset, task_config, config.split).aside(aside) for task_config in config.tasks]
        methods = made_methods(makers(evaluation, config))
        draws = Draws(subjects_of(task.splits[config.split] for task in tasks), config.bootstrap)
        curves = [curve for task in tasks for curve in self._of_task(task, methods, draws, evaluation)]
        everyone = dataset.subject[dataset.trajectories(config.split)]
        return label_findings(curves, config, subject_numbers(draws.subjects, everyone))

    def _of_task(
        self, task: TaskRows, methods: dict[str, Method | UnmeasuredMethod], draws: Draws, evaluation: Evaluation
    ) -> Iterator[Curve]:
        """A curve a method, and one for each that is averaged with a baseline."""
        given = list(labels_of(task, self.config.subjects, self.config.labellings))
        by_method: dict[str, list[Point]] = {
            key: [self._scored(task, method, subset, evaluation) for subset in given] for key, method in methods.items()
        }
        names = {key: method.name for key, method in methods.items()}
        told = {key: getattr(method, "information", "") for key, method in methods.items()}
        beside = self.config.averaged_with
        if beside is not None:
            for key in self.config.methods:
                both = f"{key}+{beside}"
                pairs = zip(by_method[key], by_method[beside], strict=True)
                by_method[both] = [_averaged(*pair).aside(evaluation.scratch) for pair in pairs]
                names[both] = f"{names[key]} + {names[beside]}"
                told[both] = f"the mean of the scores of {names[key]} and {names[beside]}"
        for curve, points in by_method.items():
            measured = [self._measured(task, point, draws) for point in points]
            yield Curve(task.task, task.splits[self.config.split], curve, names[curve], told[curve], measured)

    def _scored(
        self, task: TaskRows, method: Method | UnmeasuredMethod, labels: LabelledRows, evaluation: Evaluation
    ) -> Point:
        """Scores of the measured rows under each labelling, or why there are none."""
        measured = task.splits[self.config.split]
        point = Point(labels.subjects, labels.every, labels.rows)
        if isinstance(method, UnmeasuredMethod) or labels.lacking:
            return replace(point, reason=labels.lacking or getattr(method, "reason", ""))
        log.info("task %s: %s, %d labelled subjects", task.task.name, method.name, labels.subjects)
        scores = []
        for number, rows in enumerate(labels.rows):
            try:
                if len(measured) == 0:
                    raise CannotFit(f"the {self.config.split} split has no row")
                fitted = cross_fit(method, task.task, rows, self.config.train_rows, number, evaluation.seed)
                scores.append(fitted.scores(measured))
            except CannotFit as reason:
                return replace(point, reason=str(reason))
        return replace(point, scores=np.array(scores)).aside(evaluation.scratch)

    def _measured(self, task: TaskRows, point: Point, draws: Draws) -> Point:
        """The point with the mean of each measure over the labellings, and with its spread."""
        if point.scores is None:
            return point
        rows = task.splits[self.config.split]
        measured = [measures(task, rows, score, draws, np.ones(len(rows))) for score in point.scores]
        spread = {name: _spread([estimates[name] for estimates in measured]) for name in measured[0]}
        return replace(point, estimates=mean_estimates(measured), spread=spread)


def labels_of(task: TaskRows, sizes: Sequence[int], labellings: int) -> Iterator[LabelledRows]:
    """The labels of each size under each labelling, then those of all subjects of train, which are drawn once.

    A size that train does not exceed is lacking.
    """
    train = task.splits["train"]
    stratum = strata(train, task.task.kind)
    orders = [labelling(train, stratum, number) for number in range(labellings)]
    everyone = len(orders[0])
    for size in sizes:
        lacking = "" if size < everyone else f"{everyone:,} subjects of train have a row"
        chosen = [] if lacking else [np.isin(train.subject, order[:size]) for order in orders]
        yield LabelledRows(size, False, [train.take(np.flatnonzero(subset)) for subset in chosen], lacking)
    yield LabelledRows(everyone, True, [train])


def _averaged(first: Point, other: Point) -> Point:
    if first.scores is None or other.scores is None:
        return replace(first, scores=None, reason=first.reason or other.reason)
    return replace(first, scores=(first.scores + other.scores) / 2)


def _spread(estimates: Sequence[DrawnEstimate]) -> float | None:
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    return float(np.std(values, ddof=1)) if 1 < len(values) == len(estimates) else None


def mean_estimates(found: Sequence[Estimates]) -> Estimates:
    """The mean of each measure over the labellings, with draws of subjects and of labellings at once."""
    means = {}
    for name in found[0]:
        values = [estimates[name].value for estimates in found]
        known = [value for value in values if value is not None]
        mean = float(np.mean(known, dtype=np.float64)) if len(known) == len(values) else None
        means[name] = DrawnEstimate(
            mean, over_labellings(np.stack([estimates[name].draws for estimates in found], axis=1))
        )
    return means
