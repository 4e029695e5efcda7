"""Labels and outcomes, over the raw rows of one stay and what its hours show; None where nobody can tell.

icu-features (ICareFM) for the events, with the departures that docs/mimic-iv.md names; Kamath 2001 for the MELD.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from published.bedside import mean_pressure, ventilation, weights
from published.dialysis import continuous
from published.drips import vasoactive
from published.kidney import urine
from published.stay import Series, Stay, plain

Told = float | None
ByHour = dict[int, float]
"""The mean of what an hour shows."""
RAISING = {"dobutamine", "norepinephrine", "epinephrine", "milrinone", "dopamine", "vasopressin"}
ROOM_AIR = 21.0


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


def means(series: Series) -> ByHour:
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
    events: list[Told] = []
    for hour in range(stay.steps):
        running = any(start < hour + 1 and stop > hour for start, stop, _ in drips)
        low = 1.0 if running else float(round(pressure[hour], 4) <= 65) if hour in pressure else None
        high = float(round(lactate[hour], 4) >= 2) if hour in lactate else None
        events.append(low if low == high else None)
    return events


def respiratory(stay: Stay, tension: ByHour, fraction: ByHour, saturation: ByHour) -> list[Told]:
    """PaO2/FiO2 below 200; air is breathed where no fraction is charted and nothing ventilates in this or the next
    hour. saturation: arterial, of 90 % at most where there is no ratio; empty where that does not count."""
    helped = {
        hour
        for start, stop, status, supported in ventilation(stay)
        if supported or status == "NonInvasiveVent"
        for hour in range(max(math.floor(plain(start)), 0), math.ceil(plain(stop)))
    }
    events: list[Told] = []
    for hour in range(stay.steps):
        inspired = fraction.get(hour, None if {hour, hour + 1} & helped else ROOM_AIR)
        if hour in tension and inspired:
            events.append(float(round(100 * tension[hour] / inspired, 4) < 200))
        else:
            events.append(float(round(saturation[hour], 4) <= 90) if hour in saturation else None)
    return events


def kidney(stay: Stay) -> list[Told]:
    """KDIGO 3 by creatinine, urine, or continuous dialysis so far."""
    creatinine, rate = means(stay.results(50912, 150)), hourly_urine(stay)
    begun = min(continuous(stay), default=math.inf)
    events: list[Told] = []
    for hour in range(stay.steps):
        value = creatinine.get(hour)
        lowest = min((creatinine[h] for h in range(hour - 168, hour) if h in creatinine), default=None)
        recent = min((creatinine[h] for h in range(hour - 47, hour + 1) if h in creatinine), default=None)
        ratio = None if value is None or lowest is None else round(value / lowest, 4)
        rise = None if value is None or recent is None else float(round(value - recent, 4) >= 0.3)
        hurt = either(rise, None if ratio is None else float(ratio >= 1.5))
        high = both(hurt, None if value is None else float(round(value, 4) > 4))
        little = [little_urine(rate, hour, span, bound) for span, bound in ((24, 0.3), (12, 0.0))]
        events.append(
            either(float(begun <= hour), None if ratio is None else float(ratio >= 3), high, *map(float, little))
        )
    return events


def little_urine(rate: ByHour, hour: int, span: int, bound: float) -> bool:
    """Whether the largest rate of a span within the stay lies below a bound, or at it where the bound is 0."""
    most = max((rate[h] for h in range(hour - span + 1, hour + 1) if h in rate), default=None)
    if most is None or hour < span - 1:
        return False
    return round(most, 4) < bound or bound == 0 and round(most, 4) <= 0


def hourly_urine(stay: Stay) -> ByHour:
    """mL/kg/h of an hour by the last weight known in it; a charting covers the time since the one before."""
    charted, scales = urine(stay), weights(stay)
    beats = [at for at in stay.numbers({220045}, 0, 300) if at >= 0]
    rates: dict[int, tuple[float, float, float]] = {}
    before = min(beats, default=None)
    for index, (at, volume) in enumerate(charted):
        start = charted[index - 1][0] if index else min(before, at) if before is not None else at
        known = [value for when, value in scales if when <= at]
        if known:
            hour = math.floor(plain(at))
            total, hours, _ = rates.get(hour, (0.0, 0.0, 0.0))
            rates[hour] = total + volume, hours + at - start, known[-1]
    return {hour: total / max(hours, 1) / weight for hour, (total, hours, weight) in rates.items()}


def liver(stay: Stay, bilirubin: ByHour, inr: ByHour, creatinine: ByHour) -> list[Told]:
    """MELD of 30 or more, each value from the next hour where this one has none; creatinine is 4 for 7 days of
    dialysis."""
    dialysed = continuous(stay)
    events: list[Told] = []
    for hour in range(stay.steps):
        parts = [of_hour.get(hour, of_hour.get(hour + 1)) for of_hour in (bilirubin, inr, creatinine)]
        if any(hour - 168 < at <= hour for at in dialysed):
            parts[2] = 4.0
        if None in parts:
            events.append(None)
            continue
        logs = [math.log(max(part, 1.0)) for part in parts if part is not None]
        events.append(float(round(3.78 * logs[0] + 11.2 * logs[1] + 9.57 * logs[2] + 6.43, 4) >= 30))
    return events


def hyperglycaemia(stay: Stay, glucose: ByHour) -> list[Told]:
    return [float(round(glucose[hour], 4) > 180) if hour in glucose else None for hour in range(stay.steps)]


def decompensation(stay: Stay, end: End) -> list[Told]:
    """The last 24 hours of a stay that ended with death."""
    died, last = in_intensive_care(end), math.ceil(plain(end.hours))
    return [died if last - hour <= 24 else None if died is None else 0.0 for hour in range(stay.steps)]


def in_intensive_care(end: End) -> Told:
    if not end.died:
        return 0.0
    return None if end.death is None else float(end.death <= end.hours)


def outcomes(end: End) -> dict[str, Told]:
    death = end.death if end.death is not None else end.day
    told: dict[str, Told] = {"hospital_mortality": float(end.died), "icu_mortality": in_intensive_care(end)}
    for days in (7, 14, 30, 90):
        alive = 0.0 if not end.died and end.discharged else None
        told[f"mortality_{days}d"] = alive if death is None else float(death <= days * 24)
    return told | {"prolonged_stay_7d": float(end.hours > 168)}
