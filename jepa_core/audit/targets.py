"""Whether what is to be predicted can be read off something else in a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    areas: dict[str, dict[str, float]] = {outcome: {} for outcome in outcomes}
    telling: dict[str, dict[str, None]] = {outcome: {} for outcome in outcomes}
    for role in ROLES:
        for group in _groups(store):
            summaries = _summaries(store, role, group)
            for outcome, values in outcomes.items():
                for name, area in _areas(store, group, summaries.mean, values):
                    areas[outcome][name] = max(area, areas[outcome].get(name, 0.0))
                steps = 1 if role == "static" else store.steps[:, None]
                frequency = summaries.events / steps
                frequencies = _areas(store, group, frequency, values)
                telling[outcome] |= {name: None for name, area in frequencies if area >= TELLING_GAPS}
    for outcome, values in outcomes.items():
        if _area(store.steps.astype(np.float64), values) >= TELLING_GAPS:
            telling[outcome]["(number of steps)"] = None
    names = ", ".join(outcomes)
    ranked, proxies = _those_of({outcome: _between(of, PROXY, 1.0) for outcome, of in areas.items()})
    yield verdict(
        "outcome proxies", proxies,
        f"the mean value alone ranks {ranked} with an AUROC of {PROXY} or more",
        f"no channel's mean value ranks {names} with an AUROC of {PROXY} or more",
    )  # fmt: skip
    yield _strong(areas, set(proxies))
    ranked, gaps = _those_of(telling)
    yield verdict(
        "missingness tells the outcome", gaps,
        f"how often it was recorded ranks {ranked} with an AUROC of {TELLING_GAPS} or more",
        f"how often a channel was recorded ranks {names} with an AUROC below {TELLING_GAPS}",
    )  # fmt: skip


def _those_of(channels: Mapping[str, Iterable[str]]) -> tuple[str, list[str]]:
    """The outcomes that some channel tells, in words, and the channels that tell one. channels: by outcome."""
    told = {outcome: list(of) for outcome, of in channels.items()}
    return ", ".join(outcome for outcome, of in told.items() if of), list(dict.fromkeys(sum(told.values(), [])))


def _between(areas: Mapping[str, float], least: float, most: float) -> list[str]:
    return [name for name, area in areas.items() if least <= area <= most]


def _strong(areas: Mapping[str, Mapping[str, float]], proxies: set[str]) -> LeakCheck:
    """areas: by outcome and channel. proxies: channels that fail already."""
    ranked, channels = _those_of({
        outcome: [name for name in _between(of, STRONG, PROXY) if name not in proxies] for outcome, of in areas.items()
    })  # fmt: skip
    words = f"the mean value alone ranks {ranked} with an AUROC of {STRONG} or more: is it known before the outcome is?"
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
