"""A comparison of runs as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jepa_core.io.files import disk_errors, write_atomically
from jepa_core.report.document import Section, document, judgement
from jepa_core.report.html import Markup, element, join
from jepa_core.report.plots import draw_figure, y_limits
from jepa_core.report.tables import findings_table
from jepa_core.results.comparison import Comparison, RunDifference, SettingRow
from jepa_core.results.findings import Cell, Column, Figure, Series, Table
from jepa_core.results.text import counted, estimate, number, sentence_case, value_of, words
from jepa_core.results.wording import worded

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
        (f"run-{index}", f"{name} less {reference}", _differences(comparison, name, f"run-{index}"))
        for index, name in enumerate(others, start=1)
    ]
    sections.append(("recipe", "Recipe", _rows(comparison, "recipe", "Settings that differ", comparison.recipe)))
    sections.append(("budget", "Budget", _rows(comparison, "budget", "Budgets", comparison.budgets)))
    return document(f"{' and '.join(others)} against {reference}", _first_screen(comparison), sections)


def _first_screen(comparison: Comparison) -> Iterator[Markup | None]:
    reference, *others = comparison.runs
    data = comparison.data
    facts = [f"{data['source']} {data['fingerprint'][:12]}", counted(data["trajectories"], "trajectory")]
    facts += [counted(data["subjects"], comparison.noun), f"settings that differ: {len(comparison.recipe)}"]
    yield element("p", "Comparison", class_="kicker")
    yield element("h1", f"{', '.join(others)} against {reference}")
    yield element("p", " · ".join(facts), class_="facts")
    warnings = [judgement("warning", f"{warning}.") for warning in comparison.warnings]
    yield element("ul", *warnings, class_="verdicts") if warnings else None
    for run in others:
        by_evaluator: dict[str, list[Markup]] = {}
        for difference in comparison.differences:
            if difference.headline and difference.run == run:
                by_evaluator.setdefault(difference.evaluator, []).append(_card(difference, reference, comparison.noun))
        for evaluator, cards in by_evaluator.items():
            title = element("h3", f"{sentence_case(evaluator)}, {run} less {reference}")
            yield element("div", title, element("div", *cards, class_="cards"), class_="headlines")


def _card(difference: RunDifference, reference: str, noun: str) -> Markup:
    """A headline figure of both runs, the difference first."""
    value, bounds = estimate(difference.difference, difference.low, difference.high)
    sign = "+" if difference.difference is not None and difference.difference > 0 else ""
    values = f"{reference} {number(difference.reference)}, {difference.run} {number(difference.value)}"
    return element(
        "div",
        element(
            "p",
            sentence_case(f"{difference.metric} ({difference.unit})" if difference.unit else difference.metric),
            class_="label",
        ),
        element("p", f"{sign}{value}", class_="value"),
        element("p", f"95 % CI {bounds}", class_="bounds") if bounds else None,
        element("p", f"n = {counted(difference.subjects, noun)}", class_="bounds")
        if difference.subjects is not None
        else None,
        element("p", values, class_="about"),
        element("p", sentence_case(difference.note), class_="about") if difference.note else None,
        class_="card",
    )


def _differences(comparison: Comparison, run: str, anchor: str) -> Markup:
    """Metrics without a place on an axis, then each of the others by its place."""
    mine = [difference for difference in comparison.differences if difference.run == run]
    headlines = [difference for difference in mine if difference.headline]
    mine = [difference for difference in mine if not difference.headline]
    plain = [difference for difference in mine if difference.at is None]
    placed = [difference for difference in mine if difference.at is not None]
    by_metric: dict[tuple[str, str], list[RunDifference]] = {}
    for difference in placed:
        by_metric.setdefault((difference.evaluator, difference.metric), []).append(difference)
    figures = [_figure(group, anchor) for group in by_metric.values()]

    def drawn(name: str, title: str, rows: Sequence[RunDifference]) -> Markup | None:
        return findings_table(_table(name, title, rows), f"{anchor}.{name}", noun=comparison.noun) if rows else None

    parts = [
        drawn("headlines", "Headline figures", headlines),
        drawn("scores", "Scores and other metrics", plain),
        element("div", *figures, class_="panels") if figures else None,
        drawn("metrics", "Every metric at every place", placed),
        element("p", worded(PAIRED, comparison.noun), class_="note"),
    ]
    return join(parts)


def _figure(differences: Sequence[RunDifference], anchor: str) -> Markup:
    """The difference of one metric by its place on the axis, beside none at all."""
    differences = sorted(differences, key=lambda difference: difference.at or 0)
    first, places = differences[0], [float(difference.at or 0) for difference in differences]
    low, high = ([getattr(difference, end) for difference in differences] for end in ("low", "high"))
    unit = f" ({first.unit})" if first.unit else ""
    series = [
        Series("difference", places, [difference.difference for difference in differences], low, high),
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


def _table(name: str, title: str, differences: Sequence[RunDifference]) -> Table:
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
            words(row.evaluator), row.metric, "" if row.at is None else f"{row.axis} = {row.at:g}", row.unit,
            row.reference, row.value, row.difference, row.low, row.high, row.subjects, row.note,
        ]
        for row in differences
    ]  # fmt: skip
    filled = [column for column in range(len(columns)) if any(row[column] not in ("", None) for row in rows)]
    kept = [[row[column] for column in filled] for row in rows]
    return Table(name, title, [columns[column] for column in filled], kept)


def _rows(comparison: Comparison, name: str, title: str, rows: Sequence[SettingRow]) -> Markup:
    if not rows:
        return element("p", "No difference.")
    columns = [Column("key"), *map(Column, comparison.runs)]
    cells: list[list[Cell]] = [[row.key, *(value_of("", value) for value in row.values)] for row in rows]
    return findings_table(Table(name, title, columns, cells), name)
