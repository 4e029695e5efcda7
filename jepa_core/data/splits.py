"""Splits by subject: no subject stands in two of them."""

from __future__ import annotations

import numpy as np

from jepa_core.config import SubjectSplitConfig
from jepa_core.data.trajectories import SPLITS
from jepa_core.errors import DataError

HELD_OUT = SPLITS.index("held_out")
"""Where everything is that is not divided."""


def divide(subjects: np.ndarray, strata: np.ndarray, split: SubjectSplitConfig | None) -> np.ndarray:
    """The split of every trajectory (0, 1, 2), by shares or by folds; all are held out where there is no `split`.
    Arguments and errors as of `split_by_subject`.

    The folds of a seed hold every subject out once. What is not held out is divided anew, under the same seed.
    """
    if split is None:
        return np.full(len(subjects), HELD_OUT, dtype=np.int8)
    if split.folds is None:
        return split_by_subject(subjects, strata, split.fractions, split.seed)
    parts = split_by_subject(subjects, strata, (1 / split.folds,) * split.folds, split.seed)
    splits = np.full(len(subjects), HELD_OUT, dtype=np.int8)
    others = np.flatnonzero(parts != split.fold)
    train, tuning, _ = split.fractions
    shares = (train / (train + tuning), tuning / (train + tuning))
    splits[others] = split_by_subject(subjects[others], strata[others], shares, split.seed)
    return splits


def split_by_subject(subjects: np.ndarray, strata: np.ndarray, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    """Assign every trajectory to train, tuning or held_out (0, 1, 2) through its subject, stratified and seeded. Two
    fractions divide two ways.

    subjects, strata: (N,) one row a trajectory; a subject's stratum is the largest over its trajectories. fractions: of
    subjects, in the order of SPLITS. Within a stratum the subjects are shuffled and dealt so that every split holds its
    fraction to within one subject; the remainders are carried from stratum to stratum, so the fractions also hold over
    all. Every split has a subject, if it be one that its fraction does not give it. The result depends on the set of
    subjects, not on the order of the rows.

    Raises DataError if there are fewer subjects than fractions, or the fractions do not add up to 1.
    """
    if abs(sum(fractions) - 1.0) > 1e-6 or min(fractions) <= 0:
        raise DataError(f"split fractions must be positive and add up to 1, not {fractions}")
    distinct, of_row = np.unique(subjects, return_inverse=True)
    if len(distinct) < len(fractions):
        raise DataError(f"{len(distinct)} subjects cannot be split {len(fractions)} ways; the cohort is too small")
    stratum = np.full(len(distinct), np.iinfo(np.int64).min)
    np.maximum.at(stratum, of_row, strata.astype(np.int64))
    order = np.lexsort((np.random.default_rng(seed).permutation(len(distinct)), stratum))
    return _fill_empty(_deal(len(distinct), np.asarray(fractions), order), np.asarray(fractions), order)[of_row]


def _deal(count: int, fractions: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Deal `count` places along `order` so that after every prefix each split is as near its fraction as can be."""
    split = np.empty(count, dtype=np.int8)
    dealt = np.zeros(len(fractions))
    for position, index in enumerate(order, start=1):
        chosen = int(np.argmax(fractions * position - dealt))
        split[index] = chosen
        dealt[chosen] += 1
    return split


def _fill_empty(split: np.ndarray, fractions: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The splits of places, where each that has none takes the last dealt one of the split that has most above its
    share."""
    split = split.copy()
    for empty in np.flatnonzero(np.bincount(split, minlength=len(fractions)) == 0).tolist():
        counts = np.bincount(split, minlength=len(fractions))
        giver = int(np.argmax(np.where(counts > 1, counts - fractions * len(split), -np.inf)))
        split[order[np.flatnonzero(split[order] == giver)[-1]]] = empty
    return split
