"""Tables of the tasks: scores with intervals, differences, alarms, calibration, subgroups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.data.trajectories import SPLITS
from jepa_core.results.findings import Cell, Column, Table
from jepa_downstream.measures import BINS, UNSTABLE, DrawnEstimate, Estimates, calibration
from jepa_downstream.results import AlarmWorth, Announced, MeasuredMethod, MethodResult, UnmeasuredMethod
from jepa_downstream.rows import Counts
from jepa_downstream.subgroups import FEWEST

if TYPE_CHECKING:
    from jepa_downstream.config import PredictionTasksConfig
    from jepa_downstream.rows import Rows
    from jepa_downstream.tasks import TaskRows

BINARY = ("auroc", "average_precision", "brier", "ece")
VALUES = ("rmse", "mae", "r2")
ASYMMETRIC = ("score_sum", "score_mean")
DAY = 86_400

_INTERVALS = (
    "Intervals: 95 %, percentile, over subjects drawn with replacement (a drawn subject brings all of its rows), the "
    "same draws for every method."
)


def tables_of(tasks: list[TaskRows], results: list[MethodResult], config: PredictionTasksConfig) -> list[Table]:
    """All tables, what is looked for first on top."""
    binary, values = (
        [result for result in results if result.task.task.kind == kind] for kind in ("binary", "regression")
    )  # fmt: skip
    tables = [_overview(of_kind, name) for of_kind, name in ((binary, "auroc"), (values, "rmse")) if of_kind]
    tables.append(_tasks_table(tasks))
    if binary:
        tables += _score_tables(binary, config, BINARY, "scores", "Probabilities")
        tables.append(_calibration_table(binary))
    if values:
        names = VALUES + (ASYMMETRIC if any("score_sum" in estimates_of(result) for result in values) else ())
        tables += _score_tables(values, config, names, "values", "Values")
    if any(task.config.event for task in tasks):
        tables.append(_events_table(results, config))
    if any(task.config.utility for task in tasks):
        tables.append(_utility_table([result for result in results if result.task.config.utility]))
    if config.subgroups:
        tables.append(_subgroups_table(results))
    return [*tables, _methods_table(results), _chosen_table(results)]


def _overview(results: list[MethodResult], name: str) -> Table:
    """One measure of every method, a row a task: what is looked for first."""
    methods = list(dict.fromkeys(result.method for result in results))
    columns = [Column("task"), *(bound for method in methods for bound in with_bounds([method]))]
    rows: list[list[Cell]] = []
    for task in dict.fromkeys(result.task.task.name for result in results):
        of_task = {result.method: estimates_of(result) for result in results if result.task.task.name == task}
        rows.append([task, *(cell for method in methods for cell in estimate_cells(of_task[method], [name]))])
    title = f"{name.upper()} by method"
    note = f"Every row alike; the reason for a null stands in the table of all measures. {_INTERVALS}"
    return Table(f"{name}_by_method", title, columns, rows, note)


def _tasks_table(tasks: list[TaskRows]) -> Table:
    kinds = {task.task.kind for task in tasks}
    of_class = _class_columns() if "binary" in kinds else []
    of_value = [Column("mean")] if "regression" in kinds else []
    columns = [
        Column("task"), Column("split"), Column("rows", digits=7), *of_class, *of_value,
        Column("trajectories", digits=7), Column("subjects", digits=7), Column("left_out"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for task in tasks:
        for split in SPLITS:
            of_split, binary = task.splits[split], task.task.kind == "binary"
            mean = float(of_split.truth.mean()) if len(of_split) else None
            classes: list[Cell] = _class_cells(of_split) if binary else [None, None, None]
            left_out = "; ".join(f"{count:,} {reason}" for reason, count in task.left_out[split].items())
            counts: list[Cell] = [len(np.unique(of_split.trajectory)), len(np.unique(of_split.subject))]
            described = [*(classes if of_class else []), *([None if binary else mean] if of_value else [])]
            rows.append([task.task.name, split, len(of_split), *described, *counts, left_out or "none"])
    note = "One row a trajectory for an outcome, one row a step for an event or a label."
    return Table("tasks", "Rows of the tasks", columns, rows, note)


def _score_tables(
    results: list[MethodResult], config: PredictionTasksConfig, names: tuple[str, ...], key: str, title: str
) -> list[Table]:
    """Every row alike, every subject alike, and the differences to the first method."""
    columns = [Column("task"), Column("method"), *with_bounds(names), *_counts(results[0]), Column("remark")]
    by_row = [
        [*_head(result), *estimate_cells(estimates_of(result), names), *_count_cells(result), remark_on(result)]
        for result in results
    ]
    by_subject = [
        [
            *_head(result),
            *estimate_cells(estimates_of(result, by_subject=True), names),
            *_count_cells(result),
            remark_on(result),
        ]
        for result in results
    ]
    bins = " ECE: 10 bins of equal width." if names == BINARY else ""
    split = config.split.replace("_", " ")
    return [
        Table(key, f"{title}: {split}, every row alike", columns, by_row, _INTERVALS + bins),
        Table(f"{key}_by_subject", f"{title}: {split}, every subject alike", columns, by_subject, _INTERVALS + bins),
        _differences(results, names, key, title),
    ]


def _differences(results: list[MethodResult], names: tuple[str, ...], key: str, title: str) -> Table:
    main = results[0].method
    of_main = {result.task.task.name: estimates_of(result) for result in results if result.method == main}
    rows: list[list[Cell]] = []
    for result in results:
        base = of_main[result.task.task.name]
        if result.method != main and base:
            estimates = estimates_of(result)
            less = {name: estimates[name].minus(base[name]) for name in estimates}
            rows.append([*_head(result), *estimate_cells(less, names)])
    note = f"Each method minus {main}, on the same rows and the same draws. {_INTERVALS}"
    columns = [Column("task"), Column("method"), *with_bounds(names)]
    return Table(f"{key}_differences", f"{title}: differences to {main}", columns, rows, note)


def _calibration_table(results: list[MethodResult]) -> Table:
    columns = [
        Column("task"), Column("method"), Column("from"), Column("below"),
        Column("mean_probability"), Column("share_observed"), Column("rows", digits=7),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for result in results:
        if isinstance(result.found, MeasuredMethod):
            columns_of = calibration(result.rows.truth, result.found.score)
            for number, *counts in zip(*(column.tolist() for column in columns_of), strict=True):
                rows.append([*_head(result), number / BINS, (number + 1) / BINS, *counts])
    note = "Bins of equal width that hold a row; the last one holds 1. ECE: mean over the rows of the gap of their bin."
    return Table("calibration", "Calibration by bin", columns, rows, note)


def _events_table(results: list[MethodResult], config: PredictionTasksConfig) -> Table:
    columns = [
        Column("task"), Column("method"), Column("threshold"), *with_bounds(_event_measures(config)),
        *with_bounds(["lead_median"], "steps"), Column("lead_quartile_1", "steps"), Column("lead_quartile_3", "steps"),
        Column("events", digits=7), Column("caught", digits=7), Column("alarms", digits=7), Column("remark"),
    ]  # fmt: skip
    rows = [_event_cells(result, config) for result in results if result.task.config.event]
    alarms = config.alarms
    note = (
        f"Threshold: chosen on tuning to catch most events while {100 * alarms.precision:.3g} % of alarms are true. "
        f"After an alarm there is none for {alarms.silence} steps. An event counts if a row could have announced it "
        "within the horizon; its lead is counted from its first alarm, and quartiles are those of the caught ones. "
        f"{_INTERVALS}"
    )
    return Table("events", "Alarms and events", columns, rows, note)


def _event_measures(config: PredictionTasksConfig) -> list[str]:
    a_day = ["alarms_per_day"] if config.step_seconds else []
    return ["event_recall", "alarm_precision", "alarms_per_1000_steps", *a_day]


def _event_cells(result: MethodResult, config: PredictionTasksConfig) -> list[Cell]:
    names = [*_event_measures(config), "lead_median"]
    if isinstance(result.found, UnmeasuredMethod):
        return [*_head(result), None, *estimate_cells({}, names), *[None] * 5, result.found.reason]
    announced = result.found.announced
    assert isinstance(announced, Announced)
    if announced.alarms is None:
        reason = f"no threshold reaches a precision of {config.alarms.precision:g} on tuning"
        return [*_head(result), None, *estimate_cells({}, names), *[None] * 5, reason]
    lead = announced.alarms.lead[~np.isnan(announced.alarms.lead)]
    quartiles: list[Cell] = (
        [float(quartile) for quartile in np.quantile(lead, [0.25, 0.75])] if len(lead) else [None] * 2
    )
    estimates = dict(announced.estimates)
    if config.step_seconds:
        estimates["alarms_per_day"] = estimates["alarms_per_1000_steps"].times(DAY / 1000 / config.step_seconds)
    counts: list[Cell] = [len(announced.alarms.lead), len(lead), len(announced.alarms.row)]
    reason = "" if len(announced.alarms.lead) else "no event"
    return [*_head(result), announced.threshold, *estimate_cells(estimates, names), *quartiles, *counts, reason]


def _utility_table(results: list[MethodResult]) -> Table:
    columns = [
        Column("task"), Column("method"), Column("threshold"), *with_bounds(["utility", "difference"]),
        Column("alarms", digits=7), Column("rows", digits=7), Column("remark"),
    ]  # fmt: skip
    first = {result.task.task.name: worth_of(result) for result in results if result.method == results[0].method}
    rows = [_utility_cells(result, first[result.task.task.name]) for result in results]
    note = (
        f"0: no alarm at all; 1: the best alarms there are. Every row is an alarm or silence. Threshold: worth most on "
        f"tuning. Difference: minus {results[0].method}, on the same draws. {_INTERVALS}"
    )
    return Table("utility", "Utility of alarms by their time", columns, rows, note)


def _utility_cells(result: MethodResult, first: AlarmWorth | None) -> list[Cell]:
    names, worth = ("utility", "difference"), worth_of(result)
    if worth is None:
        return [*_head(result), None, *estimate_cells({}, names), None, len(result.rows), remark_on(result)]
    estimates = {"utility": worth.utility}
    if first is not None and first is not worth:
        estimates["difference"] = worth.utility.minus(first.utility)
    no_event = "no event" if worth.utility.value is None else ""
    never = "no threshold is worth more than silence on tuning" if worth.threshold is None else ""
    remark = "; ".join(filter(None, [no_event, never]))
    counts: list[Cell] = [int(worth.alarm.sum()), len(result.rows)]
    return [*_head(result), worth.threshold, *estimate_cells(estimates, names), *counts, remark]


def worth_of(result: MethodResult) -> AlarmWorth | None:
    """What alarms are worth; None where the task does not ask, or the method could not be fitted."""
    return result.found.worth if isinstance(result.found, MeasuredMethod) else None


def _subgroups_table(results: list[MethodResult]) -> Table:
    names = [name for name in (*BINARY, *VALUES) if any(name in estimates_of(scored) for scored in results)]
    columns = [
        Column("task"), Column("method"), Column("channel"), Column("group"), *with_bounds(names),
        Column("rows", digits=7), *_class_columns()[:2], Column("subjects", digits=7), Column("remark"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for result in results:
        for group in result.found.groups if isinstance(result.found, MeasuredMethod) else []:
            told, binary = group.counts, result.task.task.kind == "binary"
            few = "" if group.estimates else f"fewer than {FEWEST} subjects"
            remark = few or (_one_class(told.rows, told.positives) if binary else "") or _unstable(group.estimates)
            classes: list[Cell] = [told.positives, told.positive_subjects] if binary else [None, None]
            counts: list[Cell] = [told.rows, *classes, told.subjects]
            rows.append(
                [*_head(result), group.channel, group.group, *estimate_cells(group.estimates, names), *counts, remark]
            )
    return Table("subgroups", "Subgroups", columns, rows, _INTERVALS)


def _methods_table(results: list[MethodResult]) -> Table:
    rows: dict[str, list[Cell]] = {
        result.method: [result.method, result.information or "could not be made"] for result in results
    }
    return Table("methods", "What each method is told", [Column("method"), Column("information")], [*rows.values()])


def _chosen_table(results: list[MethodResult]) -> Table:
    rows: list[list[Cell]] = []
    for result in results:
        if isinstance(result.found, MeasuredMethod) and result.found.chosen:
            said = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in result.found.chosen.items())
            rows.append([*_head(result), said])
    columns = [Column("task"), Column("method"), Column("chosen")]
    return Table("chosen", "What tuning chose", columns, rows)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_bounds(names: Iterable[str], unit: str = "") -> list[Column]:
    """A column for each name and the bounds of its interval."""
    return [Column(f"{name}{suffix}", unit) for name in names for suffix in ("", "_low", "_high")]


def estimate_cells(estimates: Estimates, names: Iterable[str]) -> list[Cell]:
    """The cells of those columns; null where there is no such estimate."""
    nothing = DrawnEstimate(None, np.full(1, np.nan))
    shown = [estimates.get(name, nothing) for name in names]
    return [cell for estimate in shown for cell in (estimate.value, *estimate.bounds)]


def _head(result: MethodResult) -> list[Cell]:
    return [result.task.task.name, result.method]


def _counts(result: MethodResult) -> list[Column]:
    of_class = _class_columns() if result.task.task.kind == "binary" else []
    return [Column("rows", digits=7), *of_class, Column("subjects", digits=7)]


def _count_cells(result: MethodResult) -> list[Cell]:
    rows = result.rows
    of_class = _class_cells(rows) if result.task.task.kind == "binary" else []
    return [len(rows), *of_class, len(np.unique(rows.subject))]


def _class_columns() -> list[Column]:
    return [Column("positives", digits=7), Column("positive_subjects", digits=7), Column("prevalence")]


def _class_cells(rows: Rows) -> list[Cell]:
    """Positive rows, subjects that have one, and the share of positive rows."""
    counts = Counts.of(rows)
    return [counts.positives, counts.positive_subjects, counts.positives / counts.rows if counts.rows else None]


def estimates_of(one: MethodResult, by_subject: bool = False) -> Estimates:
    """Those of every row alike, or of every subject alike; none where the method could not be fitted."""
    if isinstance(one.found, UnmeasuredMethod):
        return {}
    return one.found.by_subject if by_subject else one.found.estimates


def remark_on(one: MethodResult) -> str:
    """Why something is null, or what must be known to read it."""
    if isinstance(one.found, UnmeasuredMethod):
        return one.found.reason
    positives = int((one.rows.truth == 1).sum())
    one_class = _one_class(len(one.rows), positives) if one.task.task.kind == "binary" else ""
    constant = "scores are constant" if one.found.is_constant else ""
    return "; ".join(part for part in (one_class, _unstable(one.found.estimates), constant) if part)


def _one_class(rows: int, positives: int) -> str:
    if 0 < positives < rows:
        return ""
    return f"all {rows:,} rows are {'positive' if positives else 'negative'}"


def _unstable(estimates: Estimates) -> str:
    skipped = max((estimate.skipped for estimate in estimates.values() if estimate.value is not None), default=0.0)
    return f"no interval: {100 * skipped:.3g} % of the draws have one class" if skipped > UNSTABLE else ""
