"""Tables, figures, headlines and verdicts of imagined effects.

Symbols: R rows, H horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jepa_core.results.findings import Cell, Column, Figure, Findings, Headline, Samples, Series, Table, Verdict
from jepa_core.results.samples import ratio_samples, subject_numbers
from jepa_latent_eval.config import ImaginationConfig, JudgedActConfig
from jepa_latent_eval.estimates import UNKNOWN, Bounded, mean_of, ratio_of_sums
from jepa_latent_eval.imagined_effects import IGNORING, IMAGINED, LAST, LOGGED, Compared, Question

RIGHT = 0.9
"""Share of clear effects that are to have the right direction."""
SIZES = (0.5, 2.0)
"""Imagined over true effect within which a size is called right."""
DRAWN = 6
"""Acts and channels that have a figure, at the most."""

NOTE = (
    "The act by itself, less the other future, from the same step; the generator's effect is the mean over turns of "
    "chance that are equal in both futures. An effect is clear where it is larger than `clear` standard deviations of "
    "the channel over those turns. direction: share of the clear effects whose sign is imagined; ratio: imagined over "
    "true, in the true direction; slope: of the imagined on the true effects, through 0. Null where no effect is "
    "clear, or where there is no untrained control. Intervals are 95 %, percentiles over redrawn subjects."
)
GAP_NOTE = (
    "Mean absolute errors against the values that the generator makes, in the channel's unit: of what is imagined "
    "under the act; of the forecast under the logged actions; under the act, of the future in which it is left out, "
    "and of the last observed value. gap: imagined less forecast. Intervals are 95 %, percentiles over redrawn "
    "subjects; null where no value was observed."
)


@dataclass(frozen=True)
class Effect:
    """What was found of one act and channel, h steps ahead."""

    h: int
    true: Bounded
    imagined: Bounded
    untrained: Bounded
    direction: Bounded
    direction_untrained: Bounded
    ratio: Bounded
    slope: Bounded
    clear: int
    subjects: int

    def cells(self) -> list[Cell]:
        """Everything but whose it is."""
        parts = (self.true, self.imagined, self.direction, self.direction_untrained, self.ratio, self.slope)
        return [self.h, *(cell for part in parts for cell in part.cells()), self.clear, self.subjects]


def nothing_imagined(reason: str) -> Findings:
    """Findings where no effect could be judged."""
    return Findings(
        headlines=[Headline("direction of imagined effects", None, note=reason)],
        verdicts=[Verdict("warning", f"No imagined effect could be judged: {reason}.")],
    )


def imagination_findings(found: Sequence[Compared], question: Question) -> Findings:
    """Findings of all acts and channels."""
    effects = [_effects(pair, question) for pair in found]
    first = effects[0][_shown(found[0], question.config)]
    return Findings(
        headlines=_headlines(found[0], first, question),
        verdicts=[_direction_verdict(found[0], first), _size_verdict(found[0], first)],
        tables=[_effect_table(found, effects, question), _gap_table(found, question)],
        figures=[
            *(_figure(pair, of_it, not index) for index, (pair, of_it) in enumerate(zip(found, effects, strict=True))),
        ][:DRAWN] + [_example(found[0], question)],
        samples=[sample for pair in found for sample in _samples(pair, question)],
    )  # fmt: skip


def act_words(act: JudgedActConfig) -> str:
    """An act as tables name it."""
    return f"{act.channel} {act.value:g}" + (f" against {act.against:g}" if act.against is not None else "")


def _first(act: JudgedActConfig) -> int:
    """Place of the first horizon that the act can change."""
    return act.begin + 1


def _shown(pair: Compared, config: ImaginationConfig) -> int:
    """Place, among the judged horizons, of the last step that the act leads to."""
    return min(pair.act.begin + pair.act.steps, config.horizon - 1) - _first(pair.act)


def clear_effects(one: Compared, config: ImaginationConfig) -> np.ndarray:
    """(R, H) whether the generator's effect is clear of its noise."""
    size = np.abs(one.truth.effect)
    return (size > config.clear * one.truth.noise) & (size > 0)


def _effects(pair: Compared, question: Question) -> list[Effect]:
    """What was found at every horizon that the act can change."""
    return [_effect(pair, step, question) for step in range(_first(pair.act), pair.imagined.shape[1])]


def _effect(pair: Compared, index: int, question: Question) -> Effect:
    config, seed, subjects = question.config, question.evaluation.seed, pair.subjects
    clear = clear_effects(pair, config)[:, index]
    true, imagined = pair.truth.effect[:, index], pair.imagined[:, index]
    untrained = None if pair.untrained is None else pair.untrained[:, index]

    def over(above: np.ndarray, below: np.ndarray) -> Bounded:
        return ratio_of_sums(above * clear, below * clear, subjects, config.bootstrap, seed)

    def mean(values: np.ndarray | None) -> Bounded:
        return UNKNOWN if values is None else mean_of(values, subjects, config.bootstrap, seed)

    agrees, ones = np.sign(imagined) == np.sign(true), np.ones(len(true))
    return Effect(
        h=index + 1,
        true=mean(true),
        imagined=mean(imagined),
        untrained=mean(untrained),
        direction=over(agrees, ones),
        direction_untrained=UNKNOWN if untrained is None else over(np.sign(untrained) == np.sign(true), ones),
        ratio=over(imagined * np.sign(true), np.abs(true)),
        slope=over(imagined * true, true**2),
        clear=int(clear.sum()),
        subjects=len(np.unique(subjects[clear])),
    )


def _headlines(pair: Compared, effect: Effect, question: Question) -> list[Headline]:
    text = f"{act_words(pair.act)} on {pair.channel}, h = {effect.h}"
    n = effect.subjects or None
    value, low, high = effect.direction.cells()
    note = f"{text}; clear effects of the generator" if n else f"{text}; no effect of the generator is clear"
    headlines = [Headline("direction of effect right", value, "", low, high, n, note=note, better="higher")]
    value, low, high = effect.ratio.cells()
    headlines.append(Headline("imagined over true effect", value, "", low, high, n, note=note))
    everyone = len(np.unique(pair.subjects))
    value, low, high = _gap(pair, effect.h - 1, question).cells()
    note = f"{text}; error of what is imagined less that of the forecast of logged actions"
    headlines.append(Headline("imagination gap", value, pair.unit, low, high, everyone, note=note, better="lower"))
    return headlines


def _gap(pair: Compared, index: int, question: Question) -> Bounded:
    difference = pair.errors[IMAGINED][:, index] - pair.errors[LOGGED][:, index]
    return mean_of(difference, pair.subjects, question.config.bootstrap, question.evaluation.seed)


def _direction_verdict(pair: Compared, effect: Effect) -> Verdict:
    text = f"{act_words(pair.act)} on {pair.channel}"
    if not effect.clear:
        return Verdict("warning", f"No effect of {text} is clear of the generator's noise at h = {effect.h}.")
    told = f"The direction of the effect of {text} is imagined right in {effect.direction.value:.1%} of "
    told += f"{effect.clear} clear cases of {effect.subjects} subjects at h = {effect.h}"
    if not np.isnan(effect.direction_untrained.value):
        told += f"; by the untrained encoder in {effect.direction_untrained.value:.1%}"
    return Verdict("good" if effect.direction.value >= RIGHT else "warning", f"{told}.")


def _size_verdict(pair: Compared, effect: Effect) -> Verdict:
    if np.isnan(effect.ratio.value):
        return Verdict("warning", "The size of the effect cannot be told where none is clear.")
    low, high = SIZES
    text = f"What is imagined of {act_words(pair.act)} on {pair.channel} is {effect.ratio.value:.2f} of the true effect"
    return Verdict("good" if low <= effect.ratio.value <= high else "warning", f"{text}.")


def _effect_table(compared: Sequence[Compared], effects: Sequence[list[Effect]], question: Question) -> Table:
    names = ["true_effect", "imagined_effect", "direction", "direction_untrained", "ratio", "slope"]
    columns = [Column("act"), Column("channel"), Column("unit"), Column("h", "steps")]
    columns += [Column(f"{name}{end}") for name in names for end in ("", "_low", "_high")]
    columns += [Column("clear", digits=6), Column("subjects", digits=6)]
    rows = [
        [act_words(pair.act), pair.channel, pair.unit, *effect.cells()]
        for pair, of_it in zip(compared, effects, strict=True) for effect in of_it
    ]  # fmt: skip
    left = f" {question.left_out} starts are left out, in which an act cannot be done." if question.left_out else ""
    whose = f" {len(compared[0].subjects)} starts of {len(np.unique(compared[0].subjects))} subjects.{left}"
    return Table("effects", "Imagined and true effects of acts, by horizon", columns, rows, NOTE + whose)


def _gap_table(compared: Sequence[Compared], question: Question) -> Table:
    names = (IMAGINED, LOGGED, IGNORING, LAST)
    columns = [Column("act"), Column("channel"), Column("unit"), Column("h", "steps")]
    columns += [Column(f"error, {name}") for name in names]
    columns += [Column(f"gap{end}") for end in ("", "_low", "_high")] + [Column("rows", digits=6)]
    rows: list[list[Cell]] = []
    for pair in compared:
        for index in range(_first(pair.act), pair.imagined.shape[1]):
            means = [_mean(pair.errors[name][:, index]) for name in names]
            gap = _gap(pair, index, question).cells()
            told: list[Cell] = [act_words(pair.act), pair.channel, pair.unit, index + 1]
            rows.append([*told, *means, *gap, len(pair.subjects)])
    return Table("errors", "Errors of what is imagined and of what is forecast, by horizon", columns, rows, GAP_NOTE)


def _mean(values: np.ndarray) -> float | None:
    shown = values[np.isfinite(values)]
    return float(shown.mean()) if len(shown) else None


def _figure(pair: Compared, effects: Sequence[Effect], headline: bool) -> Figure:
    """Mean effects by horizon."""
    x = [float(effect.h) for effect in effects]
    named = {"imagined": [effect.imagined for effect in effects], "true": [effect.true for effect in effects]}
    if pair.untrained is not None:
        named["untrained"] = [effect.untrained for effect in effects]
    series = []
    for name, of_it in named.items():
        value, low, high = (list(cells) for cells in zip(*(bounds.cells() for bounds in of_it), strict=True))
        series.append(Series(name, x, value, low, high, control=name != "imagined"))
    title = f"Effect of {act_words(pair.act)} on {pair.channel}"
    name = f"effect-{pair.act.channel}-{pair.act.value:g}-{pair.channel}"
    band = "Bands: 95 %, percentiles over redrawn subjects."
    return Figure(
        name, title, "horizon (steps)", f"effect ({pair.unit})" if pair.unit else "effect", series, headline=headline,
        note="Means over all starts; `true` is what the generator does under the same act.", band=band,
    )  # fmt: skip


def _example(pair: Compared, question: Question) -> Figure:
    """The first start whose true effect is about the median one: both futures, imagined and true."""
    size = np.abs(pair.truth.effect).mean(axis=1)
    typical = int(np.argsort(size, kind="stable")[len(size) // 2])
    at = np.concatenate([np.full(len(start.chosen), start.at) for start in question.starts])[typical]
    x = [float(at + step) for step in range(pair.given.shape[1])]
    lines = {
        "imagined, with the act": (pair.given, False),
        "imagined, without": (pair.against, False),
        "true, with the act": (pair.truth.given, True),
        "true, without": (pair.truth.against, True),
    }
    series = [Series(name, x, values[typical].tolist(), control=control) for name, (values, control) in lines.items()]
    title = f"One trajectory of the split, with and without {act_words(pair.act)}"
    y_label = f"{pair.channel} ({pair.unit})" if pair.unit else pair.channel
    note = "The start whose true effect is the median one. Logged actions do not identify what an intervention does."
    return Figure("example", title, "step", y_label, series, note=note)


def _samples(pair: Compared, question: Question) -> list[Samples]:
    """The direction by subject, at every horizon at which an effect is clear."""
    dataset, config = question.evaluation.dataset, question.config
    everyone = dataset.subject[dataset.trajectories(config.split)]
    numbers, owner = np.unique(subject_numbers(pair.subjects, everyone), return_inverse=True)
    clear = clear_effects(pair, config)
    right = (np.sign(pair.imagined) == np.sign(pair.truth.effect)) & clear
    samples = []
    for index in range(_first(pair.act), clear.shape[1]):
        sums = [np.bincount(owner, part[:, index], len(numbers)) for part in (right, clear)]
        if sums[1].any():
            metric = f"direction of the effect of {act_words(pair.act)} on {pair.channel}"
            samples.append(ratio_samples(metric, numbers, *sums, axis="h", at=index + 1))
    return samples
