"""Metrics of one run, each with its value under redrawn subjects, so that runs on the same subjects can be paired.

Every run redraws its subjects from one seed: draw i of a metric is of the same subjects in all runs on the same data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jepa_core.comparison import read_predictions
from jepa_core.findings import Findings, Samples
from jepa_core.paired import DRAWS, SEED, score_draws
from jepa_core.samples import read_samples
from jepa_core.statistics import bootstrap_subjects


@dataclass(frozen=True)
class Name:
    """What a metric is called. at: its place on an axis, such as a horizon."""

    evaluator: str
    metric: str
    unit: str = ""
    axis: str = ""
    at: float | None = None

    def __str__(self) -> str:
        place = "" if self.at is None else f", {self.axis} = {self.at:g}"
        return f"{self.evaluator}: {self.metric}{place}"


@dataclass(frozen=True)
class Measured:
    """A metric of one run. draws: (draws,) over redrawn subjects, None where the evaluator kept nothing by subject.

    better: which way is better; empty where neither is.
    """

    value: float
    draws: np.ndarray | None
    subjects: int | None
    better: str = ""


def run_metrics(folder: Path) -> dict[Name, Measured]:
    """Every metric of a finished run: headlines, samples at every place, and scores of the predictions."""
    found: dict[Name, Measured] = {}
    for path in sorted((folder / "findings").glob("*.json")):
        evaluator = path.name.removesuffix(".json")
        findings = Findings.from_dict(json.loads(path.read_text()))
        samples = read_samples(folder, evaluator)
        found |= dict(_headlines(evaluator, findings, samples))
        found |= dict(_samples(evaluator, samples))
    return found | dict(_predictions(folder))


def _headlines(evaluator: str, findings: Findings, samples: dict[str, Samples]) -> Iterator[tuple[Name, Measured]]:
    for one in findings.headlines:
        if one.value is not None:
            kept = samples.get(one.metric)
            draws = None if kept is None else _draws(kept)
            yield Name(evaluator, one.label, one.unit), Measured(one.value, draws, one.n, one.better)


def _samples(evaluator: str, samples: dict[str, Samples]) -> Iterator[tuple[Name, Measured]]:
    for one in samples.values():
        total = one.weights.sum()
        if total > 0:
            value = float((one.weights * one.values).sum() / total)
            name = Name(evaluator, one.metric, one.unit, one.axis, one.at)
            yield name, Measured(value, _draws(one), len(one.subjects), one.better)


def _draws(samples: Samples) -> np.ndarray:
    sums = np.stack([samples.weights * samples.values, samples.weights], axis=1)
    redrawn = bootstrap_subjects(sums, samples.subjects, DRAWS, SEED)
    return np.divide(redrawn[:, 0], redrawn[:, 1], out=np.full(DRAWS, np.nan), where=redrawn[:, 1] > 0)


def _predictions(folder: Path) -> Iterator[tuple[Name, Measured]]:
    """Scores of the run's own method, the one that a file of predictions names first."""
    for path in sorted((folder / "predictions").glob("*.*.latents.parquet")):
        evaluator, task, method = path.name.removesuffix(".parquet").split(".", 2)
        columns = read_predictions(path)
        if columns is None:
            continue
        positive = columns["boolean_value"].astype(bool)
        probability = columns["predicted_boolean_probability"].astype(np.float64)
        for score, (value, draws) in score_draws(positive, probability, columns["subject_id"]).items():
            subjects = len(np.unique(columns["subject_id"]))
            better = "lower" if score == "Brier score" else "higher"
            yield Name(evaluator, f"{score} of {task}, {method}"), Measured(value, draws, subjects, better)
