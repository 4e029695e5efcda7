"""Rollout errors by subject, for comparing runs on the same subjects."""

from __future__ import annotations

import numpy as np

from jepa_core.results.findings import Redrawn, Samples
from jepa_core.results.paired import DRAWS, SEED
from jepa_core.results.samples import ratio_samples
from jepa_latent_eval.curves import mean_curves
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT


def drift_samples(context: int, errors: dict[str, np.ndarray], subjects: np.ndarray) -> list[Samples]:
    """What of a rollout can be compared between runs, at every horizon: nothing in latent units, since each run has
    latents of its own.

    errors: (N, H) l1 of each forecast by window. subjects: (N,) numbers.
    """
    numbers, owner = np.unique(subjects, return_inverse=True)
    sums = {name: _sums(error, owner, len(numbers)) for name, error in errors.items()}
    rollout, persistence, mean = sums[ROLLOUT], sums[PERSISTENCE], sums[MEAN]
    samples = []
    for index in range(rollout.shape[1]):
        above, first = rollout[:, index], rollout[:, 0]
        at = {"axis": "h", "at": index + 1}
        growth = ratio_samples(drift_name(context), numbers, 100 * (above - first), first, unit="%", **at)
        samples += [
            growth,
            ratio_samples(over_name(PERSISTENCE, context), numbers, above, persistence[:, index], **at),
            ratio_samples(over_name(MEAN, context), numbers, above, mean[:, index], **at),
            ratio_samples(f"l1 / latent scale, context {context}", numbers, above, mean.mean(axis=1), **at),
        ]
    return samples


def redrawn_skill(context: int, errors: dict[str, np.ndarray], subjects: np.ndarray) -> Redrawn:
    """The skill horizon under redrawn subjects. Arguments as above."""
    numbers = np.unique(subjects)
    value, draws = mean_curves(errors, subjects, DRAWS, SEED).skill()
    return Redrawn(skill_name(context), numbers, float(value), draws.astype(np.float64), "steps")


def skill_name(context: int) -> str:
    """Name of the metric, and its key: the last horizon up to which the rollout beats its controls."""
    return f"skill horizon, context {context}"


def drift_name(context: int) -> str:
    """Name of the metric: growth of the error since h = 1."""
    return f"rollout drift, context {context}"


def over_name(control: str, context: int) -> str:
    """Name of the metric: error relative to a control's."""
    return f"l1 relative to {control}, context {context}"


def key(metric: str, horizon: int) -> str:
    """Key of a metric's samples at a horizon."""
    return f"{metric}, h = {horizon}"


def _sums(error: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """(S, H) sums over the windows of each subject."""
    sums = np.zeros((count, error.shape[1]))
    np.add.at(sums, owner, error)
    return sums
