"""An isolation forest over the channels of steps (Liu, Ting & Zhou 2008): what needs no model of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jepa_anomalies.residuals import Observed, carried_on, trailing_mean
from jepa_core.libraries import library

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest


@dataclass(frozen=True)
class IsolationScores:
    """Scores of steps. mean: (C,) of train, which stands in for a channel that has shown nothing yet."""

    model: IsolationForest
    observed: Observed
    mean: np.ndarray
    span: int

    @classmethod
    def fit(
        cls, observed: Observed, trajectories: Sequence[int], mean: np.ndarray, trees: int, span: int, seed: int
    ) -> IsolationScores:
        """On the steps of trajectories of the train split."""
        with library("sklearn"):
            from sklearn.ensemble import IsolationForest

        rows = np.concatenate([_filled(observed(trajectory), mean) for trajectory in trajectories])
        model = IsolationForest(n_estimators=trees, random_state=seed, n_jobs=1).fit(rows)
        return cls(model, observed, mean, span)

    def __call__(self, trajectory: int) -> np.ndarray:
        """(T,) scores of a trajectory: the more easily a step is told apart, the higher."""
        values = self.observed(trajectory)
        scores = -self.model.score_samples(_filled(values, self.mean))
        return trailing_mean(np.where(np.isfinite(values).any(axis=1), scores, np.nan), self.span)


def _filled(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What each channel last showed, so that nothing is missing."""
    carried = carried_on(values)
    return np.where(np.isfinite(carried), carried, np.where(np.isfinite(mean), mean, 0.0))
