"""A comparison of runs as one HTML page."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jepa_core.comparison import Comparison, Difference, Row
from jepa_core.files import disk_errors, write_atomically
from jepa_core.findings import Column, Figure, Series, Table
from jepa_core.report.document import Section, document, judgement
from jepa_core.report.html import Markup, element, join
from jepa_core.report.plots import draw_figure, y_limits
from jepa_core.report.tables import findings_table
from jepa_core.report.text import counted, sentence_case, value_of, words

PAIRED = (
    "A difference is the run less the reference. Intervals: 95 %, percentiles over 1,000 draws of subjects, the same "
    "for both runs; where there are no values by subject, there is a difference without an interval."
)


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page, atomically. Raises RunError if the disk is full or read-only."""
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, comparison_page(comparison).encode())


def comparison_page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    reference, *others = comparison.runs
    sections: list[Section] = [
        (f"run-{place}", f"{name} less {reference}", _differences(comparison, name, f"run-{place}"))
        for place, name in enumerate(others, start=1)
    ]
    sections.append(("recipe", "Recipe", _rows(comparison, "recipe", "Settings that differ", comparison.recipe)))
    sections.append(("budget", "Budget", _rows(comparison, "budget", "Budgets", comparison.budgets)))
    return document(f"{' and '.join(others)} against {reference}", _first_screen(comparison), sections)


def _first_screen(comparison: Comparison) -> Iterator[Markup | None]:
    reference, *others = comparison.runs
    data = comparison.data
    facts = [f"{data['source']} {data['fingerprint'][:12]}", counted(data["trajectories"], "trajectory")]
    facts += [counted(data["subjects"], "subject"), counted(len(comparison.recipe), "setting") + " differ"]
    yield element("p", "Comparison", class_="kicker")
    yield element("h1", f"{', '.join(others)} against {reference}")
    yield element("p", " · ".join(facts), class_="facts")
    warnings = [judgement("warning", f"{warning}.") for warning in comparison.warnings]
    yield element("ul", *warnings, class_="verdicts") if warnings else None
    headlines = [one for one in comparison.differences if one.headline]
    yield element(
        "div", findings_table(_table("headlines", "Headline figures", headlines, len(others) > 1), "headlines")
    )


def _differences(comparison: Comparison, run: str, anchor: str) -> Markup:
    """Scores of predictions, then each metric by its place on an axis."""
    mine = [one for one in comparison.differences if one.run == run and not one.headline]
    plain = [one for one in mine if one.at is None]
    placed = [one for one in mine if one.at is not None]
    figures = [_figure(list(group), anchor) for _, group in itertools.groupby(placed, key=_of_metric)]
    parts = [
        findings_table(_table("scores", "Scores of predictions", plain), f"{anchor}.scores") if plain else None,
        element("div", *figures, class_="panels") if figures else None,
        findings_table(_table("metrics", "Every metric at every place", placed), f"{anchor}.metrics")
        if placed
        else None,
        element("p", PAIRED, class_="note"),
    ]
    return join(parts)


def _of_metric(one: Difference) -> tuple[str, str]:
    return one.evaluator, one.metric


def _figure(differences: Sequence[Difference], anchor: str) -> Markup:
    """The difference of one metric by its place on the axis, beside none at all."""
    differences = sorted(differences, key=lambda one: one.at or 0)
    first, places = differences[0], [float(one.at or 0) for one in differences]
    bounds = [[getattr(one, end) for one in differences] for end in ("low", "high")]
    unit = f" ({first.unit})" if first.unit else ""
    series = [
        Series("difference", places, [one.difference for one in differences], *bounds),
        Series("no difference", places, [0.0] * len(places), control=True),
    ]
    name = f"{anchor}-{first.evaluator}-{first.metric}"
    figure = Figure(name, sentence_case(first.metric), first.axis, f"difference{unit}", series)
    return element(
        "figure",
        element("figcaption", figure.title, " ", element("span", words(first.evaluator), class_="about")),
        draw_figure(figure, name, y_limits([figure])),
        class_="panel",
    )


def _table(name: str, title: str, differences: Iterable[Difference], with_run: bool = False) -> Table:
    columns = [
        Column("evaluator"),
        Column("metric"),
        Column("at"),
        Column("unit"),
        Column("reference"),
        Column("value"),
    ]
    columns += [Column("difference"), Column("difference_low"), Column("difference_high")]
    columns += [Column("subjects", digits=6), Column("note")]
    rows = [
        [
            words(one.evaluator), one.metric, "" if one.at is None else f"{one.axis} = {one.at:g}", one.unit,
            one.reference, one.value, one.difference, one.low, one.high, one.subjects, one.note,
        ]
        for one in differences
    ]  # fmt: skip
    if with_run:
        columns.insert(0, Column("run"))
        rows = [[one.run, *row] for one, row in zip(differences, rows, strict=True)]
    filled = [place for place in range(len(columns)) if any(row[place] not in ("", None) for row in rows)]
    kept = [[row[place] for place in filled] for row in rows]
    return Table(name, title, [columns[place] for place in filled], kept)


def _rows(comparison: Comparison, name: str, title: str, rows: Sequence[Row]) -> Markup:
    if not rows:
        return element("p", "No difference.")
    columns = [Column("key"), *map(Column, comparison.runs)]
    cells = [[row.key, *(value_of("", value) for value in row.values)] for row in rows]
    return findings_table(Table(name, title, columns, cells), name)
