"""Findings in short: their answers, else their headline figures, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jepa_core.results.findings import Findings, Side
from jepa_core.results.text import estimate, with_unit, words

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class ShortRow:
    """about: what was measured. value: with its interval and unit. measure: of what kind the value is; empty where
    `about` says it. gains: how much better it is than what it is compared with, and what that is. is_thin: too few
    stand behind it."""

    about: str
    value: str
    measure: str = ""
    gains: tuple[tuple[str, str], ...] = ()
    is_thin: bool = False


def in_short(findings: Findings) -> Iterator[ShortRow]:
    """Answers where there are some, else headline figures."""
    for claim in findings.claims:
        ours, *others = claim.compared
        if ours.value is None:
            yield ShortRow(claim.about, NOT_MEASURED, is_thin=True)
            continue
        value = _value(ours.value, ours.low, ours.high, claim.unit)
        gains = tuple((_gain(other, ours.value), f"over {other.words}") for other in others)
        yield ShortRow(claim.about, value, claim.measure, gains, claim.is_thin)
    for headline in () if findings.claims else findings.headlines:
        unmeasured = headline.value is None
        value = NOT_MEASURED if unmeasured else _value(headline.value, headline.low, headline.high, headline.unit)
        yield ShortRow(words(headline.label), value, is_thin=headline.is_thin or unmeasured)


def _value(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    told, bounds = estimate(value, low, high)
    return with_unit(told, unit) + (f" ({bounds})" if bounds else "")


def _gain(other: Side, ours: float | None) -> str:
    if other.gain is None:
        return "–"
    told, bounds = estimate(other.gain, other.gain_low, other.gain_high, beside=ours)
    sign = "+" if other.gain > 0 and told != "0" else ""
    return f"{sign}{told}{f' ({bounds})' if bounds else ''}"
