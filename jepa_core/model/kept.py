"""Heads that a run's evaluators kept, found by task and method, and the rows that they score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from jepa_core.contracts import Evaluator, Head, Intervals, Readout, Surprise
from jepa_core.errors import DataError, RecipeError, some_of
from jepa_core.model.recorded import recorded_component
from jepa_core.plugin import Registry
from jepa_core.results.findings import KeptHead
from jepa_core.results.heads import heads_folder, kept_evaluators, read_heads

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset


@dataclass(frozen=True)
class KeptTask:
    """A head of a run, and which one it is. target: what its task is about."""

    evaluator: str
    task: str
    method: str
    target: str
    kind: Literal["boolean", "float"]
    kept: KeptHead
    maker: Evaluator

    @property
    def head(self) -> Head:
        """The head, ready to score."""
        head = self.maker.head(self.kept)
        assert isinstance(head, Head)
        return head


@dataclass(frozen=True)
class Scored:
    """What a head said of rows, ordered by trajectory and step: (R,) each. truth: NaN where the data do not tell it."""

    kept: KeptTask
    trajectory: np.ndarray
    step: np.ndarray
    score: np.ndarray
    truth: np.ndarray


def kept_tasks(folder: Path, registry: Registry) -> Iterator[KeptTask]:
    """Every head of a run that scores trajectories, evaluator by evaluator, in the order of its tables."""
    for name, maker, heads in _kept(folder, registry):
        for kept in heads:
            if kept.kind in ("boolean", "float"):
                yield KeptTask(name, kept.task, kept.method, kept.target, kept.kind, kept, maker)


def kept_readouts(folder: Path, registry: Registry) -> Iterator[Readout]:
    """Every readout of a run."""
    for _, maker, heads in _kept(folder, registry):
        for kept in heads:
            if kept.kind == "readout":
                head = maker.head(kept)
                assert isinstance(head, Readout)
                yield head


def kept_intervals(folder: Path, registry: Registry) -> Intervals | None:
    """The first intervals that an evaluator of a run fitted; None if there are none."""
    for _, maker, heads in _kept(folder, registry):
        for kept in heads:
            if kept.kind == "intervals":
                head = maker.head(kept)
                assert isinstance(head, Intervals)
                return head
    return None


def find_surprise(heads: Sequence[KeptTask], evaluator: str | None) -> Surprise:
    """The head that scores steps by their surprise. Raises RecipeError if the run has none, or more than one."""
    kept = {each.evaluator: head for each in heads if isinstance(head := each.head, Surprise)}
    chosen = [head for name, head in kept.items() if evaluator in (None, name)]
    if len(chosen) != 1:
        told = f"those of {', '.join(kept)}; name one evaluator" if kept else "none; evaluate it with anomalies"
        raise RecipeError(f"of heads of surprise, the run has {told}")
    return chosen[0]


def _kept(folder: Path, registry: Registry) -> Iterator[tuple[str, Evaluator, list[KeptHead]]]:
    for name in kept_evaluators(folder):
        told, heads = read_heads(heads_folder(folder, name))
        component = recorded_component(folder, "evaluator", told, registry)
        yield name, component.component.load()(component.config), heads


def find_task(
    heads: Sequence[KeptTask], task: str, method: str | None, evaluator: str | None, at: int | None
) -> KeptTask:
    """The one head that is meant. Raises RecipeError, naming what there is, if none or more than one is."""
    named = [head for head in heads if task in (head.task, head.target) and evaluator in (None, head.evaluator)]
    exact = [head for head in named if head.task == task] or named
    if not exact:
        known = list(dict.fromkeys(head.task for head in heads))
        raise RecipeError(f"the run has no head for the task '{task}'; it has {some_of(known, 'none at all')}")
    places = _places(exact)
    if len(places) > 1 and at is not None:
        places = _places([head for head in exact if at - 1 in head.head.steps(at)]) or places
    if len(places) > 1:
        told = ", ".join(f"{name} of {owner}" for owner, name in places)
        raise RecipeError(f"'{task}' may be {told}; name the task, or the evaluator too")
    chosen = [head for head in exact if (head.evaluator, head.task) == places[0]]
    of_method = [head for head in chosen if method in (None, head.method)]
    if not of_method:
        raise RecipeError(
            f"the task '{task}' has no method '{method}'; it has {', '.join(head.method for head in chosen)}"
        )
    return of_method[0]


def _places(heads: Sequence[KeptTask]) -> list[tuple[str, str]]:
    """Evaluator and task of each head, every pair once."""
    return list(dict.fromkeys((head.evaluator, head.task) for head in heads))


def rows_to_score(kept: KeptTask, dataset: Dataset, at: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Trajectory and step of every row, ordered by both: (R,) int64 each. at: steps that a trajectory has had, None for
    those that the task is about.

    Raises DataError if there is no row.
    """
    if at is not None and at < 1:
        raise RecipeError(f"at={at}: a trajectory is scored when it has had at least 1 step")
    steps = [
        kept.head.steps(length) if at is None else np.arange(at - 1, min(at, length))
        for length in dataset.steps.tolist()
    ]
    counts = [len(of_trajectory) for of_trajectory in steps]
    if sum(counts) == 0:
        raise DataError(
            f"the task '{kept.task}' scores none of these trajectories: the longest of them has "
            f"{int(dataset.steps.max())} steps"
        )
    return np.repeat(np.arange(len(steps)), counts), np.concatenate(steps).astype(np.int64)
