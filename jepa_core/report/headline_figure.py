"""The one figure of an evaluator that is to be understood without the text: its lines are named where they end, and its
marks say what they are."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.report.html import Markup, element
from jepa_core.report.plots import INK, PAGE, as_svg, draw_series, dress, new_drawing, styles, y_limits
from jepa_core.results.findings import Figure, Mark
from jepa_core.results.text import estimate, number, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.0, 3.9)
PLOT = (0.085, 0.15, 0.62, 0.76)
"""Left, bottom, width and height of the axes; the names of the lines stand to the right of them."""
LETTERS, NAME_LETTERS = 28, 15
"""Longest line of what a mark says, and of a name of a line."""
NO_BREAK = "\u00a0"
LINE_HEIGHT = 0.064
"""Of a line of a name, in parts of the height of the axes."""
SAID = (0.55, 0.28)
"""Width and height that what a mark says takes, in parts of the axes."""
PLACES = ((0.97, 0.04), (0.03, 0.04), (0.03, 0.42), (0.97, 0.42), (0.03, 0.24), (0.97, 0.24))
"""Where that may stand: a lower corner of it, in parts of the axes; the first that no line runs through is taken."""
HEADROOM, FOOTROOM = 0.3, 0.45
"""Parts of the height of what is drawn that are left free for what marks say."""


def headline_figure(figure: Figure, name: str) -> Markup:
    """A headline figure with its title and its note."""
    note = f"{figure.note} {figure.band}".strip()
    return element(
        "figure",
        element("figcaption", figure.title),
        draw_headline(figure, name),
        element("p", note, class_="note") if note else None,
        class_="standing",
    )


def draw_headline(figure: Figure, name: str) -> Markup:
    """The figure as SVG."""
    with new_drawing(SIZE) as drawing:
        drawing.set_layout_engine("none")
        axes = drawing.add_axes(PLOT)
        of_series = styles([(line.label, line.control) for line in figure.series])
        for series, style in zip(figure.series, of_series, strict=True):
            draw_series(axes, series, style, figure.kind)
        dress(axes, figure.y_label, figure.x_label)
        low, high = y_limits([figure]) or (0.0, 1.0)
        axes.set_ylim(low - FOOTROOM * (high - low) * (low != 0), high + HEADROOM * (high - low))
        _name_lines(axes, figure, [style.colour for style in of_series])
        for mark in figure.marks:
            _draw_mark(axes, mark, figure)
        said = " ".join(_said(mark) for mark in figure.marks)
        return as_svg(drawing, name, f"{figure.title}. {figure.y_label} by {figure.x_label}. {said}")


def _said(mark: Mark) -> str:
    """What a mark says: label, value, bounds."""
    if mark.value is None:
        return mark.label
    value, bounds = estimate(mark.value, mark.low, mark.high)
    value = with_unit(value, mark.unit)
    bounds = bounds.replace(" ", NO_BREAK)
    return f"{mark.label} {value} ({bounds})" if bounds and mark.low != mark.high else f"{mark.label} {value}"


def _name_lines(axes: Axes, figure: Figure, colours: list[str]) -> None:
    """Names to the right of the last points, moved apart where they would lie on each other."""
    low, high = axes.get_ylim()
    names: list[tuple[float, list[str], str, bool]] = []
    for series, colour in zip(figure.series, colours, strict=True):
        known = [y for y in series.y if y is not None]
        if known:
            lines = textwrap.wrap(series.label, NAME_LETTERS)
            names.append(((known[-1] - low) / (high - low), lines, colour, series.control))
    names.sort(key=lambda name: name[0])
    floor = 0.0
    for wanted, lines, colour, control in names:
        half = LINE_HEIGHT * len(lines) / 2
        height = max(wanted, floor + half)
        floor = height + half + 0.01
        axes.annotate(
            "\n".join(lines), (1.03, height), xycoords="axes fraction", va="center", fontsize=11, color=colour,
            fontweight="normal" if control else "bold", annotation_clip=False,
        )  # fmt: skip


def _draw_mark(axes: Axes, mark: Mark, figure: Figure) -> None:
    if mark.y is None:
        _draw_border(axes, mark)
    else:
        _draw_point(axes, mark, _free_place(axes, figure))


def _free_place(axes: Axes, figure: Figure) -> tuple[float, float]:
    """The first of PLACES that no line of the figure runs through, else the first."""
    to_parts = (axes.transData + axes.transAxes.inverted()).transform
    points = np.array([
        to_parts((x, y)) for line in figure.series for x, y in zip(line.x, line.y, strict=True) if y is not None
    ]).reshape(-1, 2)  # fmt: skip

    def is_free(corner: tuple[float, float]) -> bool:
        left = corner[0] - SAID[0] if corner[0] > 0.5 else corner[0]
        beside = (points[:, 0] < left) | (points[:, 0] > left + SAID[0])
        return bool((beside | (points[:, 1] < corner[1]) | (points[:, 1] > corner[1] + SAID[1])).all())

    return next(filter(is_free, PLACES), PLACES[0])


def _draw_point(axes: Axes, mark: Mark, corner: tuple[float, float]) -> None:
    """A ring around a point, joined to what it says in another place."""
    assert mark.y is not None, "a mark without y is a border"
    at_right = corner[0] > 0.5
    axes.plot([mark.x], [mark.y], marker="o", markersize=9, markerfacecolor="none", markeredgecolor=INK, clip_on=False)
    leader = {"arrowstyle": "-", "color": INK, "linewidth": 0.7, "shrinkB": 5, "relpos": (0.97, 1.0)}
    text = "\n".join(textwrap.wrap(f"{number(mark.y)} {_said(mark)}", LETTERS))
    axes.annotate(
        text, (mark.x, mark.y), corner, textcoords="axes fraction", ha="right" if at_right else "left", va="bottom",
        fontsize=10, color=INK, linespacing=1.25, arrowprops=leader,
        bbox={"facecolor": PAGE, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _draw_border(axes: Axes, mark: Mark) -> None:
    """A vertical line with what it says beside its upper end, on the side that has more room."""
    axes.axvline(mark.x, color=INK, linewidth=1.1)
    low, high = axes.get_xlim()
    right = mark.x < (low + high) / 2
    axes.annotate(
        "\n".join(textwrap.wrap(_said(mark), LETTERS)), (mark.x, 0.985), (6 if right else -6, 0),
        xycoords=axes.get_xaxis_transform(), textcoords="offset points", ha="left" if right else "right", va="top",
        fontsize=10, color=INK, linespacing=1.25, annotation_clip=False,
    )  # fmt: skip
