"""What an intervention that was only imagined would have left in the record."""

from __future__ import annotations

import math
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
EQUIVALENT = "norepinephrine_equivalent_dose"
EQUIVALENT_DOSES = {
    "norepinephrine": 1.0,
    "epinephrine": 1.0,
    "phenylephrine": 0.1,
    "dopamine": 0.01,
    "vasopressin": 2.5 / 60,
}
"""Doses of norepinephrine that one of a drug stands for; see norepinephrine_equivalent_dose.sql."""


def recorded_as(act: Act, trajectory: Trajectories, channels: Sequence[Channel], step_hours: float) -> list[Act]:
    """An act as it is charted: a pump's rate stands behind the amount that each step received of it, and a vasoactive
    drug is told by what is derived from its rate as well. A pump that is set to 0 leaves nothing.

    The equivalent dose is that of the drug alone. Raises DataError if the rate is by weight and the stay has none
    before the act.
    """
    rate = next(channel for channel in channels if channel.name == act.channel)
    if rate.group != RATE_GROUP or act.value is None:
        return [act]
    amounts = _amount(act, rate, trajectory, channels, step_hours)
    charted = [*amounts, replace(act, text=CONTINUOUS), *_derived(act, rate, channels)]
    return [replace(reading, value=math.nan) for reading in charted] if act.value == 0 else charted


def _amount(
    act: Act, rate: Channel, trajectory: Trajectories, channels: Sequence[Channel], step_hours: float
) -> list[Act]:
    """What each step received, where the store has it in a unit that meets the rate's."""
    for channel in channels:
        same = channel.group == RATE_GROUP.removesuffix("/rate") and channel.label == rate.label
        factor = hourly_factor(rate.unit, channel.unit) if same else None
        if factor is not None:
            assert act.value is not None, "what is charted at a rate has one"
            weight = _weight(act, trajectory, channels) if factor.per_kg and act.value else 1.0
            delivered = act.value * factor.amount * weight * step_hours
            return [replace(act, channel=channel.name, unit=channel.unit, value=delivered)]
    return []


def _derived(act: Act, rate: Channel, channels: Sequence[Channel]) -> list[Act]:
    """What is derived from the rate of a vasoactive drug, in the order of the derived variables."""
    drug = (rate.label.lower().split() or [""])[0].rstrip(".")
    units = {channel.name: channel.unit for channel in channels}
    if units.get(f"vasoactive_agent/{drug}") != rate.unit:
        return []
    assert act.value is not None, "what is charted at a rate has one"
    values = {f"{group}/{drug}": act.value for group in ("vasoactive_agent", "mean_rate")}
    if drug in EQUIVALENT_DOSES:
        dose = round(act.value * EQUIVALENT_DOSES[drug], 4)
        values |= {f"{group}/{EQUIVALENT}": dose for group in (EQUIVALENT, "mean_rate")}
    return [
        replace(act, channel=name, unit=units[name], value=value) for name, value in values.items() if name in units
    ]


def _weight(act: Act, trajectory: Trajectories, channels: Sequence[Channel]) -> float:
    """The last weight in kg that is known before the act begins."""
    weights = [index for index, channel in enumerate(channels) if channel.group == "weight" and channel.unit == "kg"]
    events = trajectory.state
    known = events.channel[: int(events.offsets[min(act.begin, len(events.offsets) - 1)])]
    places = np.flatnonzero(np.isin(known, weights) & ~np.isnan(events.value[: len(known)]))
    if len(places) == 0:
        raise DataError(
            f"{act.channel} is a dose by weight, and the stay has no weight before step {act.begin}; begin the act "
            "later, act on a channel that is no dose by weight, or give data without this stay"
        )
    return float(events.value[places[-1]])
