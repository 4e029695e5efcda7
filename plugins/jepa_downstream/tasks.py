"""From what a recipe asks for and what the store holds to the rows of a task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.data.trajectories import SPLITS
from jepa_core.errors import DataError
from jepa_core.training.aside import laid_aside
from jepa_downstream.events import eep_label, steps_to_event
from jepa_downstream.rows import Rows, Task

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.data.store import Store
    from jepa_downstream.config import StepChoice, TaskConfig


@dataclass(frozen=True)
class TaskRows:
    """A task with its rows.

    splits: rows by split. ahead: by split, (R,) steps from a positive row to its event, NaN in other rows; empty where
    the task has no events. left_out: by split, how many trajectories (of an outcome) or steps are no row, by reason.
    config: what the recipe says.
    """

    task: Task
    config: TaskConfig
    splits: dict[str, Rows]
    left_out: dict[str, dict[str, int]]
    ahead: dict[str, np.ndarray] = field(default_factory=dict)

    def aside(self, folder: Path | None) -> TaskRows:
        """The same task, with rows in files where they are many: tasks are held together, each with rows of its own."""
        splits = {split: rows.aside(folder) for split, rows in self.splits.items()}
        ahead = {split: laid_aside(steps, folder) for split, steps in self.ahead.items()}
        return replace(self, splits=splits, ahead=ahead)


def task_rows(dataset: Dataset, config: TaskConfig, measured: str = "held_out") -> TaskRows:
    """The rows of a task in every split, of which `measured` is the one that is measured.

    Raises DataError if the store has no such outcome or label, or if a binary one is neither 1 nor 0 somewhere.
    """
    if config.outcome is not None:
        return _of_outcome(dataset, config)
    if config.event is not None:
        return _of_event(dataset, config)
    return _of_label(dataset, config, measured)


def _of_outcome(dataset: Dataset, config: TaskConfig) -> TaskRows:
    assert config.outcome is not None and config.after is not None
    store, outcome, after = dataset.store, config.outcome, config.after
    truth = store.outcome(outcome).astype(np.float64)
    reasons = [
        (store.steps < after, f"shorter than {after} steps"),
        (_on_within(store, config.not_yet, after), f"{config.not_yet} on by then"),
        (np.isnan(truth), "outcome not defined"),
    ]
    kept, left_out = _attrition(reasons, store.split)
    task = Task(config.title, config.kind or "binary")
    _check(task, truth[kept])
    step = np.full(len(truth), after - 1)
    return TaskRows(task, config, _by_split(dataset, kept, np.arange(len(truth)), step, truth), left_out)


def _on_within(store: Store, event: str | None, after: int) -> np.ndarray:
    """(N,) whether the event that must not be on yet on by then."""
    if event is None:
        return np.zeros(len(store.steps), dtype=bool)
    trajectory, step = _places(store)
    on = (store.label(f"event_{event}") == 1) & (step < after)
    return np.bincount(trajectory[on], minlength=len(store.steps)) > 0


def _of_event(dataset: Dataset, config: TaskConfig) -> TaskRows:
    assert config.event is not None and config.horizon is not None
    store, name, horizon = dataset.store, f"event_{config.event}", config.horizon
    series = store.label(name)
    offsets = np.append(store.first_step, len(series))
    label = series if config.ready else eep_label(series, horizon, config.switches_only, offsets)
    task = Task(config.title, "binary", horizon, None if config.ready else name)
    reason = "on, or not to be judged"
    of_steps = _of_steps(dataset, config, task, label, [(np.isnan(label), reason)])
    ahead = steps_to_event(series, label, config.ready, offsets)
    at = {split: ahead[store.first_step[rows.trajectory] + rows.step] for split, rows in of_steps.splits.items()}
    return TaskRows(task, config, of_steps.splits, of_steps.left_out, at)


def _of_label(dataset: Dataset, config: TaskConfig, measured: str) -> TaskRows:
    assert config.label is not None
    store = dataset.store
    label = store.label(config.label)
    known = ~np.isnan(label)
    trajectory, _ = _places(store)
    in_split = store.split[trajectory] == SPLITS.index(measured)
    choices = ((in_split, "rows", config.rows), (~in_split, "fit_rows", config.fit_rows or config.rows))
    reasons = [(~known, "label not measured")] + [
        (of_split & ~_chosen(store, known, choice, config.stride), f"not asked for ({key}: {choice})")
        for of_split, key, choice in choices
    ]
    kind = config.kind or ("binary" if np.isin(label[known], (0.0, 1.0)).all() else "regression")
    return _of_steps(dataset, config, Task(config.title, kind), label, reasons)


def _chosen(store: Store, known: np.ndarray, choice: StepChoice, stride: int) -> np.ndarray:
    """(S,) which of the steps with a label are rows."""
    trajectory, step = _places(store)
    if choice == "every":
        return known
    if choice == "stride":
        return known & ((step + 1) % stride == 0)
    last = np.full(len(store.steps), -1)
    np.maximum.at(last, trajectory[known], step[known])
    return known & (step == last[trajectory])


def _of_steps(
    dataset: Dataset, config: TaskConfig, task: Task, label: np.ndarray, reasons: list[tuple[np.ndarray, str]]
) -> TaskRows:
    trajectory, step = _places(dataset.store)
    kept, left_out = _attrition(reasons, dataset.store.split[trajectory])
    _check(task, label[kept])
    return TaskRows(task, config, _by_split(dataset, kept, trajectory, step, label.astype(np.float64)), left_out)


def _places(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Trajectory of every step and its number within it: (S,) int64 each."""
    trajectory = np.repeat(np.arange(len(store.steps)), store.steps)
    return trajectory, np.arange(len(trajectory)) - store.first_step[trajectory]


def _attrition(
    reasons: list[tuple[np.ndarray, str]], split: np.ndarray
) -> tuple[np.ndarray, dict[str, dict[str, int]]]:
    """Which are kept, and how many each reason takes of those that the reasons before it left, by split."""
    kept = np.ones(len(split), dtype=bool)
    counts: dict[str, dict[str, int]] = {name: {} for name in SPLITS}
    for holds, reason in reasons:
        taken = np.bincount(split[kept & holds], minlength=len(SPLITS))
        for name, count in zip(SPLITS, taken.tolist(), strict=True):
            if count:
                counts[name][reason] = count
        kept &= ~holds
    return kept, counts


def _by_split(
    dataset: Dataset, kept: np.ndarray, trajectory: np.ndarray, step: np.ndarray, truth: np.ndarray
) -> dict[str, Rows]:
    by_split: dict[str, Rows] = {}
    for number, name in enumerate(SPLITS):
        chosen = np.flatnonzero(kept & (dataset.split[trajectory] == number))
        mine = trajectory[chosen]
        by_split[name] = Rows(mine, step[chosen], truth[chosen], np.asarray(dataset.subject)[mine])
    return by_split


def _check(task: Task, truth: np.ndarray) -> None:
    if task.kind == "binary" and not np.isin(truth, (0.0, 1.0)).all():
        raise DataError(
            f"task {task.name}: {int((~np.isin(truth, (0.0, 1.0))).sum())} of {len(truth)} values are neither 1 nor 0; "
            "give it `kind: regression`, or another outcome or label"
        )


def subsample(rows: Rows, most: int, seed: int) -> Rows:
    """At most so many of the rows, drawn without replacement, in their order."""
    if len(rows) <= most:
        return rows
    return rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False)))
