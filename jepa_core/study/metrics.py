"""Metrics of one run, each with its value under redrawn subjects, so that runs on the same subjects can be paired."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jepa_core.comparison import read_predictions
from jepa_core.findings import Findings, Samples
from jepa_core.paired import Drawn, probability_draws, sample_draws, value_draws
from jepa_core.samples import read_samples

OWN_METHOD = "latents"
"""The method of a file of predictions that a run's curriculum has made; the others do not change with it."""
KINDS = {"predicted_boolean_probability": probability_draws, "predicted_float_value": value_draws}
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
class Measured:
    """A metric of one run. draws: (draws,) over redrawn subjects, None where nothing was kept by subject. better: which
    way is better, empty where neither is. headline: whether it stands on the first screen of the run's report."""

    value: float
    draws: np.ndarray | None
    subjects: int | None
    better: Literal["", "lower", "higher"] = ""
    headline: bool = False


def run_metrics(folder: Path) -> dict[Name, Measured]:
    """Every metric of a finished run: headlines, samples at every place, and scores of the predictions."""
    found: dict[Name, Measured] = {}
    for path in sorted((folder / "findings").glob("*.json")):
        evaluator = path.name.removesuffix(".json")
        samples = read_samples(folder, evaluator)
        found |= dict(_of_samples(evaluator, samples))
        found |= dict(_headlines(evaluator, Findings.from_dict(json.loads(path.read_text())), samples))
    return found | dict(_of_predictions(folder))


def _headlines(evaluator: str, findings: Findings, samples: dict[str, Samples]) -> Iterator[tuple[Name, Measured]]:
    for one in findings.headlines:
        if one.value is not None:
            drawn = sample_draws(samples[one.metric]) if one.metric in samples else None
            draws = None if drawn is None else drawn.draws
            yield Name(evaluator, one.label, one.unit), Measured(one.value, draws, one.n, one.better, headline=True)


def _of_samples(evaluator: str, samples: dict[str, Samples]) -> Iterator[tuple[Name, Measured]]:
    for one in samples.values():
        drawn = sample_draws(one)
        if drawn is not None:
            name = Name(evaluator, one.metric, one.unit, one.axis, -1 if one.at is None else one.at)
            yield name, Measured(drawn.value, drawn.draws, len(one.subjects))


def _of_predictions(folder: Path) -> Iterator[tuple[Name, Measured]]:
    for path in sorted((folder / "predictions").glob(f"*.*.{OWN_METHOD}.parquet")):
        evaluator, task, _ = path.name.removesuffix(".parquet").split(".", 2)
        (truth, predicted), columns = read_predictions(path)
        subjects = columns["subject_id"]
        scores: dict[str, Drawn] = KINDS[predicted](columns[truth], columns[predicted], subjects)
        for score, drawn in scores.items():
            better: Literal["lower", "higher"] = "higher" if score in HIGHER else "lower"
            name = Name(evaluator, f"{score} of {task}")
            yield name, Measured(drawn.value, drawn.draws, len(np.unique(subjects)), better)
