"""The modality `channels`: an hour as numbers, NaN where nothing was observed.

Columns are the same for static facts, states and actions; each fills its own. A channel has one value an hour at most,
but for the rates of drugs, of which the last counts. `male` is 1 or 0; antibiotic orders are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_eicu.mapping import ANTIBIOTIC, GRID

VERSION = 1
"""Raised when a value changes, so that datasets render again."""

_PLACE = {name: index for index, name in enumerate(GRID)}


def render_hours(trajectories: Trajectories, channels: Sequence[Channel]) -> Rendered:
    """(owners, C, 1) float32 for static facts, states and actions, C = len(GRID)."""
    static, state, action = (
        _values(events, channels) for events in (trajectories.static, trajectories.state, trajectories.action)
    )
    gender = _of(trajectories.static, channels, "demographics/gender")
    words = trajectories.texts.astype(str)[trajectories.static.text[gender]] if gender.any() else np.empty(0, str)
    static[_owner(trajectories.static)[gender], _PLACE["male"]] = words == "M"
    orders = np.bincount(
        _owner(trajectories.action)[_of(trajectories.action, channels, ANTIBIOTIC.name)], minlength=len(action)
    )
    action[:, _PLACE["antibiotic orders"]] = np.where(orders > 0, orders, np.nan)
    return Rendered(static[:, :, None], state[:, :, None], action[:, :, None])


def _values(events: Events, channels: Sequence[Channel]) -> np.ndarray:
    column = np.array([_PLACE.get(channel.name, -1) for channel in channels])[events.channel]
    kept = (column >= 0) & ~np.isnan(events.value)
    grid = np.full((len(events.offsets) - 1, len(GRID)), np.nan, dtype=np.float32)
    grid[_owner(events)[kept], column[kept]] = events.value[kept]  # of several, numpy keeps the last
    return grid


def _owner(events: Events) -> np.ndarray:
    return np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))


def _of(events: Events, channels: Sequence[Channel], name: str) -> np.ndarray:
    """(E,) bool, whether an event is of the channel."""
    return np.array([channel.name == name for channel in channels], dtype=bool)[events.channel]
