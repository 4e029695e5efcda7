"""Forest plots: what differs by how much from a reference, a row each, with the intervals beside the difference."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jepa_core.report.html import Markup, element
from jepa_core.report.plots import CONTROL, GRID, INK, MARKERS, PAGE, Style, as_svg, coloured, dress, new_drawing
from jepa_core.results.text import number, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Judged = Literal["", "better", "worse", "other"]
"""What a difference is: not told from none, better, worse, or told from none where neither way is better."""
WIDTH, NAMES, RIGHT = 330.0, 120.0, 12.0
"""Points: of the drawing, of the names to the left of the axes, of the margin to the right of them."""
TOP, BOTTOM, ROW, LINE = 6.0, 36.0, 29.0, 13.0
"""Points: above and below the rows, of a row at least, and of a line of its name."""
LETTERS = 20
BEYOND = 0.6
"""How far the axis goes on beyond all but the thin intervals, as a part of their range; longer ones end in an arrow."""
STYLES: dict[Judged, Style] = {
    "better": Style(coloured(0).colour, marker="^"),
    "worse": Style(coloured(1).colour, marker="v"),
    "other": Style(INK, marker="D"),
    "": Style(CONTROL, marker="o"),
}
MEANINGS: dict[Judged, str] = {
    "better": "better than the reference",
    "worse": "worse",
    "other": "differs, where neither way is better",
    "": "no difference seen",
}


@dataclass(frozen=True)
class ForestRow:
    """A difference. inner, outer: intervals, drawn thick and thin, None where there is none. points: each of what the
    value is the mean of."""

    label: str
    value: float
    inner: tuple[float, float] | None = None
    outer: tuple[float, float] | None = None
    points: list[float] = field(default_factory=list)
    judged: Judged = ""


@dataclass(frozen=True)
class Forest:
    """A panel of differences, the first row on top. about: what the reference is."""

    name: str
    title: str
    about: str
    x_label: str
    rows: list[ForestRow]


def forest_plots(forests: Sequence[Forest]) -> Iterator[Markup]:
    """Every panel, under one legend."""
    yield element("ul", *(element("li", _sample(judged), MEANINGS[judged]) for judged in STYLES), class_="legend")
    panels = [
        element(
            "figure",
            element("figcaption", forest.title, " ", element("span", forest.about, class_="about")),
            draw_forest(forest),
            class_="forest",
        )
        for forest in forests
    ]
    yield element("div", *panels, class_="panels", style="--columns:3")


def draw_forest(forest: Forest) -> Markup:
    """A panel as SVG, as high as its rows need."""
    names = [textwrap.wrap(words(row.label), LETTERS) for row in forest.rows]
    rows = len(names) * max(ROW, LINE * max(map(len, names)) + 4)
    height = TOP + BOTTOM + rows
    with new_drawing((WIDTH / 72, height / 72)) as drawing:
        drawing.set_layout_engine("none")
        axes = drawing.add_axes((NAMES / WIDTH, BOTTOM / height, (WIDTH - NAMES - RIGHT) / WIDTH, rows / height))
        limits = _limits(forest.rows)
        for row_height, row in enumerate(forest.rows):
            _draw_row(axes, row_height, row, limits)
        _dress(axes, ["\n".join(lines) for lines in names], forest.x_label, limits)
        return as_svg(drawing, f"forest-{forest.name}", _said(forest))


def _said(forest: Forest) -> str:
    rows = "; ".join(f"{row.label} {number(row.value)}" for row in forest.rows)
    return f"{forest.title}: differences {forest.about}. {rows}."


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Ends of the axis: of all values, points, thick intervals and zero, and somewhat beyond for the thin ones."""
    ends = [0.0, *(end for row in rows for end in (row.value, *row.points, *(row.inner or ())))]
    low, high = min(ends), max(ends)
    thin = [end for row in rows for end in row.outer or ()]
    room = BEYOND * (high - low) or max(map(abs, thin), default=0.0) or 1.0
    low, high = max(low - room, min([low, *thin])), min(high + room, max([high, *thin]))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_row(axes: Axes, height: int, row: ForestRow, limits: tuple[float, float]) -> None:
    style = STYLES[row.judged]
    if row.outer is not None:
        low, high = max(row.outer[0], limits[0]), min(row.outer[1], limits[1])
        axes.plot([low, high], [height, height], color=style.colour, linewidth=1.1)
        for end, bound, marker in ((low, row.outer[0], "<"), (high, row.outer[1], ">")):
            if end != bound:
                axes.plot([end], [height], marker=marker, markersize=5, color=style.colour, clip_on=False)
    if row.inner is not None:
        axes.plot(row.inner, [height, height], color=style.colour, linewidth=4.5, alpha=0.45)
    axes.plot(row.points, [height + 0.3] * len(row.points), "o", markersize=3, color=INK, alpha=0.55, markeredgewidth=0)
    face = style.colour if row.judged else PAGE
    axes.plot([row.value], [height], marker=style.marker, markersize=7, color=style.colour, markerfacecolor=face)


def _dress(axes: Axes, names: Sequence[str], x_label: str, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    dress(axes, "", x_label, whole=False)
    axes.axvline(0, color=INK, linewidth=1, zorder=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_xlim(*limits)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.tick_params(axis="x", labelsize=9.5)
    axes.xaxis.label.set_fontsize(10)


def _sample(judged: Judged) -> Markup:
    """The sign of a difference, for a legend."""
    style = STYLES[judged]
    fill = style.variable if judged else "none"
    sign = element("g", Markup(MARKERS[style.marker]), style=f"fill:{fill};stroke:{style.variable};stroke-width:1.2")
    return element("svg", sign, viewBox="0 0 28 10", aria_hidden="true")
