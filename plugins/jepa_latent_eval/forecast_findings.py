"""Tables, figure, headlines and verdicts of decoded forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.results.findings import Cell, Column, Figure, Findings, Headline, Series, Table, Verdict
from jepa_core.results.statistics import percentile_interval
from jepa_latent_eval import decoding
from jepa_latent_eval.forecast_draws import error_name
from jepa_latent_eval.rollout import ROLLOUT, Cohort

if TYPE_CHECKING:
    from jepa_latent_eval.config import DecodedForecastConfig
    from jepa_latent_eval.decoding import Probe, Score

TOLD = {
    decoding.RECORDED: "past, and the recorded future actions",
    decoding.HELD: "past",
    decoding.DECODED_PERSISTENCE: "past",
    decoding.LAST_VALUE: "past",
    decoding.MEAN: "train split",
    decoding.ENCODED: "the future itself",
}
"""What each forecast is told. The last is no forecast: it is what a probe could read off a perfect rollout."""
TOLD_NO_ACTIONS = {ROLLOUT: "past"} | {
    name: told for name, told in TOLD.items() if name not in (decoding.RECORDED, decoding.HELD)
}
"""The same, where the data have no actions that a rollout could be told."""
HEADLINE_HORIZON = 24

NOTE = (
    "A ridge regression a label, from the latent of the same step, fitted on train with its penalty chosen on tuning, "
    "is applied to the states that each forecast says. Rows are windows in which the label is measured at the horizon; "
    "all forecasts of a label and horizon share them. MAE in the label's own unit; MASE: MAE over that of the last "
    "measured value of the context. Intervals are 95 %, percentiles over redrawn subjects."
)
TOLD_NOTE = (
    " Only the rollout under recorded actions is told anything of the future; compare the others with what does not "
    "know it either."
)

Scores = list[dict[str, list["Score | None"]]]


def no_forecasts(reason: str) -> Findings:
    """Findings where nothing could be decoded."""
    return Findings(
        headlines=[Headline("decoded forecasts, median MASE", None, note=reason)],
        verdicts=[Verdict("warning", f"No decoded forecast could be measured: {reason}.")],
    )


def forecast_findings(
    probes: list[Probe],
    scores: Scores,
    horizons: list[int],
    reasons: list[str],
    cohort: Cohort,
    config: DecodedForecastConfig,
    acts: bool,
) -> Findings:
    """Findings of all labels. reasons: why some have no probe. acts: whether the data have actions."""
    left = [str(h) for h in config.horizons if h not in horizons]
    told = TOLD if acts else TOLD_NO_ACTIONS
    note = (
        NOTE + (TOLD_NOTE if acts else "") + (f" Beyond the training windows: h = {', '.join(left)}." if left else "")
    )
    note += "".join(f" Null: {reason}." for reason in reasons)
    at = max((h for h in horizons if h <= HEADLINE_HORIZON), default=horizons[0])
    index = horizons.index(at)
    subjects = len(np.unique(cohort.subjects))
    return Findings(
        headlines=[_headline(scores, name, index, at, subjects, len(probes)) for name in rollouts_of(acts)],
        verdicts=[_verdict(scores, name, told[name], index, at) for name in rollouts_of(acts)],
        tables=[
            _summary(scores, told, horizons, subjects, note),
            _table(probes, scores, told, horizons, note),
            _probes(probes, reasons),
        ],
        figures=[_figure(scores, told, horizons, len(probes))],
    )


def rollouts_of(acts: bool) -> tuple[str, ...]:
    """What the rollouts are called. acts: whether the data have actions."""
    return (decoding.RECORDED, decoding.HELD) if acts else (ROLLOUT,)


def _median(scores: Scores, name: str, index: int) -> tuple[float | None, float | None, float | None, int]:
    """Median MASE over the labels that are measured at a horizon, its interval, and how many labels."""
    measured = [scored[name][index] for scored in scores]
    kept = [score for score in measured if score is not None and np.isfinite(score.mase)]
    if not kept:
        return None, None, None, 0
    stacked = np.stack([score.mase_draws for score in kept])
    drawn = np.nanmedian(stacked[:, np.isfinite(stacked).any(axis=0)], axis=0)
    value, low, high = _estimate(float(np.median([score.mase for score in kept])), drawn)
    return value, low, high, len(kept)


def _headline(scores: Scores, name: str, index: int, at: int, subjects: int, labels: int) -> Headline:
    value, low, high, count = _median(scores, name, index)
    note = f"h = {at}, median of {count} of {labels} labels; below 1 beats the last value"
    label = error_name(name)
    return Headline(label, value, "", low, high, subjects, note=note, metric=f"{label}, h = {at}", better="lower")


def _verdict(scores: Scores, name: str, told: str, index: int, at: int) -> Verdict:
    kept = [scored for scored in scores if scored[name][index] is not None]
    better = {
        control: sum(_error(scored[name][index]) < _error(scored[control][index]) for scored in kept)
        for control in (decoding.LAST_VALUE, decoding.DECODED_PERSISTENCE, decoding.MEAN)
    }
    than = ", ".join(f"{control} for {count}" for control, count in better.items())
    good = bool(kept) and min(better.values()) > len(kept) / 2
    text = f"At h = {at}, of {len(kept)} labels, the {name} (told: {told}) has the smaller error than {than}."
    return Verdict("good" if good else "warning", text)


def _error(score: Score | None) -> float:
    return float("nan") if score is None else score.mae


def _summary(scores: Scores, each: Mapping[str, str], horizons: list[int], subjects: int, note: str) -> Table:
    columns = [Column("h", "steps"), Column("forecast"), Column("told"), *_interval_columns("median_MASE")]
    columns += [Column("labels", digits=6), Column("subjects", digits=6)]
    rows: list[list[Cell]] = []
    for index, h in enumerate(horizons):
        for name, told in each.items():
            value, low, high, count = _median(scores, name, index)
            rows.append([h, name, told, value, low, high, count, subjects])
    return Table("summary", "Decoded forecasts, all labels", columns, rows, note)


def _table(probes: list[Probe], scores: Scores, each: Mapping[str, str], horizons: list[int], note: str) -> Table:
    columns = [Column("label"), Column("h", "steps"), Column("forecast"), Column("told")]
    columns += [*_interval_columns("MAE"), *_interval_columns("MASE"), Column("rows", digits=6)]
    columns += [Column("subjects", digits=6)]
    rows: list[list[Cell]] = []
    for probe, scored in zip(probes, scores, strict=True):
        for index, h in enumerate(horizons):
            for name, told in each.items():
                rows.append([probe.label, h, name, told, *_cells(scored[name][index])])
    return Table("forecasts", "Decoded forecasts of every label", columns, rows, note)


def _cells(score: Score | None) -> list[Cell]:
    if score is None:
        return [*[None] * 6, 0, 0]
    estimates = [cell for value, draws in ((score.mae, score.mae_draws), (score.mase, score.mase_draws))
                 for cell in _estimate(value, draws)]  # fmt: skip
    return [*estimates, score.rows, score.subjects]


def _estimate(value: float, draws: np.ndarray) -> list[float | None]:
    """A value with the interval of its draws; without one where no draw defines it, as of one subject."""
    kept = draws[np.isfinite(draws)]
    if not np.isfinite(value) or len(kept) == 0:
        return [value if np.isfinite(value) else None, None, None]
    low, high = percentile_interval(kept)
    return [value, float(low), float(high)]


def _interval_columns(name: str) -> list[Column]:
    return [Column(name), Column(f"{name}_low"), Column(f"{name}_high")]


def _probes(probes: list[Probe], reasons: list[str]) -> Table:
    columns = [Column("label"), Column("penalty"), Column("train_steps", digits=6), Column("train_mean")]
    rows: list[list[Cell]] = [[probe.label, probe.strength, probe.steps, probe.mean] for probe in probes]
    return Table("probes", "Probes", columns, rows, " ".join(f"None: {reason}." for reason in reasons))


def _figure(scores: Scores, each: Mapping[str, str], horizons: list[int], labels: int) -> Figure:
    series = []
    for name, told in each.items():
        medians = [_median(scores, name, index) for index in range(len(horizons))]
        value, low, high, _ = (list(part) for part in zip(*medians, strict=True))
        rolled = name in (*rollouts_of(True), *rollouts_of(False))
        x = [float(h) for h in horizons]
        series.append(
            Series(f"{name} (told: {told})", x, value, low if rolled else [], high if rolled else [], not rolled)
        )
    note = f"Median over {labels} labels of MAE over the last value's; the decoded true state is a bound, no forecast."
    return Figure("mase", "Decoded forecasts by horizon", "horizon (steps)", "median MASE", series, note=note)
