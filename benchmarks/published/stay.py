"""The raw rows of a stay, and what definitions ask of numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

Series = list[tuple[float, float]]
"""(hour, value)"""
Words = list[tuple[float, str]]
"""(hour, what was said)"""
Entry = tuple[float, str]
"""What an event says: a number or NaN, and words or nothing."""
Span = tuple[float, float, Entry]
"""Something that lasts: start, stop, what."""
LOOK_BACK = 48
"""Hours before admission from which chartings are read."""


@dataclass(frozen=True)
class Lab:
    """A laboratory result: when it was seen and drawn, and what it says."""

    seen: float
    drawn: float
    item: int
    value: float | None
    text: str
    specimen: str


@dataclass(frozen=True)
class Given:
    """A row of what was infused or pushed. stop: None where it does not lie after the start; uncut: the hours that the
    row lasts, None likewise. new: no part of a linked order that ran before."""

    began: float
    stop: float | None
    uncut: float | None
    item: int
    label: str
    amount: float | None
    unit: str
    rate: float | None
    per: str
    category: str
    weight: float | None
    new: bool


@dataclass(frozen=True)
class Procedure:
    """What was done from start to stop, or lay there. counted: whether the row has a value."""

    start: float
    stop: float
    item: int
    label: str
    site: str
    category: str
    counted: bool


@dataclass(frozen=True)
class Order:
    """A drug order. hour: from when on it is shown. day: of its start."""

    hour: float
    begins: float
    day: int
    drug: str
    kind: str
    route: str
    unit: str
    dose: str
    strength: str


@dataclass
class Person:
    """Who it is. earlier: codes (version, code) of the admissions that ended before this one began, None where there
    was none."""

    age: int = 0
    gender: str = ""
    race: str = ""
    earlier: set[tuple[str, str]] | None = None


@dataclass
class Stay:
    """The raw rows of one stay. charted: (hour, item, value, text). urine: (hour, item, mL). administered: (hour, drug,
    event). cultures: (hour, day, known to the minute)."""

    hours: float
    person: Person = field(default_factory=Person)
    charted: list[tuple[float, int, float | None, str]] = field(default_factory=list)
    labs: list[Lab] = field(default_factory=list)
    urine: list[tuple[float, int, float]] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    procedures: list[Procedure] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    administered: list[tuple[float, str, str]] = field(default_factory=list)
    cultures: list[tuple[float, int, bool]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return max(1, math.ceil(plain(self.hours)))

    def numbers(self, items: set[int], low: float, high: float) -> dict[float, list[float]]:
        """Believed values of some items, by time."""
        by_hour: dict[float, list[float]] = defaultdict(list)
        for hour, item, value, _ in self.charted:
            if item in items and value is not None and low < value < high:
                by_hour[hour].append(value)
        return by_hour

    def results(self, item: int, high: float = math.inf) -> Series:
        """Values of a laboratory item above 0, by when they were seen."""
        return [(lab.seen, lab.value) for lab in self.labs if lab.item == item and lab.value and 0 < lab.value <= high]


def plain(value: float) -> float:
    """A number in decimals, as it was charted."""
    return round(value, 6)


def hours_of(start: float, stop: float) -> range:
    """The hours of the stay that something touches; a moment touches its own."""
    first = math.floor(plain(start))
    return range(max(first, 0), max(math.ceil(plain(stop)), first + 1))
