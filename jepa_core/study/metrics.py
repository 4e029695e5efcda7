"""Metrics of one run, each with its value under redrawn subjects, so that runs on the same subjects can be paired."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from jepa_core.results.findings import Findings, Redrawn, Samples
from jepa_core.results.paired import metric_draws, score_draws
from jepa_core.results.pooling import pooled_kept
from jepa_core.results.predictions import Predicted, read_predictions
from jepa_core.results.record import read_findings
from jepa_core.results.samples import read_kept
from jepa_core.results.text import words

OWN_METHODS = ("latents", "belief", "decoded belief")
"""Methods of files of predictions that stand for what a curriculum has made; controls and baselines do not change with
it."""
HIGHER = ("AUROC", "average precision")


@dataclass(frozen=True, order=True)
class Name:
    """What a metric is called. at: its place on an axis, such as a horizon; -1 where it has none."""

    evaluator: str
    metric: str
    unit: str = ""
    axis: str = ""
    at: float = -1

    def __str__(self) -> str:
        return self.metric if self.at < 0 else f"{self.metric}, {self.axis} = {self.at:g}"


@dataclass(frozen=True)
class RunMetric:
    """A metric of one run. draws: (draws,) over redrawn subjects, None where nothing was kept by subject. better: which
    way is better, empty where neither is. headline: whether it stands on the first screen of the run's report. rows:
    digest of the subjects (of the rows, for predictions) that were measured, None where there are no draws."""

    value: float
    draws: np.ndarray | None
    subjects: int | None
    better: Literal["", "lower", "higher"] = ""
    headline: bool = False
    rows: str | None = None


def run_metrics(folders: Sequence[Path]) -> dict[Name, RunMetric]:
    """Every metric of a finished run, or of the runs on all folds of a split as one: headlines, what evaluators kept by
    subject, and scores of the predictions. A score stands once; of several folds it is that of all predictions."""
    metrics: dict[Name, RunMetric] = {}
    for evaluator in _in_all(folders, "findings/*.json"):
        evaluator = evaluator.removesuffix(".json")
        pooled = pooled_kept([read_kept(folder, evaluator) for folder in folders])
        kept = {key: (pool, _measured(pool)) for key, pool in pooled.items()}
        metrics |= {_name(evaluator, pool): measured for pool, measured in kept.values() if measured is not None}
        by_subject = {key: measured for key, (_, measured) in kept.items() if measured is not None}
        told = [read_findings(folder / "findings" / f"{evaluator}.json") for folder in folders]
        metrics |= dict(_headlines(evaluator, told, by_subject))
    for method, name, measured in _of_predictions(folders):
        known = metrics.get(name)
        if known is not None or not _is_told(method, name, measured, metrics):
            metrics[name] = replace(measured, headline=known is not None and known.headline)
    return metrics


def words_of(name: str) -> str:
    """A part of a file's name in words, without what tells it from names that are written alike."""
    return words(re.sub(r"-[0-9a-f]{8}$", "", name))


def _is_told(method: str, name: Name, measured: RunMetric, metrics: Mapping[Name, RunMetric]) -> bool:
    """Whether the evaluator tells a score of its predictions itself, under the name of the task alone, such as that of
    one number of labels as a place on an axis."""
    for other, metric in metrics.items():
        score_of_task, has_method, _ = other.metric.partition(f", {method}")
        alike = other.evaluator == name.evaluator and has_method and name.metric.startswith(score_of_task)
        if alike and math.isclose(metric.value, measured.value, rel_tol=1e-9):
            return True
    return False


def _in_all(folders: Sequence[Path], pattern: str) -> list[str]:
    """Names of the files that all folders have, in order."""
    return sorted(set.intersection(*({path.name for path in folder.glob(pattern)} for folder in folders)))


def _headlines(
    evaluator: str, folds: Sequence[Findings], by_subject: Mapping[str, RunMetric]
) -> Iterator[tuple[Name, RunMetric]]:
    """Those of all folds; without values by subject, the mean over them."""
    others = [{(other.label, other.unit): other for other in fold.headlines} for fold in folds]
    for headline in folds[0].headlines:
        alike = [named[headline.label, headline.unit] for named in others if (headline.label, headline.unit) in named]
        values = [same.value for same in alike if same.value is not None]
        if len(values) == len(folds):
            kept = by_subject.get(headline.metric) or RunMetric(float(np.mean(values)), None, None)
            subjects = sum(same.n or 0 for same in alike) or None
            metric = replace(kept, subjects=subjects, better=headline.better, headline=True)
            yield Name(evaluator, headline.label, headline.unit), metric


def _name(evaluator: str, samples: Samples | Redrawn) -> Name:
    return Name(evaluator, samples.metric, samples.unit, samples.axis, -1 if samples.at is None else samples.at)


def _measured(samples: Samples | Redrawn) -> RunMetric | None:
    drawn = metric_draws(samples)
    return (
        None
        if drawn is None
        else RunMetric(drawn.value, drawn.draws, len(samples.subjects), rows=_digest(samples.subjects))
    )


def _of_predictions(folders: Sequence[Path]) -> Iterator[tuple[str, Name, RunMetric]]:
    """Each score of what a curriculum has made, with the method, under the name that headlines have for it."""
    for file in prediction_files(folders):
        if words_of(file.method) in OWN_METHODS:
            for score, measured in file.scores():
                told = f"{score} of {words_of(file.task)}, {words_of(file.method)}"
                yield words_of(file.method), Name(file.evaluator, told), measured


@dataclass(frozen=True)
class PredictionFile:
    """What a method said of a task: a file of one run, or those of the runs on all folds."""

    paths: Sequence[Path]

    @property
    def _parts(self) -> list[str]:
        return self.paths[0].name.removesuffix(".parquet").split(".", 2)

    @property
    def evaluator(self) -> str:
        return self._parts[0]

    @property
    def task(self) -> str:
        return self._parts[1]

    @property
    def method(self) -> str:
        return self._parts[2]

    def read(self) -> Predicted:
        return read_predictions(self.paths)

    def scores(self) -> Iterator[tuple[str, RunMetric]]:
        """What is measured of it, by name."""
        predicted = self.read()
        rows, subjects = _digest(*predicted.rows), len(np.unique(predicted.subject))
        for score, drawn in score_draws(predicted).items():
            better: Literal["lower", "higher"] = "higher" if score in HIGHER else "lower"
            yield score, RunMetric(drawn.value, drawn.draws, subjects, better, rows=rows)


def prediction_files(folders: Sequence[Path]) -> list[PredictionFile]:
    """The files of predictions of a run, or of the runs on all folds, those that each of them has."""
    names = _in_all(folders, "predictions/*.*.*.parquet")
    return [PredictionFile([folder / "predictions" / name for folder in folders]) for name in names]


def _digest(*columns: np.ndarray) -> str:
    """A digest of columns, to tell whether two runs measured the same rows."""
    digest = hashlib.sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
