"""From a pump's rate to the amount that an hour received."""

from __future__ import annotations

from dataclasses import dataclass

_MILLIGRAMS = {"g": 1000.0, "grams": 1000.0, "gm": 1000.0, "mg": 1.0, "mcg": 0.001, "ng": 1e-6}
_PER_HOUR = {"min": 60.0, "hour": 1.0, "hr": 1.0, "day": 1 / 24}


@dataclass(frozen=True)
class HourlyFactor:
    """amount: what one unit of rate delivers in an hour, in the unit of the amount; per_kg: to be multiplied by the
    weight."""

    amount: float
    per_kg: bool


def hourly_factor(rate_unit: str, amount_unit: str) -> HourlyFactor | None:
    """Factor that turns a rate such as mcg/kg/min into an hour's amount in a unit such as mg; None where the units do
    not meet."""
    quantity, *per = (part.strip().lower().rstrip(".") for part in rate_unit.split("/"))
    per_kg = per[:1] == ["kg"]
    time = per[1:] if per_kg else per
    if len(time) != 1 or time[0] not in _PER_HOUR:
        return None
    amount = amount_unit.strip().lower().rstrip(".")
    if quantity in _MILLIGRAMS and amount in _MILLIGRAMS:
        scale = _MILLIGRAMS[quantity] / _MILLIGRAMS[amount]
    elif quantity == amount:
        scale = 1.0
    else:
        return None
    return HourlyFactor(scale * _PER_HOUR[time[0]], per_kg)
