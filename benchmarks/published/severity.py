"""SOFA and Sepsis-3. Vincent 1996; Seymour and Singer 2016; MIMIC Code Repository, concepts/score/sofa and sepsis."""

from __future__ import annotations

import math
from collections import defaultdict

from published.bedside import coma_scale, mean_pressure, ventilation
from published.drips import vasoactive
from published.kidney import urine_rates
from published.labs import gases as arterial_gases
from published.orders import antibiotics
from published.stay import Series, Stay, plain


def grade(value: float | None, bounds: tuple[float, ...], low: bool) -> int:
    """How many of some bounds a value lies below (or reaches), 0 for nothing."""
    if value is None:
        return 0
    return sum(plain(value) < bound if low else plain(value) >= bound for bound in bounds)


def sofa(stay: Stay) -> dict[str, dict[int, int]]:
    """The six parts and their sum at the end of every hour, each part the worst of 24 h."""
    last, breathing, doses, rates = math.ceil(plain(stay.hours)), ventilation(stay), vasoactive(stay), urine_rates(stay)
    gases: dict[bool, Series] = {True: [], False: []}
    for at, ratio in arterial_gases(stay).get("bg/pao2fio2ratio", []):
        gases[any(s and plain(at - a) >= 0 and plain(b - at) > 0 for a, b, _, s in breathing)].append((at, ratio))
    sums = zip(rates.get("urineoutput_24hr", []), rates.get("hours", []), strict=True)
    day = [(at, volume / hours * 24) for (at, volume), (_, hours) in sums if 22 <= hours <= 30]
    pressure, coma = mean_pressure(stay), coma_scale(stay).get("gcs", [])
    hourly: dict[str, dict[int, int]] = defaultdict(dict)
    for hour in range(-24, last):
        helped, free = least(gases[True], hour, min), least(gases[False], hour, min)
        best = min((score for score in (helped, free) if score is not None), default=None)
        hourly["respiration"][hour] = max(grade(best, (400, 300), True), (2 + grade(helped, (200, 100), True))
                                          if helped is not None and plain(helped) < 200 else 0)  # fmt: skip
        hourly["coagulation"][hour] = grade(least(stay.results(51265), hour, min), (150, 100, 50, 20), True)
        hourly["liver"][hour] = grade(least(stay.results(50885), hour, max), (1.2, 2, 6, 12), False)
        hourly["cns"][hour] = grade(least(coma, hour, min), (15, 13, 10, 6), True)
        hourly["cardiovascular"][hour] = circulation(doses, min(hour + 1, stay.hours), least(pressure, hour, min))
        volume = least(day, hour, max)
        little = 0 if volume is None else 4 if plain(volume) < 200 else 3 if plain(volume) < 500 else 0
        hourly["renal"][hour] = max(little, grade(least(stay.results(50912, 150), hour, max), (1.2, 2, 3.5, 5), False))
    worst = {
        part: {hour: max(values.get(h, 0) for h in range(hour - 23, hour + 1)) for hour in range(last)}
        for part, values in hourly.items()
    }
    worst["sofa"] = {hour: sum(values[hour] for values in worst.values()) for hour in range(last)}
    return worst


def least(series: Series, hour: int, choose: type[min] | type[max]) -> float | None:  # type: ignore[valid-type]
    return choose((value for at, value in series if math.floor(plain(at)) == hour), default=None)


def circulation(doses: dict[str, list[tuple[float, float, float]]], end: float, pressure: float | None) -> int:
    rate = {drug: plain(max((r for a, b, r in spans if a < end <= b), default=0)) for drug, spans in doses.items()}
    strong, dopamine = max(rate.get("norepinephrine", 0), rate.get("epinephrine", 0)), rate.get("dopamine", 0)
    if dopamine > 15 or strong > 0.1:
        return 4
    if dopamine > 5 or strong > 0:
        return 3
    if dopamine > 0 or rate.get("dobutamine", 0) > 0:
        return 2
    return grade(pressure, (70,), True)


def sepsis_onset(stay: Stay, score: dict[int, int]) -> int | None:
    """The first hour with 2 points from 48 h before to 24 h after an infection was suspected."""
    suspected = set()
    for hour, day in antibiotics(stay):
        before, after = [], False
        for at, drawn, exact in stay.cultures:
            if 0 < plain(hour - at) <= 72 if exact else 0 <= day - drawn <= 3:
                before.append((drawn, not exact, at))
            after |= 0 < plain(at - hour) <= 24 if exact else 0 <= drawn - day <= 1
        if before or after:
            suspected.add(min(before)[2] if before else hour)
    met = [h for h, points in score.items() if points >= 2 and any(-48 <= plain(h + 1 - s) <= 24 for s in suspected)]
    return min(met, default=None)
