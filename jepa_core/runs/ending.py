"""What is said at the end of a run: its answers and headline figures, as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from jepa_core.results.in_short import ShortRow, in_short
from jepa_core.results.record import RunRecord
from jepa_core.results.text import sentence_case
from jepa_core.results.wording import in_words_of

BESIDE = 2
"""Columns between a name and its figure."""
LEAST_NAME = 20
"""Columns that names have at least on a narrow screen; the words behind a figure are cut for them."""
FIGURE_HEAD = "value (95 % interval)"


@dataclass(frozen=True)
class _Line:
    """A figure under its name. depth: how far the name is indented."""

    name: str
    figure: str
    depth: int
    style: str


def ending(record: RunRecord, width: int) -> Table:
    """The table on a screen of so many columns: what was measured, and below it the gain over each that it is compared
    with. Names that are too long go on below. What too few positives stand behind is dim."""
    lines = list(_lines(record))
    figures = max([len(FIGURE_HEAD), *(len(line.figure) for line in lines)])
    longest = max((len(line.name) + line.depth for line in lines), default=0)
    names = max(min(longest, width - figures - BESIDE), min(longest, LEAST_NAME), len("found"))
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, BESIDE, 0, 0))
    table.add_column("found", no_wrap=True, overflow="ellipsis", width=names)
    table.add_column(FIGURE_HEAD, no_wrap=True, overflow="ellipsis", width=max(min(figures, width - names - BESIDE), 1))
    for line in lines:
        table.add_row(_within(line, names), line.figure, style=line.style)
    return table


def _lines(record: RunRecord) -> Iterator[_Line]:
    for name, findings in record.in_order():
        yield _Line(sentence_case(name), "", 0, "bold")
        yield from _figures(list(in_short(in_words_of(findings, record.noun))))


def _figures(rows: Sequence[ShortRow]) -> Iterator[_Line]:
    for row in rows:
        style = "dim" if row.is_thin else ""
        yield _Line(row.about, f"{row.value} {row.measure}".rstrip(), 2, style)
        yield from (_Line(over, gain, 4, style) for gain, over in row.gains)


def _within(line: _Line, columns: int) -> str:
    """The name, indented, in lines of so many columns."""
    first, below = " " * line.depth, " " * (line.depth + 2)
    return "\n".join(textwrap.wrap(line.name, columns, initial_indent=first, subsequent_indent=below)) or first
