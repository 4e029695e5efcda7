"""AUROC and average precision under many weightings of the same rows: sorted once, then two passes a weighting."""

from __future__ import annotations

import numpy as np

BLOCK = 2**16
"""Weights to be given in one call, about: what is made of them then fits into the processor's cache."""


class Ranking:
    """Rows in descending order of their scores; equal scores are one threshold.

    Equal to scikit-learn's `roc_auc_score` and `average_precision_score` with `sample_weight`. Both are sums over the
    thresholds that have a positive row, so that nothing else is looked at but the weight of the rows above each.
    """

    def __init__(self, truth: np.ndarray, score: np.ndarray) -> None:
        """truth: (R,) 1 or 0. score: (R,), finite."""
        order = np.argsort(-score, kind="stable")
        positive = truth[order] > 0.5
        self.order = np.concatenate([order[positive], order[~positive]])
        """Positive rows, then negative ones, each from the highest score to the lowest."""
        self._positives = int(positive.sum())
        above, below = -score[order[positive]], -score[order[~positive]]
        thresholds, first = np.unique(above, return_index=True)
        self._first = first
        self._higher = np.searchsorted(below, thresholds, side="left")
        self._equal = np.searchsorted(below, thresholds, side="right")

    def areas(self, weight: np.ndarray) -> np.ndarray:
        """AUROC and average precision of each weighting: (K, 2), NaN where a class has no weight.

        weight: (K, R) float64, in the order of `order`.
        """
        if not 0 < self._positives < weight.shape[1]:
            return np.full((len(weight), 2), np.nan)
        gained = np.add.reduceat(weight[:, : self._positives], self._first, axis=1)
        running = np.zeros((len(weight), weight.shape[1] - self._positives + 1))
        np.cumsum(weight[:, self._positives :], axis=1, out=running[:, 1:])
        higher, reached = running[:, self._higher], running[:, self._equal]
        positive = np.cumsum(gained, axis=1)
        every, negative = positive[:, -1:], running[:, -1:]
        precision = np.divide(positive, positive + reached, out=np.zeros_like(positive), where=positive > 0)
        lost = (gained * (higher + reached)).sum(axis=1, keepdims=True) / 2
        known = (every > 0) & (negative > 0)
        both = np.concatenate([every * negative - lost, (gained * precision).sum(axis=1, keepdims=True)], axis=1)
        return np.divide(both, np.hstack([every * negative, every]), out=np.full_like(both, np.nan), where=known)
