"""Vasoactive drugs and neuromuscular blockers by dose. MIMIC Code Repository, concepts/medication; Goradia 2020."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace

from published.stay import Given, Stay, plain

DRUGS = {
    221906: "norepinephrine", 221289: "epinephrine", 229617: "epinephrine", 221662: "dopamine", 221653: "dobutamine",
    221749: "phenylephrine", 229630: "phenylephrine", 229631: "phenylephrine", 229632: "phenylephrine",
    222315: "vasopressin", 221986: "milrinone",
}  # fmt: skip
BLOCKERS = {222062: "vecuronium", 221555: "cisatracurium"}
FACTORS = {"norepinephrine": 1.0, "epinephrine": 1.0, "phenylephrine": 0.1, "dopamine": 0.01, "vasopressin": 2.5 / 60}

Rates = list[tuple[float, float, float]]
"""Start, stop, rate."""


@dataclass(frozen=True)
class Bag:
    """A drug from began to stop at a dose. weight: kg, NaN where none is named."""

    began: float
    stop: float
    dose: float
    weight: float
    new: bool


def dose_of(one: Given, drug: str) -> float | None:
    """mcg/kg/min, vasopressin in units/hour; None in a unit that is not read."""
    rate, weight = one.rate or 0.0, one.weight or math.nan
    if drug == "vasopressin":
        return {"units/hour": rate, "units/min": rate * 60}.get(one.per)
    told = {
        "mcg/kg/min": rate, "mg/kg/min": rate if weight == 1 else rate * 1000, "mcg/min": rate / weight,
        "mg/min": rate * 1000 / weight, "mg/hour": rate * 1000 / 60 / weight,
    }  # fmt: skip
    if one.item in BLOCKERS:
        told |= {"mcg/kg/hour": rate / 60, "mg/kg/hour": rate * 1000 / 60}
    dose = told.get(one.per, math.nan)
    return None if math.isnan(dose) else dose


def bags(stay: Stay, items: dict[int, str]) -> dict[str, list[Bag]]:
    """Bags of each drug as they are charted, the first begun first."""
    bags_of: dict[str, list[Bag]] = defaultdict(list)
    for given in stay.given:
        drug = items.get(given.item)
        if drug and given.stop is not None and given.stop > max(given.began, 0) and (given.rate or 0) > 0:
            dose = dose_of(given, drug)
            if dose is not None:
                bags_of[drug].append(Bag(given.began, given.stop, dose, given.weight or math.nan, given.new))
    return {
        drug: sorted(bags_of_drug, key=lambda bag: (bag.began, bag.stop, bag.dose))
        for drug, bags_of_drug in bags_of.items()
    }


def counted(charted: list[Bag]) -> list[Bag]:
    """What counts of the bags of one drug: at a change the old one no more, once the new one has begun."""
    silent: dict[int, float] = {}
    for bag in charted:
        older = [
            position
            for position, dose in enumerate(charted)
            if dose.began < bag.began < dose.stop and abs(plain(bag.dose / dose.dose) - 1) <= 0.01
        ]
        if bag.new and older:
            silent[older[0]] = min(silent.get(older[0], math.inf), bag.began)
    pieces: list[Bag] = []
    for index, bag in enumerate(charted):
        moment = silent.get(index)
        if moment is None:
            pieces.append(bag)
            continue
        again = bag.stop if plain(bag.stop - moment) <= 0.5 else max(moment, math.floor(plain(moment + 0.5)))
        pieces += [replace(bag, stop=moment), replace(bag, began=again)]
    inside = [replace(piece, began=max(piece.began, 0)) for piece in pieces]
    return [piece for piece in inside if piece.stop > piece.began]


def vasoactive(stay: Stay) -> dict[str, Rates]:
    """Rates of each drug; concurrent pumps are added."""
    return {
        drug: added([(bag.began, bag.stop, bag.dose) for bag in counted(bags_of_drug)])
        for drug, bags_of_drug in bags(stay, DRUGS).items()
    }


def equivalent(stay: Stay) -> Rates:
    """All pressors as one dose of norepinephrine, to four decimals."""
    pieces = [
        (start, stop, rate * FACTORS[drug])
        for drug, spans in vasoactive(stay).items()
        if drug in FACTORS
        for start, stop, rate in spans
    ]
    return [(start, stop, round(dose, 4)) for start, stop, dose in added(pieces)]


def blockers(stay: Stay) -> list[Bag]:
    """Neuromuscular blockers, as they run."""
    return [bag for bags_of_drug in bags(stay, BLOCKERS).values() for bag in counted(bags_of_drug)]


def added(pieces: Rates) -> Rates:
    edges = sorted({edge for start, stop, _ in pieces for edge in (start, stop)})
    spans = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        rates = sorted(rate for a, b, rate in pieces if a <= start and b >= stop)
        if rates:
            spans.append((start, stop, sum(rates)))
    return spans
