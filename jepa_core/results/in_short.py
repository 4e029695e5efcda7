"""Findings in short: their answers, else their headline figures, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.results.findings import Findings, Side
from jepa_core.results.text import interval, number, with_unit

ShortRow = tuple[str, str, str, bool]
"""What was measured, its value, what it is better or worse than; and whether it is grey."""
NOT_MEASURED = "not measured"


def in_short(findings: Findings) -> Iterator[ShortRow]:
    """Answers where there are some, else headline figures."""
    for claim in findings.claims:
        ours, *others = claim.compared
        if ours.value is None:
            yield claim.about, NOT_MEASURED, "", True
            continue
        value = _value(ours.value, ours.low, ours.high, claim.unit)
        yield claim.about, f"{claim.measure} {value}", "; ".join(map(_gain, others)), claim.is_thin
    for headline in () if findings.claims else findings.headlines:
        unmeasured = headline.value is None
        value = NOT_MEASURED if unmeasured else _value(headline.value, headline.low, headline.high, headline.unit)
        yield headline.label, value, "", headline.is_thin or unmeasured


def _value(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    bounds = interval(low, high)
    return with_unit(number(value), unit) + (f" ({bounds})" if bounds else "")


def _gain(other: Side) -> str:
    if other.gain is None:
        return f"– over {other.words}"
    sign = "+" if other.gain > 0 else ""
    bounds = interval(other.gain_low, other.gain_high)
    return f"{sign}{number(other.gain)}{f' ({bounds})' if bounds else ''} over {other.words}"
