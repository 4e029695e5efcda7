"""Tables of the report as files that others can use: CSV with every digit, LaTeX as it is read."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import quote

from jepa_core.report.html import Markup, element
from jepa_core.report.shown import shown_columns
from jepa_core.results.findings import Cell, Table
from jepa_core.results.text import MISSING, SUPERSCRIPTS, words

LONGEST_TABULAR = 40
"""Rows of a LaTeX table beyond which it must break over pages."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs with which a spreadsheet takes a text for something to execute."""
ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", MISSING: "--", "−": "$-$", "×": r"$\times$",
}  # fmt: skip
_TO_ESCAPE = re.compile("|".join(map(re.escape, ESCAPED)))
_POWER = re.compile(r"×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_PLAIN_DIGITS = {chr(written): chr(plain) for plain, written in SUPERSCRIPTS.items()}


def csv_text(table: Table) -> str:
    """The table as CSV: names with units, numbers with every digit, nothing where there is no value.

    A text that a spreadsheet would take for a formula stands behind an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{column.name} ({column.unit})" if column.unit else column.name for column in table.columns]
    writer.writerow(map(_inert, names))
    writer.writerows(map(_inert, row) for row in table.rows)
    return text.getvalue()


def _inert(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def latex_text(table: Table) -> str:
    """The table for LaTeX with booktabs, and longtable where it is long; a value and its interval share a cell."""
    columns = shown_columns(table)
    layout = "".join("r" if column.is_numeric(table) and index else "l" for index, column in enumerate(columns))
    names = [f"{words(column.column.name)} ({column.column.unit})" if column.column.unit else words(column.column.name)
             for column in columns]  # fmt: skip
    head = [r"\toprule", _row([escape_latex(name) for name in names]), r"\midrule"]
    body = [_row([_cell(*column.told(row)) for column in columns]) for row in table.rows]
    caption = rf"\caption{{{escape_latex(table.title)}}}"
    if len(table.rows) > LONGEST_TABULAR:
        lines = ["% needs the packages booktabs and longtable", rf"\begin{{longtable}}{{{layout}}}", rf"{caption} \\"]
        lines += [*head, r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}"]
    else:
        lines = ["% needs the package booktabs", r"\begin{table}", r"\centering", caption]
        lines += [rf"\begin{{tabular}}{{{layout}}}", *head, *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Text as LaTeX sets it."""
    powers = _POWER.sub(lambda match: f"\0{''.join(_PLAIN_DIGITS[digit] for digit in match[1])}\0", text)
    escaped = _TO_ESCAPE.sub(lambda match: ESCAPED[match[0]], powers)
    return re.sub("\0(.*?)\0", r"$\\times10^{\1}$", escaped)


def downloads(table: Table, stem: str) -> Markup:
    """Links that save the table as `stem`.csv and `stem`.tex; the files are within the links, so nothing is asked
    for."""
    kinds = (("CSV", "csv", "text/csv", csv_text(table)), ("LaTeX", "tex", "application/x-tex", latex_text(table)))
    links = [
        element("a", label, href=f"data:{kind};charset=utf-8,{quote(text, safe=',')}", download=f"{stem}.{ending}")
        for label, ending, kind, text in kinds
    ]
    return element("span", *links, class_="downloads")


def _row(cells: list[str]) -> str:
    """A line of the table. Behind braces a `[` or `*` is a sign; else the line above takes it for its own."""
    if cells and cells[0].startswith(("[", "*")):
        cells = [f"{{}}{cells[0]}", *cells[1:]]
    return " & ".join(cells) + r" \\"


def _cell(value: str, bounds: str) -> str:
    return escape_latex(f"{value} ({bounds})" if bounds else value)
