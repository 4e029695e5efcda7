"""The items of steps: arrays of channels and samples, or plain words.

    state   temperature: 21.4, 21.6 C. mode: heating.
    action  valve: 0.35.

An event's time counts the samples of its trajectory, so its place in a step is the rest by the samples of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories

VERSION = 1
"""Raised when an item changes, so that datasets render again."""

EMPTY = "Nothing recorded."
_UNKNOWN = "?"


def render_channels(trajectories: Trajectories, channels: Sequence[Channel], samples: int) -> Rendered:
    """(owners, C, P) values, NaN where nothing was observed."""
    number = np.unique([channel.group or f"={index}" for index, channel in enumerate(channels)], return_inverse=True)[1]
    words = np.array([bool(channel.group) for channel in channels])

    def spread(events: Events) -> np.ndarray:
        owners = len(events.offsets) - 1
        grid = np.full((owners, samples, len(channels)), np.nan, dtype=np.float32)
        owner, slot = _owners(events), _slots(events, samples)
        for word in np.unique(events.channel[words[events.channel]]).tolist():
            own = events.channel == word  # the other words of its column are known not to be said
            grid[owner[own, None], slot[own, None], np.flatnonzero(number == number[word])] = 0
        grid[owner, slot, events.channel] = events.value
        return grid.transpose(0, 2, 1)

    return Rendered(*(spread(trajectories.events(role)) for role in ("static", "state", "action")))


def with_history(
    rendered: Rendered, trajectories: Trajectories, places: Sequence[int], history: Sequence[str]
) -> Rendered:
    """Items with channels that are made of the past of those at `places`, behind the others.

    last: the last known value, up to the sample itself. age: how long ago that was, in steps; 0 where the sample has a
    value. Both are NaN before the first value of the trajectory, in static facts and in actions.
    """
    if not history:
        return rendered
    static, state, action = (np.asarray(part) for part in (rendered.static, rendered.state, rendered.action))
    seen = state[:, places].transpose(0, 2, 1)
    steps, samples, count = seen.shape
    seen = seen.reshape(-1, count)
    number = np.arange(len(seen))
    begins = np.repeat(np.arange(steps) - trajectories.step_numbers(), samples) * samples
    latest = np.maximum.accumulate(np.where(np.isnan(seen), -1, number[:, None]), axis=0)
    known = latest >= begins[:, None]
    texts = {
        "last": np.where(known, np.take_along_axis(seen, np.maximum(latest, 0), axis=0), np.nan),
        "age": np.where(known, (number[:, None] - latest) / samples, np.nan),
    }
    past = [texts[name].astype(np.float32).reshape(steps, samples, count).transpose(0, 2, 1) for name in history]

    def widened(grid: np.ndarray) -> np.ndarray:
        empty = np.full((len(grid), len(history) * count, samples), np.nan, dtype=np.float32)
        return np.concatenate([grid, empty], axis=1)

    return Rendered(widened(static), np.concatenate([state, *past], axis=1), widened(action))


def render_text(trajectories: Trajectories, channels: Sequence[Channel], samples: int) -> Rendered:
    """Each owner's channels in words, numbers to four significant digits."""

    def worded(events: Events) -> list[str]:
        return _worded(events, channels, samples)

    return Rendered(*(worded(trajectories.events(role)) for role in ("static", "state", "action")))


def _worded(events: Events, channels: Sequence[Channel], samples: int) -> list[str]:
    names = [labelled.group or labelled.name for labelled in channels]
    columns = {name: index for index, name in enumerate(dict.fromkeys(names))}
    units = {labelled.group or labelled.name: f" {labelled.unit}" if labelled.unit else "" for labelled in channels}
    values = [f"{value:.4g}" for value in events.value.tolist()]
    slots = _slots(events, samples).tolist()
    texts = []
    for low, high in zip(events.offsets[:-1].tolist(), events.offsets[1:].tolist(), strict=True):
        by_column: dict[str, list[str]] = {}
        for at in range(low, high):
            channel = int(events.channel[at])
            said = by_column.setdefault(names[channel], [_UNKNOWN] * samples)
            said[slots[at]] = channels[channel].label if channels[channel].group else values[at]
        ordered = sorted(by_column, key=columns.__getitem__)
        texts.append(" ".join(f"{name}: {_joined(by_column[name])}{units[name]}." for name in ordered) or EMPTY)
    return texts


def _joined(said: list[str]) -> str:
    """The samples of one channel; a word that goes for all of them is said once."""
    return said[0] if len(set(said)) == 1 else ", ".join(said)


def _owners(events: Events) -> np.ndarray:
    return np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))


def _slots(events: Events, samples: int) -> np.ndarray:
    """Place of each event within its step; static facts have no time and stand in the first."""
    return np.where(np.isnan(events.time), 0, events.time).astype(np.int64) % samples
