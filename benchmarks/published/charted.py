"""What is read of chartings as it stands: vital signs, rhythm, oxygen, height, weight, ventilator, continuous dialysis.

Items, bounds and merging: MIMIC Code Repository, concepts measurement/{vitalsign,rhythm,oxygen_delivery,height,
ventilator_setting}, demographics/weight_durations, treatment/crrt; bounds that it lacks are those that
docs/mimic-iv.md and the product's concepts.py call ours.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from published.stay import Series, Stay, Words, plain

DAY, MONTH = 24, 720
LAB_COPIES = {220621, 226537}
"""Chartings that repeat a laboratory result, under the time of its specimen."""


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@dataclass(frozen=True)
class Reading:
    """A number of a channel. items: with what turns a value of each into the channel's unit, None for one that is not
    believed. The first item that was charted counts where `first`. lasts: hours for which one from before admission is
    known."""

    items: dict[int, Callable[[float], float | None]]
    merge: Callable[[list[float]], float] = max
    lasts: int = 0
    first: bool = False


def inside(low: float, high: float, scale: float = 1, shift: float = 0) -> Callable[[float], float | None]:
    """Strictly between two bounds."""
    return lambda value: (value + shift) * scale if low < value < high else None


def upto(high: float) -> Callable[[float], float | None]:
    """Above 0, up to a bound."""
    return lambda value: value if 0 < value <= high else None


def from_to(low: float, high: float) -> Callable[[float], float | None]:
    return lambda value: value if low <= value <= high else None


def oxygen(value: float) -> float | None:
    """A fraction, or percent."""
    return 100 * value if 0.2 < value <= 1 else value if 20 <= value <= 100 else None


def each(believed: Callable[[float], float | None], *items: int) -> dict[int, Callable[[float], float | None]]:
    return dict.fromkeys(items, believed)


ARTERIAL = {"sbp": (220050, 225309), "dbp": (220051, 225310), "mbp": (220052, 225312)}
CUFF = {"sbp": 220179, "dbp": 220180, "mbp": 220181}
HIGHEST = {"sbp": 400, "dbp": 300, "mbp": 300}
NUMBERS: dict[str, Reading] = {
    "vitalsign/heart_rate": Reading(each(inside(0, 300), 220045), mean),
    "vitalsign/resp_rate": Reading(each(inside(0, 70), 220210, 224690), mean),
    "vitalsign/temperature": Reading({223761: inside(70, 120, 5 / 9, -32), 223762: inside(10, 50)}, mean),
    "vitalsign/spo2": Reading(each(upto(100), 220277), mean),
    "vitalsign/glucose": Reading(each(upto(10_000), 225664, 220621, 226537), mean),
    "oxygen_delivery/o2_flow": Reading(each(upto(100), 223834, 227582), lasts=DAY),
    "oxygen_delivery/o2_flow_additional": Reading(each(upto(100), 227287), lasts=DAY),
    "height/height": Reading(
        {226730: inside(120, 230), 226707: inside(120 / 2.54, 230 / 2.54, 2.54)}, min, MONTH, first=True
    ),
    "weight/weight": Reading({224639: inside(0, 600), 226512: inside(0, 600)}, min, MONTH, first=True),
}
NUMBERS |= {
    f"vitalsign/{name}": Reading(each(inside(0, HIGHEST[name]), *ARTERIAL[name], CUFF[name]), mean) for name in CUFF
}
NUMBERS |= {f"vitalsign/{name}_ni": Reading(each(inside(0, HIGHEST[name]), CUFF[name]), mean) for name in CUFF}
SET = {
    "fio2": each(oxygen, 223835),
    "peep": each(from_to(0, 100), 220339, 224700),
    "tidal_volume_set": each(upto(3000), 224684),
    "respiratory_rate_set": each(from_to(0, 100), 224688),
    "flow_rate": each(upto(200), 224691),
}
MEASURED = {
    "plateau_pressure": each(upto(100), 224696),
    "tidal_volume_observed": each(upto(3000), 224685),
    "tidal_volume_spontaneous": each(upto(3000), 224686),
    "respiratory_rate_total": each(from_to(0, 100), 224690),
    "respiratory_rate_spontaneous": each(from_to(0, 100), 224689),
    "minute_volume": each(upto(60), 224687),
}
NUMBERS |= {f"ventilator_setting/{name}": Reading(items, lasts=DAY) for name, items in SET.items()}
NUMBERS |= {f"ventilator_setting/{name}": Reading(items) for name, items in MEASURED.items()}
FLOWS = {
    "blood_flow": 224144, "dialysate_rate": 224154, "citrate": 228004, "heparin_dose": 224145,
    "prefilter_replacement_rate": 228005, "postfilter_replacement_rate": 228006, "replacement_rate": 224153,
    "ultrafiltrate_output": 226457,
}  # fmt: skip
PRESSURES = {"access_pressure": 224149, "effluent_pressure": 224151, "filter_pressure": 224150,
             "return_pressure": 224152}  # fmt: skip
BALANCES = {"current_goal": 225183, "hourly_patient_fluid_removal": 224191}
for lowest, named in ((0, FLOWS), (-1000, PRESSURES), (-20_000, BALANCES)):
    NUMBERS |= {f"crrt/{name}": Reading(each(from_to(lowest, 20_000), item)) for name, item in named.items()}

WORDS: dict[str, tuple[int, int]] = {
    "rhythm/heart_rhythm": (220048, DAY),
    "rhythm/ectopy_type": (224650, DAY),
    "rhythm/ectopy_frequency": (224651, DAY),
    "oxygen_delivery/o2_delivery_device": (226732, DAY),
    "ventilator_setting/ventilator_mode": (223849, DAY),
    "ventilator_setting/ventilator_mode_hamilton": (229314, DAY),
    "crrt/crrt_mode": (227290, 0),
    "crrt/dialysate_fluid": (225977, 0),
    "crrt/heparin_concentration": (225958, 0),
    "crrt/replacement_fluid": (225976, 0),
}
"""Channels of words: the item, and for how long one from before admission is known."""
COMA = {223901, 223900, 220739}
ITEMS = {item for number in NUMBERS.values() for item in number.items} | {item for item, _ in WORDS.values()} | COMA
LASTS = {item: number.lasts for number in NUMBERS.values() for item in number.items if number.lasts}


def numbers(stay: Stay, channel: str) -> Series:
    """Readings of a channel, one for each time."""
    reading = NUMBERS[channel]
    by_hour: dict[float, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for hour, item, value, _ in stay.charted:
        if item in reading.items and value is not None:
            told = reading.items[item](value)
            if told is not None:
                by_hour[hour][item].append(told)
    series = []
    for hour, by_item in sorted(by_hour.items()):
        chosen = next(item for item in reading.items if item in by_item)
        values = by_item[chosen] if reading.first else [value for values in by_item.values() for value in values]
        series.append((hour, reading.merge(values)))
    return series


def words(stay: Stay, channel: str) -> Words:
    item = WORDS[channel][0]
    return sorted({(hour, text) for hour, code, _, text in stay.charted if code == item and text})


def weight_types(stay: Stay) -> Words:
    """Whether a weight was taken that day, or at admission."""
    daily = {hour for hour, item, value, _ in stay.charted if item == 224639 and value is not None and 0 < value < 600}
    return [(hour, "daily" if hour in daily else "admit") for hour, _ in numbers(stay, "weight/weight")]


def integrity(stay: Stay) -> dict[str, Series]:
    """The circuit of continuous dialysis, from the words of one item; the largest of several."""
    told = {
        "Active": ("system_active", 1), "Initiated": ("system_active", 1), "Reinitiated": ("system_active", 1),
        "New Filter": ("system_active", 1), "Recirculating": ("system_active", 0), "Discontinued": ("system_active", 0),
        "Clots Present": ("clots", 1), "No Clot Present": ("clots", 0), "Clots Increasing": ("clots_increasing", 1),
        "Clot Increasing": ("clots_increasing", 1), "Clotted": ("clotted", 1),
    }  # fmt: skip
    by_channel: dict[str, dict[float, float]] = defaultdict(dict)
    for hour, item, _, text in stay.charted:
        if item == 224146 and hour >= 0 and text in told:
            name, value = told[text]
            by_channel[f"crrt/{name}"][hour] = max(by_channel[f"crrt/{name}"].get(hour, 0), value)
    return {name: sorted(series.items()) for name, series in by_channel.items()}


def shown(series: list[tuple[float, float]] | list[tuple[float, str]], lasts: float) -> list[tuple[float, float | str]]:
    """What the hours of the stay show: those of the stay, and the last from before it for as long as it lasts."""
    before = [at for at, _ in series if at < 0 and plain(at + lasts) >= 0]
    last = max(before, default=math.inf)
    return [(at, told) for at, told in series if at >= 0 or at == last]
