"""What every supervised baseline shares: what it refuses to be fitted on, its loss, and the choice on tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from jepa_downstream.methods import CannotFit

if TYPE_CHECKING:
    from jepa_downstream.rows import Rows

Model = TypeVar("Model")

INFORMATION = "static facts, and all that was recorded up to the row's step"
"""What every supervised baseline is told: what the latents up to that step are made of."""


def log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative log likelihood of 0 or 1 under probabilities."""
    right = np.where(truth > 0.5, scores, 1.0 - scores)
    return float(-np.log(np.clip(right, 1e-7, 1.0)).mean())


def squared_error(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean squared error."""
    return float(((truth - scores) ** 2).mean())


LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"binary": log_loss, "regression": squared_error}
"""What each kind of task is fitted to and chosen by. A proper score: it chooses probabilities, and it varies less from
one tuning split to another than average precision does where positives are few."""


def refuse_unfit(train: Rows, tuning: Rows) -> None:
    """Raise CannotFit where there is nothing to learn from, or nothing to choose on."""
    if len(train) == 0 or len(tuning) == 0:
        raise CannotFit(f"{len(train)} train rows and {len(tuning)} tuning rows; both must be above 0")
    if len(np.unique(train.truth)) < 2:
        raise CannotFit(f"all {len(train)} train rows have the same truth")


def best(candidates: Iterable[tuple[float, dict[str, Any], Model]]) -> tuple[dict[str, Any], Model]:
    """The settings, with their loss on tuning, and the model of the smallest loss; the first of equals.

    Raises CannotFit where no loss is finite.
    """
    loss, settings, model = min(candidates, key=lambda candidate: candidate[0])
    if not np.isfinite(loss):
        raise CannotFit("training diverged under every setting that was tried")
    return {**settings, "tuning_loss": loss}, model
