"""What is said at the end of a run: its answers and headline figures, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from jepa_core.results.findings import Findings, Side
from jepa_core.results.record import RunRecord
from jepa_core.results.text import interval, number, sentence_case, with_unit
from jepa_core.results.wording import in_words_of

Row = tuple[str, str, str, bool]
"""What was measured, its value, what it is better or worse than; and whether it is grey."""


def ending(record: RunRecord) -> Table:
    """The table; what too few positives stand behind is dim."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("found", overflow="fold", ratio=3)
    table.add_column("value (95 % interval)", overflow="fold", ratio=3)
    table.add_column("gain over others", overflow="fold", ratio=4)
    order = [str(name) for name in record.plan.get("evaluators", [])]
    named = [name for name in order if name in record.findings]
    for name in [*named, *sorted(set(record.findings) - set(named))]:
        table.add_row(sentence_case(name), style="bold")
        for asked, value, gains, thin in _rows(in_words_of(record.findings[name], record.noun)):
            table.add_row(f"  {asked}", value, gains, style="dim" if thin else "")
    return table


def _rows(findings: Findings) -> Iterator[Row]:
    """Answers where there are some, else headline figures."""
    for claim in findings.claims:
        ours, *others = claim.compared
        value = _value(ours.value, ours.low, ours.high, claim.unit)
        grey = claim.is_thin or ours.value is None
        yield claim.about, f"{claim.measure} {value}", "; ".join(map(_gain, others)), grey
    for headline in () if findings.claims else findings.headlines:
        value = _value(headline.value, headline.low, headline.high, headline.unit)
        yield headline.label, value, "", headline.is_thin or headline.value is None


def _value(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    bounds = interval(low, high)
    return with_unit(number(value), unit) + (f" ({bounds})" if bounds else "")


def _gain(other: Side) -> str:
    if other.gain is None:
        return f"– over {other.words}"
    sign = "+" if other.gain > 0 else ""
    bounds = interval(other.gain_low, other.gain_high)
    return f"{sign}{number(other.gain)}{f' ({bounds})' if bounds else ''} over {other.words}"
