"""Whether what is to be predicted can be read off something else in a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jepa_core.audit.checks import LeakCheck, verdict
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES, Role
from jepa_core.results.ranking import Ranking

FEWEST = 10
"""Trajectories of each class that a channel must be known of to be judged."""
PROXY = 0.98
"""AUROC from which one value is said to be the outcome in another form."""
STRONG = 0.9
"""AUROC from which one value may be that, and is worth a look."""
STRONG_CHANNELS = "channels near the outcome"
TELLING_GAPS = 0.95
"""AUROC from which whether and how often something was recorded is said to tell the outcome."""
_CELLS = 1 << 24


@dataclass(frozen=True)
class _Summaries:
    """Of each trajectory and channel of one role, (N, C): events, and the mean of their values (NaN for none)."""

    events: np.ndarray
    mean: np.ndarray


def target_checks(store: Store) -> Iterator[LeakCheck]:
    """Outcome proxies, and missingness that tells the outcome: for each channel by itself, over whole trajectories."""
    outcomes = {name: values for name in store.outcome_names if _is_judged(values := store.outcome(name))}
    if not outcomes:
        rule = f"the store has no outcome of 0 and 1 with {FEWEST} trajectories of each"
        yield LeakCheck("outcome proxies", "not verified", rule)
        yield LeakCheck(STRONG_CHANNELS, "not verified", rule)
        yield LeakCheck("missingness tells the outcome", "not verified", rule)
        return
    areas: dict[str, float] = {}
    telling: dict[str, None] = {}
    for role in ROLES:
        for group in _groups(store):
            summaries = _summaries(store, role, group)
            for values in outcomes.values():
                for name, area in _areas(store, group, summaries.mean, values):
                    areas[name] = max(area, areas.get(name, 0.0))
                steps = 1 if role == "static" else store.steps[:, None]
                frequency = summaries.events / steps
                frequencies = _areas(store, group, frequency, values)
                telling |= {name: None for name, area in frequencies if area >= TELLING_GAPS}
    if any(_area(store.steps.astype(np.float64), values) >= TELLING_GAPS for values in outcomes.values()):
        telling["(number of steps)"] = None
    names = ", ".join(outcomes)
    yield verdict(
        "outcome proxies", [name for name, area in areas.items() if area >= PROXY],
        f"the mean value alone ranks {names} with an AUROC of {PROXY} or more",
        f"no channel's mean value ranks {names} with an AUROC of {PROXY} or more",
    )  # fmt: skip
    yield _strong([name for name, area in areas.items() if STRONG <= area < PROXY], names)
    yield verdict(
        "missingness tells the outcome", list(telling),
        f"how often it was recorded ranks {names} with an AUROC of {TELLING_GAPS} or more",
        f"how often a channel was recorded ranks {names} with an AUROC below {TELLING_GAPS}",
    )  # fmt: skip


def _strong(channels: list[str], names: str) -> LeakCheck:
    words = f"the mean value alone ranks {names} with an AUROC of {STRONG} or more: is it known before the outcome is?"
    if not channels:
        return LeakCheck(STRONG_CHANNELS, "pass", f"no channel's mean value does so with {STRONG} to {PROXY}")
    return LeakCheck(STRONG_CHANNELS, "warning", words, tuple(channels))


def _is_judged(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    binary = bool(np.isin(known, (0, 1)).all())
    return binary and FEWEST <= known.sum() <= len(known) - FEWEST


def _groups(store: Store) -> Iterator[slice]:
    """Channels in groups whose summaries fit into memory."""
    width = max(1, _CELLS // max(1, len(store)))
    yield from (slice(first, first + width) for first in range(0, len(store.channels), width))


def _summaries(store: Store, role: Role, group: slice) -> _Summaries:
    count = len(range(*group.indices(len(store.channels))))
    events, values, sums = (np.zeros((len(store), count)) for _ in range(3))
    first = 0
    for block in store.blocks():
        own, channel = block.events(role), block.events(role).channel - group.start
        inside = (channel >= 0) & (channel < count)
        trajectory = block.event_trajectories(role)[inside] + first
        value = own.value[inside].astype(np.float64)
        known = ~np.isnan(value)
        np.add.at(events, (trajectory, channel[inside]), 1)
        np.add.at(values, (trajectory[known], channel[inside][known]), 1)
        np.add.at(sums, (trajectory[known], channel[inside][known]), value[known])
        first += len(block.steps)
    return _Summaries(events, np.where(values > 0, sums / np.maximum(values, 1), np.nan))


def _areas(store: Store, group: slice, values: np.ndarray, outcome: np.ndarray) -> Iterator[tuple[str, float]]:
    """Channels, by name, with the AUROC of their values (N, C)."""
    for channel, column in zip(store.channels[group], values.T, strict=True):
        if np.isfinite(column).any():
            yield channel.name, _area(column, outcome)


def _area(score: np.ndarray, outcome: np.ndarray) -> float:
    """AUROC of a score or of its opposite, whichever is more; 0.5 where too few are known."""
    known = np.isfinite(score) & ~np.isnan(outcome)
    truth = outcome[known]
    if not FEWEST <= truth.sum() <= len(truth) - FEWEST:
        return 0.5
    area = float(Ranking(truth, score[known]).areas(np.ones((1, len(truth))))[0, 0])
    return max(area, 1 - area)
