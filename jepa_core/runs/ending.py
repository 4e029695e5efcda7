"""What is said at the end of a run: its answers and headline figures, as a table."""

from __future__ import annotations

from rich.table import Table

from jepa_core.results.in_short import ShortRow, in_short
from jepa_core.results.record import RunRecord
from jepa_core.results.text import sentence_case
from jepa_core.results.wording import in_words_of

FIGURES = 44
"""Columns of a narrow screen that figures take, with the first of their words; the names beside them are cut first."""


def ending(record: RunRecord, width: int) -> Table:
    """The table on a screen of so many columns: figures stand before words, which are cut where there is no room. What
    too few positives stand behind is dim."""
    evaluated = [
        (sentence_case(name), list(in_short(in_words_of(findings, record.noun))))
        for name, findings in record.in_order()
    ]
    longest = max((len(row.about) + 2 for _, rows in evaluated for row in rows), default=0)
    names = max(min(longest, width - FIGURES - 2), len("found"))
    figures = max(width - names - 2, 1)
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("found", no_wrap=True, overflow="ellipsis", width=names)
    table.add_column("value (95 % interval), gains over others", no_wrap=True, overflow="ellipsis", width=figures)
    for name, rows in evaluated:
        table.add_row(name, style="bold")
        for row in rows:
            first, *more = _lines(row, figures)
            style = "dim" if row.is_thin else ""
            table.add_row(f"  {row.about}", first, style=style)
            for line in more:
                table.add_row("", f"  {line}", style=style)
    return table


def _lines(row: ShortRow, width: int) -> list[str]:
    """What was measured and what is gained: in one line where it is short enough, else each in its own."""
    parts = [f"{row.value} {row.measure}".rstrip(), *(f"{figure} {over}" for figure, over in row.gains)]
    joined = "; ".join(parts)
    return [joined] if len(joined) <= width else parts
