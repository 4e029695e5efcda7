"""Labels and outcomes in plain Python, over the raw rows of one stay; None where nobody can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

from published import Series, Stay, mean_pressure, plain, urine, urine_rates, vasoactive

Told = float | None
RAISING = {"dobutamine", "norepinephrine", "epinephrine", "milrinone", "dopamine", "vasopressin"}


@dataclass
class End:
    """How a stay ended, in hours since admission to intensive care; None where it is not recorded.

    hours: in intensive care, uncut. died: in hospital. death: the time that the hospital wrote down. day: the beginning
    of the day of death. discharged: whether a discharge is recorded.
    """

    hours: float
    died: bool
    death: float | None
    day: float | None
    discharged: bool


def either(*parts: Told) -> Told:
    return 1.0 if 1.0 in parts else None if None in parts else 0.0


def both(*parts: Told) -> Told:
    return 0.0 if 0.0 in parts else None if None in parts else 1.0


def means(series: Series) -> dict[int, float]:
    """Means of the distinct values of each hour of the stay."""
    hours: dict[int, set[tuple[float, float]]] = {}
    for at, value in series:
        if at >= 0:
            hours.setdefault(math.floor(plain(at)), set()).add((at, value))
    return {hour: sum(value for _, value in values) / len(values) for hour, values in hours.items()}


def circulatory(stay: Stay) -> list[Told]:
    """A mean pressure of 65 mmHg at most or a drug that raises it, with a lactate of 2 mmol/L or more."""
    pressure, lactate = means(mean_pressure(stay)), means(stay.results(50813, 10_000))
    drips = [span for drug, spans in vasoactive(stay).items() if drug in RAISING for span in spans]
    found: list[Told] = []
    for hour in range(math.ceil(plain(stay.hours))):
        running = any(start < hour + 1 and stop > hour for start, stop, _ in drips)
        low = 1.0 if running else float(round(pressure[hour], 4) <= 65) if hour in pressure else None
        high = float(round(lactate[hour], 4) >= 2) if hour in lactate else None
        found.append(low if low == high else None)
    return found


def kidney(stay: Stay) -> list[Told]:
    """KDIGO 3 by creatinine, urine, or continuous dialysis so far."""
    creatinine, rate = means(stay.results(50912, 150)), hourly_urine(stay)
    begun = min((start for start, _ in stay.dialysis), default=math.inf)
    found: list[Told] = []
    for hour in range(math.ceil(plain(stay.hours))):
        value = creatinine.get(hour)
        lowest = min((creatinine[h] for h in range(hour - 168, hour) if h in creatinine), default=None)
        recent = min((creatinine[h] for h in range(hour - 47, hour + 1) if h in creatinine), default=None)
        ratio = None if value is None or lowest is None else round(value / lowest, 4)
        rise = None if value is None or recent is None else float(round(value - recent, 4) >= 0.3)
        hurt = either(rise, None if ratio is None else float(ratio >= 1.5))
        high = both(hurt, None if value is None else float(round(value, 4) > 4))
        little = [little_urine(rate, hour, span, bound) for span, bound in ((24, 0.3), (12, 0.0))]
        found.append(
            either(float(begun < hour + 1), None if ratio is None else float(ratio >= 3), high, *map(float, little))
        )
    return found


def little_urine(rate: dict[int, float], hour: int, span: int, bound: float) -> bool:
    """Whether the largest rate of a span within the stay lies below a bound, or at it where the bound is 0."""
    most = max((rate[h] for h in range(hour - span + 1, hour + 1) if h in rate), default=None)
    if most is None or hour < span - 1:
        return False
    return round(most, 4) < bound or bound == 0 and round(most, 4) <= 0


def hourly_urine(stay: Stay) -> dict[int, float]:
    """mL/kg/h of an hour by the last weight known in it; a charting covers the time since the one before."""
    charted = urine(stay)
    weights = dict(urine_rates(stay).get("weight", []))
    beats = [at for at in stay.numbers({220045}, 0, 300) if at >= 0]
    found: dict[int, tuple[float, float, float]] = {}
    before = min(beats, default=None)
    for place, (at, volume) in enumerate(charted):
        start = charted[place - 1][0] if place else min(before, at) if before is not None else at
        if at in weights:
            hour = math.floor(plain(at))
            total, hours, _ = found.get(hour, (0.0, 0.0, 0.0))
            found[hour] = total + volume, hours + at - start, weights[at]
    return {hour: total / max(hours, 1) / weight for hour, (total, hours, weight) in found.items()}


def decompensation(stay: Stay, end: End) -> list[Told]:
    """The last 24 hours of a stay that ended with death."""
    died, last = in_intensive_care(end), math.ceil(plain(end.hours))
    return [
        died if last - hour <= 24 else None if died is None else 0.0 for hour in range(math.ceil(plain(stay.hours)))
    ]


def in_intensive_care(end: End) -> Told:
    if not end.died:
        return 0.0
    return None if end.death is None else float(end.death <= end.hours)


def outcomes(end: End) -> dict[str, Told]:
    death = end.death if end.death is not None else end.day
    found: dict[str, Told] = {"hospital_mortality": float(end.died), "icu_mortality": in_intensive_care(end)}
    for days in (7, 14, 30, 90):
        alive = 0.0 if not end.died and end.discharged else None
        found[f"mortality_{days}d"] = alive if death is None else float(death <= days * 24)
    return found | {"prolonged_stay_7d": float(end.hours > 168)}
