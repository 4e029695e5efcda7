"""What an intervention that was only imagined would have left in the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jepa_core.data.source import Act
from jepa_core.data.trajectories import Channel, Trajectories
from jepa_core.errors import DataError
from jepa_mimic_iv.infusions import hourly_factor
from jepa_mimic_iv.render import RATE_GROUP

CONTINUOUS = "Continuous Med"
"""Category under which a running infusion is charted."""


def recorded_as(act: Act, trajectory: Trajectories, channels: Sequence[Channel], step_hours: float) -> list[Act]:
    """An act as it is charted: a pump's rate stands behind the amount that each step received of it.

    Raises DataError if the rate is by weight and the stay has none before the act.
    """
    rate = next(channel for channel in channels if channel.name == act.channel)
    if rate.group != RATE_GROUP or act.value is None:
        return [act]
    charted = replace(act, text=CONTINUOUS)
    for channel in channels:
        same = channel.group == RATE_GROUP.removesuffix("/rate") and channel.label == rate.label
        factor = hourly_factor(rate.unit, channel.unit) if same else None
        if factor is not None:
            weight = _weight(act, trajectory, channels) if factor.per_kg else 1.0
            delivered = act.value * factor.amount * weight * step_hours
            return [replace(act, channel=channel.name, unit=channel.unit, value=delivered), charted]
    return [charted]


def _weight(act: Act, trajectory: Trajectories, channels: Sequence[Channel]) -> float:
    """The last weight in kg that is known before the act begins."""
    weights = [place for place, channel in enumerate(channels) if channel.group == "weight" and channel.unit == "kg"]
    events = trajectory.state
    known = events.channel[: int(events.offsets[min(act.begin, len(events.offsets) - 1)])]
    places = np.flatnonzero(np.isin(known, weights) & ~np.isnan(events.value[: len(known)]))
    if len(places) == 0:
        raise DataError(f"{act.channel} is a dose by weight, and a stay has no weight before step {act.begin}")
    return float(events.value[places[-1]])
