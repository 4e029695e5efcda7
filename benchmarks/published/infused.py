"""Amounts of what was infused or pushed, hour by hour, and the rates of pumps; lines and other procedures.

What a row delivers in an hour is its rate in the unit of its amount, or where these do not meet its amount over its
length. MIMIC Code Repository, concepts/treatment/invasive_line.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from published.stay import Entry, Given, Procedure, Stay, hours_of

AT_ONCE = {"Drug Push", "Bolus", "Non Iv Meds"}
MILLIGRAMS = {"g": 1000.0, "grams": 1000.0, "gm": 1000.0, "mg": 1.0, "mcg": 1e-3, "ng": 1e-6}
HOURLY = {"min": 60.0, "hour": 1.0, "hr": 1.0, "day": 1 / 24}
LINES = {227719, 225752, 224269, 224267, 224270, 224272, 226124, 228169, 225202, 228286, 225204, 224263, 224560, 224264,
         225203, 224273, 225789, 225761, 228201, 228202, 224268, 225199, 225315, 225205}  # fmt: skip
KINDS = {
    "Arterial Line": "Arterial", "A-Line": "Arterial", "CCO PA Line": "Continuous Cardiac Output PA",
    "CCO PAC": "Continuous Cardiac Output PA", "Dialysis Catheter": "Dialysis", "Dialysis Line": "Dialysis",
    "Tunneled (Hickman) Line": "Hickman", "IABP line": "IABP", "Multi-lumen": "Multi Lumen", "PA Catheter": "PA",
    "PA line": "PA", "PICC Line": "PICC", "PICC line": "PICC", "Pre-Sep Catheter": "Pre-Sep",
    "Presep Catheter": "Pre-Sep", "Trauma Line": "Trauma", "Trauma line": "Trauma",
    "TripleIntroducer": "Triple Introducer", "Indwelling Port (PortaCath)": "Portacath",
}  # fmt: skip
SITES = {
    f"{side} {charted}": f"{side} {meant}"
    for side in ("Left", "Right")
    for charted, meant in (("Antecub", "Antecube"), ("Axilla.", "Axilla"), ("Brachial.", "Brachial"),
                           ("Femoral.", "Femoral"))
}  # fmt: skip

Events = Iterator[tuple[int, str, Entry]]
"""Hour, channel, what it says."""


def unit_factor(per: str, unit: str) -> tuple[float, bool] | None:
    """What one unit of a rate delivers in an hour, in the unit of the amount, and whether it is per kg."""
    quantity, *rest = (part.strip().lower().rstrip(".") for part in per.split("/"))
    per_kg, wanted = rest[:1] == ["kg"], unit.strip().lower().rstrip(".")
    time = rest[1:] if per_kg else rest
    if len(time) != 1 or time[0] not in HOURLY:
        return None
    if quantity in MILLIGRAMS and wanted in MILLIGRAMS:
        return MILLIGRAMS[quantity] / MILLIGRAMS[wanted] * HOURLY[time[0]], per_kg
    return (HOURLY[time[0]], per_kg) if quantity == wanted else None


def per_hour(one: Given) -> float | None:
    """What a row delivers in an hour, None where nobody can tell."""
    meet = unit_factor(one.per, one.unit)
    if one.rate is not None and meet is not None and (not meet[1] or one.weight):
        return one.rate * meet[0] * ((one.weight or 1.0) if meet[1] else 1.0)
    return one.amount / one.uncut if one.amount is not None and one.uncut else None


def infused(stay: Stay) -> Events:
    for dose in stay.given:
        channel = f"inputevents/{dose.label}"
        amount = f"{channel} [{dose.unit}]" if dose.unit else channel
        pumped = f"{channel}/rate [{dose.per}]" if dose.per and (dose.rate or 0) > 0 else None
        for hour, delivered in delivered_by_hour(dose):
            yield hour, amount, (delivered, "" if pumped else dose.category)
            if pumped and dose.rate is not None:
                yield hour, pumped, (dose.rate, dose.category)


def delivered_by_hour(one: Given) -> Iterator[tuple[int, float]]:
    if one.stop is None or one.category in AT_ONCE:
        if one.began >= 0 and (one.amount or 0) > 0:
            yield hours_of(one.began, one.began)[0], one.amount or 0.0
        return
    rate, start = per_hour(one), max(one.began, 0)
    if rate and rate > 0 and one.stop > start:
        for hour in hours_of(start, one.stop):
            yield hour, rate * (min(one.stop, hour + 1) - max(start, hour))


def done(stay: Stay) -> dict[str, dict[int, set[Entry]]]:
    """Procedures and invasive lines in the hours that they last, each kind once."""
    by_channel: dict[str, dict[int, set[Entry]]] = defaultdict(lambda: defaultdict(set))
    for procedure in stay.procedures:
        told = {
            f"procedureevents/{procedure.label}": procedure.category,
            **(line(procedure) if procedure.item in LINES else {}),
        }
        for channel, words in told.items():
            for hour in hours_of(procedure.start, procedure.stop):
                by_channel[channel][hour].add((math.nan, words))
    return by_channel


def line(one: Procedure) -> dict[str, str]:
    told = {"invasive_line/line_type": KINDS.get(one.label, one.label)}
    return told | ({"invasive_line/line_site": SITES.get(one.site, one.site)} if one.site else {})
