"""Tables, figures, headlines and verdicts of the rollout drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from jepa_core.results.findings import (
    Cell,
    Claim,
    Column,
    Figure,
    Findings,
    Headline,
    Mark,
    Series,
    Side,
    Table,
    Verdict,
)
from jepa_latent_eval.curves import BoundedCurve, Curves, MeasuredContext, UnmeasuredContext
from jepa_latent_eval.drift_samples import drift_name, key, over_name, skill_name
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT, SHUFFLED
from jepa_latent_eval.wording import NO_UNTRAINED

if TYPE_CHECKING:
    from jepa_latent_eval.config import RolloutDriftConfig

FEW_SUBJECTS = 30
SUMMARY_HORIZONS = (1, 6, 12, 24, 48)

METHOD = (
    "Every horizon h of a context of C steps is measured on the same windows. l1 is the mean over dimensions and "
    "windows; intervals are 95 %, percentiles over redrawn subjects. The mean latent is that of the train split; "
    "latent scale is the mean absolute deviation of the target states from it. Drift is the growth of l1 since h = 1. "
    "The skill "
    "horizon is the last h up to which, at every h, the rollout beats both persistence and the mean latent."
)
WITH_ACTIONS = (
    " The rollout sees C real steps and then the recorded future actions, so it is a forecast given the actions. "
    "Shuffled actions are those of a window of another subject, from step C on, so they can first matter at h = 2."
)

TERMS = {
    "rollout": "states that the predictor imagines one after the other, each fed back to it",
    "context": "how many real steps are seen before that",
    "persistence": "the last state seen, repeated: what a model must beat",
    "mean latent": "the mean of the states of the train split: what knows nothing of the case would say",
    "skill horizon": "the last step ahead up to which the rollout beats both persistence and the mean latent",
    "drift": "growth of the error since the first step ahead, in per cent",
    "latent scale": "mean absolute deviation of the states from the mean latent; an error of 1 is as far off as that",
    "l1": "mean absolute difference over the dimensions of a latent",
}
"""What is meant by words of the tables."""
ACTION_TERMS = {
    "shuffled actions": "actions of somebody else: where they serve as well, the model makes no use of actions"
}
SAME_NOTE = "Windows, forecasts and intervals are those of the first table; differences are rollout minus control."


def drift_findings(contexts: list[MeasuredContext | UnmeasuredContext], config: RolloutDriftConfig) -> Findings:
    """Findings of all contexts; the unmeasured ones are null with their reason."""
    measured = [context for context in contexts if isinstance(context, MeasuredContext)]
    reasons = [f"{context.reason}." for context in contexts if isinstance(context, UnmeasuredContext)]
    nulls = "".join(f" Null: {reason}" for reason in reasons)
    if config.untrained and any(context.untrained is None for context in measured):
        nulls += f" {NO_UNTRAINED}"
    shown = _headline_context(measured, config.headline_context)
    acts = any(context.acts for context in measured)
    return Findings(
        headlines=_headlines(shown) if shown else _no_headlines(reasons[0]),
        verdicts=_verdicts(shown) if shown else [Verdict("bad", f"No rollout could be measured: {reasons[0]}")],
        tables=[
            _contexts(contexts, METHOD + (WITH_ACTIONS if acts else "") + nulls),
            _summary(contexts, SAME_NOTE + nulls, acts),
            _horizons(contexts, f"{SAME_NOTE} A rollout is not compared to itself.{nulls}"),
        ],
        figures=[*_headline_figure(shown), *(_by_horizon(context) for context in measured), *_against_untrained(shown)],
        claims=[_claim(shown)] if shown else [],
        terms=TERMS | (ACTION_TERMS if acts else {}),
    )


def _headline_context(measured: list[MeasuredContext], wanted: int) -> MeasuredContext | None:
    return min(measured, key=lambda context: (abs(context.context - wanted), context.context), default=None)


def _claim(at: MeasuredContext) -> Claim:
    """Whether the rollout is worth anything at the longest horizon, in the unit that encoders share."""
    curves = at.trained
    about = f"{at.horizon} steps ahead of {at.context} seen"
    compared = [
        Side(ROLLOUT, "the rollout", *_last(curves.scaled(ROLLOUT))),
        *(
            Side(name, words, *_last(curves.scaled(name)), *_gain(curves.scaled_minus_control(name)))
            for name, words in ((PERSISTENCE, "persistence"), (MEAN, "the mean latent"))
        ),
    ]
    return Claim(about, "error / latent scale", "lower", compared, at.subjects)


def _gain(difference: BoundedCurve) -> tuple[float | None, float | None, float | None]:
    """By how much the rollout is better, at the longest horizon, of its difference to something."""
    value, low, high = (None if end is None else -end for end in _last(difference))
    return value, high, low


def _headlines(at: MeasuredContext) -> list[Headline]:
    curves, where = at.trained, f"context {at.context}, h = {at.horizon}"
    skill, below = f"context {at.context}; of {at.horizon} steps", f"{where}; below 1 is better"
    names = (drift_name(at.context), *(over_name(control, at.context) for control in (PERSISTENCE, MEAN)))
    drift, over_persistence, over_mean = (key(name, at.horizon) for name in names)

    def headline(
        label: str, unit: str, estimate: BoundedCurve, note: str, metric: str, better: Literal["", "lower", "higher"]
    ) -> Headline:
        value, low, high = _last(estimate)
        return Headline(label, value, unit, low, high, at.subjects, note=note, metric=metric, better=better)

    grown = f"{where}; growth of l1 since h = 1, which is small too where h = 1 is as far off"
    return [
        headline("skill horizon", "steps", curves.skill_horizon(), skill, skill_name(at.context), "higher"),
        headline("rollout drift", "%", curves.drift(ROLLOUT), grown, drift, ""),
        headline("l1 relative to persistence", "", curves.over(PERSISTENCE), below, over_persistence, "lower"),
        headline("l1 relative to the mean latent", "", curves.over(MEAN), below, over_mean, "lower"),
    ]


def _no_headlines(reason: str) -> list[Headline]:
    return [Headline("skill horizon", None, "steps", note=reason)]


def _verdicts(at: MeasuredContext) -> list[Verdict]:
    verdicts = [_skill_verdict(at), *_memory_verdict(at)]
    if SHUFFLED in at.trained.means and at.horizon > 1:
        verdicts += _action_verdict(at)
    if at.untrained is not None:
        verdicts += _untrained_verdict(at, at.trained.scaled_minus(at.untrained))
    if at.subjects < FEW_SUBJECTS:
        text = f"Only {at.subjects} subjects stand behind context {at.context}: read the intervals, not the digits."
        verdicts.append(Verdict("warning", text))
    return verdicts


def _skill_verdict(at: MeasuredContext) -> Verdict:
    skill = int(at.trained.skill_horizon().value)
    where = f"From {at.context} steps of context"
    if not at.trained.minus(MEAN).value[-1] < 0:
        return Verdict("bad", f"{where}, the rollout is no better than the mean latent at h = {at.horizon}.")
    if skill == 0:
        return Verdict("warning", f"{where}, the rollout does not beat both persistence and the mean latent at h = 1.")
    if skill < at.horizon:
        return Verdict("warning", f"{where}, the rollout beats persistence and the mean latent only up to h = {skill}.")
    if all(at.trained.minus(control).high[-1] < 0 for control in (PERSISTENCE, MEAN)):
        return Verdict("good", f"{where}, the rollout beats persistence and the mean latent at every h up to {skill}.")
    text = f"the rollout beats both controls up to h = {skill}, but there an interval includes no difference"
    return Verdict("warning", f"{where}, {text}.")


def _memory_verdict(at: MeasuredContext) -> list[Verdict]:
    """Latents that are noise in time are at h = 1 sqrt(2) times as far from each other as from their mean."""
    if at.trained.means[PERSISTENCE][0] < at.trained.means[MEAN][0]:
        return []
    text = (
        "At h = 1 persistence is no better than the mean latent: neighbouring steps have latents as different as any, "
        "so there is little in them to forecast."
    )
    return [Verdict("warning", text)]


def _action_verdict(at: MeasuredContext) -> list[Verdict]:
    if at.trained.minus(SHUFFLED).high[-1] < 0:
        return []
    text = f"At h = {at.horizon}, the future actions of another subject serve as well: no use of actions shows."
    return [Verdict("warning", text)]


def _untrained_verdict(at: MeasuredContext, difference: BoundedCurve) -> list[Verdict]:
    value = _last(difference)[0]
    if value is None or value < 0:
        return []
    text = (
        f"At h = {at.horizon}, the untrained encoder's latents are forecast as well or better relative to their scale: "
        "read drift beside what the latents hold."
    )
    return [Verdict("warning", text)]


def _contexts(contexts: list[MeasuredContext | UnmeasuredContext], note: str) -> Table:
    """One row a context."""
    columns = [
        Column("context", "steps"),
        Column("longest_h", "steps"),
        *_columns("skill_horizon", "steps"),
        *_columns("l1_over_persistence"),
        *_columns("l1_over_mean_latent"),
        Column("latent_scale", "latent l1"),
        *_counts(),
    ]
    rows: list[list[Cell]] = []
    for at in contexts:
        if isinstance(at, UnmeasuredContext):
            rows.append([at.context, *[None] * (len(columns) - 1)])
            continue
        over = [*_last(at.trained.over(PERSISTENCE)), *_last(at.trained.over(MEAN))]
        skill = _last(at.trained.skill_horizon())
        rows.append([at.context, at.horizon, *skill, *over, _cell(at.trained.scale), at.windows, at.subjects])
    return Table("contexts", "How far the rollout is worth something", columns, rows, note)


def _summary(contexts: list[MeasuredContext | UnmeasuredContext], note: str, acts: bool) -> Table:
    """A few horizons of each context, one row each. acts: whether the data have actions."""
    columns = [
        Column("context", "steps"),
        Column("h", "steps"),
        *_columns("l1", "latent l1"),
        *_columns("drift", "%"),
        *_columns("l1_over_scale"),
        *_columns("minus_persistence", "latent l1"),
        *_columns("minus_mean_latent", "latent l1"),
        *(_columns("minus_shuffled_actions", "latent l1") if acts else ()),
        *_counts(),
    ]
    rows: list[list[Cell]] = []
    for at in contexts:
        if isinstance(at, UnmeasuredContext):
            rows.append([at.context, *[None] * (len(columns) - 1)])
            continue
        for h in sorted({h for h in SUMMARY_HORIZONS if h < at.horizon} | {at.horizon}):
            rows.append([at.context, h, *_summary_cells(at, h - 1, acts), at.windows, at.subjects])
    return Table("summary", "Rollout error and drift", columns, rows, note)


def _summary_cells(at: MeasuredContext, index: int, acts: bool) -> list[Cell]:
    curves = at.trained
    shuffled = _cells(curves.minus(SHUFFLED), index) if SHUFFLED in curves.means else [None] * 3
    return [
        *_cells(curves.l1(ROLLOUT), index),
        *_cells(curves.drift(ROLLOUT), index),
        *_cells(curves.scaled(ROLLOUT), index),
        *_cells(curves.minus(PERSISTENCE), index),
        *_cells(curves.minus(MEAN), index),
        *(shuffled if acts else ()),
    ]


def _horizons(contexts: list[MeasuredContext | UnmeasuredContext], note: str) -> Table:
    """Every horizon of every forecast, tidy."""
    columns = [
        Column("context", "steps"),
        Column("h", "steps"),
        Column("encoder"),
        Column("forecast"),
        *_columns("l1", "latent l1"),
        *_columns("drift", "%"),
        *_columns("l1_over_scale"),
        *_columns("rollout_minus_this", "latent l1"),
        *_counts(),
    ]
    rows: list[list[Cell]] = []
    for at in contexts:
        if isinstance(at, UnmeasuredContext):
            rows.append([at.context, *[None] * (len(columns) - 1)])
            continue
        for name, curves in _encoders(at).items():
            for forecast in curves.means:
                estimates = [curves.l1(forecast), curves.drift(forecast), curves.scaled(forecast)]
                estimates += [] if forecast == ROLLOUT else [curves.minus(forecast)]
                for h in range(1, at.horizon + 1):
                    cells = [cell for estimate in estimates for cell in _cells(estimate, h - 1)]
                    cells += [None] * (12 - len(cells))
                    rows.append([at.context, h, name, forecast, *cells, at.windows, at.subjects])
    return Table("horizons", "Every forecast at every horizon", columns, rows, note)


def _encoders(at: MeasuredContext) -> dict[str, Curves]:
    return {"trained": at.trained} | ({"untrained": at.untrained} if at.untrained is not None else {})


def _headline_figure(at: MeasuredContext | None) -> list[Figure]:
    """The rollout beside its controls, in the unit that runs share, with its drift and its skill horizon marked."""
    if at is None:
        return []
    curves = at.trained
    value, (drift, low, high) = _last(curves.scaled(ROLLOUT))[0], _last(curves.drift(ROLLOUT))
    beats, *bounds = [float(cell) for cell in _last(curves.skill_horizon()) if cell is not None]
    least, most = bounds or (None, None)
    end = Mark(f"at h = {at.horizon}; drift since h = 1:", at.horizon, value, drift, low, high, "%")
    reach = _reach(beats, least, most)
    given = "the recorded actions alone" if at.acts else "nothing more"
    note = (
        f"The rollout sees {at.context} real steps, then {given}. Persistence repeats the last state seen; the mean "
        "latent is that of the train split. Error: l1 over the latents' own scale, the mean "
        "absolute deviation of the states from the mean latent, so 1 is as far off as knowing nothing. "
        f"{at.windows} windows of {at.subjects} subjects, the same at every horizon."
    )
    band = "Band and brackets: 95 % intervals over subjects."
    series = [
        _series(ROLLOUT, curves.scaled(ROLLOUT)),
        _series(f"{PERSISTENCE}: last state kept", curves.scaled(PERSISTENCE), control=True),
        _series(f"{MEAN}: knows nothing", curves.scaled(MEAN), control=True),
    ]
    title = f"How far off the rollout is, after {at.context} steps seen"
    marks = [reach] if value is None else [end, reach]
    labels = "horizon h (steps ahead)", "error / latent scale"
    return [Figure("drift", title, *labels, series, note=note, band=band, marks=marks, headline=True)]


def _reach(beats: float, least: float | None, most: float | None) -> Mark:
    """How far the rollout is better than what needs no model."""
    if beats == 0:
        label = "the first step does not beat both persistence and the mean latent: skill horizon"
        return Mark(label, 0, None, 0, least, most)
    return Mark("skill horizon: beats persistence and the mean latent up to h =", beats, None, beats, least, most)


def _by_horizon(at: MeasuredContext) -> Figure:
    curves = at.trained
    return Figure(
        f"l1_context_{at.context}",
        f"Rollout error from {at.context} steps of context",
        "horizon (steps)",
        "l1 (latent units)",
        [
            _series("rollout", curves.l1(ROLLOUT)),
            *(_series(name, curves.l1(name), control=True) for name in curves.means if name != ROLLOUT),
        ],
        note=f"{at.windows} windows of {at.subjects} subjects, the same at every horizon. {_scale_note(curves)}",
    )


def _against_untrained(at: MeasuredContext | None) -> list[Figure]:
    if at is None or at.untrained is None:
        return []
    series = [
        _series("rollout", at.trained.scaled(ROLLOUT)),
        _series("persistence", at.trained.scaled(PERSISTENCE), control=True),
        _series("rollout, untrained encoder", at.untrained.scaled(ROLLOUT), control=True),
        _series("persistence, untrained encoder", at.untrained.scaled(PERSISTENCE), control=True),
    ]
    title = f"Trained and untrained encoder, {at.context} steps of context"
    note = (
        "Each in its own latents, relative to their scale: 1 is as far off as the mean latent. Low values are no merit "
        "by themselves, as latents that hold less are easier to forecast."
    )
    return [Figure("untrained", title, "horizon (steps)", "l1 / latent scale", series, note=note)]


def _scale_note(curves: Curves) -> str:
    return f"Latent scale: {curves.scale:.3g}."


def _series(label: str, estimate: BoundedCurve, control: bool = False) -> Series:
    horizons = [float(h) for h in range(1, len(estimate.value) + 1)]
    value, low, high = ([_cell(bound) for bound in part] for part in (estimate.value, estimate.low, estimate.high))
    return Series(label, horizons, value, [] if control else low, [] if control else high, control)


def _columns(name: str, unit: str = "") -> list[Column]:
    return [Column(name, unit), Column(f"{name}_low", unit), Column(f"{name}_high", unit)]


def _counts() -> list[Column]:
    return [Column("windows", digits=6), Column("subjects", digits=6)]


def _cells(estimate: BoundedCurve, index: int) -> list[Cell]:
    return [_cell(part[index]) for part in (estimate.value, estimate.low, estimate.high)]


def _last(estimate: BoundedCurve) -> tuple[float | None, float | None, float | None]:
    """Value and bounds at the longest horizon."""
    value, low, high = (_cell(np.atleast_1d(part)[-1]) for part in (estimate.value, estimate.low, estimate.high))
    return value, low, high


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
