"""Readings at the bedside that are put together: coma scale, mean pressure, ventilation.

MIMIC Code Repository, concepts measurement/gcs and treatment/ventilation; Vincent 1996 for who is supported.
"""

from __future__ import annotations

import math
from collections import defaultdict

from published.charted import numbers
from published.stay import LOOK_BACK, Series, Stay, plain

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


def mean_pressure(stay: Stay) -> Series:
    return numbers(stay, "vitalsign/mbp")


def weights(stay: Stay) -> Series:
    return numbers(stay, "weight/weight")


def coma_scale(stay: Stay) -> dict[str, Series]:
    """Total and components; a component that is not charted is carried for less than 6 h from the charting before."""
    rows: dict[float, dict[str, float]] = defaultdict(dict)
    names = {223901: "motor", 223900: "verbal", 220739: "eyes"}
    for hour, item, value, text in stay.charted:
        if item in names and hour >= -LOOK_BACK:
            row, name = rows[hour], names[item]
            tube = item == 223900 and text == "No Response-ETT"
            row["unable"] = max(row.get("unable", 0.0), float(tube))
            score = 0.0 if tube else value
            if score is not None:
                row[name] = max(row.get(name, -1.0), score)
    by_channel: dict[str, Series] = defaultdict(list)
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
        by_channel["gcs"].append((hour, total))
        by_channel["gcs_unable"].append((hour, row["unable"]))
        for name, value in parts.items():
            if value is not None:
                by_channel[f"gcs_{name}"].append((hour, value))
        last = (hour, row)
    return by_channel


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
        if item in (226732, 223849, 229314) and hour >= -LOOK_BACK and (told := status_of(item, word)):
            moments[hour].append(told)
    statuses, order, last = [], sorted(moments), (math.nan, False)
    for index, hour in enumerate(order):
        status = min((candidate for candidate, _ in moments[hour]), key=RANKS.index)
        said = [spoken for _, spoken in moments[hour] if spoken is not None]
        if said:
            last = (hour, any(said))
        supported = status == "InvasiveVent" or status == "Tracheostomy" and last[1] and plain(hour - last[0]) <= 14
        following = order[index + 1] if index + 1 < len(order) else math.inf
        statuses.append((hour, min(following, hour + 14, stay.hours), status, supported))
    return statuses
