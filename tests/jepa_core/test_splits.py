from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jepa_core.config import SubjectSplitConfig
from jepa_core.data.splits import divide, split_by_subject
from jepa_core.errors import DataError

FRACTIONS = (0.7, 0.15, 0.15)


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=30, max_size=200), st.integers(0, 5))
def test_no_subject_is_in_two_splits_and_shares_hold_to_a_subject(rows: list[tuple[int, bool]], seed: int) -> None:
    subjects, strata = (np.array(column) for column in zip(*rows, strict=True))
    if len(np.unique(subjects)) < 3:
        return
    split = split_by_subject(subjects, strata, FRACTIONS, seed)
    of_subject = {subject: set(split[subjects == subject]) for subject in np.unique(subjects)}
    assert all(len(found) == 1 for found in of_subject.values())
    counts = np.bincount([found.pop() for found in of_subject.values()], minlength=3)
    within = 1 if len(of_subject) > 3 else 1.1  # of three subjects each split has one, and train would have 2.1
    assert np.all(np.abs(counts - np.array(FRACTIONS) * len(of_subject)) <= within + 1e-9)
    assert counts.all()


@pytest.mark.parametrize(("subjects", "wanted"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1])])
def test_every_split_has_a_subject_as_soon_as_there_are_as_many(subjects: int, wanted: list[int]) -> None:
    for seed in range(5):
        split = split_by_subject(np.arange(subjects), np.arange(subjects) % 2, FRACTIONS, seed)
        assert np.bincount(split, minlength=3).tolist() == wanted


def test_strata_are_shared_out_evenly_and_a_subject_counts_by_its_worst_trajectory() -> None:
    subjects = np.repeat(np.arange(400), 2)
    strata = np.zeros(800, dtype=int)
    strata[1:160:2] = 1  # the second trajectory of the first 80 subjects
    split = split_by_subject(subjects, strata, FRACTIONS, seed=0)
    positive = split[::2][:80]
    assert np.abs(np.bincount(positive, minlength=3) / 80 - FRACTIONS).max() < 0.03


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    subjects, strata = np.arange(100), np.arange(100) % 7 == 0
    split = split_by_subject(subjects, strata, FRACTIONS, seed=0)
    order = np.random.default_rng(1).permutation(100)
    assert np.array_equal(split_by_subject(subjects[order], strata[order], FRACTIONS, seed=0), split[order])
    assert not np.array_equal(split_by_subject(subjects, strata, FRACTIONS, seed=1), split)


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0)])
def test_fractions_that_are_none_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="fractions"):
        split_by_subject(np.arange(10), np.zeros(10), fractions, 0)


def test_too_few_subjects_are_refused() -> None:
    with pytest.raises(DataError, match="2 subjects"):
        split_by_subject(np.array([1, 1, 2]), np.zeros(3), FRACTIONS, 0)


# --- folds ------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=40, max_size=200),
    st.integers(2, 6),
    st.integers(0, 5),
)
def test_every_subject_is_held_out_by_one_fold_and_stands_in_one_split_of_each(
    rows: list[tuple[int, bool]], folds: int, seed: int
) -> None:
    subjects, strata = (np.array(column) for column in zip(*rows, strict=True))
    if len(np.unique(subjects)) < 4 * folds:
        return
    splits = [divide(subjects, strata, SubjectSplitConfig(folds=folds, fold=fold, seed=seed)) for fold in range(folds)]
    assert np.array_equal(np.sum([split == 2 for split in splits], axis=0), np.ones(len(subjects)))
    for split in splits:
        assert all(len(set(split[subjects == subject])) == 1 for subject in np.unique(subjects))
        assert set(split) == {0, 1, 2}


def test_folds_are_equal_and_train_and_tuning_share_the_rest_as_they_do_without_folds() -> None:
    subjects, strata = np.arange(1000), np.arange(1000) % 10 == 0
    for fold in range(5):
        split = divide(subjects, strata, SubjectSplitConfig(folds=5, fold=fold))
        counts, positive = np.bincount(split), np.bincount(split[strata])
        assert counts[2] == 200 and abs(counts[1] - 800 * 0.15 / 0.85) <= 1
        assert positive[2] == 20 and abs(positive[1] - 80 * 0.15 / 0.85) <= 1


def test_without_folds_subjects_are_divided_by_shares() -> None:
    subjects, strata = np.arange(100), np.arange(100) % 7 == 0
    found = divide(subjects, strata, SubjectSplitConfig(fractions=FRACTIONS, seed=3))
    assert np.array_equal(found, split_by_subject(subjects, strata, FRACTIONS, 3))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folds": 5, "fold": 5}, "from 0 to 4"), ({"fold": 1}, "set folds too"), ({"folds": 128}, "equal to 127"),
        ({"folds": 5, "fractions": (0.0, 0.0, 1.0)}, "train and tuning both need a share"),
        ({"fractions": (1e18, 1e18, 1e18)}, "add up to 1"), ({"fractions": (1.2, -0.4, 0.2)}, "add up to 1"),
    ],
)  # fmt: skip
def test_shares_and_folds_that_are_none_are_refused_with_the_recipe(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SubjectSplitConfig(**keys)
