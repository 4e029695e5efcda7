"""Tables, figures, headlines and verdict of forecasts of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.results.findings import Cell, Claim, Column, Figure, Findings, Headline, Series, Side, Table, Verdict
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from jepa_core.results.text import counted
from jepa_latent_eval.estimates import UNKNOWN, Bounded, ratio_of_sums

if TYPE_CHECKING:
    from jepa_latent_eval.channel_forecast import MeasuredForecasts
    from jepa_latent_eval.config import ChannelForecastConfig

CONTROLS = ("last value", "train mean")
CLAIMED = {"rollout": "the decoded rollout", "last value": "the last value", "train mean": "the mean of train"}
"""Forecasts by what a reader calls them, ours first."""
TERMS = {
    "error of channels": "mean absolute error of what a channel will show, averaged over channels; each is laid onto "
    "the normal curve by its values in the train split, so that 1 is about a standard deviation",
    "decoded rollout": "what the model imagines step by step, read in terms of the channels",
    "last value": "the last value observed of a channel, repeated; the mean of train where there was none",
}
"""What is meant by words of the claim."""
TOLERANCE = 0.03
"""Coverage may be off by so much and be called right."""

NOTE = (
    "Values are normal scores of the train split. Intervals are split-conformal, fitted on tuning for each channel and "
    "horizon; their coverage is measured here. Error ratios are medians over the channels with enough values. "
    "Intervals of figures are 95 %, percentiles over redrawn subjects."
)


def note_of(acts: bool) -> str:
    """What the figures are made of. acts: whether the data have actions."""
    imagined = "are imagined under the recorded actions" if acts else "the model imagines"
    return f"Forecasts are read by the kept decoder off the beliefs that {imagined}. {NOTE}"


@dataclass(frozen=True)
class Horizon:
    """What was found h steps ahead. ratios: of the rollout's error to that of each control. width: median over channels
    of the interval's width over that of the last value's interval. break_even: whether the rollout beats both."""

    h: int
    coverage: Bounded
    ratios: dict[str, Bounded]
    width: float
    values: int
    subjects: int

    @property
    def break_even(self) -> bool:
        return all(ratio.value < 1 for ratio in self.ratios.values())


def no_channels(reason: str) -> Findings:
    """Findings where nothing could be forecast."""
    return Findings(
        headlines=[Headline("coverage of intervals", None, note=reason)],
        verdicts=[Verdict("warning", f"No channel could be forecast: {reason}.")],
    )


def channel_findings(measured: MeasuredForecasts, config: ChannelForecastConfig, seed: int) -> Findings:
    """Findings of all horizons."""
    errors = measured.held_out.errors["rollout"]
    places = range(errors.shape[1])
    kept = np.flatnonzero(sum(np.isfinite(errors[:, ahead]).sum(axis=0) for ahead in places) >= config.least_values)
    horizons = [_horizon(measured, index, kept, config, seed) for index in places]
    overall = _coverage(measured, places, config, seed)
    subjects = len(np.unique(measured.held_out.subjects))
    return Findings(
        headlines=_headlines(horizons, overall, config, subjects, len(kept)),
        verdicts=[_coverage_verdict(horizons, config), _error_verdict(horizons, len(kept))],
        tables=[_table(horizons, config, len(kept), measured.acts), _channels(measured, config)],
        figures=[_error_figure(horizons, len(kept)), _coverage_figure(horizons, config)],
        claims=[_claim(measured, kept, config, seed)],
        terms=TERMS,
    )


def _claim(measured: MeasuredForecasts, kept: np.ndarray, config: ChannelForecastConfig, seed: int) -> Claim:
    """Whether the rollout's forecast is nearer to what came than what needs no model, at the longest horizon."""
    errors = {name: array[:, -1, kept].astype(np.float64) for name, array in measured.held_out.errors.items()}
    subjects = measured.held_out.subjects
    there = np.isfinite(errors["rollout"])
    ahead = measured.held_out.errors["rollout"].shape[1]
    about = f"{ahead} steps ahead of {config.context} seen, {counted(len(kept), 'channel')}"
    shown = np.unique(subjects[there.any(axis=1)])
    if not len(shown):
        sides = [Side(name, told, None) for name, told in CLAIMED.items()]
        return Claim(about, "error of channels", "lower", sides, 0, note="no channel has enough values there")
    sums = np.stack([*(np.nan_to_num(errors[name]) for name in CLAIMED), there], axis=1)
    means = _means_over_channels(sums.mean(axis=0)[None])
    draws = _means_over_channels(bootstrap_subjects(sums, subjects, config.bootstrap, seed))
    sides = [
        Side(name, told, *_bounded(means[:, index], draws[:, index]).cells(),
             *(_bounded(means[:, index] - means[:, 0], draws[:, index] - draws[:, 0]).cells() if index else []))
        for index, (name, told) in enumerate(CLAIMED.items())
    ]  # fmt: skip
    return Claim(about, "error of channels", "lower", sides, len(shown))


def _means_over_channels(sums: np.ndarray) -> np.ndarray:
    """(draws, forecasts) mean over channels of the mean error. sums: (draws, forecasts + 1, C), the last is how many
    there are; a channel without values in a draw takes no part in it."""
    there = sums[:, -1:] > 0
    ratios = np.divide(sums[:, :-1], sums[:, -1:], out=np.zeros_like(sums[:, :-1]), where=there)
    return ratios.sum(axis=2) / np.where(there.any(axis=2), there.sum(axis=2), np.nan)


def _bounded(value: np.ndarray, draws: np.ndarray) -> Bounded:
    """A figure (1,) with the interval of its draws, over those that define it."""
    low, high = percentile_interval(draws[np.isfinite(draws)])
    return Bounded(float(value[0]), float(low), float(high))


def _coverage(measured: MeasuredForecasts, places: Sequence[int], config: ChannelForecastConfig, seed: int) -> Bounded:
    """Share of the values of some horizons that lie within the intervals. What has no finite interval takes no part."""
    subjects = measured.held_out.subjects
    inside, there = np.zeros((2, len(subjects)), dtype=np.int64)
    for ahead in places:
        errors, widths = measured.held_out.errors["rollout"][:, ahead], measured.widths["rollout"][ahead]
        judged = np.isfinite(errors) & np.isfinite(widths)
        there += judged.sum(axis=1)
        inside += (judged & (errors <= widths)).sum(axis=1)
    return ratio_of_sums(inside, there, subjects, config.bootstrap, seed)


def _horizon(
    measured: MeasuredForecasts, index: int, kept: np.ndarray, config: ChannelForecastConfig, seed: int
) -> Horizon:
    errors = {name: array[:, index, kept].astype(np.float64) for name, array in measured.held_out.errors.items()}
    there = np.isfinite(errors["rollout"])
    seen = np.isfinite(measured.held_out.errors["rollout"][:, index]).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # the last value of a constant channel is never wrong
        widths = measured.widths["rollout"][index, kept] / measured.widths["last value"][index, kept]
    finite = widths[np.isfinite(widths)]
    return Horizon(
        h=index + 1,
        coverage=_coverage(measured, [index], config, seed),
        ratios={name: _median_ratio(errors, name, measured.held_out.subjects, config, seed) for name in CONTROLS},
        width=float(np.median(finite)) if len(finite) else np.nan,
        values=int(there.sum()),
        subjects=len(np.unique(measured.held_out.subjects[seen])),
    )


def _median_ratio(
    errors: dict[str, np.ndarray], control: str, subjects: np.ndarray, config: ChannelForecastConfig, seed: int
) -> Bounded:
    """Median over channels of mean error over the control's."""
    said, other = (np.nan_to_num(errors[name]) for name in ("rollout", control))
    if said.shape[1] == 0 or not np.isfinite(errors["rollout"]).any():
        return UNKNOWN
    draws = bootstrap_subjects(np.stack([said, other], axis=1), subjects, config.bootstrap, seed)
    low, high = percentile_interval(_median(draws[:, 0], draws[:, 1]))
    return Bounded(float(_median(said.sum(axis=0)[None], other.sum(axis=0)[None])[0]), float(low), float(high))


def _median(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(draws,) median over channels (draws, C) of a ratio, over those that have one."""
    ratios = np.ma.masked_array(above, mask=below <= 0) / np.ma.masked_array(below, mask=below <= 0)
    return np.ma.median(ratios, axis=1).filled(np.nan)


def _headlines(
    horizons: list[Horizon], overall: Bounded, config: ChannelForecastConfig, subjects: int, channels: int
) -> list[Headline]:
    last = horizons[-1]
    value, low, high = overall.cells()
    note = "all horizons; intervals fitted on tuning"
    headlines = [Headline(f"coverage of {config.level:.0%} intervals", value, "", low, high, subjects, note=note)]
    for name, ratio in last.ratios.items():
        value, low, high = ratio.cells()
        note = f"h = {last.h}, median of {channels} channels; below 1 is better than the {name}"
        label = f"error of channels over {name}"
        headlines.append(Headline(label, value, "", low, high, subjects, note=note, better="lower"))
    return headlines


def _coverage_verdict(horizons: list[Horizon], config: ChannelForecastConfig) -> Verdict:
    off = [horizon.h for horizon in horizons if not abs(horizon.coverage.value - config.level) <= TOLERANCE]
    covered = [horizon.coverage.value for horizon in horizons]
    span = f"{min(covered):.1%} to {max(covered):.1%}"
    told = f"The {config.level:.0%} intervals cover {span} of the values by horizon"
    if not off:
        return Verdict("good", f"{told}.")
    return Verdict("warning", f"{told}; they are off by more than {TOLERANCE:.0%} at h = {', '.join(map(str, off))}.")


def _error_verdict(horizons: list[Horizon], channels: int) -> Verdict:
    better = sum(horizon.break_even for horizon in horizons)
    text = (
        f"Over {channels} channels, the median error of the rollout is below those of the last value and of the mean "
        f"of train at {better} of {len(horizons)} horizons."
    )
    return Verdict("good" if better == len(horizons) else "warning", text)


def _table(horizons: list[Horizon], config: ChannelForecastConfig, channels: int, acts: bool) -> Table:
    names = ["coverage", *(f"error_over_{name.replace(' ', '_')}" for name in CONTROLS)]
    columns = [Column("h", "steps")]
    columns += [Column(f"{name}{end}") for name in names for end in ("", "_low", "_high")]
    columns += [Column("width_over_last_value"), Column("values", digits=8), Column("subjects", digits=6)]
    rows: list[list[Cell]] = []
    for horizon in horizons:
        estimates = [cell for part in (horizon.coverage, *horizon.ratios.values()) for cell in part.cells()]
        rows.append(
            [
                horizon.h,
                *estimates,
                None if np.isnan(horizon.width) else horizon.width,
                horizon.values,
                horizon.subjects,
            ]
        )
    note = f"{note_of(acts)} {channels} channels have at least {config.least_values} values on the split."
    return Table("horizons", "Forecasts of channels by horizon", columns, rows, note)


def _channels(measured: MeasuredForecasts, config: ChannelForecastConfig) -> Table:
    """Every channel, over all horizons."""
    columns = [Column("channel"), Column("coverage"), Column("error"), *(Column(f"error_{name}") for name in CONTROLS)]
    columns.append(Column("values", digits=8))
    rows: list[list[Cell]] = []
    values, judged, inside, sums = _sums_of_channels(measured)
    for index, name in enumerate(measured.names):
        covered = float(inside[index] / judged[index]) if judged[index] else None
        means: list[Cell] = [float(of_method[index] / values[index]) if values[index] else None for of_method in sums]
        rows.append([name, covered, *means, int(values[index])])
    return Table("channels", "Forecasts of every channel, all horizons", columns, rows, note_of(measured.acts))


def _sums_of_channels(measured: MeasuredForecasts) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Over all horizons, for each channel (C,): values, those with an interval, those within it, and the summed errors
    of the rollout and of each control."""
    errors, widths = measured.held_out.errors, measured.widths["rollout"]
    values, judged, inside = np.zeros((3, len(measured.names)), dtype=np.int64)
    sums = [np.zeros(len(measured.names)) for _ in range(1 + len(CONTROLS))]
    for ahead, width in enumerate(widths):
        own = errors["rollout"][:, ahead]
        there = np.isfinite(own)
        values += there.sum(axis=0)
        judged += there.sum(axis=0) * np.isfinite(width)
        inside += (there & np.isfinite(width) & (own <= width)).sum(axis=0)
        for total, method in zip(sums, ("rollout", *CONTROLS), strict=True):
            total += np.where(there, errors[method][:, ahead], 0.0).sum(axis=0, dtype=np.float64)
    return values, judged, inside, sums


def _error_figure(horizons: list[Horizon], channels: int) -> Figure:
    x = [float(horizon.h) for horizon in horizons]
    series = []
    for name in CONTROLS:
        value, low, high = zip(*(horizon.ratios[name].cells() for horizon in horizons), strict=True)
        series.append(Series(f"over {name}", x, list(value), list(low), list(high)))
    note = f"Median over {channels} channels; below 1 the rollout is nearer to what was observed."
    title = "Error of forecast channels by horizon"
    return Figure("errors", title, "horizon (steps)", "error ratio", series, note=note)


def _coverage_figure(horizons: list[Horizon], config: ChannelForecastConfig) -> Figure:
    x = [float(horizon.h) for horizon in horizons]
    value, low, high = zip(*(horizon.coverage.cells() for horizon in horizons), strict=True)
    series = [
        Series("measured", x, list(value), list(low), list(high)),
        Series("promised", x, [config.level] * len(x), control=True),
    ]
    title = f"Coverage of {config.level:.0%} intervals by horizon"
    return Figure("coverage", title, "horizon (steps)", "share of values inside", series)
