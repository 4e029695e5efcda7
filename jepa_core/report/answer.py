"""The answer: what evaluators claim, in sentences, and claims side by side in a forest plot."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jepa_core.report.forest import BOTTOM, LETTERS, LINE, NAMES, RIGHT, TOP, WIDTH
from jepa_core.report.html import Markup, element
from jepa_core.report.plots import CONTROL, GRID, INK, Style, as_svg, coloured, dress, legend, new_drawing
from jepa_core.report.terms import explained
from jepa_core.results.findings import FEW_POSITIVES, Claim, Side
from jepa_core.results.text import estimate, listed, plural, sentence_case, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEP = 9.5
"""Points between two methods of a row."""
THIN = 0.35
"""Opacity of a row that too few positives stand behind."""
ORDER = 8.0
"""Times that a value on an axis may be as large as another; between -1 and 1 there is room for all."""

Judged = Literal["better", "worse", "open"]


def told_apart(other: Side) -> Judged:
    """Whether ours is told from another, on which side."""
    if other.gain_low is not None and other.gain_low > 0:
        return "better"
    return "worse" if other.gain_high is not None and other.gain_high < 0 else "open"


def answer(claim: Claim, terms: Mapping[str, str], lead: bool) -> Markup:
    """A claim as a sentence; the one that leads is set large, and what too few positives stand behind is grey."""
    style = "answer thin" if claim.is_thin else "answer leading" if lead else "answer"
    parts = [part if isinstance(part, Markup) else explained(part, terms) for part in _sentence(claim)]
    remark = element("span", explained(_remark(claim), terms), class_="remark") if _remark(claim) else None
    return element("p", *parts, remark, class_=style)


def answer_text(claim: Claim) -> str:
    """The same as plain text."""
    return "".join(_sentence(claim, plain=True)) + _remark(claim)


def _remark(claim: Claim) -> str:
    """What must be known to read a figure; why there is none is part of the sentence."""
    note = claim.note if claim.compared[0].value is not None else ""
    return f" {note[:1].upper()}{note[1:]}." if note else ""


def _sentence(claim: Claim, plain: bool = False) -> Iterator[str]:
    ours, *others = claim.compared
    if claim.is_thin:
        yield f"Too few positives to conclude ({claim.positives}, of at least {FEW_POSITIVES}). "
    if ours.value is None:
        yield f"{claim.measure} ({claim.about}) could not be measured"
        yield f": {claim.note}." if claim.note else "."
        return
    value, bounds = estimate(ours.value, ours.low, ours.high)
    value = with_unit(value, claim.unit)
    yield f"With {ours.words}, {claim.measure} ({claim.about}) is "
    yield value if plain else element("strong", value)
    yield f" ({bounds})" if bounds else ""
    for index, other in enumerate(others):
        yield ": " if not index else " and " if index == len(others) - 1 else ", "
        yield from _against(other, ours.value, plain)
    yield f"; {', '.join(_counts(claim))}."


def _against(other: Side, ours: float, plain: bool) -> Iterator[str]:
    """By how much ours is better than another, or that it cannot be told. ours: its value."""
    if other.gain is None:
        yield f"not compared with {other.words}"
        return
    how, low, high = told_apart(other), other.gain_low, other.gain_high
    if how == "worse":
        low, high = (None if end is None else -end for end in (high, low))
    gain, bounds = estimate(abs(other.gain), low, high, beside=ours)
    if how == "open":
        yield _marked("not told apart from" if bounds else "too few to compare with", how, plain)
        sign = "" if gain == "0" else "+" if other.gain > 0 else "−"
        yield f" {other.words} ({sign}{gain}, {bounds or 'no interval'})"
        return
    yield _marked(f"{gain} {how}", how, plain)
    yield f" ({bounds}) than {other.words}"


def _marked(told: str, how: Judged, plain: bool) -> str:
    return told if plain else element("strong", told, class_=f"gain {how}")


def _counts(claim: Claim) -> Iterator[str]:
    if claim.n is not None:
        yield f"{claim.n:,} {claim.n_unit}"
    if claim.positives is not None and claim.positives != claim.n:
        yield f"at least {claim.positives:,} of either class"


@dataclass(frozen=True)
class Group:
    """Claims of one evaluator, under its name."""

    title: str
    claims: Sequence[Claim]


def answer_plot(groups: Sequence[Group], noun: str) -> Iterator[Markup]:
    """A panel a measure, under the signs of the methods. Groups that share a measure share its axis, unless some of
    their values would be dots at its border; what could not be measured is named below. noun: what the data call a
    subject."""
    axis_of = _Axes()
    by_axis: dict[tuple[str, str, int], list[Group]] = {}
    for group in groups:
        for axis, alike in itertools.groupby(group.claims, key=axis_of):
            by_axis.setdefault(axis, []).append(Group(group.title, list(alike)))
    for (measure, unit, number), asked in by_axis.items():
        of_it = list(_measured(asked))
        claims = [claim for group in of_it for claim in group.claims]
        if not claims:
            continue
        unmeasured = [claim.about for group in asked for claim in group.claims if claim.compared[0].value is None]
        without = f" Not measured: {listed(unmeasured)}." if unmeasured else ""
        signs = _signs(claims)
        way = "further right is better" if claims[0].better == "higher" else "further left is better"
        some_thin = any(claim.is_thin for claim in claims)
        thin = f"; grey: fewer than {FEW_POSITIVES} positives" if some_thin else ""
        about = element("span", f"{way}{thin}", class_="about")
        yield element(
            "figure",
            element("figcaption", f"{sentence_case(measure)} by task ", about),
            legend(list(signs), list(signs.values())),
            _draw(of_it, signs, f"{measure} ({unit})" if unit else measure, number),
            element("p", f"Lines are 95 % intervals over {plural(noun)}.{without}", class_="note"),
            class_="answers",
        )


class _Axes:
    """Gives claims of a measure the same axis while their values are of one order: errors in the units of several
    targets are not."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str], list[float]] = {}

    def __call__(self, claim: Claim) -> tuple[str, str, int]:
        """Measure and unit, and the number of the axis among theirs; what was not measured joins the latest."""
        known = self._sizes.setdefault((claim.measure, claim.unit), [])
        values = [abs(side.value) for side in claim.compared if side.value is not None]
        if not values:
            return claim.measure, claim.unit, max(0, len(known) - 1)
        size = max(values)
        number = next((at for at, other in enumerate(known) if _are_alike(size, other)), len(known))
        if number == len(known):
            known.append(size)
        return claim.measure, claim.unit, number


def _are_alike(size: float, other: float) -> bool:
    return max(size, other) <= max(1.0, ORDER * min(size, other))


def _measured(groups: Sequence[Group]) -> Iterator[Group]:
    """What could be measured of groups; a group without any is left out."""
    for group in groups:
        claims = [claim for claim in group.claims if claim.compared[0].value is not None]
        if claims:
            yield Group(group.title, claims)


def _signs(claims: Sequence[Claim]) -> dict[str, Style]:
    """Signs of the methods by their words: ours in the first colour, whatever else in the others."""
    ours = [claim.compared[0].words for claim in claims]
    named = list(dict.fromkeys([*ours, *(method.words for claim in claims for method in claim.compared)]))
    return {words: coloured(index) for index, words in enumerate(named)}


def _draw(groups: Sequence[Group], signs: dict[str, Style], x_label: str, number: int) -> Markup:
    """The rows of all groups, each group under its title where there are several. number: of the axis among those of
    its measure."""
    rows: list[tuple[str, Claim | None]] = []
    for group in groups:
        rows += [(group.title, None)] if len(groups) > 1 else []
        rows += [(claim.about, claim) for claim in group.claims]
    names = [textwrap.wrap(label, LETTERS) for label, _ in rows]
    heights = [
        max(LINE * len(lines), STEP * len(claim.compared) if claim else 0) + 7
        for lines, (_, claim) in zip(names, rows, strict=True)
    ]
    height = TOP + BOTTOM + sum(heights)
    with new_drawing((WIDTH / 72, height / 72)) as drawing:
        drawing.set_layout_engine("none")
        box = (NAMES / WIDTH, BOTTOM / height, (WIDTH - NAMES - RIGHT) / WIDTH, sum(heights) / height)
        axes = drawing.add_axes(box)
        dress(axes, "", x_label, whole=False)
        middles = [sum(heights[:index]) + space / 2 for index, space in enumerate(heights)]
        for middle, (_, claim) in zip(middles, rows, strict=True):
            if claim is not None:
                _draw_claim(axes, middle, claim, signs)
        _dress(axes, middles, ["\n".join(lines) for lines in names], sum(heights), [claim for _, claim in rows])
        said = "; ".join(answer_text(claim) for _, claim in rows if claim is not None)
        return as_svg(drawing, f"answer-{x_label}-{number}", f"{x_label} by task. {said}")


def _draw_claim(axes: Axes, middle: float, claim: Claim, signs: dict[str, Style]) -> None:
    alpha = THIN if claim.is_thin else 1.0
    first = middle - STEP * (len(claim.compared) - 1) / 2
    for index, method in enumerate(claim.compared):
        if method.value is None:
            continue
        style, y = signs[method.words], first + STEP * index
        colour = CONTROL if claim.is_thin else style.colour
        if method.low is not None and method.high is not None:
            axes.plot([method.low, method.high], [y, y], color=colour, linewidth=1.6, alpha=alpha)
        size = 5 if index else 6.5
        axes.plot([method.value], [y], marker=style.marker, markersize=size, color=colour, alpha=alpha, linestyle="")


def _dress(
    axes: Axes, middles: Sequence[float], names: Sequence[str], height: float, claims: Sequence[Claim | None]
) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_ylim(height, 0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_yticks(middles, names, fontsize=9.5)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.tick_params(axis="x", labelsize=9.5)
    axes.xaxis.label.set_fontsize(10)
    for label, claim in zip(axes.get_yticklabels(), claims, strict=True):
        label.set_color(INK if claim is None or not claim.is_thin else CONTROL)
        label.set_fontweight("bold" if claim is None else "normal")
