"""Methods beside one another within the runs of a study: every one against those that the study names.

A run tells in its files of predictions what each of its methods said of the same rows, so their scores are paired by
subject, and over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.io.files import plain_name
from jepa_core.report.forest import Forest
from jepa_core.results.findings import Cell, Column, Table, Verdict
from jepa_core.results.paired import stable_draws
from jepa_core.results.statistics import percentile_interval
from jepa_core.results.text import counted, listed, number
from jepa_core.study.differences import VariantDifference, difference, with_holm
from jepa_core.study.forests import forest_row
from jepa_core.study.metrics import RunMetric, prediction_files, words_of

if TYPE_CHECKING:
    from jepa_core.study.definition import Study

METHOD_TABLES = ("methods", "method_differences")
METHOD_NOTE = (
    "Of each method the mean over seeds, with the 95 % interval over redrawn subjects of that mean. Differences are on "
    "the same rows and subjects, seed by seed; p_holm is corrected over the methods. With folds, every subject counts "
    "once, by what was said of it in the run that had not seen it: all that is fitted was fitted without it."
)
EACH = ("AUROC", "average precision", "RMSE")
"""Scores that have a panel, those of a task that stand for the others."""


@dataclass(frozen=True)
class MethodScore:
    """What methods are compared in: a score of a task, in the runs of a variant."""

    variant: str
    evaluator: str
    task: str
    score: str

    @property
    def title(self) -> str:
        return f"{self.variant}, {self.evaluator}: {self.score} of {words_of(self.task)}"


@dataclass(frozen=True)
class ComparedMethod:
    """A method's score by seed, and how it differs from the method it is compared with; without one, its own."""

    place: MethodScore
    method: str
    against: str
    seeds: Mapping[int, RunMetric]
    found: VariantDifference | None


def compare_methods(study: Study, runs: Mapping[tuple[str, int], Sequence[Path]]) -> list[ComparedMethod]:
    """Every method of every task: alone, then against each that the study names. runs: folders of the runs of each
    variant and seed, one or those on all folds. Nothing where the study names none."""
    scores: dict[MethodScore, dict[str, dict[int, RunMetric]]] = {}
    for (variant, seed), folders in runs.items() if study.against else ():
        for file in prediction_files(folders):
            for score, measured in file.scores():
                method_score = MethodScore(variant, file.evaluator, file.task, score)
                scores.setdefault(method_score, {}).setdefault(file.method, {})[seed] = measured
    return [row for method_score, methods in scores.items() for row in _of_place(method_score, methods, study.against)]


def _of_place(
    method_score: MethodScore, methods: Mapping[str, dict[int, RunMetric]], against: Sequence[str]
) -> Iterator[ComparedMethod]:
    for method, seeds in methods.items():
        yield ComparedMethod(method_score, method, "", seeds, None)
    named = [plain_name(name) for name in against]
    for base in (name for name in named if name in methods):
        others = [method for method in methods if method not in named]
        compared = with_holm([difference(methods[method], methods[base]) for method in others])
        for method, compared_with in zip(others, compared, strict=True):
            yield ComparedMethod(method_score, method, base, methods[method], compared_with)


def method_verdicts(rows: Sequence[ComparedMethod], against: Sequence[str]) -> list[Verdict]:
    """Methods that the study names and no run has."""
    missing = [name for name in against if not any(row.method == plain_name(name) for row in rows)]
    text = f"No run has predictions of {listed(missing)}, which the study compares others with."
    return [Verdict("warning", text)] if missing else []


def method_tables(rows: Sequence[ComparedMethod]) -> list[Table]:
    """Scores of every method, and differences; none without methods."""
    if not rows:
        return []
    head = [Column(name) for name in ("variant", "evaluator", "task", "score", "method")]
    bounds = [Column(name) for name in ("subjects_low", "subjects_high")]
    counts = [Column("seeds", digits=6), Column("subjects", digits=6)]
    alone = [_cells(row) for row in rows if not row.against]
    compared = [_difference_cells(row) for row in rows if row.against]
    columns = [Column(name) for name in ("difference", "subjects_low", "subjects_high", "seeds_low", "seeds_high")]
    tested = [Column("p"), Column("p_holm")]
    return [
        Table("methods", "Every method", [*head, Column("mean"), Column("sd"), *bounds, *counts], alone, METHOD_NOTE),
        Table(
            "method_differences", "Methods less those they are compared with",
            [*head, Column("against"), *columns, *tested, *counts], compared, METHOD_NOTE,
        ),
    ]  # fmt: skip


def _head(row: ComparedMethod) -> list[Cell]:
    return [row.place.variant, row.place.evaluator, words_of(row.place.task), row.place.score, words_of(row.method)]


def _cells(row: ComparedMethod) -> list[Cell]:
    measured = list(row.seeds.values())
    values = np.array([metric.value for metric in measured])
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    draws = stable_draws(np.mean(np.array([metric.draws for metric in measured]), axis=0))
    bounds: list[Cell] = [None, None] if draws is None else [float(bound) for bound in percentile_interval(draws)]
    return [*_head(row), float(values.mean()), spread, *bounds, len(values), measured[0].subjects]


def _difference_cells(row: ComparedMethod) -> list[Cell]:
    compared_with, counts = row.found, [len(row.seeds), next(iter(row.seeds.values())).subjects]
    if compared_with is None:
        return [*_head(row), words_of(row.against), *[None] * 7, *counts]
    intervals = [
        compared_with.subjects_low,
        compared_with.subjects_high,
        compared_with.seeds_low,
        compared_with.seeds_high,
    ]
    return [
        *_head(row),
        words_of(row.against),
        compared_with.value,
        *intervals,
        compared_with.p,
        compared_with.p_holm,
        *counts,
    ]


def method_forests(rows: Sequence[ComparedMethod]) -> list[Forest]:
    """A panel for each score of a task and method that others are compared with, a row a method."""
    panels: dict[tuple[MethodScore, str], list[ComparedMethod]] = {}
    for row in rows:
        if row.against and row.found is not None and row.place.score in EACH:
            panels.setdefault((row.place, row.against), []).append(row)
    return [_forest(rows, *key, of_panel) for key, of_panel in panels.items()]


def _forest(
    every: Sequence[ComparedMethod], method_score: MethodScore, against: str, rows: Sequence[ComparedMethod]
) -> Forest:
    base = next(row for row in every if row.place == method_score and row.method == against)
    measured = next(iter(base.seeds.values()))
    mean = number(float(np.mean([metric.value for metric in base.seeds.values()])))
    title = f"{method_score.title}, against {words_of(against)}"
    return Forest(
        name="".join(letter if letter.isalnum() else "_" for letter in title),
        title=title,
        about=f"less that of {words_of(against)}, {mean} ({counted(measured.subjects or 0, 'subject')})",
        x_label=f"difference, {measured.better} is better",
        rows=[forest_row(words_of(row.method), row.found, measured.better) for row in rows if row.found is not None],
    )
