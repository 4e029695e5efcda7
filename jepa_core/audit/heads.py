"""Numbers in what evaluators kept, their heads, that are values of few subjects. No export gives heads away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.audit.checks import LeakCheck
from jepa_core.audit.numbers import is_rare
from jepa_core.data.store import Store
from jepa_core.results.heads import heads_folder, kept_evaluators, read_heads

HEADS = "numbers of few subjects in heads"
_IN_TEXT = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[+-]?\d+)?(?![\w.])")
_SHIFTS = (-192, -128, -64, 64, 128, 192)
"""Neighbours, in single precision, at which as many rare values are met by chance."""


def check_heads(folder: Path, store: Store, fewest: int) -> LeakCheck:
    """Whether the heads of a run hold values of one to `fewest` - 1 subjects of train and tuning, which they are fitted
    on, by evaluator. What stands in a head as often as its neighbours among the numbers would is chance. Trees and
    thresholds are told wherever there are any: they lie between two values, equal none, and rest on both.

    Raises DataError if a head is damaged.
    """
    told, total, between = [], 0, []
    for evaluator in kept_evaluators(folder):
        heads = read_heads(heads_folder(folder, evaluator))[1]
        numbers = _single_precision(heads)
        total += len(numbers)
        count, by_chance = _rare(numbers, store, fewest)
        if count > 2 * by_chance:
            told.append(f"{count:,} of {len(numbers):,} in {evaluator}")
        cutting = sum(_cuts(head.state) for head in heads)
        between += [f"{cutting:,} of {len(heads):,} in {evaluator}"] if cutting else []
    words = [f"values of fewer than {fewest} subjects of train and tuning: {', '.join(told)}"] if told else []
    words += [f"heads with trees or thresholds, which may rest on fewer: {', '.join(between)}"] if between else []
    if words:
        leave_out = "an export leaves heads out, and so should whoever shares the run's folder"
        return LeakCheck(HEADS, "warning", "; ".join([*words, leave_out]))
    clean = f"none of {total:,} numbers is that of fewer than {fewest} subjects of train and tuning"
    return LeakCheck(HEADS, "pass", clean if total else "no evaluator kept a head that holds values of the data")


def _cuts(state: Any) -> bool:
    """Whether a state holds trees, which are texts of several lines, or a threshold under a key that says so."""
    if isinstance(state, Mapping):
        return any(key.endswith("threshold") and value is not None or _cuts(value) for key, value in state.items())
    if isinstance(state, list):
        return any(map(_cuts, state))
    return isinstance(state, str) and "\n" in state


def _single_precision(heads: Any) -> np.ndarray:
    """The different numbers with a fraction in heads that single precision holds, as values of a store are: ascending
    float32. A number that was computed in double precision is hardly ever one of these."""
    numbers = np.concatenate([np.empty(0), *(part for head in heads for part in _numbers(head.state))])
    numbers = numbers[np.isfinite(numbers)]
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    kept = single[single == numbers]
    return np.unique(kept[kept % 1 != 0])


def _numbers(state: Any) -> Iterator[np.ndarray]:
    """All numbers of a state: (N,) float64 each."""
    if isinstance(state, Mapping):
        state = list(state.values())
    if isinstance(state, list):
        for part in state:
            yield from _numbers(part)
    elif isinstance(state, np.ndarray) and state.dtype.kind == "f":
        yield state.ravel().astype(np.float64)
    elif isinstance(state, float):
        yield np.array([state])
    elif isinstance(state, str):
        yield np.array([float(number) for number in _IN_TEXT.findall(state)])


def _rare(numbers: np.ndarray, store: Store, fewest: int) -> tuple[int, int]:
    """How many numbers are values of few, and how many of as many neighbours of theirs."""
    near = [(numbers.view(np.int32) + shift).view(np.float32) for shift in _SHIFTS]
    given = np.unique(np.concatenate([numbers, *near]))
    rare = given[is_rare(given, store, fewest, ("train", "tuning"))]
    return int(np.isin(numbers, rare).sum()), max(int(np.isin(shifted, rare).sum()) for shifted in near)
