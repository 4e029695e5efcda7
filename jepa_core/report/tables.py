"""Tables of the report: those of findings, and those of records that a run wrote. Each can be saved from the page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jepa_core.report.exports import downloads
from jepa_core.report.html import Markup, element, join
from jepa_core.report.shown import ShownColumn, shown_columns
from jepa_core.report.terms import explained, spelled
from jepa_core.results.findings import FEW_POSITIVES, Cell, Column, Table
from jepa_core.results.text import counted, value_of, without_unit, words
from jepa_core.results.wording import HOUSE, worded

OPEN_ROWS = 24
SHOWN_ROWS = 200
LONGEST_LINE = 28
"""Characters of text beyond which a column is broken into lines."""
WIDE, VERY_WIDE = 8, 12
"""Columns from which a table is printed small, and smaller."""


@dataclass(frozen=True)
class Records:
    """Records that a run wrote, as a table. table: the raw values, to be saved. cells: as they are shown; a column may
    be there that the table lacks, such as a bar."""

    table: Table
    headings: list[str]
    cells: list[list[str]]
    numeric: list[bool]


def findings_table(
    table: Table, stem: str, terms: Mapping[str, str] = MappingProxyType({}), noun: str = HOUSE
) -> Markup:
    """A table of findings: closed if it is long, and cut if it is very long. stem: name of its files in `tables/`.
    terms: words of the headings that are explained. noun: what the data call their subjects.

    Columns `x`, `x_low` and `x_high`, one after another, are shown as one, a value with its interval. Rows that follow
    one another with the same first cell are a group. A row that few `positive_subjects` stand behind is grey.
    """
    columns = shown_columns(table)
    shown = table.rows[:SHOWN_ROWS]
    rows = [[_cell(row, column) for column in columns] for row in shown]
    starts = [index for index, row in enumerate(shown) if index == 0 or row[:1] != shown[index - 1][:1]]
    headings = [_heading(column.column, terms, noun) for column in columns]
    drawn = plain_table(headings, rows, [column.is_numeric(table) for column in columns], starts, _thin_rows(table))
    note = element("p", table.note, class_="note") if table.note else None
    save = downloads(table, stem)
    if len(table.rows) <= OPEN_ROWS:
        return element("div", element("h4", table.title, " ", save), drawn, note, class_="table")
    cut = f"The first {SHOWN_ROWS} of {len(table.rows):,} rows; tables/{stem}.csv has all of them."
    ending = element("p", cut, class_="note") if len(table.rows) > SHOWN_ROWS else None
    count = element("span", counted(len(table.rows), "row"), class_="count")
    printed = element("p", f"{table.title}: {len(table.rows):,} rows, in tables/{stem}.csv.", class_="note printed")
    closed = element("details", element("summary", table.title, " ", count), drawn, ending, note, save)
    return element("div", closed, printed, class_="table")


def records(
    name: str, title: str, rows: Sequence[dict[str, Any]], first: Sequence[str] = (), note: str = ""
) -> Records | None:
    """Records as a table; their keys as columns, those in `first` before the others. A key of which all records hold
    an empty list is saved, and not shown. None if there are none."""
    present = dict.fromkeys(key for row in rows for key in row)
    keys = [*(key for key in first if key in present), *(key for key in present if key not in first)]
    if not keys:
        return None
    raw = [[_plain(row.get(key)) for key in keys] for row in rows]
    told = [key for key in keys if any(row.get(key) not in ([], {}) for row in rows)]
    return Records(
        Table(name, title, [Column(key) for key in keys], raw, note),
        [without_unit(key) for key in told],
        [[value_of(key, row.get(key)) for key in told] for row in rows],
        [all(isinstance(row.get(key), int | float | None) for row in rows) for key in told],
    )


def records_table(found: Records, stem: str) -> Markup:
    """Records under their title."""
    note = element("p", found.table.note, class_="note") if found.table.note else None
    drawn = plain_table(found.headings, found.cells, found.numeric)
    return join([element("h3", found.table.title, " ", downloads(found.table, stem)), drawn, note])


def pairs(values: dict[str, Any]) -> Markup:
    """Keys with their values."""
    return element(
        "dl",
        *(
            element("div", element("dt", without_unit(key)), element("dd", value_of(key, value)))
            for key, value in values.items()
        ),
        class_="pairs",
    )


def plain_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    starts: Sequence[int] = (0,),
    thin: frozenset[int] = frozenset(),
) -> Markup:
    """A plain table that scrolls by itself where the screen is narrow. starts: rows that a group begins with; where a
    group has several rows, its name stands out in the first one only. thin: rows that are grey."""
    columns = zip(*rows, strict=True) if rows else [()] * len(numeric)
    classes = [
        _class(index, is_number, cells) for index, (is_number, cells) in enumerate(zip(numeric, columns, strict=True))
    ]
    head = [element("th", name, scope="col", class_=css) for name, css in zip(headings, classes, strict=True)]
    borders = [*starts, len(rows)] if len(starts) < len(rows) else [0, len(rows)]
    grouped = len(borders) > 2
    bodies = [_group(rows, range(*ends), classes, grouped, thin) for ends in itertools.pairwise(borders)]
    width = "very-wide" if len(headings) >= VERY_WIDE else "wide-table" if len(headings) >= WIDE else None
    drawn = element("table", element("thead", element("tr", *head)), *bodies, class_=width)
    return element("div", drawn, class_="scroll", tabindex=0)


def _class(index: int, numeric: bool, cells: Sequence[str]) -> str | None:
    if numeric and index:
        return "number"
    return "prose" if any("<" not in cell and len(cell) > LONGEST_LINE for cell in cells) else None


def _group(
    rows: Sequence[Sequence[str]], places: range, classes: Sequence[str | None], grouped: bool, thin: frozenset[int]
) -> Markup:
    lines = []
    for index in places:
        first = ("again" if index > places[0] else "named") if grouped else classes[0]
        cells = zip(rows[index], [first, *classes[1:]], strict=True)
        drawn = (element("td", cell, class_=css) for cell, css in cells)
        lines.append(element("tr", *drawn, class_="thin" if index in thin else None))
    return element("tbody", *lines)


def _thin_rows(table: Table) -> frozenset[int]:
    """Rows that say in a column `positive_subjects` that few stand behind them."""
    index = next((index for index, column in enumerate(table.columns) if column.name == "positive_subjects"), None)
    if index is None:
        return frozenset()
    counts = [(number, row[index]) for number, row in enumerate(table.rows)]
    return frozenset(number for number, count in counts if isinstance(count, int) and count < FEW_POSITIVES)


def _heading(column: Column, terms: Mapping[str, str], noun: str) -> Markup:
    unit = element("span", worded(column.unit, noun), class_="unit") if column.unit else None
    return join([explained(spelled(worded(words(column.name), noun), terms), terms), unit])


def _cell(row: Sequence[Cell], shown: ShownColumn) -> Markup:
    text, told = shown.told(row)
    if shown.place is not None and isinstance(row[shown.place], str):
        text = words(text) if text.isidentifier() else text
    return join([text, element("span", told, class_="interval") if told else None])


def _plain(value: Any) -> Cell:
    """A recorded value as a cell of a table."""
    return value if isinstance(value, str | int | float | None) else value_of("", value)
