"""Prediction tasks: every method on the same rows of every task, fitted on train, selected on tuning, measured once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.findings import Findings
from jepa_downstream.alarms import Events, choose_threshold, event_estimates, raise_alarms
from jepa_downstream.baselines import BASELINES
from jepa_downstream.floors import LastValue, TrainMean
from jepa_downstream.latent_methods import LatentMethods
from jepa_downstream.measures import Draws, Estimates, asymmetric_score, binary, regression, subject_weights
from jepa_downstream.methods import CannotFit, Fitted, Method
from jepa_downstream.results import Announced, GroupResult, Measured, Result, Unmeasured
from jepa_downstream.rows import Rows
from jepa_downstream.subgroups import FEWEST, Subgroups, subgroups
from jepa_downstream.task_findings import describe
from jepa_downstream.tasks import TaskRows, rows_of, subsample

if TYPE_CHECKING:
    from jepa_core.dataset import Dataset
    from jepa_downstream.config import PredictionTasksConfig

log = logging.getLogger("jepa")


class PredictionTasks(Evaluator):
    """Heads on frozen latents beside floors and whatever else the recipe compares them with."""

    config: PredictionTasksConfig

    def check(self, dataset: Dataset) -> None:
        for task in self.config.tasks:
            rows_of(dataset, task, self.config.split)
        for channel in self.config.subgroups:
            subgroups(dataset.store, channel)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        config, dataset = self.config, evaluation.dataset
        tasks = [rows_of(dataset, one, config.split) for one in config.tasks]
        groups = [subgroups(dataset.store, channel) for channel in config.subgroups]
        subjects = np.concatenate([task.splits[config.split].subject for task in tasks])
        draws = Draws(subjects, config.bootstrap, evaluation.seed)
        made = _make(makers(evaluation, config))
        results = [self._measure(task, method, draws, groups, evaluation.seed) for task in tasks for method in made]
        return describe(tasks, results, groups, config)

    def _measure(
        self, task: TaskRows, method: Method | Unmeasured, draws: Draws, groups: list[Subgroups], seed: int
    ) -> Result:
        rows = task.splits[self.config.split]
        if isinstance(method, Unmeasured):
            return Result(task, rows, method.name, "", method)
        log.info("task %s: %s", task.task.name, method.name)
        train, tuning = (subsample(task.splits[name], self.config.train_rows, seed) for name in ("train", "tuning"))
        try:
            if len(rows) == 0:
                raise CannotFit(f"the {self.config.split} split has no row")
            fitted = method.fit(task.task, train, tuning, seed)
            score = np.asarray(fitted.scores(rows), dtype=np.float64)
            if not np.isfinite(score).all():
                raise CannotFit(f"{int((~np.isfinite(score)).sum()):,} of its scores are no numbers")
        except CannotFit as reason:
            return Result(task, rows, method.name, method.information, Unmeasured(method.name, str(reason)))
        found = self._estimates(task, fitted, rows, score, draws, groups)
        return Result(task, rows, method.name, method.information, found)

    def _estimates(
        self,
        task: TaskRows,
        fitted: Fitted,
        rows: Rows,
        score: np.ndarray,
        draws: Draws,
        groups: list[Subgroups],
    ) -> Measured:
        return Measured(
            chosen=fitted.chosen,
            score=score,
            estimates=_measures(task, rows, score, draws, np.ones(len(rows))),
            by_subject=_measures(task, rows, score, draws, subject_weights(rows.subject)),
            announced=self._announced(task, fitted, rows, score, draws),
            groups=[one for group in groups for one in _of_groups(task, rows, score, draws, group)],
        )

    def _announced(
        self, task: TaskRows, fitted: Fitted, rows: Rows, score: np.ndarray, draws: Draws
    ) -> Announced | None:
        """Alarms on the measured split at the threshold that all rows of tuning chose; None where there are no
        events."""
        if task.config.event is None:
            return None
        alarms, tuning = self.config.alarms, task.splits["tuning"]
        threshold = None
        if len(tuning):
            announced = Events.of(tuning, task.ahead["tuning"])
            threshold = choose_threshold(
                tuning, announced, fitted.scores(tuning), alarms.precision, alarms.silence, alarms.thresholds
            )
        if threshold is None:
            return Announced(None, None, {})
        events = Events.of(rows, task.ahead[self.config.split])
        raised = raise_alarms(rows, events, score, threshold, alarms.silence)
        return Announced(threshold, raised, event_estimates(rows, raised, draws))


def makers(evaluation: Evaluation, config: PredictionTasksConfig) -> dict[str, Callable[[], Method]]:
    """How to make each method that the recipe asks for, by its key there, in the order of the tables."""
    latent = LatentMethods(evaluation, config)
    known: dict[str, Callable[[], Method]] = {
        "latents": latent.latents,
        "latents_and_rollout": latent.with_rollout,
        "decoded_latents": latent.decoded,
        "untrained_latents": latent.untrained,
        "decoded_untrained_latents": latent.decoded_untrained,
        "train_mean": TrainMean,
        "last_value": partial(LastValue, evaluation.dataset.store),
    }
    known |= {name: partial(maker, evaluation, config) for name, maker in BASELINES.items()}
    return {name: known[name] for name in (*config.methods, *config.baselines)}


def _make(wanted: dict[str, Callable[[], Method]]) -> list[Method | Unmeasured]:
    made: list[Method | Unmeasured] = []
    for name, maker in wanted.items():
        try:
            made.append(maker())
        except CannotFit as reason:
            made.append(Unmeasured(name.replace("_", " "), str(reason)))
    return made


def _measures(task: TaskRows, rows: Rows, score: np.ndarray, draws: Draws, weight: np.ndarray) -> Estimates:
    given = (rows.truth, score, rows.subject, draws, weight)
    if task.task.kind == "binary":
        return binary(*given)
    return regression(*given) | (asymmetric_score(*given) if task.config.asymmetric_score else {})


def _of_groups(task: TaskRows, rows: Rows, score: np.ndarray, draws: Draws, groups: Subgroups) -> list[GroupResult]:
    """Every group that has a row; those of few subjects are counted and not measured."""
    found = []
    at = groups.group[rows.trajectory]
    for number, name in enumerate(groups.names):
        part = rows.take(np.flatnonzero(at == number))
        if len(part) == 0:
            continue
        few = len(np.unique(part.subject)) < FEWEST
        estimates = {} if few else _measures(task, part, score[at == number], draws, np.ones(len(part)))
        found.append(GroupResult(groups.channel, name, part, estimates))
    return found
