"""Prediction tasks: every method on the same rows of every task, fitted on train, selected on tuning, measured once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.results.findings import Findings, KeptHead
from jepa_core.results.samples import subject_numbers
from jepa_core.training.aside import laid_aside
from jepa_downstream.alarms import AnnouncedEvents, choose_threshold, event_estimates, raise_alarms
from jepa_downstream.averaged import Averaged, FittedOnce
from jepa_downstream.baselines import BASELINES
from jepa_downstream.config import PredictionTasksConfig, TasksConfig, UtilityConfig
from jepa_downstream.floors import LastValue, TrainMean
from jepa_downstream.latent_methods import LatentMethods
from jepa_downstream.measures import Draws, Estimates, asymmetric_score, binary, regression, subject_weights
from jepa_downstream.methods import CannotFit, Fitted, Method
from jepa_downstream.results import (
    AlarmWorth,
    Announced,
    GroupResult,
    MeasuredMethod,
    MethodResult,
    MethodScores,
    UnmeasuredMethod,
)
from jepa_downstream.rows import Counts, Rows, subjects_of
from jepa_downstream.subgroups import FEWEST, Subgroups, subgroups
from jepa_downstream.task_findings import task_findings
from jepa_downstream.task_heads import TaskHead, kept_head
from jepa_downstream.tasks import TaskRows, subsample, task_rows
from jepa_downstream.utility import RowUtilities, alarmed_rows, most_useful_threshold, utility

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset

log = logging.getLogger("jepa")


class PredictionTasks(Evaluator[PredictionTasksConfig]):
    """Heads on frozen latents beside floors and whatever else the recipe compares them with."""

    def check(self, dataset: Dataset) -> None:
        for task in self.config.tasks:
            task_rows(dataset, task, self.config.split)
        for channel in self.config.subgroups:
            subgroups(dataset.store, channel)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        config, dataset = self.config, evaluation.dataset
        aside = evaluation.scratch
        tasks = [task_rows(dataset, task_config, config.split).aside(aside) for task_config in config.tasks]
        groups = [subgroups(dataset.store, channel) for channel in config.subgroups]
        methods = list(made_methods(makers(evaluation, config)).values())
        scored = [self._score(task, method, evaluation.seed, aside) for task in tasks for method in methods]
        measured = [method.rows for method in scored if isinstance(method, MethodScores)]
        draws = Draws(subjects_of(measured), config.bootstrap)
        announced = {task.task.name: self._announced_events(task) for task in tasks if task.config.event}
        results = [
            method if isinstance(method, MethodResult) else self._measure(method, draws, groups, announced)
            for method in scored
        ]
        numbers = subject_numbers(draws.subjects, dataset.subject[dataset.trajectories(config.split)])
        heads = [method.kept for method in scored if isinstance(method, MethodScores)]
        return replace(task_findings(tasks, results, groups, config, numbers), heads=heads)

    def head(self, kept: KeptHead) -> TaskHead:
        return TaskHead(kept)

    def _score(
        self, task: TaskRows, method: Method | UnmeasuredMethod, seed: int, aside: Path | None
    ) -> MethodScores | MethodResult:
        """A result, at once, of what cannot be fitted. aside: folder of the files that scores are put into."""
        rows = task.splits[self.config.split]
        if isinstance(method, UnmeasuredMethod):
            return MethodResult(task, rows, method.name, "", method)
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
            return MethodResult(task, rows, method.name, method.information, UnmeasuredMethod(method.name, str(reason)))
        threshold = self._threshold(task, fitted)
        kept = kept_head(task.config, task.task.kind, method.name, fitted, threshold)
        given = (task, rows, method.name, method.information, fitted.chosen)
        return MethodScores(*given, laid_aside(score, aside), threshold, kept)

    def _threshold(self, task: TaskRows, fitted: Fitted) -> float | None:
        """The threshold of alarms that all rows of tuning choose; None where there are no events, or none will do."""
        tuning, alarms = task.splits["tuning"], self.config.alarms
        if task.config.utility and len(tuning):
            return most_useful_threshold(RowUtilities.of(tuning, task.config.utility), fitted.scores(tuning))
        if task.config.event is None or len(tuning) == 0:
            return None
        events = AnnouncedEvents.of(tuning, task.ahead["tuning"])
        return choose_threshold(
            tuning, events, fitted.scores(tuning), alarms.precision, alarms.silence, alarms.thresholds
        )

    def _measure(
        self, scored: MethodScores, draws: Draws, groups: list[Subgroups], announced: dict[str, AnnouncedEvents]
    ) -> MethodResult:
        """announced: by the name of a task of an event, what rows of the measured split announce."""
        given = (scored.task, scored.rows, scored.score, draws)
        announces = scored.task.task.name in announced
        measured = MeasuredMethod(
            chosen=scored.chosen,
            score=scored.score,
            estimates=measures(*given, np.ones(len(scored.rows))),
            by_subject=measures(*given, subject_weights(scored.rows.subject)),
            announced=self._announced(scored, announced[scored.task.task.name], draws) if announces else None,
            worth=_worth(scored, scored.task.config.utility, draws) if scored.task.config.utility else None,
            groups=[of_group for group in groups for of_group in _of_groups(*given, group)],
        )
        return MethodResult(scored.task, scored.rows, scored.method, scored.information, measured)

    def _announced_events(self, task: TaskRows) -> AnnouncedEvents:
        """On the measured split: the same for every method."""
        return AnnouncedEvents.of(task.splits[self.config.split], task.ahead[self.config.split])

    def _announced(self, scored: MethodScores, events: AnnouncedEvents, draws: Draws) -> Announced:
        """Alarms on the measured split."""
        if scored.threshold is None:
            return Announced(None, None, {})
        raised = raise_alarms(scored.rows, events, scored.score, scored.threshold, self.config.alarms.silence)
        return Announced(scored.threshold, raised, event_estimates(scored.rows, raised, draws))


def _worth(scored: MethodScores, config: UtilityConfig, draws: Draws) -> AlarmWorth:
    """What alarms are worth on the measured split."""
    alarm = alarmed_rows(scored.score, scored.threshold)
    estimate = utility(RowUtilities.of(scored.rows, config), alarm, scored.rows.subject, draws)
    return AlarmWorth(scored.threshold, alarm, estimate)


def makers(evaluation: Evaluation, config: TasksConfig) -> dict[str, Callable[[], Method]]:
    """How to make each method that the recipe asks for, by its key there, in the order of the tables."""
    latent = LatentMethods(evaluation, config)
    known: dict[str, Callable[[], Method]] = {
        "latents": latent.latents,
        "latents_and_rollout": latent.with_rollout,
        "decoded_latents": latent.decoded,
        "belief": latent.belief,
        "decoded_belief": latent.decoded_belief,
        "untrained_latents": latent.untrained,
        "decoded_untrained_latents": latent.decoded_untrained,
        "untrained_belief": latent.untrained_belief,
        "decoded_untrained_belief": latent.decoded_untrained_belief,
        "train_mean": TrainMean,
        "last_value": partial(LastValue, evaluation.dataset.store),
    }
    known |= {name: partial(maker, evaluation, config) for name, maker in BASELINES.items()}
    members = ("decoded_belief", "lightgbm")
    for member in members:
        known[member] = cache(partial(_once, known[member]))
    known["decoded_belief_and_lightgbm"] = lambda: Averaged([known[member]() for member in members])
    return {name: known[name] for name in (*config.methods, *config.baselines)}


def _once(maker: Callable[[], Method]) -> Method:
    return FittedOnce(maker())


def made_methods(wanted: dict[str, Callable[[], Method]]) -> dict[str, Method | UnmeasuredMethod]:
    """Every method by its key, or why it cannot be made."""
    methods: dict[str, Method | UnmeasuredMethod] = {}
    for name, maker in wanted.items():
        try:
            methods[name] = maker()
        except CannotFit as reason:
            methods[name] = UnmeasuredMethod(name.replace("_", " "), str(reason))
    return methods


def measures(task: TaskRows, rows: Rows, score: np.ndarray, draws: Draws, weight: np.ndarray) -> Estimates:
    """What is measured of scores (R,) of rows of a task, with weights (R,) of their own."""
    given = (rows.truth, score, rows.subject, draws, weight)
    if task.task.kind == "binary":
        return binary(*given)
    return regression(*given) | (asymmetric_score(*given) if task.config.asymmetric_score else {})


def _of_groups(task: TaskRows, rows: Rows, score: np.ndarray, draws: Draws, groups: Subgroups) -> list[GroupResult]:
    """Every group that has a row; those of few subjects are counted and not measured."""
    lines = []
    at = groups.group[rows.trajectory]
    for number, name in enumerate(groups.names):
        part = rows.take(np.flatnonzero(at == number))
        if len(part) == 0:
            continue
        few = len(np.unique(part.subject)) < FEWEST
        estimates = {} if few else measures(task, part, score[at == number], draws, np.ones(len(part)))
        lines.append(GroupResult(groups.channel, name, Counts.of(part), estimates))
    return lines
