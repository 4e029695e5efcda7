"""How rows are scored: the contract of a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jepa_downstream.rows import Rows, Task

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_downstream.config import TasksConfig


class CannotFit(Exception):
    """A method cannot be fitted to a task. The message is the reason, as the table gives it: no full stop."""


class Fitted(Protocol):
    """A method that was fitted to a task.

    chosen: what was selected on tuning, as plain values that JSON holds.
    """

    @property
    def chosen(self) -> dict[str, Any]: ...

    def scores(self, rows: Rows) -> np.ndarray:
        """(R,) float64, finite: probability that the truth is 1, or the value. The truth of the rows is not read, nor
        anything of a trajectory after a row's step. The scores of measured rows do not change a bit with the rows
        beside them."""

    def to_state(self) -> dict[str, Any]:
        """Everything that scoring other trajectories takes, as `KeptHead` holds it; `kind` says how it is read (see
        `jepa_downstream.task_heads`)."""


class Method(Protocol):
    """One way to score rows.

    name: such as "latents" or "LightGBM". information: what it is told, in a few words for the table.
    """

    @property
    def name(self) -> str: ...

    @property
    def information(self) -> str: ...

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> Fitted:
        """Fit on train, select on tuning; nothing is fitted on tuning. `train` may be a subsample of the task's rows.

        Raises CannotFit with the reason, such as a train split of one class.
        """


Maker = Callable[["Evaluation", "TasksConfig"], Method]
"""Makes a method for one evaluation; called once, before the first task. Raises CannotFit where the evaluation lacks
what the method reads (channels, a control): every task then says so."""
