"""Groups of trajectories by what is known of them from the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.errors import DataError

if TYPE_CHECKING:
    from jepa_core.data.store import Store

FEWEST = 10
"""Subjects below which a group is neither named by its value nor measured."""
UNKNOWN, RARE = "unknown", "rare values"


@dataclass(frozen=True)
class Subgroups:
    """Groups by one channel. group: (N,) index into `names`, for each trajectory."""

    channel: str
    names: list[str]
    group: np.ndarray


def subgroups(store: Store, channel: str) -> Subgroups:
    """Numeric values are cut at the median of train, words are groups of their own; rare words are one group, so that
    none is named that would tell who somebody is.

    Raises DataError if no trajectory has such a static fact.
    """
    number = {column.name: index for index, column in enumerate(store.channels)}
    offsets = store.event_offsets("static")
    part = slice(0, store.event_count("static"))
    of_channel = store.event_column("static", "channel", part) == number.get(channel, -1)
    if not of_channel.any():
        known = np.unique(store.event_column("static", "channel", part))
        names = ", ".join(sorted(name for name, index in number.items() if index in known))
        raise DataError(f"subgroups: no trajectory has the static channel '{channel}'; the store has {names or 'none'}")
    at = np.flatnonzero(of_channel)
    trajectory = np.searchsorted(offsets, at, side="right") - 1
    values = store.event_column("static", "value", part)[at]
    if np.isnan(values).all():
        return _by_word(store, channel, trajectory, store.event_column("static", "text", part)[at])
    return _by_number(store, channel, trajectory, values)


def _by_number(store: Store, channel: str, trajectory: np.ndarray, values: np.ndarray) -> Subgroups:
    value = np.full(len(store.steps), np.nan)
    value[trajectory] = values
    median = float(np.nanmedian(value[store.split == 0])) if (store.split[trajectory] == 0).any() else np.nan
    group = np.where(np.isnan(value), 2, value > median).astype(np.int64)
    return Subgroups(channel, [f"at most {median:.4g}", f"above {median:.4g}", UNKNOWN], group)


def _by_word(store: Store, channel: str, trajectory: np.ndarray, text: np.ndarray) -> Subgroups:
    word = np.full(len(store.steps), -1)
    word[trajectory] = text
    names, group = [UNKNOWN, RARE], np.zeros(len(word), dtype=np.int64)
    contents = store.texts()
    for code in np.unique(word[word >= 0]):
        mine = word == code
        if len(np.unique(store.subject[mine])) < FEWEST:
            group[mine] = 1
        else:
            group[mine] = len(names)
            names.append(str(contents[code]))
    return Subgroups(channel, names, group)
