"""Scores of the steps of a split, and the threshold that a split without labels gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jepa_anomalies.detectors import Detector
from jepa_core.data.dataset import Dataset
from jepa_core.training.processes import ALONE, Peers
from jepa_core.training.shares import end_to_end, over_trajectories


@dataclass(frozen=True)
class ScoredSteps:
    """R steps of whole trajectories, ordered by trajectory and step. truth: (R,) 1 while an anomaly is on, 0 else, NaN
    where nobody can tell. scores: (R,) of each detector, NaN where it has none."""

    trajectory: np.ndarray
    step: np.ndarray
    subject: np.ndarray
    truth: np.ndarray
    scores: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.step)


def score_split(
    dataset: Dataset, split: str, label: str | None, detectors: Mapping[str, Detector], processes: Peers = ALONE
) -> ScoredSteps:
    """Every step of a split. All detectors score a trajectory before the next is read; processes share them."""
    trajectories = dataset.trajectories(split)
    steps = dataset.steps[trajectories].astype(np.int64)

    def scored(number: int) -> dict[str, np.ndarray]:
        return {name: detector(number) for name, detector in detectors.items()}

    parts = over_trajectories(processes, trajectories, scored)
    of_all = end_to_end(parts) if len(trajectories) else {}
    step = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(count) for count in steps)])
    owner = np.repeat(trajectories, steps)
    truth = np.full(len(step), np.nan)
    if label is not None:
        truth = dataset.store.label(label)[dataset.store.first_step[owner] + step].astype(np.float64)
    scores = {name: of_all.get(name, np.empty(0)) for name in detectors}
    return ScoredSteps(owner, step, dataset.subject[owner], truth, scores)


def conformal_threshold(scores: np.ndarray, rate: float) -> float:
    """The score beyond which a share of at most `rate` lies of scores that are exchangeable with these.

    The ceil((n + 1) (1 - rate))-th smallest of n known scores (split-conformal prediction, Vovk et al. 2005); infinite
    where n is too small for that to exist. No label is read: anomalies among the scores raise the threshold. Steps of a
    series are not exchangeable, so the share that it makes elsewhere has to be measured.
    """
    known = np.sort(scores[np.isfinite(scores)])
    rank = math.ceil((len(known) + 1) * (1 - rate) - 1e-9)
    return float(known[rank - 1]) if 0 < rank <= len(known) else np.inf
