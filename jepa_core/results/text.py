"""Values in words and digits that a person reads."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

MISSING = "–"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ROUNDING = 1e-12
"""Share of a value below which what it differs by is that of sums in another order."""


def number(value: int | float | None, digits: int = 3) -> str:
    """A number with so many significant digits, but never with a digit before the point left out."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == int(value):
        return f"{int(value):,}".replace("-", "−")
    exponent = int(f"{value:.{max(0, digits - 1)}e}".split("e")[1])
    if exponent < -4:
        factor = value / 10.0**exponent
        return f"{factor:.{max(0, digits - 1)}f}×10{str(exponent).translate(SUPERSCRIPTS)}".replace("-", "−")
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def alike(*values: float | None, digits: int = 3, beside: float | None = None) -> list[str]:
    """A value and its bounds with the same decimals, as many as the largest needs, or up to two more where two that
    differ would be told as one, if that leaves something of each; whole numbers have none. beside: what they are a
    difference of, which counts as one of them; less than its rounding is none."""
    values = tuple(0.0 if value and abs(value) < ROUNDING * abs(beside or 0) else value for value in values)
    parts = [value for value in values if value is not None and math.isfinite(value) and value != int(value)]
    largest = max(map(abs, [*parts, *([beside] if parts and beside else [])]), default=1)
    decimals = max(0, digits - 1 - math.floor(math.log10(largest)))
    least, most = min(parts, default=0), max(parts, default=0)
    for _ in range(2):
        decimals += least != most and round(least, decimals) == round(most, decimals)
    if largest < 1e-4 or any(round(value, decimals) == 0 for value in parts):
        return [number(value, digits) for value in values]
    return [f"{value:,.{decimals}f}".replace("-", "−") if value in parts else number(value, digits) for value in values]


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Bounds of an interval; empty if there is none."""
    return "" if low is None or high is None else " to ".join(alike(low, high, digits=digits))


def estimate(
    value: float | None, low: float | None, high: float | None, digits: int = 3, beside: float | None = None
) -> tuple[str, str]:
    """A value and the bounds of its interval, all with the same decimals; bounds are empty if there is none. beside:
    of a difference, the value that it is told beside."""
    if low is None or high is None:
        return alike(value, digits=digits, beside=beside)[0], ""
    told, *bounds = alike(value, low, high, digits=digits, beside=beside)
    return told, " to ".join(bounds)


def with_unit(value: str, unit: str) -> str:
    return f"{value}\u00a0{unit}" if unit and value != MISSING else value


def plural(noun: str) -> str:
    """The plural of a noun; one that ends in s, such as `series`, is its own."""
    if noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it is not one."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def listed(names: Sequence[str]) -> str:
    """Several names in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def words(name: str) -> str:
    """A key or a component's name as words."""
    return name.replace("_", " ")


def sentence_case(name: str) -> str:
    """The name or text as a sentence begins; a symbol such as `h = 12` keeps its letter."""
    said = words(name)
    return said if said[1:4] == " = " else said[:1].upper() + said[1:]


def duration(seconds: float) -> str:
    """A time span in the unit that suits it."""
    if seconds < 60:
        return f"{number(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def memory(size: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{number(size)} {unit}"
        size /= 1024
    return f"{number(size)} GiB"


def operations(count: float) -> str:
    """Floating-point operations in the unit that suits them."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 1000:
            return f"{number(count)} {unit}FLOP"
        count /= 1000
    return f"{number(count)} PFLOP"


def without_unit(key: str) -> str:
    """A key as words, less the unit that `value_of` writes beside the value."""
    named = {"seconds": "time", "peak_bytes": "peak memory", "bytes": "size"}
    return named.get(key) or words(key.removesuffix("_bytes").removesuffix("_seconds"))


def value_of(key: str, value: Any) -> str:
    """A recorded value, read by its key: `..._bytes` and `...seconds` have a unit."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if key.endswith("bytes"):
            return memory(value)
        if key == "flops":
            return operations(value)
        return duration(value) if key.endswith("seconds") else number(value)
    if isinstance(value, list):
        return ", ".join(value_of("", item) for item in value) or MISSING
    if isinstance(value, dict):
        return ", ".join(f"{without_unit(inner)} {value_of(inner, item)}" for inner, item in value.items()) or MISSING
    return str(value)
