"""AUROC and average precision under many weightings of the same rows: sorted once, then a pass a weighting."""

from __future__ import annotations

import numpy as np


class Ranking:
    """Rows in descending order of their scores; equal scores are one threshold.

    Equal to scikit-learn's `roc_auc_score` and `average_precision_score` with `sample_weight`.
    """

    def __init__(self, truth: np.ndarray, score: np.ndarray) -> None:
        """truth: (R,) 1 or 0. score: (R,), finite."""
        self.order = np.argsort(-score, kind="stable")
        ordered = score[self.order]
        self._ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) if len(score) else np.empty(0, np.int64)
        self._truth = truth[self.order]

    def areas(self, weight: np.ndarray) -> tuple[float, float]:
        """AUROC and average precision; both NaN where one class has no weight. weight: (R,) in the order of `order`."""
        at_threshold = np.cumsum(weight)[self._ends]
        positive = np.cumsum(weight * self._truth)[self._ends]
        if len(positive) == 0 or not 0 < positive[-1] < at_threshold[-1]:
            return np.nan, np.nan
        gained = np.diff(positive, prepend=0.0)
        negative = np.diff(at_threshold - positive, prepend=0.0)
        below = positive - gained / 2
        auroc = (negative @ below) / (positive[-1] * negative.sum())
        precision = np.divide(positive, at_threshold, out=np.zeros_like(positive), where=at_threshold > 0)
        return float(auroc), float((gained @ precision) / positive[-1])
