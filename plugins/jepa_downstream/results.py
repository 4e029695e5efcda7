"""What was measured of one method on one task, before it is put into tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jepa_core.results.findings import KeptHead
from jepa_downstream.alarms import Alarms
from jepa_downstream.measures import DrawnEstimate, Estimates
from jepa_downstream.rows import Counts, Rows
from jepa_downstream.tasks import TaskRows


@dataclass(frozen=True)
class UnmeasuredMethod:
    """A method that could not be fitted, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class MethodScores:
    """What a method said of the rows of the measured split, (R,), the threshold of alarms that tuning chose, and what
    scores other data."""

    task: TaskRows
    rows: Rows
    method: str
    information: str
    chosen: dict[str, Any]
    score: np.ndarray
    threshold: float | None
    kept: KeptHead


@dataclass(frozen=True)
class Announced:
    """Alarms at the threshold that tuning chose; None where no threshold reaches the wanted precision there."""

    threshold: float | None
    alarms: Alarms | None
    estimates: Estimates


@dataclass(frozen=True)
class AlarmWorth:
    """What alarms (R,) at the threshold that tuning chose are worth; without one, none is raised."""

    threshold: float | None
    alarm: np.ndarray
    utility: DrawnEstimate


@dataclass(frozen=True)
class GroupResult:
    """How many rows a subgroup has, and estimates; none of these where it has too few subjects."""

    channel: str
    group: str
    counts: Counts
    estimates: Estimates


@dataclass(frozen=True)
class MeasuredMethod:
    """score: (R,) of the rows of the measured split. estimates: every row alike; by_subject: every subject alike."""

    chosen: dict[str, Any]
    score: np.ndarray
    estimates: Estimates
    by_subject: Estimates
    announced: Announced | None
    worth: AlarmWorth | None
    groups: list[GroupResult]

    @property
    def is_constant(self) -> bool:
        return bool(np.ptp(self.score) <= 1e-9 * max(1.0, float(np.abs(self.score).max())))


@dataclass(frozen=True)
class MethodResult:
    """A method on a task. rows: of the measured split."""

    task: TaskRows
    rows: Rows
    method: str
    information: str
    found: MeasuredMethod | UnmeasuredMethod
