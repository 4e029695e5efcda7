"""Tables, figure, headlines and verdict of alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.detectors import FOREST, LAST_VALUE, SURPRISE
from jepa_anomalies.judged import Judged, with_interval
from jepa_core.results.findings import Cell, Claim, Column, Figure, Findings, Headline, Series, Side, Table, Verdict

NOTE = (
    "Surprise: how far a step is from what the steps before it let expect, in standard deviations of the train split; "
    "the root mean square over channels, and of that the mean over the last steps. The last value has the same made of "
    "its errors; the isolation forest sees one step at a time, what is missing carried on. Each threshold is "
    "split-conformal, from scores of the tuning split without labels: anomalies in it raise the threshold. An event is "
    "a run of steps with the label; an alarm is silent for some steps after it was raised, and true if it was raised "
    "within an event. Intervals are 95 %, percentiles over redrawn subjects; there is none of AUROC and average "
    "precision, of one subject, or where many draws hold no event or no alarm. A cell is empty where there is no "
    "event, no alarm, or too few steps for a threshold."
)
ADJUSTED = (
    "Point-adjusted F1 counts a whole event as found once one step of it is. It is inflated: alarms thrown at random "
    "on as many steps reach the value beside it (Kim et al., AAAI 2022, arXiv 2109.05257). Read the difference, or the "
    "event measures."
)
CLAIMED = {SURPRISE: "the model's surprise", LAST_VALUE: "the last value", FOREST: "an isolation forest"}
TERMS = {
    "surprise": "how far a step is from what the model expects of it, given the steps before",
    "F1": "harmonic mean of the share of anomalies that an alarm finds and the share of alarms that are of one",
    "isolation forest": "a detector that looks at single steps: those that few cuts set apart from the others",
}
"""What is meant by words of the answer."""
MEASURES = {
    "recall": Column("event_recall"),
    "precision": Column("alarm_precision"),
    "f1": Column("event_f1"),
    "delay": Column("delay", "steps"),
    "false_alarms": Column("false_alarms", "a thousand normal steps"),
}


@dataclass(frozen=True)
class ChannelMeans:
    """Mean surprise of each channel: (C,) within events and outside, NaN where there is none."""

    names: list[str]
    within: np.ndarray
    outside: np.ndarray


def not_measured(reason: str) -> Findings:
    """Findings where nothing could be scored."""
    return Findings(
        headlines=[Headline("event recall of surprise", None, note=reason)],
        verdicts=[Verdict("warning", f"No step could be scored: {reason}.")],
    )


def unlabelled(surprise: Judged, steps: int, means: ChannelMeans, config: AnomaliesConfig) -> Findings:
    """Findings where no label says what an anomaly is."""
    note = f"the threshold leaves {config.rate:.2%} of the tuning split beyond it; no label judges the alarms"
    shares = Headline("steps beyond the threshold", 100 * surprise.hot, "%", n=steps, n_unit="steps", note=note)
    return Findings(
        headlines=[shares],
        verdicts=[Verdict("warning", "No label says what an anomaly is, so no alarm was judged.")],
        tables=[_channels(means)],
    )


def anomaly_findings(judged: list[Judged], means: ChannelMeans, config: AnomaliesConfig, missing: str) -> Findings:
    """Findings of all detectors, the surprise of channels first. missing: what was not measured, in words."""
    return Findings(
        headlines=_headlines(judged[0], config),
        verdicts=[_verdict({each.name: each for each in judged})],
        tables=[_table(judged, f"{NOTE} {missing}".strip()), _adjusted(judged), _channels(means)],
        figures=[_figure(judged)],
        claims=[_claim(judged)],
        terms=TERMS,
    )


def _claim(judged: list[Judged]) -> Claim:
    """Whether surprise finds more of the anomalies, with fewer false alarms, than what needs no model."""
    by_name = {each.name: each for each in judged}
    ours = by_name[SURPRISE]
    sides = [Side(name, words, *by_name[name].measures["f1"].cells(), *_gain(ours, by_name[name]))
             for name, words in CLAIMED.items()]  # fmt: skip
    about = "of alarms and anomalies, thresholds without labels"
    note = "" if ours.events else "the split holds no anomaly"
    return Claim(about, "F1", "higher", sides, ours.events, "anomalies", ours.events, note=note)


def _gain(ours: Judged, other: Judged) -> list[float | None]:
    """By how much ours is better, paired by subject; nothing of itself."""
    mine, theirs = ours.measures["f1"].value, other.measures["f1"].value
    if other is ours or mine is None or theirs is None:
        return [None, None, None]
    return with_interval(mine - theirs, ours.f1_draws - other.f1_draws).cells()


def _headlines(surprise: Judged, config: AnomaliesConfig) -> list[Headline]:
    at = f"threshold at {config.rate:.2%} of the tuning split, which no label chose"
    told = (
        ("recall", "event recall of surprise", "", surprise.events, "events"),
        ("precision", "alarm precision of surprise", "", surprise.alarms, "alarms"),
        ("delay", "mean delay of detection", "steps", surprise.events, "events"),
    )
    headlines = []
    for name, label, unit, count, counted in told:
        value, low, high = surprise.measures[name].cells()
        note = at if value is not None else "no event, no alarm, or too few steps of tuning for a threshold"
        compared = value is not None and name != "delay"
        metric = f"{label.removesuffix(' of surprise')}, {SURPRISE}" if compared else ""
        bounds = (low, high, count or None, counted, note, metric)
        headlines.append(Headline(label, value, unit, *bounds, better="higher" if compared else ""))
    return headlines


def _verdict(judged: dict[str, Judged]) -> Verdict:
    surprise = judged[SURPRISE]
    if surprise.events == 0:
        return Verdict("warning", "The split holds no anomaly, so no alarm could be judged.")
    scores = {name: judged[name].measures["f1"].value or 0.0 for name in (SURPRISE, LAST_VALUE, FOREST)}
    told = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    beaten = scores[SURPRISE] > max(scores[LAST_VALUE], scores[FOREST])
    few = "; of so few events it says little" if surprise.events < 20 else ""
    return Verdict(
        "good" if beaten and not few else "warning",
        f"F1 of events and alarms, thresholds without labels: {told}, on {surprise.events} events{few}.",
    )


def _table(judged: list[Judged], note: str) -> Table:
    columns = [Column("detector"), Column("threshold")]
    for column in MEASURES.values():
        columns += [Column(f"{column.name}{end}", column.unit) for end in ("", "_low", "_high")]
    columns += [Column("auroc_of_steps"), Column("average_precision_of_steps"), Column("beyond", "share of steps")]
    columns += [Column("alarms", digits=8), Column("events", digits=8)]
    rows: list[list[Cell]] = []
    for each in judged:
        bounded = [cell for name in MEASURES for cell in each.measures[name].cells()]
        areas = [each.auroc, each.average_precision, each.hot]
        rows.append([each.name, each.threshold, *bounded, *areas, each.alarms, each.events])
    return Table("alarms", "Alarms and the anomalies that they find", columns, rows, note)


def _adjusted(judged: list[Judged]) -> Table:
    columns = [Column("detector"), Column("point_adjusted_f1"), Column("of_random_alarms"), Column("events", digits=8)]
    rows: list[list[Cell]] = [[each.name, each.point_adjusted, each.random, each.events] for each in judged]
    return Table("point_adjusted", "Point-adjusted F1, which is inflated", columns, rows, ADJUSTED)


def _channels(means: ChannelMeans) -> Table:
    """Which channels are surprising, the most telling first."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = means.within / means.outside
    order = np.argsort(-np.nan_to_num(ratio, nan=-1.0, posinf=1e18), kind="stable")
    columns = [Column("channel"), Column("within_events"), Column("outside"), Column("ratio")]
    rows: list[list[Cell]] = []
    for row in order.tolist():
        cells = (means.within[row], means.outside[row], ratio[row])
        rows.append([means.names[row], *(float(cell) if np.isfinite(cell) else None for cell in cells)])
    note = "Mean surprise of each channel. A cell is empty where there is no such step, or the channel never changes."
    return Table("channels", "Surprise of every channel", columns, rows, note)


def _figure(judged: list[Judged]) -> Figure:
    series = [
        Series(
            each.name, [x for x, _ in each.curve], [y for _, y in each.curve], control=each.name in (LAST_VALUE, FOREST)
        )
        for each in judged
        if each.curve
    ]
    note = (
        "Thresholds are quantiles of the tuning split, from a thousandth to a fifth of its steps; no label chose them."
    )
    title = "Events that are caught, by false alarms"
    return Figure("recall", title, "false alarms a thousand normal steps", "event recall", series, note=note)
