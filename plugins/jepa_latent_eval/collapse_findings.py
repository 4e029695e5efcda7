"""Table, figures, headlines and verdict of the latents' geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jepa_core.results.findings import Cell, Column, Figure, Findings, Headline, Series, Table, Verdict
from jepa_core.results.text import counted
from jepa_latent_eval.geometry import ACROSS, MOST_DIMENSIONS, OVER_TIME, RANK, Geometry, Spread
from jepa_latent_eval.wording import NO_UNTRAINED

if TYPE_CHECKING:
    from jepa_latent_eval.config import LatentCollapseConfig

LEAST_DIRECTIONS = 1.5
"""An effective rank below this is a line, in however few dimensions."""
ONE_DIRECTION = 0.99
"""Share of the variance in one direction from which the rest is called noise."""
DRAWN_POINTS = 200

NOTE = (
    "One latent a step. Effective rank: exponential of the entropy of the singular values of centred latents (RankMe, "
    "arXiv 2210.02885), also over its largest possible value min(N - 1, D); it has no interval, as redrawn subjects "
    "repeat directions. Where runs are compared, redrawn ranks are moved up to the rank found, and none are drawn "
    f"beyond {MOST_DIMENSIONS} dimensions. Spreads are standard deviations, root mean square over dimensions, with "
    "95 % intervals over subjects: total; over time, within a trajectory; across trajectories, at the same step number."
)


def collapse_findings(trained: Geometry, untrained: Geometry | None, config: LatentCollapseConfig) -> Findings:
    """Findings of one encoder, beside the untrained one where it was measured."""
    encoders = {"trained": trained} | ({"untrained": untrained} if untrained is not None else {})
    return Findings(
        headlines=_headlines(trained),
        verdicts=verdicts(trained, untrained, config),
        tables=[_table(encoders, f"{NOTE} {NO_UNTRAINED}" if config.untrained and untrained is None else NOTE)],
        figures=[_spectrum(encoders), _dimensions(encoders)],
    )


def collapses(found: Geometry, config: LatentCollapseConfig) -> list[str]:
    """Every way in which latents have collapsed, in words; none if they have not.

    No threshold depends on the latents' scale. A spread is compared with the latents' own size (a constant encoder
    leaves rounding, 1e-7 of it), the rank with the largest possible, the spread over time and across trajectories with
    the total. Over time and across trajectories are judged apart, since one alone can hide the death of the other.
    """
    spread = found.relative_spread
    if spread is not None and spread < config.least_spread:
        return [f"all states have nearly the same latent (spread over size {spread:.1g})"]
    ways = []
    if found.rank_limit > 1 and found.effective_rank < max(LEAST_DIRECTIONS, config.least_rank * found.rank_limit):
        ways.append(f"the latents fill {found.effective_rank:.3g} of {found.rank_limit} possible directions")
    elif found.rank_limit > 1 and found.shares[0] > ONE_DIRECTION:
        ways.append(f"one direction holds {100 * found.shares[0]:.3g} % of the variance")
    over_time, across = found.part(found.over_time), found.part(found.across)
    if over_time is not None and over_time < config.least_part:
        ways.append(f"latents hardly change over time within a trajectory ({100 * over_time:.2g} % of the spread)")
    if across is not None and across < config.least_part:
        ways.append(f"latents hardly differ between trajectories at the same step ({100 * across:.2g} % of the spread)")
    return ways


def verdicts(trained: Geometry, untrained: Geometry | None, config: LatentCollapseConfig) -> list[Verdict]:
    """`collapsed` and why, or not; and what else must be known to read the ranks."""
    ways = collapses(trained, config)
    if ways:
        collapse = [Verdict("bad", f"collapsed: {'; '.join(ways)}.")]
    else:
        before = f", {untrained.effective_rank:.3g} before training" if untrained is not None else ""
        rank = f"{trained.effective_rank:.3g} of {trained.rank_limit} possible{before}"
        text = f"not collapsed. The effective rank ({rank}) says nothing of what the latents are good for."
        collapse = [Verdict("good", text)]
    spreads = {"over time": trained.over_time, "across trajectories": trained.across}
    unmeasured = " and ".join(name for name, spread in spreads.items() if spread.value is None)
    if unmeasured:
        collapse.append(Verdict("warning", f"Too few steps or trajectories to measure the spread {unmeasured}."))
    return collapse


def _headlines(geometry: Geometry) -> list[Headline]:
    states = f"the largest possible is {geometry.rank_limit}; {geometry.steps:,} states of "
    states += counted(geometry.trajectories, "trajectory")
    return [
        Headline(
            RANK, geometry.effective_rank, f"of {geometry.rank_limit}", n=geometry.subjects, note=states, metric=RANK
        ),
        _part_headline(OVER_TIME, geometry, geometry.over_time),
        _part_headline(ACROSS, geometry, geometry.across),
    ]


def _part_headline(label: str, geometry: Geometry, spread: Spread) -> Headline:
    part, total = geometry.part(spread), geometry.total.value
    if part is None or total is None:
        return Headline(label, None, "%", n=geometry.subjects, note="no spread, or too few steps to measure it")
    low, high = (None if bound is None else 100 * bound / total for bound in (spread.low, spread.high))
    return Headline(label, 100 * part, "%", low, high, geometry.subjects, note="of the total spread", metric=label)


def _table(encoders: dict[str, Geometry], note: str) -> Table:
    columns = [
        Column("encoder"),
        Column("effective_rank"),
        Column("rank_share", "of largest"),
        Column("first_direction", "of variance"),
        *_columns("total_spread"),
        *_columns("spread_over_time"),
        *_columns("spread_across"),
        Column("spread_over_size"),
        Column("dimensions", digits=6),
        Column("states", digits=6),
        Column("trajectories", digits=6),
        Column("subjects", digits=6),
    ]
    rows = [[name, *_cells(geometry)] for name, geometry in encoders.items()]
    return Table("geometry", "Rank and spread of the latents", columns, rows, note)


def _columns(name: str) -> list[Column]:
    return [Column(f"{name}{suffix}", "latent sd") for suffix in ("", "_low", "_high")]


def _cells(geometry: Geometry) -> list[Cell]:
    spreads = [geometry.total, geometry.over_time, geometry.across]
    return [
        geometry.effective_rank,
        geometry.rank_share,
        float(geometry.shares[0]),
        *(bound for spread in spreads for bound in (spread.value, spread.low, spread.high)),
        geometry.relative_spread,
        geometry.dimensions,
        geometry.steps,
        geometry.trajectories,
        geometry.subjects,
    ]


def _spectrum(encoders: dict[str, Geometry]) -> Figure:
    series = [
        _sorted_series(f"{name} encoder", np.cumsum(geometry.shares), control=name != "trained")
        for name, geometry in encoders.items()
    ]
    title = "Variance held by the first directions"
    note = "Principal directions of centred latents. A curve at 1 from the start is a collapse to a line."
    return Figure("spectrum", title, "directions", "share of the variance", series, note=note)


def _dimensions(encoders: dict[str, Geometry]) -> Figure:
    series: list[Series] = []
    for name, geometry in encoders.items():
        for kind, spread in (("over time", geometry.over_time), ("across trajectories", geometry.across)):
            if spread.per_dimension is not None and geometry.total.value:
                ordered = np.sort(spread.per_dimension)[::-1] / geometry.total.value
                label = kind if name == "trained" else f"{kind}, {name} encoder"
                series.append(_sorted_series(label, ordered, name != "trained"))
    note = "Dimensions in descending order of their own spread, over the total spread of the same encoder."
    return Figure("dimensions", "Spread of each dimension", "dimensions", "spread / total spread", series, note=note)


def _sorted_series(label: str, values: np.ndarray, control: bool) -> Series:
    """Values by rank, thinned to what a figure can show."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), DRAWN_POINTS)).round().astype(int))
    x, y = [float(index + 1) for index in places], [float(values[index]) for index in places]
    return Series(label, x, y, control=control)
