"""Heads of tasks as a run keeps them, and at work again on other data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jepa_core.contracts import Head
from jepa_core.errors import DataError
from jepa_core.results.findings import KeptHead
from jepa_downstream.averaged import FittedAverage
from jepa_downstream.baseline_tabular import FittedTabular
from jepa_downstream.config import Kind, TaskConfig
from jepa_downstream.event_sequences import FittedSequences
from jepa_downstream.floors import Means
from jepa_downstream.latent_methods import FittedHead
from jepa_downstream.methods import CannotFit, Fitted
from jepa_downstream.rows import Rows
from jepa_downstream.sequence_training import FittedSequence
from jepa_downstream.tasks import task_rows

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.view import View


class _Kind(Protocol):
    def from_state(self, state: Mapping[str, Any], view: View) -> Fitted: ...


class _Averages:
    """Means of what other kinds score."""

    def from_state(self, state: Mapping[str, Any], view: View) -> FittedAverage:
        return FittedAverage([fitted_of(fit, view) for fit in state["fits"].values()])


KINDS: dict[str, _Kind] = {
    "latents": FittedHead,
    "tabular": FittedTabular,
    "sequence": FittedSequence,
    "event_sequences": FittedSequences,
    "means": Means,
    "average": _Averages(),
}
"""What reads the state of a fitted method, by the `kind` in it."""


def fitted_of(state: Mapping[str, Any], view: View) -> Fitted:
    """A fitted method out of its state, to score the trajectories of a view."""
    return KINDS[state["kind"]].from_state(state, view)


def kept_head(task: TaskConfig, kind: Kind, method: str, fitted: Fitted, threshold: float | None) -> KeptHead:
    """A fitted method in the form that files hold. threshold: of alarms; None where there is none."""
    state = {"task": task.model_dump(mode="json"), "fitted": fitted.to_state(), "alarm_threshold": threshold}
    return KeptHead(
        name=f"{task.title}, {method}",
        kind="boolean" if kind == "binary" else "float",
        task=task.title,
        method=method,
        target=task.outcome or task.event or task.label or "",
        state=state,
    )


class TaskHead(Head):
    """A kept head of a task."""

    def __init__(self, kept: KeptHead) -> None:
        self._kept = kept
        self._task = TaskConfig.model_validate(kept.state["task"])

    def steps(self, length: int) -> np.ndarray:
        """Of an outcome the last of the steps that are seen; of an event every step; of a label those that `rows`
        asks for."""
        task, every = self._task, np.arange(length)
        if task.after is not None:
            return every[task.after - 1 : task.after]
        if task.event is not None or task.rows == "every":
            return every
        return every[-1:] if task.rows == "last" else every[task.stride - 1 :: task.stride]

    def scores(self, view: View, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        state = self._kept.state["fitted"]
        rows = Rows(trajectory, step, np.full(len(step), np.nan), trajectory)
        try:
            return np.asarray(fitted_of(state, view).scores(rows), dtype=np.float64)
        except CannotFit as reason:
            raise DataError(f"the head '{self._kept.name}' cannot score these data: {reason}") from reason

    def truth(self, dataset: Dataset, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        """By the rows that the task has in the data; none where they have no such outcome, event or label."""
        task, store = self._task, dataset.store
        labels = [f"event_{task.event}"] if task.event else [task.label] if task.label else []
        labels += [f"event_{task.not_yet}"] if task.not_yet else []
        told = np.full(len(step), np.nan)
        if not {*labels} <= {*store.label_names} or task.outcome not in (None, *store.outcome_names):
            return told
        asked = store.first_step[trajectory] + step
        for rows in task_rows(dataset, task).splits.values():
            known = store.first_step[rows.trajectory] + rows.step
            if len(known):
                at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
                told = np.where(known[at] == asked, rows.truth[at], told)
        return told
