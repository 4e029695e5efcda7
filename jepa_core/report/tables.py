"""Tables of the report: those of findings, and those of records that a run wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jepa_core.findings import Cell, Column, Table
from jepa_core.report.html import Markup, element, join
from jepa_core.report.text import MISSING, counted, interval, number, value_of, without_unit, words

OPEN_ROWS = 24
SHOWN_ROWS = 200


@dataclass(frozen=True)
class Shown:
    """A column as it is shown. low, high: positions of the bounds that stand in the same cell, if it has any."""

    column: Column
    place: int
    low: int | None = None
    high: int | None = None


def findings_table(table: Table, file: str) -> Markup:
    """A table of findings: closed if it is long, and cut if it is very long. file: where the whole of it is.

    Columns `x`, `x_low` and `x_high` are shown as one, a value with its interval.
    """
    columns = shown_columns(table.columns)
    rows = [[_cell(row, one) for one in columns] for row in table.rows[:SHOWN_ROWS]]
    numeric = [all(not isinstance(row[one.place], str) for row in table.rows) for one in columns]
    drawn = grid([_heading(one.column) for one in columns], rows, numeric)
    note = element("p", table.note, class_="note") if table.note else None
    cut = f"The first {SHOWN_ROWS} of {len(table.rows):,} rows; {file} has all of them."
    ending = element("p", cut, class_="note") if len(table.rows) > SHOWN_ROWS else None
    if len(table.rows) <= OPEN_ROWS:
        return element("div", element("h4", table.title), drawn, note, class_="table")
    summary = element("summary", table.title, " ", element("span", counted(len(table.rows), "row"), class_="count"))
    return element("details", summary, drawn, ending, note, class_="table")


def shown_columns(columns: Sequence[Column]) -> list[Shown]:
    """Columns as they are shown, bounds beside their value."""
    places = {column.name: place for place, column in enumerate(columns)}
    bounds = {f"{name}{end}" for name in places for end in ("_low", "_high")}
    return [
        Shown(column, place, places.get(f"{column.name}_low"), places.get(f"{column.name}_high"))
        for place, column in enumerate(columns)
        if column.name not in bounds
    ]


def record_table(records: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> Markup:
    """Records as rows; their keys as columns, those in `first` before the others."""
    present = dict.fromkeys(key for record in records for key in record)
    keys = [*(key for key in first if key in present), *(key for key in present if key not in first)]
    rows = [[value_of(key, record.get(key)) for key in keys] for record in records]
    numeric = [all(isinstance(record.get(key), int | float | None) for record in records) for key in keys]
    return grid([without_unit(key) for key in keys], rows, numeric)


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


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Markup:
    """A plain table that scrolls by itself where the screen is narrow."""
    classes = ["number" if one and place else None for place, one in enumerate(numeric)]
    head = [element("th", name, scope="col", class_=one) for name, one in zip(headings, classes, strict=True)]
    body = [[element("td", cell, class_=one) for cell, one in zip(row, classes, strict=True)] for row in rows]
    drawn = [element("thead", element("tr", *head)), element("tbody", *(element("tr", *cells) for cells in body))]
    return element("div", element("table", *drawn), class_="scroll", tabindex=0)


def _heading(column: Column) -> Markup:
    unit = element("span", column.unit, class_="unit") if column.unit else None
    return join([words(column.name), unit])


def _cell(row: Sequence[Cell], shown: Shown) -> Markup:
    value, digits = row[shown.place], shown.column.digits
    if isinstance(value, str):
        return join([value])
    bounds = ""
    if shown.low is not None and shown.high is not None:
        low, high = row[shown.low], row[shown.high]
        bounds = "" if isinstance(low, str) or isinstance(high, str) else interval(low, high, digits)
    text = MISSING if value is None else number(value, digits)
    return join([text, element("span", bounds, class_="interval") if bounds else None])
