"""Who has labels: some subjects of the train rows, drawn again and again, and heads that see the labels of no other.

A labelling is an order of the subjects: with n labels its first n have them. So the few are among the many, and every
method is given the same ones, in every run on the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jepa_core.data.splits import split_by_subject
from jepa_downstream.config import Kind
from jepa_downstream.methods import CannotFit, Fitted, Method
from jepa_downstream.rows import Rows, Task
from jepa_downstream.tasks import subsample

PARTS = 5
"""Parts of the labelled subjects: each chooses a head that was fitted on the others."""
QUANTILES = 5
"""Strata of subjects by the mean of their values."""
SEED = 0
"""Labellings depend on the data alone, so that runs of any seed can be paired."""


def strata(rows: Rows, kind: Kind) -> np.ndarray:
    """(R,) int64 stratum of each row's subject: whether it has a positive row, or the fifth its mean value is in."""
    _, owner = np.unique(rows.subject, return_inverse=True)
    if kind == "binary":
        return (np.bincount(owner, rows.truth) > 0).astype(np.int64)[owner]
    mean = np.bincount(owner, rows.truth) / np.bincount(owner)
    if len(mean) == 0:
        return owner
    return np.searchsorted(np.quantile(mean, np.arange(1, QUANTILES) / QUANTILES), mean, side="right")[owner]


def labelling(rows: Rows, stratum: np.ndarray, number: int) -> np.ndarray:
    """Subjects of the rows in the order in which they get labels: (S,), drawn, and of any first n every stratum has its
    share to within one subject."""
    subjects, first = np.unique(rows.subject, return_index=True)
    shuffled = np.random.default_rng([SEED, number]).permutation(len(subjects))
    of = stratum[first][shuffled]
    position = np.empty(len(of))
    for labelled in np.unique(of):
        mine = np.flatnonzero(of == labelled)
        position[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return subjects[shuffled[np.argsort(position, kind="stable")]]


@dataclass(frozen=True)
class CrossFitted:
    """Fits of one method, each on all labelled subjects but a part; their mean score."""

    fits: Sequence[Fitted]

    def scores(self, rows: Rows) -> np.ndarray:
        """(R,) float64. Raises CannotFit where one is no number."""
        score = np.stack([fit.scores(rows) for fit in self.fits]).mean(axis=0, dtype=np.float64)
        if not np.isfinite(score).all():
            raise CannotFit(f"{int((~np.isfinite(score)).sum()):,} of its scores are no numbers")
        return score


def cross_fit(method: Method, task: Task, labelled: Rows, most: int, number: int, seed: int) -> CrossFitted:
    """Fit a method on labelled rows alone: what is chosen is chosen on the part of them that a fit did not see.

    most: rows that one fit is given. number: of the labelling, which divides the subjects. Raises CannotFit where a fit
    cannot be made, such as on one class.
    """
    subjects = len(np.unique(labelled.subject))
    if subjects < PARTS:
        raise CannotFit(f"{subjects} labelled subjects; they are divided into {PARTS} parts")
    shares = (1 / PARTS,) * PARTS
    part = split_by_subject(labelled.subject, strata(labelled, task.kind), shares, number)
    fits = []
    for drawn_number in range(PARTS):
        fitted_on, chosen_on = (
            subsample(labelled.take(np.flatnonzero(mine)), most, seed)
            for mine in (part != drawn_number, part == drawn_number)
        )
        fits.append(method.fit(task, fitted_on, chosen_on, seed))
    return CrossFitted(fits)
