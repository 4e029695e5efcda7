"""Urine and the stages of kidney injury. KDIGO 2012; MIMIC Code Repository, concepts measurement/urine_output_rate and
organfailure/kdigo_*."""

from __future__ import annotations

import math
from collections import defaultdict

from published.bedside import weights
from published.stay import LOOK_BACK, Lab, Series, Stay, plain

URINE = {226559, 226560, 226561, 226584, 226563, 226564, 226565, 226567, 226557, 226558, 227488, 227489}
IRRIGANT = 227488


def urine(stay: Stay) -> Series:
    by_time: dict[float, float] = defaultdict(float)
    for hour, item, value in stay.urine:
        if item in URINE and 0 <= value <= 20_000 and hour >= 0:
            by_time[hour] += -value if item == 227488 else value
    return sorted(by_time.items())


def urine_rates(stay: Stay) -> dict[str, Series]:
    """Sums of windows and rates by the last weight; a charting stands for the hour before it."""
    charted, scales, rates = urine(stay), weights(stay), defaultdict(list)
    beats = [at for at in stay.numbers({220045}, 0, 300) if at >= 0]
    covered, before = {}, min(beats, default=None)
    for index, (at, _) in enumerate(charted):
        start = charted[index - 1][0] if index else min(before, at) if before is not None else at
        covered[at] = at - start
    for at, volume in charted:
        known = [value for when, value in scales if when <= at]
        rates["uo"].append((at, volume))
        if known:
            rates["weight"].append((at, known[-1]))
        for span in (6, 12, 24):
            window = [(when, value) for when, value in charted if at >= when and plain(at - when) <= span - 1]
            total, hours = sum(value for _, value in window), plain(sum(covered[when] for when, _ in window))
            rates[f"urineoutput_{span}hr"].append((at, total))
            if span == 24:
                rates["hours"].append((at, hours))
            if known and hours >= span:
                rates[f"uo_mlkghr_{span}hr"].append((at, round(total / known[-1] / hours, 4)))
    return rates


def creatinine_stages(stay: Stay) -> list[tuple[float, float, float | None, float | None, int]]:
    """Seen, creatinine, the lowest of 48 h and of 7 days, stage."""
    drawn: dict[float, list[Lab]] = defaultdict(list)
    for lab in stay.labs:
        if lab.item == 50912 and lab.value and 0 < lab.value <= 150:
            drawn[lab.drawn].append(lab)
    values = [(at, max(r.seen for r in rows), sum(r.value for r in rows) / len(rows)) for at, rows in drawn.items()]
    at_hours: dict[float, tuple[float, float, float, float | None, float | None, int]] = {}
    for at, seen, value in sorted(values):
        earlier = [(plain(at - a), v) for a, s, v in values if a < at and plain(at - a) <= 168 and s <= seen]
        low_7, low_48 = (
            min((v for _, v in earlier), default=None),
            min((v for d, v in earlier if d <= 48), default=None),
        )
        ratio, rise = plain(value / low_7) if low_7 else 0.0, plain(value - low_48) if low_48 else 0.0
        hurt = ratio >= 1.5 or rise >= 0.3
        stage = 3 if ratio >= 3 or plain(value) >= 4 and hurt else 2 if ratio >= 2 else 1 if hurt else 0
        at_hours[round(seen * 3600)] = (at, seen, value, low_48, low_7, stage)
    return [row[1:] for row in at_hours.values()]


def urine_stages(stay: Stay) -> dict[str, Series]:
    """Rates over 6, 12 and 24 h, and the stage; a charting covers the time since the one before, the first an hour."""
    charted, scales, rates = urine(stay), weights(stay), defaultdict(list)
    length = {at: at - charted[index - 1][0] if index else 1.0 for index, (at, _) in enumerate(charted)}
    for at, _ in charted:
        known, rate = [value for when, value in scales if when <= at], {}
        for span in (6, 12, 24):
            window = [(when, value) for when, value in charted if when <= at and plain(at - when) <= span]
            hours = plain(sum(length[when] for when, _ in window))
            if known and hours >= span and (span > 6 or hours < 12):
                rate[span] = round(sum(value for _, value in window) / known[-1] / hours, 4)
                rates[f"uo_rt_{span}hr"].append((at, rate[span]))
        if 6 in rate:
            least, middle = rate.get(24, math.inf), rate.get(12, math.inf)
            low = 3 if least < 0.3 or middle == 0 else 2 if middle < 0.5 else 1 if rate[6] < 0.5 else 0
            rates["aki_stage_uo"].append((at, 0 if plain(at) <= 6 else low))
    return rates


def kidney_stages(stay: Stay) -> dict[str, Series]:
    """Stages by creatinine, urine and dialysis with what they are made of, the highest, and the highest of 6 h."""
    creatinine = creatinine_stages(stay)
    modes = {(at, 3) for at, item, _, text in stay.charted if item == 227290 and text and at >= -LOOK_BACK}
    parts = urine_stages(stay) | {
        "creat": [(seen, value) for seen, value, *_ in creatinine],
        "creat_low_past_48hr": [(seen, low) for seen, _, low, _, _ in creatinine if low is not None],
        "creat_low_past_7day": [(seen, low) for seen, _, _, low, _ in creatinine if low is not None],
        "aki_stage_creat": [(seen, stage) for seen, *_, stage in creatinine],
        "aki_stage_crrt": sorted(modes),
    }
    moments: dict[int, float] = {round(at * 3600): 0 for at, _ in urine(stay)}
    for series in (series for name, series in parts.items() if name.startswith("aki_stage")):
        for at, stage in series:
            moments[round(at * 3600)] = max(moments.get(round(at * 3600), 0), stage)
    highest = sorted(moments.items())
    smoothed = [(at / 3600, max(v for a, v in highest if at - 21600 <= a <= at)) for at, _ in highest]
    return parts | {"aki_stage": [(at / 3600, v) for at, v in highest], "aki_stage_smoothed": smoothed}
