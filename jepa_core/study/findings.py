"""What a study found: every metric of every variant beside the reference, and a sentence a variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jepa_core.errors import DataError
from jepa_core.report.forest import Forest
from jepa_core.results.findings import Cell, Column, Figure, Findings, Series, Table, Verdict
from jepa_core.results.record import read_run
from jepa_core.results.text import counted, listed, number
from jepa_core.results.wording import in_words_of
from jepa_core.study.averages import headline_figures
from jepa_core.study.definition import Cell as StudyCell
from jepa_core.study.definition import Study
from jepa_core.study.differences import LEVEL, VariantDifference, difference, with_holm
from jepa_core.study.folder import StudyFolder
from jepa_core.study.forests import forests
from jepa_core.study.methods import compare_methods, method_forests, method_tables, method_verdicts
from jepa_core.study.metrics import Name, RunMetric, run_metrics
from jepa_core.study.sizes import budget_verdicts, size_tables

Runs = dict[str, dict[int, dict[Name, RunMetric]]]
"""Metrics of the finished runs, by variant and seed."""

FEW_SUBJECTS, FEW_SEEDS = 30, 3
"""Below either, a difference is to be read with care, whatever its p."""
LEAST_P = 0.001
"""Below it sentences tell no p: so few seeds and subjects cannot tell how small it is."""

NOTE = (
    "mean and sd: over seeds, the runs of which stand one by one in the last table. difference: variant less "
    "reference, mean over the seeds that both have. Intervals are 95 %: over redrawn subjects (percentiles, the same "
    "subjects in all runs), and over seeds (Student's t). p: two-sided, with the variance over subjects and over seeds "
    "added; p_holm: corrected over the variants of the study, metric by metric. There is no difference where the runs "
    "measured other subjects. With folds, a seed's runs are one: scores of tasks are of the predictions for all "
    "subjects, each by the run that held it out; so are means over subjects; all else is the mean over folds."
)


@dataclass(frozen=True)
class VariantMetric:
    """A metric of a variant. seeds: (seed, value). found: its difference from the reference, None for the reference
    itself or without a common seed."""

    name: Name
    variant: str
    seeds: tuple[tuple[int, float], ...]
    better: str
    headline: bool
    subjects: int | None
    found: VariantDifference | None


@dataclass(frozen=True)
class StudyFindings(Findings):
    """What a study found. forests: differences from the reference, a panel a metric. method_forests: differences of
    methods within runs. standing: by evaluator, the figure that stands for the reference, mean over its runs."""

    forests: list[Forest] = field(default_factory=list)
    method_forests: list[Forest] = field(default_factory=list)
    standing: list[tuple[str, Figure]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        others = Findings(self.headlines, self.verdicts, self.tables, self.figures).to_dict()
        standing = [{"evaluator": evaluator} | asdict(figure) for evaluator, figure in self.standing]
        drawn = {name: [asdict(forest) for forest in getattr(self, name)] for name in ("forests", "method_forests")}
        return others | drawn | {"standing": standing}


def study_findings(study: Study, folder: StudyFolder) -> StudyFindings:
    """Compare the finished runs of a study.

    Raises DataError if the runs of one variant are on different data.
    """
    done = [cell for cell in study.cells if folder.state(cell) == "done"]
    unlike = _other_data(done, folder, study.reference)
    whole = _whole(study, done)
    runs: Runs = {}
    for (variant, seed), cells in whole.items():
        runs.setdefault(variant, {})[seed] = run_metrics([folder.run(cell) for cell in cells])
    rows = _rows(study, runs, unlike)
    methods = compare_methods(study, {key: [folder.run(cell) for cell in cells] for key, cells in whole.items()})
    of_reference = [read_run(folder.run(cell)).findings for cell in done if cell.variant == study.reference]
    first = {cell.variant: cell for cell in reversed(done)}
    records = {variant: read_run(folder.run(first[variant])) for variant in study.variants if variant in first}
    sizes = list(size_tables(records))
    return StudyFindings(
        verdicts=[
            *_missing(study, folder),
            *_sentences(study, rows, unlike),
            *method_verdicts(methods, study.against),
            *budget_verdicts(records, study.reference),
        ],
        tables=[
            _headline_table(rows),
            *method_tables(methods),
            *sizes,
            _said(done, folder),
            _table(rows),
            _seed_table(rows),
        ],
        figures=_figures(study, rows),
        forests=forests(rows, study.reference),
        method_forests=method_forests(methods),
        standing=headline_figures(of_reference),
    )


def _whole(study: Study, done: Sequence[StudyCell]) -> dict[tuple[str, int], list[StudyCell]]:
    """The runs of each variant and seed: one, or those on all folds; what lacks a fold is left out."""
    per_fold: dict[tuple[str, int], list[StudyCell]] = {}
    for cell in study.cells:
        per_fold.setdefault((cell.variant, cell.seed), []).append(cell)
    return {key: cells for key, cells in per_fold.items() if all(cell in done for cell in cells)}


def _other_data(done: Sequence[StudyCell], folder: StudyFolder, reference: str) -> set[str]:
    """Variants on other data than the reference, which no subject pairs. Raises DataError if the runs of one variant
    differ in their data by more than the fold."""
    contents: dict[str, dict[int | None, str]] = {}
    for cell in done:
        content = read_run(folder.run(cell)).manifest["dataset"]["content"]
        if contents.setdefault(cell.variant, {}).setdefault(cell.fold, content) != content:
            raise DataError(
                f"runs of the variant '{cell.variant}' are on different data; the data changed under the study"
            )
    base = contents.get(reference, {})
    return {
        variant
        for variant, metrics in contents.items()
        if any(metrics[fold] != base[fold] for fold in metrics.keys() & base)
    }


def _rows(study: Study, runs: Runs, unlike: set[str]) -> list[VariantMetric]:
    names = sorted({name for seeds in runs.values() for metrics in seeds.values() for name in metrics})
    rows = []
    for name in names:
        by_variant = {
            variant: {seed: metrics[name] for seed, metrics in runs.get(variant, {}).items() if name in metrics}
            for variant in study.variants
        }
        reference = by_variant[study.reference]
        others = [variant for variant in study.variants if variant != study.reference]
        compared = [None if variant in unlike else difference(by_variant[variant], reference) for variant in others]
        corrected = dict(zip(others, with_holm(compared), strict=True))
        rows += [
            _row(name, variant, by_variant[variant], corrected.get(variant))
            for variant in study.variants
            if by_variant[variant]
        ]
    return rows


def _row(name: Name, variant: str, seeds: dict[int, RunMetric], compared: VariantDifference | None) -> VariantMetric:
    first = next(iter(seeds.values()))
    values = tuple((seed, seeds[seed].value) for seed in sorted(seeds))
    return VariantMetric(name, variant, values, first.better, first.headline, first.subjects, compared)


# --- words ------------------------------------------------------------------------------------------------------------


def _missing(study: Study, folder: StudyFolder) -> list[Verdict]:
    states = [folder.state(cell) for cell in study.cells]
    told = [f"{states.count(state)} {state}" for state in ("failed", "begun", "waiting") if state in states]
    if not told:
        return []
    folds = len({cell.fold for cell in study.cells}) > 1
    others = "the seeds of which all folds are done" if folds else "the others"
    return [Verdict("warning", f"Of {len(states)} runs, {', '.join(told)}: what follows is of {others}.")]


def _sentences(study: Study, rows: Sequence[VariantMetric], unlike: set[str]) -> list[Verdict]:
    return [
        Verdict("warning", f"{variant} is on other data than the reference; no subject is in both.")
        if variant in unlike
        else _sentence(study, variant, [row for row in rows if row.variant == variant and row.headline])
        for variant in study.variants
        if variant != study.reference and any(row.variant == variant for row in rows)
    ]


def _said(done: Sequence[StudyCell], folder: StudyFolder) -> Table:
    """What the runs' own evaluators found unsound or to be read with care.

    A figure can be better because the latents hold less, so the differences are not to be read without these.
    """
    folds = any(cell.fold is not None for cell in done)
    rows: list[list[Cell]] = [
        [cell.variant, cell.seed, *([cell.fold] if folds else []), evaluator, verdict.level, verdict.text]
        for cell in done
        for record in (read_run(folder.run(cell)),)
        for evaluator, findings in record.findings.items()
        for verdict in in_words_of(findings.verdicts, record.noun)
        if verdict.level != "good"
    ]
    names = ("variant", "seed", *(("fold",) if folds else ()), "evaluator", "level", "verdict")
    columns = [Column(name, digits=6) for name in names]
    return Table("verdicts", "What the runs themselves warn of: read this beside every difference", columns, rows)


def _sentence(study: Study, variant: str, rows: Sequence[VariantMetric]) -> Verdict:
    """Whether a variant differs from the reference in the headlines that have a better and a worse direction.

    Headlines without one tell what the latents hold. Where they differ, a smaller error of forecasts need not be a
    gain: latents that hold less are easier to forecast.
    """
    tested = [row for row in rows if row.found is not None and row.found.p_holm is not None]
    judged = [row for row in tested if row.better]
    known = [row for row in judged if _p(row) < LEVEL]
    changed = [row for row in tested if not row.better and _p(row) < LEVEL]
    worse = [row for row in known if (_found(row).value < 0) == (row.better == "higher")]
    better = [row for row in known if row not in worse]
    removed = removed_phases(study, variant)
    subject = f"Without {listed(removed)} ({variant})" if removed else variant
    least = min((row.subjects or 0 for row in judged), default=0)
    size = f" ({counted(len(study.seeds), 'seed')}, {counted(least, 'subject')} at least)"
    if not judged:
        return Verdict("warning", f"{subject}: nothing that has a better and a worse could be compared.")
    if not any(difference for row in judged for _, difference in _found(row).by_seed):
        return Verdict("good", f"{subject}: the same to the last digit, in {len(judged)} metrics{size}.")
    if not known:
        text = f"{subject}: no difference seen at this size, in {len(judged)} metrics{size}.{_aside(changed)}"
        return Verdict("warning", text)
    parts = [
        f"{label}: {'; '.join(map(_told, entries))}"
        for label, entries in (("worse", worse), ("better", better))
        if entries
    ]
    meaning = _meaning(worse, better, changed) if removed else ""
    enough = least >= FEW_SUBJECTS and len(study.seeds) >= FEW_SEEDS
    return Verdict("good" if enough else "warning", f"{subject} is {'. '.join(parts)}{size}.{meaning}{_aside(changed)}")


def _meaning(worse: Sequence[VariantMetric], better: Sequence[VariantMetric], changed: Sequence[VariantMetric]) -> str:
    """What the removal of a phase says of it."""
    if better and changed:
        return " These alone do not tell whether it is needed."
    clause = "is needed" if not better else "is harmful" if not worse else "helps here and harms there"
    return f" It {clause} for these."


def _aside(changed: Sequence[VariantMetric]) -> str:
    """What else differs, in metrics that have no better and no worse."""
    if not changed:
        return ""
    told = "; ".join(f"{row.name.evaluator}, {row.name}: {_signed(row)}" for row in changed)
    return f" Different too, with no better and no worse (latents that hold less are easier to forecast): {told}."


def _signed(row: VariantMetric) -> str:
    value = _found(row).value
    return f"{'+' if value > 0 else '-'}{number(abs(value))} ({_told_p(row)})"


def _found(row: VariantMetric) -> VariantDifference:
    """The difference of a row that was compared."""
    assert row.found is not None
    return row.found


def _p(row: VariantMetric) -> float:
    """p of a row that was tested, after Holm's correction."""
    p = _found(row).p_holm
    assert p is not None
    return p


def _told_p(row: VariantMetric) -> str:
    p = _p(row)
    return "p < 0.001" if p < LEAST_P else f"p = {number(p, 2)}"


def removed_phases(study: Study, variant: str) -> list[str]:
    """Phases of the reference that a variant lacks, where it has no other phases."""
    curricula = {cell.variant: [use.name for use in cell.recipe.curriculum] for cell in study.cells}
    reference, own = curricula[study.reference], curricula[variant]
    return [name for name in reference if name not in own] if set(own) <= set(reference) else []


def _told(row: VariantMetric) -> str:
    return f"{row.name.evaluator}, {row.name} by {number(abs(_found(row).value))} ({_told_p(row)})"


# --- tables and figures -----------------------------------------------------------------------------------------------


def _columns() -> list[Column]:
    names = ("mean", "sd", "difference", "subjects_low", "subjects_high", "seeds_low", "seeds_high", "p", "p_holm")
    head = [Column("evaluator"), Column("metric"), Column("variant")]
    return [*head, *(Column(name) for name in names), Column("seeds", digits=6), Column("subjects", digits=6)]


def _cells(row: VariantMetric) -> list[Cell]:
    values = np.array([value for _, value in row.seeds])
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    compared = row.found
    parts: list[Cell] = [None] * 7
    if compared is not None:
        parts = [
            compared.value,
            compared.subjects_low,
            compared.subjects_high,
            compared.seeds_low,
            compared.seeds_high,
            compared.p,
        ]
        parts.append(compared.p_holm)
    head = [row.name.evaluator, str(row.name), row.variant]
    return [*head, float(values.mean()), spread, *parts, len(values), row.subjects]


def _headline_table(rows: Sequence[VariantMetric]) -> Table:
    kept = [_cells(row) for row in rows if row.headline]
    return Table("headlines", "What the runs' reports begin with", _columns(), kept, NOTE)


def _table(rows: Sequence[VariantMetric]) -> Table:
    kept = [_cells(row) for row in rows if not row.headline]
    return Table("metrics", "Every other metric", _columns(), kept, NOTE)


def _seed_table(rows: Sequence[VariantMetric]) -> Table:
    columns = [Column("evaluator"), Column("metric"), Column("variant"), Column("seed", digits=6), Column("value")]
    kept: list[list[Cell]] = [
        [row.name.evaluator, str(row.name), row.variant, seed, value] for row in rows for seed, value in row.seeds
    ]
    return Table("seeds", "Every run", columns, kept)


def _figures(study: Study, rows: Sequence[VariantMetric]) -> list[Figure]:
    """Every metric that has a place on an axis, by that place, a line a variant; and a point a seed of the headlines
    that are in no forest plot."""
    by_metric: dict[tuple[str, str], list[VariantMetric]] = {}
    for row in rows:
        if row.name.at >= 0:
            by_metric.setdefault((row.name.evaluator, row.name.metric), []).append(row)
    curves = [_curves(study, of_metric) for of_metric in by_metric.values()]
    alone = [of_metric for of_metric in _headlines_of(rows) if all(row.found is None for row in of_metric)]
    return [*(_points(study, of_metric) for of_metric in alone), *curves]


def _curves(study: Study, rows: Sequence[VariantMetric]) -> Figure:
    series = []
    for variant in study.variants:
        own = sorted((row for row in rows if row.variant == variant), key=lambda row: row.name.at)
        if own:
            means = [float(np.mean([value for _, value in row.seeds])) for row in own]
            ends = [[value for _, value in row.seeds] for row in own]
            low, high = [min(pair) for pair in ends], [max(pair) for pair in ends]
            series.append(Series(variant, [row.name.at for row in own], means, low, high))
    name = rows[0].name
    title = f"{name.evaluator}: {name.metric}"
    stem = "".join(letter if letter.isalnum() else "_" for letter in title)
    note = "Mean over seeds; the band is from the lowest seed to the highest."
    return Figure(stem, title, name.axis, f"{name.metric} {name.unit}".strip(), series, note=note)


def _headlines_of(rows: Sequence[VariantMetric]) -> list[list[VariantMetric]]:
    by_metric: dict[Name, list[VariantMetric]] = {}
    for row in rows:
        if row.headline:
            by_metric.setdefault(row.name, []).append(row)
    return list(by_metric.values())


def _points(study: Study, rows: Sequence[VariantMetric]) -> Figure:
    """One point a seed, variant by variant."""
    places = {variant: index for index, variant in enumerate(study.variants, start=1)}
    series = []
    for row in rows:
        position, values = places[row.variant], [value for _, value in row.seeds]
        series.append(Series(f"{position} {row.variant}", [float(position)] * len(values), values))
    name = rows[0].name
    stem = "".join(letter if letter.isalnum() else "_" for letter in f"{name.evaluator} {name.metric}")
    title = f"{name.evaluator}: {name.metric}"
    return Figure(stem, title, "variant", f"{name.metric} {name.unit}".strip(), series, "scatter", "One point a seed.")
