"""The published definitions in plain Python, over the raw rows of one stay; they share nothing with the plugin's SQL.

Times are hours since admission to intensive care. Each function gives (hour, value) pairs, or values by hour of the
stay. Sources are those that docs/mimic-iv.md names: MIMIC Code Repository, KDIGO 2012, Vincent 1996, Seymour and Singer
2016.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

Series = list[tuple[float, float]]

INVASIVE = {
    "(S) CMV", "APRV", "APRV/Biphasic+ApnPress", "APRV/Biphasic+ApnVol", "APV (cmv)", "Ambient",
    "Apnea Ventilation", "CMV", "CMV/ASSIST", "CMV/ASSIST/AutoFlow", "CMV/AutoFlow", "CPAP/PPS", "CPAP/PSV",
    "CPAP/PSV+Apn TCPL", "CPAP/PSV+ApnPres", "CPAP/PSV+ApnVol", "MMV", "MMV/AutoFlow", "MMV/PSV",
    "MMV/PSV/AutoFlow", "P-CMV", "PCV+", "PCV+/PSV", "PCV+Assist", "PRES/AC", "PRVC/AC", "PRVC/SIMV", "PSV/SBT",
    "SIMV", "SIMV/AutoFlow", "SIMV/PRES", "SIMV/PSV", "SIMV/PSV/AutoFlow", "SIMV/VOL", "SYNCHRON MASTER",
    "SYNCHRON SLAVE", "VOL/AC",
}  # fmt: skip
HAMILTON = {
    "APRV", "APV (cmv)", "Ambient", "(S) CMV", "P-CMV", "SIMV", "APV (simv)", "P-SIMV", "VS", "ASV",
}  # fmt: skip
OXYGEN = {
    "Non-rebreather", "Face tent", "Aerosol-cool", "Venti mask", "Medium conc mask", "Ultrasonic neb", "Vapomist",
    "Oxymizer", "High flow neb", "Nasal cannula",
}  # fmt: skip
RANKS = ("Tracheostomy", "InvasiveVent", "NonInvasiveVent", "HFNC", "SupplementalOxygen", "None")
DRUGS = {
    221906: "norepinephrine", 221289: "epinephrine", 229617: "epinephrine", 221662: "dopamine", 221653: "dobutamine",
    221749: "phenylephrine", 229630: "phenylephrine", 229631: "phenylephrine", 229632: "phenylephrine",
    222315: "vasopressin", 221986: "milrinone",
}  # fmt: skip
URINE = {226559, 226560, 226561, 226584, 226563, 226564, 226565, 226567, 226557, 226558, 227488, 227489}


@dataclass
class Lab:
    """A laboratory result: when it was seen and drawn, and what it says."""

    seen: float
    drawn: float
    item: int
    value: float | None
    text: str
    specimen: str


@dataclass
class Stay:
    """The raw rows of one stay. charted: (hour, item, value, text). urine: (hour, item, mL). drips: (began, stop, drug,
    rate, whether the order is new). dialysis: signs of a
    continuous one, from when to when. antibiotics: (hour, day). cultures: (hour, day, known to the minute)."""

    hours: float
    age: int = 0
    charted: list[tuple[float, int, float | None, str]] = field(default_factory=list)
    labs: list[Lab] = field(default_factory=list)
    urine: list[tuple[float, int, float]] = field(default_factory=list)
    drips: list[tuple[float, float, str, float, bool]] = field(default_factory=list)
    dialysis: list[tuple[float, float]] = field(default_factory=list)
    antibiotics: set[tuple[float, int]] = field(default_factory=set)
    cultures: list[tuple[float, int, bool]] = field(default_factory=list)

    def numbers(self, items: set[int], low: float, high: float) -> dict[float, list[float]]:
        """Believed values of some items, by time."""
        found: dict[float, list[float]] = defaultdict(list)
        for hour, item, value, _ in self.charted:
            if item in items and value is not None and low < value < high:
                found[hour].append(value)
        return found

    def results(self, item: int, high: float = math.inf) -> Series:
        """Values of a laboratory item above 0, by when they were seen."""
        return [(one.seen, one.value) for one in self.labs if one.item == item and one.value and 0 < one.value <= high]


def plain(value: float) -> float:
    """A number in decimals, as it was charted."""
    return round(value, 6)


def mean_pressure(stay: Stay) -> Series:
    return [(at, sum(v) / len(v)) for at, v in sorted(stay.numbers({220052, 220181, 225312}, 0, 300).items())]


def weights(stay: Stay) -> Series:
    daily, admitted = stay.numbers({224639}, 0, 600), stay.numbers({226512}, 0, 600)
    return sorted((at, min(daily.get(at) or admitted[at])) for at in {*daily, *admitted} if at >= -720)


def coma_scale(stay: Stay) -> dict[str, Series]:
    """Total and components; a component that is not charted is carried for less than 6 h from the charting before."""
    rows: dict[float, dict[str, float]] = defaultdict(dict)
    names = {223901: "motor", 223900: "verbal", 220739: "eyes"}
    for hour, item, value, text in stay.charted:
        if item in names and hour >= -48:
            row, name = rows[hour], names[item]
            tube = item == 223900 and text == "No Response-ETT"
            row["unable"] = max(row.get("unable", 0.0), float(tube))
            score = 0.0 if tube else value
            if score is not None:
                row[name] = max(row.get(name, -1.0), score)
    found: dict[str, Series] = defaultdict(list)
    last: tuple[float, dict[str, float]] | None = None
    for hour in sorted(rows):
        row = rows[hour]
        before = last[1] if last and plain(hour - last[0]) < 6 else {}
        parts = {name: row.get(name, before.get(name)) for name in names.values()}
        if parts["verbal"] == 0:
            total = 15.0
        elif before.get("verbal") == 0:
            total = row.get("motor", 6.0) + row.get("verbal", 5.0) + row.get("eyes", 4.0)
        else:
            full = {"motor": 6.0, "verbal": 5.0, "eyes": 4.0}
            total = sum(full[name] if value is None else value for name, value in parts.items())
        found["gcs"].append((hour, total))
        found["gcs_unable"].append((hour, row["unable"]))
        for name, value in parts.items():
            if value is not None:
                found[f"gcs_{name}"].append((hour, value))
        last = (hour, row)
    return found


def oxygen_charted(stay: Stay) -> Series:
    found: dict[float, float] = {}
    for hour, item, value, _ in stay.charted:
        if item == 223835 and value is not None and hour >= -48:
            percent = 100 * value if 0.2 < value <= 1 else value if 20 <= value <= 100 else None
            if percent:
                found[hour] = max(found.get(hour, 0.0), percent)
    return sorted(found.items())


def oxygenation(stay: Stay) -> Series:
    """PaO2/FiO2 of arterial specimens, with the fraction of the gas or the one charted in the 4 h before."""
    specimens: dict[str, list[Lab]] = defaultdict(list)
    for one in stay.labs:
        if one.specimen and one.item in (52033, 50821, 50816):
            specimens[one.specimen].append(one)
    charted, found = oxygen_charted(stay), []
    for rows in specimens.values():
        kinds = sorted((r.seen, r.text) for r in rows if r.item == 52033 and r.text)
        tensions = sorted((r.seen, r.value, r.drawn) for r in rows if r.item == 50821 and r.value and r.value > 0)
        if not kinds or kinds[0][1] != "ART." or not tensions:
            continue
        seen, tension, drawn = tensions[0]
        known = max(kinds[0][0], seen)
        inside = [
            100 * r.value if r.value <= 1 else r.value
            for r in rows
            if r.item == 50816 and r.value and r.seen <= known and (0.2 < r.value <= 1 or 20 <= r.value <= 100)
        ]  # fmt: skip
        earlier = [(at, value) for at, value in charted if at <= drawn]
        near = earlier[-1][1] if earlier and plain(drawn - earlier[-1][0]) <= 4 else None
        fraction = max(inside) if inside else near
        if fraction:
            found.append((known, 100 * tension / fraction))
    return sorted(found)


def status_of(item: int, word: str) -> tuple[str, bool | None] | None:
    """The status that a word means, and whether it says that a ventilator breathes through a tube."""
    if item == 226732:
        told = {"Tracheostomy tube": ("Tracheostomy", None), "Trach mask": ("Tracheostomy", False),
                "Endotracheal tube": ("InvasiveVent", None), "Bipap mask": ("NonInvasiveVent", False),
                "CPAP mask": ("NonInvasiveVent", False), "High flow nasal cannula": ("HFNC", False),
                "None": ("None", False)}  # fmt: skip
        return told.get(word) or (("SupplementalOxygen", False) if word in OXYGEN else None)
    if item == 223849:
        return ("InvasiveVent", True) if word in INVASIVE else None
    if word in HAMILTON:
        return "InvasiveVent", True
    return ("NonInvasiveVent", False) if word in {"DuoPaP", "NIV", "NIV-ST"} else None


def ventilation(stay: Stay) -> list[tuple[float, float, str, bool]]:
    """Start, stop, status, and whether it is respiratory support through a tube."""
    moments: dict[float, list[tuple[str, bool | None]]] = defaultdict(list)
    for hour, item, _, word in stay.charted:
        if item in (226732, 223849, 229314) and hour >= -48 and (told := status_of(item, word)):
            moments[hour].append(told)
    found, order, last = [], sorted(moments), (math.nan, False)
    for place, hour in enumerate(order):
        status = min((one for one, _ in moments[hour]), key=RANKS.index)
        said = [one for _, one in moments[hour] if one is not None]
        if said:
            last = (hour, any(said))
        supported = status == "InvasiveVent" or status == "Tracheostomy" and last[1] and plain(hour - last[0]) <= 14
        following = order[place + 1] if place + 1 < len(order) else math.inf
        found.append((hour, min(following, hour + 14, stay.hours), status, supported))
    return found


def urine(stay: Stay) -> Series:
    found: dict[float, float] = defaultdict(float)
    for hour, item, value in stay.urine:
        if item in URINE and 0 <= value <= 20_000 and hour >= 0:
            found[hour] += -value if item == 227488 else value
    return sorted(found.items())


def urine_rates(stay: Stay) -> dict[str, Series]:
    """Sums of windows and rates by the last weight; a charting stands for the hour before it."""
    charted, scales, found = urine(stay), weights(stay), defaultdict(list)
    beats = [at for at in stay.numbers({220045}, 0, 300) if at >= 0]
    covered, before = {}, min(beats, default=None)
    for place, (at, _) in enumerate(charted):
        start = charted[place - 1][0] if place else min(before, at) if before is not None else at
        covered[at] = at - start
    for at, volume in charted:
        known = [value for when, value in scales if when <= at]
        found["uo"].append((at, volume))
        if known:
            found["weight"].append((at, known[-1]))
        for span in (6, 12, 24):
            window = [(when, value) for when, value in charted if at >= when and plain(at - when) <= span - 1]
            total, hours = sum(value for _, value in window), plain(sum(covered[when] for when, _ in window))
            found[f"urineoutput_{span}hr"].append((at, total))
            if span == 24:
                found["hours"].append((at, hours))
            if known and hours >= span:
                found[f"uo_mlkghr_{span}hr"].append((at, round(total / known[-1] / hours, 4)))
    return found


def creatinine_stages(stay: Stay) -> list[tuple[float, float, float | None, float | None, int]]:
    """Seen, creatinine, the lowest of 48 h and of 7 days, stage."""
    drawn: dict[float, list[Lab]] = defaultdict(list)
    for one in stay.labs:
        if one.item == 50912 and one.value and 0 < one.value <= 150:
            drawn[one.drawn].append(one)
    values = [(at, max(r.seen for r in rows), sum(r.value for r in rows) / len(rows)) for at, rows in drawn.items()]
    found: dict[float, tuple[float, float, float, float | None, float | None, int]] = {}
    for at, seen, value in sorted(values):
        earlier = [(plain(at - a), v) for a, s, v in values if a < at and plain(at - a) <= 168 and s <= seen]
        low_7, low_48 = (
            min((v for _, v in earlier), default=None),
            min((v for d, v in earlier if d <= 48), default=None),
        )
        ratio, rise = plain(value / low_7) if low_7 else 0.0, plain(value - low_48) if low_48 else 0.0
        hurt = ratio >= 1.5 or rise >= 0.3
        stage = 3 if ratio >= 3 or plain(value) >= 4 and hurt else 2 if ratio >= 2 else 1 if hurt else 0
        found[round(seen * 3600)] = (at, seen, value, low_48, low_7, stage)
    return [one[1:] for one in found.values()]


def urine_stages(stay: Stay) -> Series:
    charted, scales, found = urine(stay), weights(stay), []
    length = {at: at - charted[place - 1][0] if place else 1.0 for place, (at, _) in enumerate(charted)}
    for at, _ in charted:
        known, rate = [value for when, value in scales if when <= at], {}
        for span in (6, 12, 24):
            window = [(when, value) for when, value in charted if when <= at and plain(at - when) <= span]
            hours = plain(sum(length[when] for when, _ in window))
            if known and hours >= span and (span > 6 or hours < 12):
                rate[span] = round(sum(value for _, value in window) / known[-1] / hours, 4)
        if 6 in rate:
            least, middle = rate.get(24, math.inf), rate.get(12, math.inf)
            low = 3 if least < 0.3 or middle == 0 else 2 if middle < 0.5 else 1 if rate[6] < 0.5 else 0
            found.append((at, 0 if plain(at) <= 6 else low))
    return found


def kidney_stages(stay: Stay) -> dict[str, Series]:
    """Stages by creatinine, urine and dialysis, the highest of them, and the highest of 6 h."""
    parts = {
        "aki_stage_creat": [(seen, stage) for seen, *_, stage in creatinine_stages(stay)],
        "aki_stage_uo": urine_stages(stay),
        "aki_stage_crrt": sorted(
            {(at, 3) for at, item, _, text in stay.charted if item == 227290 and text and at >= -48}
        ),
    }
    moments: dict[int, float] = {}
    for at in [at for series in parts.values() for at, _ in series] + [at for at, _ in urine(stay)]:
        moments.setdefault(round(at * 3600), 0)
    for series in parts.values():
        for at, stage in series:
            moments[round(at * 3600)] = max(moments[round(at * 3600)], stage)
    highest = sorted(moments.items())
    smoothed = [(at / 3600, max(v for a, v in highest if at - 21600 <= a <= at)) for at, _ in highest]
    return {**parts, "aki_stage": [(at / 3600, v) for at, v in highest], "aki_stage_smoothed": smoothed}


def vasoactive(stay: Stay) -> dict[str, list[tuple[float, float, float]]]:
    """Start, stop, rate of each drug; concurrent pumps are added, a change of the bag counts once."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for drug in {one[2] for one in stay.drips}:
        bags = sorted((began, stop, rate, new) for began, stop, name, rate, new in stay.drips if name == drug)
        silent: dict[int, float] = {}
        for began, _, rate, new in bags:
            older = [p for p, o in enumerate(bags) if o[0] < began < o[1] and abs(plain(rate / o[2]) - 1) <= 0.01]
            if new and older:
                silent[older[0]] = min(silent.get(older[0], math.inf), began)
        pieces: list[tuple[float, float, float]] = []
        for place, (began, stop, rate, _) in enumerate(bags):
            moment = silent.get(place)
            if moment is None:
                pieces.append((max(began, 0), stop, rate))
                continue
            again = stop if plain(stop - moment) <= 0.5 else max(moment, math.floor(plain(moment + 0.5)))
            pieces += [(max(began, 0), moment, rate), (max(again, 0), stop, rate)]
        found[drug] = added([piece for piece in pieces if piece[1] > piece[0]])
    return found


def added(pieces: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    edges = sorted({edge for start, stop, _ in pieces for edge in (start, stop)})
    spans = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        rates = sorted(rate for a, b, rate in pieces if a <= start and b >= stop)
        if rates:
            spans.append((start, stop, sum(rates)))
    return spans


def grade(value: float | None, bounds: tuple[float, ...], low: bool) -> int:
    """How many of some bounds a value lies below (or reaches), 0 for nothing."""
    if value is None:
        return 0
    return sum(plain(value) < bound if low else plain(value) >= bound for bound in bounds)


def sofa(stay: Stay) -> dict[str, dict[int, int]]:
    """The six parts and their sum at the end of every hour, each part the worst of 24 h."""
    last, breathing, doses, rates = math.ceil(plain(stay.hours)), ventilation(stay), vasoactive(stay), urine_rates(stay)
    gases: dict[bool, Series] = {True: [], False: []}
    for at, ratio in oxygenation(stay):
        gases[any(s and plain(at - a) >= 0 and plain(b - at) > 0 for a, b, _, s in breathing)].append((at, ratio))
    sums = zip(rates.get("urineoutput_24hr", []), rates.get("hours", []), strict=True)
    day = [(at, volume / hours * 24) for (at, volume), (_, hours) in sums if 22 <= hours <= 30]
    pressure, coma = mean_pressure(stay), coma_scale(stay).get("gcs", [])
    hourly: dict[str, dict[int, int]] = defaultdict(dict)
    for hour in range(-24, last):
        helped, free = least(gases[True], hour, min), least(gases[False], hour, min)
        best = min((one for one in (helped, free) if one is not None), default=None)
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
    for hour, day in stay.antibiotics:
        before, after = [], False
        for at, drawn, exact in stay.cultures:
            if 0 < plain(hour - at) <= 72 if exact else 0 <= day - drawn <= 3:
                before.append((drawn, not exact, at))
            after |= 0 < plain(at - hour) <= 24 if exact else 0 <= drawn - day <= 1
        if before or after:
            suspected.add(min(before)[2] if before else hour)
    met = [h for h, points in score.items() if points >= 2 and any(-48 <= plain(h + 1 - s) <= 24 for s in suspected)]
    return min(met, default=None)
