"""Figures as inline SVG. Colours are CSS variables, so that a figure follows the page into the dark; text is kept as
text.

Two drawings of the same data are the same bytes: no date, no random identifier.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.io.files import plain_name
from jepa_core.libraries import library
from jepa_core.report.html import Markup, element, start, writable
from jepa_core.results.findings import Figure, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from matplotlib.text import Text

COLOURS = 6
INK, GRID, CONTROL, PAGE = "#010101", "#020202", "#030303", "#040404"
"""Colours that stand for CSS variables until the drawing is written."""
DASHES: tuple[tuple[int, ...], ...] = ((5, 2), (1, 2), (7, 2, 1, 2), (3, 1, 1, 1, 1, 1))
MARKERS = {
    "o": '<circle cx="14" cy="5" r="3.4"/>',
    "s": '<rect x="10.8" y="1.8" width="6.4" height="6.4"/>',
    "^": '<path d="M14 0.8 18 8.4H10Z"/>',
    "D": '<path d="M14 0.6 18.4 5 14 9.4 9.6 5Z"/>',
    "v": '<path d="M14 9.2 10 1.6H18Z"/>',
    "X": '<path d="M10.5 3 12.5 1 14 2.8 15.5 1 17.5 3 15.7 5 17.5 7 15.5 9 14 7.2 12.5 9 10.5 7 12.3 5Z"/>',
}
"""Markers by matplotlib's name for them, as they are drawn in a legend."""
MARKED = 7
"""Markers on a line, about."""
PANEL = (4.0, 2.6)
WIDE_PANEL = (5.0, 2.9)
STRIP = (9.6, 4.2)
SMOOTHED = 25


@dataclass(frozen=True)
class Style:
    """How a line is drawn, told apart by more than its colour. colour: a stand-in. dashes: in points; empty for a solid
    line. marker: one of MARKERS, or empty."""

    colour: str
    dashes: tuple[int, ...] = ()
    marker: str = ""

    @property
    def variable(self) -> str:
        return _variable(self.colour)


def styles(labels: Sequence[tuple[str, bool]]) -> list[Style]:
    """Styles of lines given by label and whether each is a control: results coloured, controls grey and dashed."""
    styled, results, controls = [], 0, 0
    for _, control in labels:
        if control:
            styled.append(Style(CONTROL, DASHES[controls % len(DASHES)]))
            controls += 1
        else:
            styled.append(coloured(results))
            results += 1
    return styled


def coloured(place: int) -> Style:
    """The style of the result at a place, counted from 0."""
    marker = list(MARKERS)[place % len(MARKERS)]
    dashes = () if place < COLOURS else DASHES[place // COLOURS % len(DASHES)]
    return Style(f"#0a000{place % COLOURS + 1}", dashes, marker)


def legend(labels: Sequence[str], of: Sequence[Style]) -> Markup:
    """Line samples with their labels, as HTML that wraps on a narrow screen."""
    return element(
        "ul",
        *(element("li", _sample(style), label) for label, style in zip(labels, of, strict=True)),
        class_="legend",
    )


def _sample(style: Style) -> Markup:
    dashes = " ".join(str(2 * length) for length in style.dashes) or None
    line = element("line", x1=1, y1=5, x2=27, y2=5, style=f"stroke:{style.variable}", stroke_dasharray=dashes)
    marker = element("g", Markup(MARKERS[style.marker]), style=f"fill:{style.variable}") if style.marker else None
    return element("svg", line, marker, viewBox="0 0 28 10", aria_hidden="true")


def y_limits(figures: Sequence[Figure]) -> tuple[float, float] | None:
    """Limits that hold every value and interval of some figures; from 0 where that wastes no more than half."""
    parts = [part for figure in figures for series in figure.series for part in (series.y, series.low, series.high)]
    values = [value for part in parts for value in part if value is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    if 0 <= low < high / 2:
        low = 0.0
    margin = 0.06 * (high - low) or 0.5
    return (low if low == 0 else low - margin), high + margin


def draw_figure(figure: Figure, name: str, limits: tuple[float, float] | None) -> Markup:
    """A figure of findings."""
    with new_drawing(WIDE_PANEL) as drawing:
        axes = drawing.subplots()
        of_series = styles([(line.label, line.control) for line in figure.series])
        for series, style in zip(figure.series, of_series, strict=True):
            draw_series(axes, series, style, figure.kind)
        whole = all(x == int(x) for series in figure.series for x in series.x)
        dress(axes, figure.y_label, figure.x_label, whole)
        if figure.x_scale == "log":
            _dress_log(axes, figure)
        if limits:
            axes.set_ylim(*limits)
        return as_svg(drawing, name, f"{figure.title}. {figure.y_label} by {figure.x_label}.")


def draw_phase(
    lines: list[dict[str, Any]], terms: dict[str, Style], ranks: tuple[float, float] | None, name: str
) -> Markup:
    """Loss terms of one phase by step, over the latents' rank where it was logged."""
    steps = [line["step"] for line in lines]
    with new_drawing((PANEL[0], 3.4 if ranks else PANEL[1])) as drawing:
        upper, lower = _stack(drawing, [2, 1] if ranks else [1])
        for term, style in terms.items():
            _draw_noisy(upper, steps, [line.get("terms", {}).get(term) for line in lines], style)
        dress(upper, "loss terms", "" if ranks else "step of the phase")
        if lower is not None and ranks:
            _draw_noisy(lower, steps, [line.get("rank") for line in lines], Style(INK))
            dress(lower, "effective rank of the latents", "step of the phase")
            lower.set_ylim(*ranks)
        return as_svg(drawing, name, f"Loss terms of the phase {name} by step.")


def draw_logged(lines: list[dict[str, Any]], metric: str, name: str) -> Markup:
    """A number that a phase logged beside its loss, by step."""
    values = [(line.get("metrics") or {}).get(metric) for line in lines]
    with new_drawing((PANEL[0], PANEL[1])) as drawing:
        (axes, _) = _stack(drawing, [1])
        _draw_noisy(axes, [line["step"] for line in lines], values, coloured(1))
        dress(axes, metric, "step of the phase")
        return as_svg(drawing, name, f"{metric}, logged by step of the phase.")


def draw_curriculum(metrics: list[dict[str, Any]], phases: list[str], name: str) -> Markup:
    """The whole curriculum by step: total loss and the latents' rank, with the borders of the phases."""
    ranked = any(finite(line.get("rank")) for line in metrics)
    with new_drawing(STRIP if ranked else (STRIP[0], 3.0)) as drawing:
        upper, lower = _stack(drawing, [3, 2] if ranked else [1])
        for axes in filter(None, (upper, lower)):
            _shade_phases(axes, metrics, phases)
        for phase in phases:
            mine = [line for line in metrics if line["phase"] == phase]
            steps = [line["total_step"] for line in mine]
            _draw_noisy(upper, steps, [line.get("loss") for line in mine], coloured(0))
            if lower is not None:
                _draw_noisy(lower, steps, [line.get("rank") for line in mine], coloured(2))
        _name_phases(upper, metrics, phases)
        dress(upper, "loss", "" if ranked else "step of the curriculum")
        if lower is not None:
            dress(lower, "effective rank of the latents", "step of the curriculum")
        drawn = "Loss and effective rank" if ranked else "Loss"
        return as_svg(drawing, name, f"{drawn} by step of the curriculum.")


def _stack(drawing: Drawing, heights: list[int]) -> tuple[Axes, Axes | None]:
    axes = drawing.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    return axes[0], axes[1] if len(axes) > 1 else None


def _shade_phases(axes: Axes, metrics: list[dict[str, Any]], phases: list[str]) -> None:
    for index, (_, first, last) in enumerate(_borders(metrics, phases)):
        if index % 2:
            axes.axvspan(first, last, color=INK, alpha=0.05, linewidth=0)
        if index:
            axes.axvline(first, color=INK, linewidth=0.6, alpha=0.5)


def _name_phases(axes: Axes, metrics: list[dict[str, Any]], phases: list[str]) -> None:
    """Number the phases, as their names may be longer than they are; the panels below carry the names."""
    for phase, first, last in _borders(metrics, phases):
        axes.annotate(
            str(phases.index(phase) + 1),
            ((first + last) / 2, 0.97),
            xycoords=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            color=INK,
            fontsize=10,
            fontweight="bold",
        )


def _borders(metrics: list[dict[str, Any]], phases: list[str]) -> Iterator[tuple[str, float, float]]:
    """Each logged phase with its first and last step of the curriculum; a border lies where the next phase begins."""
    steps = {phase: [line["total_step"] for line in metrics if line["phase"] == phase] for phase in phases}
    logged = [phase for phase in phases if steps[phase]]
    for phase, after in zip(logged, [*logged[1:], None], strict=True):
        yield phase, min(steps[phase]), min(steps[after]) if after else max(steps[phase])


def draw_series(axes: Axes, series: Series, style: Style, kind: str) -> None:
    y = _floats(series.y)
    if kind == "scatter":
        axes.scatter(series.x, y, s=12, color=style.colour, marker=style.marker or "o", alpha=0.7, linewidths=0)
        return
    if series.low and series.high:
        low, high = _floats(series.low), _floats(series.high)
        axes.fill_between(series.x, low, high, color=style.colour, alpha=0.2, linewidth=0)
    _draw_line(axes, np.asarray(series.x), y, style, width=1.6 if series.control else 2.2)


def _draw_noisy(axes: Axes, steps: list[float], values: list[float | None], style: Style) -> None:
    """Values by step, with their running mean over them where there are enough to need it."""
    pairs = [(step, value) for step, value in zip(steps, values, strict=True) if finite(value)]
    if not pairs:
        return
    x, y = np.array(pairs, dtype=np.float64).T
    reach = len(y) // (2 * SMOOTHED)
    if reach:
        axes.plot(x, y, color=style.colour, linewidth=0.7, alpha=0.3)
    _draw_line(axes, x, _running_mean(y, reach), style, width=1.7)


def _running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean over up to `reach` values on either side; fewer at the ends."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    places = np.arange(len(values))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _draw_line(axes: Axes, x: np.ndarray, y: np.ndarray, style: Style, width: float) -> None:
    """A line with a few markers, or a dot where there is but one point."""
    marker = style.marker or ("o" if np.isfinite(y).sum() == 1 else None)
    every = max(1, -(-len(y) // MARKED))
    first = every * list(MARKERS).index(style.marker) // len(MARKERS) if style.marker else 0  # lines may coincide
    dashes = (0, style.dashes) if style.dashes else "-"
    axes.plot(
        x,
        y,
        color=style.colour,
        linewidth=width,
        linestyle=dashes,
        marker=marker,
        markersize=4.5,
        markevery=(first, every),
    )


def finite(value: float | None) -> bool:
    """Whether a logged value can be drawn; a loss that diverged cannot."""
    return value is not None and math.isfinite(value)


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def dress(axes: Axes, y_label: str, x_label: str, whole: bool = True) -> None:
    """Labels, ticks and grid. whole: whether only whole numbers make sense on the x axis."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(y_label, loc="left", y=1.0, fontsize=9, color=INK, pad=7)
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    for axis in (axes.yaxis, axes.xaxis)[: 1 if x_label else 2]:
        axis.set_label_coords(0, 0)  # of a name that is empty no place is looked for
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.tick_params(colors=INK, labelsize=8.5, length=3, width=0.6)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=INK, linewidth=0.6)


def _dress_log(axes: Axes, figure: Figure) -> None:
    """Equal ratios equally far apart, with a tick at every x that has a value."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted({x for series in figure.series for x in series.x})))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())


@contextmanager
def new_drawing(size: tuple[float, float]) -> Iterator[Drawing]:
    """An empty drawing, under settings that give the same bytes each time and do not depend on the user's own."""
    with library("matplotlib"):
        import matplotlib
        from matplotlib.figure import Figure as Drawing

    fixed: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif", "path.simplify": True,
        "text.parse_math": False,  # a name between dollar signs is a name
    }  # fmt: skip
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(fixed)
        yield Drawing(figsize=size, layout="constrained", facecolor="none")


def as_svg(drawing: Drawing, name: str, description: str) -> Markup:
    """The drawing as an element whose identifiers begin with `name`, as several stand in one page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for axes in drawing.axes:
        axes.set_facecolor("none")
    for label in _labels(drawing):
        label.set_text(writable(label.get_text()))
    buffer = io.StringIO()
    # Unlike `savefig`, which draws once to lay out and once more to write.
    FigureCanvasSVG(drawing).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = writable(buffer.getvalue())
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    prefix = plain_name(name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}-', text)
    text = re.sub(r"#0a000[1-6]|#010101|#020202|#030303|#040404", lambda match: _variable(match.group()), text)
    width, height = (72 * inches for inches in drawing.get_size_inches())
    opening = start("svg", role="img", aria_label=description, viewBox=f"0 0 {width:g} {height:g}")
    return Markup(f"{opening}{text[text.index('>') + 1 :].strip()}")


def _labels(drawing: Drawing) -> Iterator[Text]:
    """Titles, names of axes and annotations. What stands at ticks is made as they are drawn."""
    from matplotlib.text import Text

    for axes in drawing.axes:
        for artist in (*axes.get_children(), axes.xaxis.label, axes.yaxis.label):
            if isinstance(artist, Text):
                yield artist


def _variable(colour: str) -> str:
    named = {INK: "var(--ink)", GRID: "var(--grid)", CONTROL: "var(--control)", PAGE: "var(--page)"}
    return named.get(colour, f"var(--series-{colour[-1]})")
