"""Tables, figures, headlines, verdicts and predictions of the tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

from jepa_core.findings import (
    Cell,
    Column,
    Figure,
    Findings,
    Headline,
    Predictions,
    Series,
    Table,
    Verdict,
)
from jepa_core.trajectories import SPLITS
from jepa_downstream.measures import UNSTABLE, Estimate, Estimates, calibration
from jepa_downstream.results import Announced, Measured, Result, Unmeasured
from jepa_downstream.subgroups import FEWEST

if TYPE_CHECKING:
    from jepa_downstream.config import PredictionTasksConfig
    from jepa_downstream.subgroups import Subgroups
    from jepa_downstream.tasks import TaskRows

MAIN = "latents"
"""The method that the others are compared with."""
UNTRAINED = "untrained latents"
FEW_SUBJECTS = 50
"""Subjects of the measured split below which the findings say how few there are."""
BINARY = ("auroc", "average_precision", "brier", "ece")
VALUES = ("rmse", "mae", "r2")
ASYMMETRIC = ("score_sum", "score_mean")
DAY = 86_400

_INTERVALS = (
    "Intervals: 95 %, percentile, over subjects drawn with replacement (a drawn subject brings all of its rows), the "
    "same draws for every method."
)


def describe(
    tasks: list[TaskRows], results: list[Result], groups: list[Subgroups], config: PredictionTasksConfig
) -> Findings:
    """Findings of all tasks and methods."""
    kinds = {
        kind: [one for one in results if one.task.task.kind == kind] for kind in ("binary", "regression")
    }  # fmt: skip
    tables = [
        _overview(found, name) for found, name in ((kinds["binary"], "auroc"), (kinds["regression"], "rmse")) if found
    ]
    tables.append(_tasks_table(tasks))
    if kinds["binary"]:
        tables += _score_tables(kinds["binary"], config, BINARY, "scores", "Probabilities")
    if kinds["regression"]:
        names = VALUES + (ASYMMETRIC if any("score_sum" in _estimates(one) for one in results) else ())
        tables += _score_tables(kinds["regression"], config, names, "values", "Values")
    if any(task.config.event for task in tasks):
        tables.append(_events_table(results, config))
    if groups:
        tables.append(_subgroups_table(results))
    tables += [_methods_table(results), _chosen_table(results)]
    return Findings(
        headlines=_headlines(results),
        verdicts=_verdicts(results, config),
        tables=tables,
        figures=[_calibration(task, results) for task in tasks if task.task.kind == "binary"],
        predictions=[_predictions(one, groups, config) for one in results if isinstance(one.found, Measured)],
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _overview(results: list[Result], name: str) -> Table:
    """One measure of every method, a row a task: what is looked for first."""
    methods = list(dict.fromkeys(one.method for one in results))
    columns = [Column("task"), *(bound for method in methods for bound in _with_bounds([method]))]
    rows: list[list[Cell]] = []
    for task in dict.fromkeys(one.task.task.name for one in results):
        of_task = {one.method: _estimates(one) for one in results if one.task.task.name == task}
        rows.append([task, *(cell for method in methods for cell in _cells(of_task[method], [name]))])
    title = f"{name.upper()} by method"
    note = f"Every row alike; the reason for a null stands in the table of all measures. {_INTERVALS}"
    return Table(f"{name}_by_method", title, columns, rows, note)


def _tasks_table(tasks: list[TaskRows]) -> Table:
    kinds = {task.task.kind for task in tasks}
    of_class = [Column("positives", digits=7), Column("prevalence")] if "binary" in kinds else []
    of_value = [Column("mean")] if "regression" in kinds else []
    columns = [
        Column("task"), Column("split"), Column("rows", digits=7), *of_class, *of_value,
        Column("trajectories", digits=7), Column("subjects", digits=7), Column("left_out"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for task in tasks:
        for split in SPLITS:
            found, binary = task.splits[split], task.task.kind == "binary"
            mean = float(found.truth.mean()) if len(found) else None
            classes: list[Cell] = [int(found.truth.sum()), mean] if binary else [None, None]
            left_out = "; ".join(f"{count:,} {reason}" for reason, count in task.left_out[split].items())
            counts: list[Cell] = [len(np.unique(found.trajectory)), len(np.unique(found.subject))]
            described = [*(classes if of_class else []), *([None if binary else mean] if of_value else [])]
            rows.append([task.task.name, split, len(found), *described, *counts, left_out or "none"])
    note = "One row a trajectory for an outcome, one row a step for an event or a label."
    return Table("tasks", "Rows of the tasks", columns, rows, note)


def _score_tables(
    results: list[Result], config: PredictionTasksConfig, names: tuple[str, ...], key: str, title: str
) -> list[Table]:
    """Every row alike, every subject alike, and the differences to the latents."""
    columns = [Column("task"), Column("method"), *_with_bounds(names), *_counts(results[0]), Column("remark")]
    by_row = [[*_head(one), *_cells(_estimates(one), names), *_count_cells(one), _remark(one)] for one in results]
    by_subject = [
        [*_head(one), *_cells(_estimates(one, by_subject=True), names), *_count_cells(one), _remark(one)]
        for one in results
    ]
    bins = " ECE: 10 bins of equal width." if names == BINARY else ""
    split = config.split.replace("_", " ")
    return [
        Table(key, f"{title}: {split}, every row alike", columns, by_row, _INTERVALS + bins),
        Table(f"{key}_by_subject", f"{title}: {split}, every subject alike", columns, by_subject, _INTERVALS + bins),
        _differences(results, names, key, title),
    ]


def _differences(results: list[Result], names: tuple[str, ...], key: str, title: str) -> Table:
    main = {one.task.task.name: _estimates(one) for one in results if one.method == MAIN}
    rows: list[list[Cell]] = []
    for one in results:
        base = main.get(one.task.task.name, {})
        if one.method != MAIN and base:
            found = _estimates(one)
            rows.append([*_head(one), *_cells({name: found[name].minus(base[name]) for name in found}, names)])
    note = f"Each method minus the latents, on the same rows and the same draws. {_INTERVALS}"
    columns = [Column("task"), Column("method"), *_with_bounds(names)]
    return Table(f"{key}_differences", f"{title}: differences to the latents", columns, rows, note)


def _events_table(results: list[Result], config: PredictionTasksConfig) -> Table:
    a_day = [Column("alarms_per_day")] if config.step_seconds else []
    columns = [
        Column("task"), Column("method"), Column("threshold"),
        *_with_bounds(("event_recall", "alarm_precision", "alarms_per_1000_steps")), *a_day,
        Column("lead_median", "steps"), Column("lead_quartile_1", "steps"), Column("lead_quartile_3", "steps"),
        Column("events", digits=7), Column("caught", digits=7), Column("alarms", digits=7), Column("remark"),
    ]  # fmt: skip
    rows = [_event_cells(one, config) for one in results if one.task.config.event]
    alarms = config.alarms
    note = (
        f"Threshold: chosen on tuning to catch most events while {100 * alarms.precision:.3g} % of alarms are true. "
        f"After an alarm there is none for {alarms.silence} steps. An event counts if a row could have announced it "
        f"within the horizon. {_INTERVALS}"
    )
    return Table("events", "Alarms and events", columns, rows, note)


def _event_cells(one: Result, config: PredictionTasksConfig) -> list[Cell]:
    names = ("event_recall", "alarm_precision", "alarms_per_1000_steps")
    extra = 1 if config.step_seconds else 0
    if isinstance(one.found, Unmeasured):
        return [*_head(one), None, *_cells({}, names), *[None] * (extra + 6), one.found.reason]
    found = one.found.announced
    assert isinstance(found, Announced)
    if found.alarms is None:
        reason = f"no threshold reaches a precision of {config.alarms.precision:g} on tuning"
        return [*_head(one), None, *_cells({}, names), *[None] * (extra + 6), reason]
    lead = found.alarms.lead[~np.isnan(found.alarms.lead)]
    quartiles: list[Cell] = [float(one) for one in np.quantile(lead, [0.5, 0.25, 0.75])] if len(lead) else [None] * 3
    a_step = found.estimates["alarms_per_1000_steps"].value
    a_day: list[Cell] = (
        [a_step / 1000 * DAY / config.step_seconds] if config.step_seconds and a_step is not None else []
    )
    counts: list[Cell] = [len(found.alarms.lead), len(lead), len(found.alarms.row)]
    reason = "" if len(found.alarms.lead) else "no event"
    return [*_head(one), found.threshold, *_cells(found.estimates, names), *a_day, *quartiles, *counts, reason]


def _subgroups_table(results: list[Result]) -> Table:
    names = [name for name in (*BINARY, *VALUES) if any(name in _estimates(one) for one in results)]
    columns = [
        Column("task"), Column("method"), Column("channel"), Column("group"), *_with_bounds(names),
        Column("rows", digits=7), Column("positives", digits=7), Column("subjects", digits=7), Column("remark"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for one in results:
        for group in one.found.groups if isinstance(one.found, Measured) else []:
            truth, binary = group.rows.truth, one.task.task.kind == "binary"
            few = "" if group.estimates else f"fewer than {FEWEST} subjects"
            remark = few or (_one_class(truth) if binary else "") or _unstable(group.estimates)
            counts: list[Cell] = [len(truth), int(truth.sum()) if binary else None, len(np.unique(group.rows.subject))]
            rows.append([*_head(one), group.channel, group.group, *_cells(group.estimates, names), *counts, remark])
    return Table("subgroups", "Subgroups", columns, rows, _INTERVALS)


def _methods_table(results: list[Result]) -> Table:
    rows = {one.method: [one.method, one.information or "could not be made"] for one in results}
    return Table("methods", "What each method is told", [Column("method"), Column("information")], [*rows.values()])


def _chosen_table(results: list[Result]) -> Table:
    rows: list[list[Cell]] = []
    for one in results:
        if isinstance(one.found, Measured) and one.found.chosen:
            said = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in one.found.chosen.items())
            rows.append([*_head(one), said])
    columns = [Column("task"), Column("method"), Column("chosen")]
    return Table("chosen", "What tuning chose", columns, rows)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _with_bounds(names: Iterable[str]) -> list[Column]:
    return [Column(f"{name}{suffix}") for name in names for suffix in ("", "_low", "_high")]


def _cells(estimates: Estimates, names: Iterable[str]) -> list[Cell]:
    nothing = Estimate(None, np.full(1, np.nan))
    found = [estimates.get(name, nothing) for name in names]
    return [cell for one in found for cell in (one.value, *one.bounds)]


def _head(one: Result) -> list[Cell]:
    return [one.task.task.name, one.method]


def _counts(one: Result) -> list[Column]:
    of_class = [Column("positives", digits=7), Column("prevalence")] if one.task.task.kind == "binary" else []
    return [Column("rows", digits=7), *of_class, Column("subjects", digits=7)]


def _count_cells(one: Result) -> list[Cell]:
    rows = one.rows
    prevalence = float(rows.truth.mean()) if len(rows) else None
    of_class: list[Cell] = [int(rows.truth.sum()), prevalence] if one.task.task.kind == "binary" else []
    return [len(rows), *of_class, len(np.unique(rows.subject))]


def _estimates(one: Result, by_subject: bool = False) -> Estimates:
    if isinstance(one.found, Unmeasured):
        return {}
    return one.found.by_subject if by_subject else one.found.estimates


def _remark(one: Result) -> str:
    """Why something is null, or what must be known to read it."""
    if isinstance(one.found, Unmeasured):
        return one.found.reason
    one_class = _one_class(one.rows.truth) if one.task.task.kind == "binary" else ""
    constant = "scores are constant" if one.found.is_constant else ""
    return "; ".join(part for part in (one_class, _unstable(one.found.estimates), constant) if part)


def _one_class(truth: np.ndarray) -> str:
    if len(np.unique(truth)) > 1:
        return ""
    return f"all {len(truth):,} rows are {'positive' if truth.max() == 1 else 'negative'}"


def _unstable(estimates: Estimates) -> str:
    skipped = max((one.skipped for one in estimates.values() if one.value is not None), default=0.0)
    return f"no interval: {100 * skipped:.3g} % of the draws have one class" if skipped > UNSTABLE else ""


# --- headlines and verdicts -------------------------------------------------------------------------------------------


def _headlines(results: list[Result]) -> list[Headline]:
    main = [one for one in results if one.method == MAIN]
    found = [_mean_auroc(main)] if any(one.task.task.kind == "binary" for one in main) else []
    gains = _gains(results)
    if gains:
        low, high = (mean := _mean(gains)).bounds
        note = f"latents minus untrained latents, the mean of {len(gains)} tasks on the same rows"
        found.append(
            Headline("AUROC gained by training", mean.value, "", low, high, _subjects(main), note=note, better="higher")
        )
    for one in main:
        if one.task.task.kind == "regression":
            estimate = _estimates(one).get("rmse", Estimate(None, np.full(1, np.nan)))
            low, high = estimate.bounds
            label = f"RMSE of {_words(one)}"
            note = _remark(one)
            found.append(Headline(label, estimate.value, "", low, high, _subjects([one]), note=note, better="lower"))
    return found


def _mean_auroc(main: list[Result]) -> Headline:
    tasks = [one for one in main if one.task.task.kind == "binary"]
    known = [one for one in tasks if (auroc := _estimates(one).get("auroc")) and auroc.value is not None]
    label = "mean AUROC of latents" if len(tasks) > 1 else f"AUROC of {_words(tasks[0])}"
    if not known:
        return Headline(label, None, n=_subjects(tasks), note=_remark(tasks[0]))
    low, high = (mean := _mean([_estimates(one)["auroc"] for one in known])).bounds
    parts = [
        f"of {len(known)} of {len(tasks)} tasks" if len(tasks) > 1 else "",
        _positives([int(one.rows.truth.sum()) for one in known]),
        "too few for an interval" if low is None else "",
    ]
    note = "; ".join(part for part in parts if part)
    return Headline(label, mean.value, "", low, high, _subjects(tasks), note=note, better="higher")


def _positives(counts: list[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,} to {most:,} positive rows each" if least < most else f"{most:,} positive rows"


def _gains(results: list[Result]) -> list[Estimate]:
    """AUROC of latents minus that of the untrained control, of each task where both are measured."""
    by_method = {(one.task.task.name, one.method): _estimates(one).get("auroc") for one in results}
    pairs = [(found, by_method.get((task, UNTRAINED))) for (task, method), found in by_method.items() if method == MAIN]
    gains = [main.minus(control) for main, control in pairs if main is not None and control is not None]
    return [gain for gain in gains if gain.value is not None]


def _mean(estimates: list[Estimate]) -> Estimate:
    values = [one.value for one in estimates if one.value is not None]
    return Estimate(float(np.mean(values)), np.mean([one.draws for one in estimates], axis=0))


def _subjects(results: list[Result]) -> int:
    return len(np.unique(np.concatenate([one.rows.subject for one in results])))


def _verdicts(results: list[Result], config: PredictionTasksConfig) -> list[Verdict]:
    verdicts = []
    split = config.split.replace("_", " ")
    subjects = _subjects(results)
    if subjects < FEW_SUBJECTS:
        text = f"The {split} rows belong to {subjects} subjects: too few to rank methods."
        verdicts.append(Verdict("warning", text))
    main = [one for one in results if one.method == MAIN]
    constant = [_words(one) for one in main if isinstance(one.found, Measured) and one.found.is_constant]
    if constant:
        verdicts.append(Verdict("bad", f"Heads on the latents give one constant score for {', '.join(constant)}."))
    undefined = [_words(one) for one in main if _remark(one).startswith(("all ", "the "))]
    if undefined:
        text = f"Not measured, for want of rows of both classes: {', '.join(undefined)}."
        verdicts.append(Verdict("warning", text))
    return verdicts + _verdict_on_training(_gains(results))


def _words(one: Result) -> str:
    return one.task.task.name.replace("_", " ")


def _verdict_on_training(gains: list[Estimate]) -> list[Verdict]:
    """On how many tasks the interval of the gain lies on one side of 0, of those that have an interval."""
    bounds = [gain.bounds for gain in gains if gain.bounds[0] is not None]
    if not bounds:
        return []
    better = sum(low is not None and low > 0 for low, _ in bounds)
    worse = sum(high is not None and high < 0 for _, high in bounds)
    text = f"Latents beat those of the untrained encoder on {better} of {len(bounds)} tasks and lose on {worse}"
    level: Literal["good", "warning"] = "good" if 2 * better > len(bounds) else "warning"
    return [Verdict(level, f"{text} (AUROC, 95 % interval of the difference on one side of 0).")]


# --- figures and predictions ------------------------------------------------------------------------------------------


def _calibration(task: TaskRows, results: list[Result]) -> Figure:
    series = [Series("perfect", [0.0, 1.0], [0.0, 1.0], control=True)]
    for one in results:
        if one.task is task and isinstance(one.found, Measured):
            foreseen, observed, _ = calibration(one.rows.truth, one.found.score)
            series.append(Series(one.method, foreseen.tolist(), observed.tolist()))
    title = f"Calibration: {task.task.name.replace('_', ' ')}"
    note = "Ten bins of equal width; a point at the mean probability of the rows in each."
    return Figure(f"calibration_{task.task.name}", title, "probability", "share observed", series, note=note)


def _predictions(one: Result, groups: list[Subgroups], config: PredictionTasksConfig) -> Predictions:
    assert isinstance(one.found, Measured)
    rows = one.rows
    extra = {f"subgroup_{group.channel}": np.array(group.names)[group.group[rows.trajectory]] for group in groups}
    if one.task.ahead:
        extra["steps_to_event"] = one.task.ahead[config.split]
    return Predictions(
        task=one.task.task.name,
        method=one.method,
        kind="boolean" if one.task.task.kind == "binary" else "float",
        subject=rows.subject,
        trajectory=rows.trajectory,
        step=rows.step,
        seconds=(rows.step + 1) * (config.step_seconds or 1.0),
        truth=rows.truth,
        score=one.found.score,
        extra=extra,
    )
