"""Headlines, verdicts, figures and predictions of the tasks, beside their tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from jepa_core.results.findings import (
    Figure,
    Findings,
    Headline,
    MadeWhenRead,
    Predictions,
    Redrawn,
    Series,
    Verdict,
)
from jepa_core.results.paired import DRAWS
from jepa_core.results.text import counted
from jepa_downstream.claims import TERMS, UNDEFINED, contenders, mean_estimate, rarer, task_claims
from jepa_downstream.measures import DrawnEstimate, calibration
from jepa_downstream.results import Announced, MeasuredMethod, MethodResult
from jepa_downstream.rows import subjects_of
from jepa_downstream.task_tables import estimates_of, remark_on, tables_of, worth_of

if TYPE_CHECKING:
    from jepa_downstream.config import PredictionTasksConfig
    from jepa_downstream.subgroups import Subgroups
    from jepa_downstream.tasks import TaskRows

FEW_SUBJECTS = 50
"""Subjects of the measured split below which the findings say how few there are."""


def task_findings(
    tasks: list[TaskRows],
    results: list[MethodResult],
    groups: list[Subgroups],
    config: PredictionTasksConfig,
    subjects: np.ndarray,
) -> Findings:
    """Findings of all tasks and methods. subjects: those that were drawn from, as numbers that may be written down."""
    headlines = list(_headlines(results))
    names = list(dict.fromkeys(result.method for result in results))
    return Findings(
        headlines=[headline for headline, _ in headlines],
        verdicts=_verdicts(results, config),
        tables=tables_of(tasks, results, config),
        figures=[figure for task in tasks if task.task.kind == "binary" for figure in _calibration(task, results)],
        claims=task_claims(results, names[len(config.methods) :]),
        terms=TERMS,
        predictions=MadeWhenRead(
            [
                partial(_predictions, result, groups, config)
                for result in results
                if isinstance(result.found, MeasuredMethod)
            ]
        ),
        redrawn=[
            Redrawn(headline.metric, subjects, estimate.value, estimate.draws)
            for headline, estimate in headlines
            if estimate.value is not None and len(estimate.draws) == DRAWS  # other draws pair with no other run's
        ],
    )


# --- headlines and verdicts -------------------------------------------------------------------------------------------


def _headlines(results: list[MethodResult]) -> Iterator[tuple[Headline, DrawnEstimate]]:
    """Each with the estimate that it tells."""
    main = _main(results)
    if any(result.task.task.kind == "binary" for result in main):
        yield _mean_auroc(main)
    gains = _gains(results)
    if gains:
        over = "on the same rows" if len(gains) == 1 else f"the mean of {len(gains)} tasks on the same rows"
        note = f"{_gained(results)}, {over}"
        measured = [result for result in main if estimates_of(result).get("auroc", UNDEFINED).value is not None]
        label = f"AUROC gained by training, {results[0].method}"
        yield _headline(label, mean_estimate(gains), measured, note, "higher")
    for result in main:
        if result.task.task.kind == "regression":
            estimate = estimates_of(result).get("rmse", UNDEFINED)
            yield _headline(f"RMSE of {_named(result)}", estimate, [result], remark_on(result), "lower")
        worth = worth_of(result)
        if worth is not None:
            yield _headline(f"utility of alarms of {_named(result)}", worth.utility, [result], "", "higher")


def _main(results: list[MethodResult]) -> list[MethodResult]:
    """Those of the method that stands for all: the first of the recipe's."""
    return [result for result in results if result.method == results[0].method]


def _headline(
    label: str, estimate: DrawnEstimate, of: list[MethodResult], note: str, better: Literal["lower", "higher"]
) -> tuple[Headline, DrawnEstimate]:
    low, high = estimate.bounds
    counts = [rare for result in of if (rare := rarer(result.rows, result.task.task.kind)) is not None]
    headline = Headline(
        label, estimate.value, "", low, high, _subjects(of), note=note, better=better, metric=label,
        positives=min(counts, default=None),
    )  # fmt: skip
    return headline, estimate


def _mean_auroc(main: list[MethodResult]) -> tuple[Headline, DrawnEstimate]:
    tasks = [result for result in main if result.task.task.kind == "binary"]
    known = [result for result in tasks if (auroc := estimates_of(result).get("auroc")) and auroc.value is not None]
    label = f"mean AUROC, {main[0].method}" if len(tasks) > 1 else f"AUROC of {_named(tasks[0])}"
    if not known:
        return _headline(label, UNDEFINED, tasks, remark_on(tasks[0]), "higher")
    mean = mean_estimate([estimates_of(result)["auroc"] for result in known])
    parts = [
        f"{len(known)} of {len(tasks)} tasks" if len(tasks) > 1 else "",
        _positives([len(np.unique(result.rows.subject[result.rows.truth == 1])) for result in known]),
        "too few for an interval" if mean.bounds[0] is None else "",
    ]
    return _headline(label, mean, known, "; ".join(part for part in parts if part), "higher")


def _positives(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    several = f"{least:,} to " if least < most else ""
    return f"{several}{counted(most, 'subject')} with positive rows" + (" each" if several else "")


def _gains(results: list[MethodResult]) -> list[DrawnEstimate]:
    """AUROC of the first method minus that of its untrained control, of each task where both are measured."""
    by_method = {(result.task.task.name, result.method): estimates_of(result).get("auroc") for result in results}
    asked = contenders(list(dict.fromkeys(result.method for result in results)), [])
    if len(asked) < 2:
        return []
    main, control = (result.name for result in asked[:2])
    pairs = [(estimate, by_method[task, control]) for (task, method), estimate in by_method.items() if method == main]
    gains = [mine.minus(other) for mine, other in pairs if mine is not None and other is not None]
    return [gain for gain in gains if gain.value is not None]


def _gained(results: list[MethodResult]) -> str:
    """What is gained on what, in words."""
    main, control = contenders(list(dict.fromkeys(result.method for result in results)), [])
    return f"{main.name} minus {control.name}"


def _subjects(results: list[MethodResult]) -> int:
    return len(subjects_of(result.rows for result in results))


def _verdicts(results: list[MethodResult], config: PredictionTasksConfig) -> list[Verdict]:
    verdicts = []
    split = config.split.replace("_", " ")
    subjects = _subjects(results)
    if subjects < FEW_SUBJECTS:
        text = f"The {split} rows belong to {subjects} subjects: too few to rank methods."
        verdicts.append(Verdict("warning", text))
    main = _main(results)
    constant = [
        _words(result) for result in main if isinstance(result.found, MeasuredMethod) and result.found.is_constant
    ]
    if constant:
        verdicts.append(Verdict("bad", f"Heads on {main[0].method} give one constant score for {', '.join(constant)}."))
    undefined = [_words(result) for result in main if remark_on(result).startswith(("all ", "the "))]
    if undefined:
        text = f"Not measured, for want of rows of both classes: {', '.join(undefined)}."
        verdicts.append(Verdict("warning", text))
    return verdicts + _verdict_on_training(results)


def _words(result: MethodResult) -> str:
    return result.task.task.name.replace("_", " ")


def _named(result: MethodResult) -> str:
    """The task, and which features are read: runs whose recipes ask for others are then not compared with one
    another."""
    return f"{_words(result)}, {result.method}"


def _verdict_on_training(results: list[MethodResult]) -> list[Verdict]:
    """On how many tasks the interval of the gain lies on one side of 0, of those that have an interval."""
    gains = _gains(results)
    bounds = [gain.bounds for gain in gains if gain.bounds[0] is not None]
    if not bounds:
        return []
    better = sum(low is not None and low > 0 for low, _ in bounds)
    worse = sum(high is not None and high < 0 for _, high in bounds)
    text = f"Training helps ({_gained(results)}) on {better} of {len(bounds)} tasks and harms on {worse}"
    level: Literal["good", "warning"] = "good" if 2 * better > len(bounds) else "warning"
    return [Verdict(level, f"{text} (AUROC, 95 % interval of the difference on one side of 0).")]


# --- figures and predictions ------------------------------------------------------------------------------------------


def _calibration(task: TaskRows, results: list[MethodResult]) -> Iterator[Figure]:
    """One figure; none where no method could be measured."""
    series = [Series("perfect", [0.0, 1.0], [0.0, 1.0], control=True)]
    for result in results:
        if result.task is task and isinstance(result.found, MeasuredMethod):
            _, foreseen, observed, _ = calibration(result.rows.truth, result.found.score)
            series.append(Series(result.method, foreseen.tolist(), observed.tolist()))
    if len(series) > 1:
        title = f"Calibration: {task.config.asked}"
        note = "Ten bins of equal width; a point at the mean probability of the rows in each."
        yield Figure(f"calibration_{task.task.name}", title, "probability", "share observed", series, note=note)


def _predictions(result: MethodResult, groups: list[Subgroups], config: PredictionTasksConfig) -> Predictions:
    assert isinstance(result.found, MeasuredMethod)
    rows = result.rows
    extra = {f"subgroup_{group.channel}": np.array(group.names)[group.group[rows.trajectory]] for group in groups}
    if result.found.announced is not None:
        extra["steps_to_event"] = result.task.ahead[config.split]
        extra |= _raised(result.found.announced, len(rows))
    if result.found.worth is not None:
        extra |= _alarm_columns(result.found.worth.alarm, result.found.worth.threshold)
    return Predictions(
        task=result.task.task.name,
        method=result.method,
        kind="boolean" if result.task.task.kind == "binary" else "float",
        subject=rows.subject,
        trajectory=rows.trajectory,
        step=rows.step,
        seconds=(rows.step + 1) * (config.step_seconds or 1.0),
        truth=rows.truth,
        score=result.found.score,
        extra=extra,
    )


def _raised(announced: Announced, rows: int) -> dict[str, np.ndarray]:
    """Columns of the alarms; a threshold of NaN where none reaches the wanted precision on tuning."""
    alarm = np.zeros(rows, dtype=bool)
    if announced.alarms is not None:
        alarm[announced.alarms.row] = True
    return _alarm_columns(alarm, announced.threshold)


def _alarm_columns(alarm: np.ndarray, threshold: float | None) -> dict[str, np.ndarray]:
    return {"alarm": alarm, "alarm_threshold": np.full(len(alarm), np.nan if threshold is None else threshold)}
