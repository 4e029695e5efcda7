"""Table, pictures, headlines and verdicts of the displacement of latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jepa_core.results.findings import Cell, Column, Figure, Findings, Headline, Series, Table, Verdict
from jepa_core.results.statistics import percentile_interval
from jepa_latent_eval.wording import NO_UNTRAINED

if TYPE_CHECKING:
    from jepa_latent_eval.config import LatentDisplacementConfig
    from jepa_latent_eval.displacement import Displacement, EventDisplacement, Paths

FEW_CASES = 30
TOO_FEW_CASES = 10
"""Below this nothing is said but that."""
DRAWN_PATHS = 6
"""Single paths drawn beside the mean paths, of each kind."""

NOTE = (
    "A case is a trajectory at its first onset, known to be off at its baseline, h steps before; its controls are "
    "trajectories of other subjects that never have the event, over the same step numbers. Displacement is the mean "
    "Euclidean distance between the latents at baseline and h steps on, in units of the scatter of all rows at their "
    "baselines (root mean square distance from their mean). ratio: case over control, with a 95 % interval over "
    "redrawn subjects. shuffled: 95 % range of the ratio with the case drawn anew within each set; p: share of those "
    "at least as large, plus one. There is no interval where redrawn subjects may hold no case."
)


def displacement_findings(found: list[EventDisplacement], config: LatentDisplacementConfig) -> Findings:
    """Findings of all events and horizons; the unmeasured ones are null with their reason."""
    note = NOTE + "".join(
        f" Null: {displacement.event}, h = {displacement.horizon}: {displacement.reason}."
        for displacement in found
        if displacement.reason
    )
    measured = [displacement for displacement in found if displacement.matched is not None]
    if config.untrained and any("untrained" not in displacement.encoders for displacement in measured):
        note += f" {NO_UNTRAINED}"
    shown = _longest(measured)
    if not shown:
        reason = "no event has both cases and controls; the table says why"
        return Findings(
            headlines=[Headline("displacement ratio", None, note=reason)],
            verdicts=[Verdict("warning", f"No displacement could be measured: {reason}.")],
            tables=[_table(found, note)],
        )
    return Findings(
        headlines=[_headline(displacement) for displacement in shown],
        verdicts=[verdict for displacement in shown for verdict in _verdicts(displacement)],
        tables=[_table(found, note)],
        figures=[
            _picture(displacement, paths, number)
            for displacement in shown
            for number, paths in enumerate(displacement.paths)
        ],
    )


def _longest(measured: list[EventDisplacement]) -> list[EventDisplacement]:
    """Of each event, the longest horizon with enough cases, or else the one with most."""
    best: dict[str, EventDisplacement] = {}
    for displacement in measured:
        held = best.get(displacement.event)
        if held is None or _cases(displacement) >= min(FEW_CASES, _cases(held)):
            best[displacement.event] = displacement
    return list(best.values())


def _cases(event: EventDisplacement) -> int:
    return 0 if event.matched is None else int(event.matched.case.sum())


def _interval(displacement: Displacement) -> list[float | None]:
    if displacement.draws is None:
        return [None, None, None]
    low, high = percentile_interval(displacement.draws)
    return [_cell(displacement.ratio), _cell(low), _cell(high)]


def _range(displacement: Displacement) -> list[float | None]:
    if displacement.shuffled is None or displacement.ratio is None:
        return [None, None, None]
    low, high = percentile_interval(displacement.shuffled)
    p = (1 + np.sum(displacement.shuffled >= displacement.ratio)) / (1 + len(displacement.shuffled))
    return [_cell(low), _cell(high), float(p)]


def _headline(event: EventDisplacement) -> Headline:
    value, low, high = _interval(event.encoders["trained"])
    label = ratio_name(event.event)
    metric = f"{label}, h = {event.horizon}"
    note = f"{event.horizon} steps to the onset, {_cases(event)} cases; 1 is no farther than stable"
    subjects = 0 if event.matched is None else len(np.unique(event.matched.subjects))
    return Headline(label, value, "", low, high, subjects, note=note, metric=metric, better="higher")


def ratio_name(event: str) -> str:
    """Name of the metric: how far cases move over how far stable trajectories do."""
    return f"displacement ratio, {event}"


def _verdicts(event: EventDisplacement) -> list[Verdict]:
    trained, where = event.encoders["trained"], f"Before {event.event} (h = {event.horizon})"
    if trained.ratio is None:
        return [Verdict("bad", f"{where}, all baselines have the same latent: the encoder is constant there.")]
    if _cases(event) < TOO_FEW_CASES:
        return [Verdict("warning", f"{where}, there are {_cases(event)} cases: too few to say how far they move.")]
    verdicts = [_against_shuffled(where, trained)]
    untrained = event.encoders.get("untrained")
    if untrained is not None and untrained.draws is not None and trained.draws is not None:
        low, _ = percentile_interval(trained.draws - untrained.draws)
        if not low > 0:
            text = f"{where}, the untrained encoder separates cases from controls as far: the data do it, not training."
            verdicts.append(Verdict("warning", text))
    if _cases(event) < FEW_CASES:
        verdicts.append(Verdict("warning", f"{where}, only {_cases(event)} cases: read the interval, not the digits."))
    return verdicts


def _against_shuffled(where: str, trained: Displacement) -> Verdict:
    _, low, _ = _interval(trained)
    _, chance, _ = _range(trained)
    ratio = trained.ratio
    if low is not None and chance is not None and ratio is not None and low > 1 and ratio > chance:
        return Verdict("good", f"{where}, latents move {ratio:.2f} times as far as those of stable controls.")
    return Verdict("warning", f"{where}, latents move no farther than those of stable controls, or chance could do it.")


def _table(events: list[EventDisplacement], note: str) -> Table:
    columns = [
        Column("event"),
        Column("h", "steps"),
        Column("encoder"),
        Column("case_displacement", "scatter"),
        Column("control_displacement", "scatter"),
        *(Column(name) for name in ("ratio", "ratio_low", "ratio_high", "shuffled_low", "shuffled_high", "p")),
        *(Column(name, digits=6) for name in ("cases", "controls", "subjects", "cases_without_control")),
    ]
    rows: list[list[Cell]] = []
    for displacement in events:
        if displacement.matched is None:
            rows.append([displacement.event, displacement.horizon, *[None] * (len(columns) - 2)])
            continue
        matched = displacement.matched
        counts = [_cases(displacement), int((~matched.case).sum()), len(np.unique(matched.subjects)), matched.unmatched]
        for name, moved in displacement.encoders.items():
            ends = [_cell(moved.case), _cell(moved.control)]
            rows.append(
                [displacement.event, displacement.horizon, name, *ends, *_interval(moved), *_range(moved), *counts]
            )
    return Table("displacement", "Displacement on the way to an event", columns, rows, note)


def _picture(event: EventDisplacement, paths: Paths, number: int) -> Figure:
    """Mean paths, and a few single ones, from the baseline to the onset."""
    series = []
    for label, chosen, mean in zip(("cases", "stable controls"), (paths.case, ~paths.case), paths.means, strict=True):
        series.append(_path(f"{label}, mean path", mean))
        series.append(_single_paths(f"{label}, single paths", paths.points[chosen][:DRAWN_PATHS]))
    note = (
        f"{paths.method}; states of {int(paths.case.sum())} cases and {int((~paths.case).sum())} controls, "
        f"{event.horizon + 1} steps each, in order along the line; a mean path is that of their mean latents."
    )
    title = f"Paths of latents before {event.event}"
    across, up = f"first {paths.axis}", f"second {paths.axis}"
    return Figure(f"paths_{event.event}_{number}", title, across, up, series, note=note)


def _path(label: str, points: np.ndarray) -> Series:
    return Series(label, points[:, 0].astype(float).tolist(), points[:, 1].astype(float).tolist())


def _single_paths(label: str, paths: np.ndarray) -> Series:
    """Several paths as one line that is broken between them."""
    x = [float(value) for path in paths for value in (*path[:, 0], path[-1, 0])]
    y = [value for path in paths for value in (*map(float, path[:, 1]), None)]
    return Series(label, x, y, control=True)


def _cell(value: float | np.ndarray | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
