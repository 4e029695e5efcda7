"""Metrics of one run, each with its value under redrawn subjects, so that runs on the same subjects can be paired."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from jepa_core.results.comparison import ROW, read_predictions
from jepa_core.results.findings import Findings, Redrawn, Samples
from jepa_core.results.paired import Drawn, metric_draws, probability_draws, value_draws
from jepa_core.results.samples import read_kept

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
    way is better, empty where neither is. headline: whether it stands on the first screen of the run's report. rows:
    digest of the subjects (of the rows, for predictions) that were measured, None where there are no draws."""

    value: float
    draws: np.ndarray | None
    subjects: int | None
    better: Literal["", "lower", "higher"] = ""
    headline: bool = False
    rows: str | None = None


def run_metrics(folder: Path) -> dict[Name, Measured]:
    """Every metric of a finished run: headlines, what evaluators kept by subject, and scores of the predictions."""
    found: dict[Name, Measured] = {}
    for path in sorted((folder / "findings").glob("*.json")):
        evaluator = path.name.removesuffix(".json")
        kept = {key: (one, _measured(one)) for key, one in read_kept(folder, evaluator).items()}
        found |= {_name(evaluator, one): measured for one, measured in kept.values() if measured is not None}
        by_subject = {key: measured for key, (_, measured) in kept.items() if measured is not None}
        found |= dict(_headlines(evaluator, Findings.from_dict(json.loads(path.read_text())), by_subject))
    return found | dict(_of_predictions(folder))


def _headlines(
    evaluator: str, findings: Findings, by_subject: Mapping[str, Measured]
) -> Iterator[tuple[Name, Measured]]:
    for one in findings.headlines:
        if one.value is not None:
            kept = by_subject.get(one.metric, Measured(one.value, None, None))
            found = replace(kept, value=one.value, subjects=one.n, better=one.better, headline=True)
            yield Name(evaluator, one.label, one.unit), found


def _name(evaluator: str, one: Samples | Redrawn) -> Name:
    return Name(evaluator, one.metric, one.unit, one.axis, -1 if one.at is None else one.at)


def _measured(one: Samples | Redrawn) -> Measured | None:
    drawn = metric_draws(one)
    return drawn and Measured(drawn.value, drawn.draws, len(one.subjects), rows=_digest(one.subjects))


def _of_predictions(folder: Path) -> Iterator[tuple[Name, Measured]]:
    for path in sorted((folder / "predictions").glob(f"*.*.{OWN_METHOD}.parquet")):
        evaluator, task, _ = path.name.removesuffix(".parquet").split(".", 2)
        (truth, predicted), columns = read_predictions(path)
        subjects, rows = columns["subject_id"], _digest(*(columns[name] for name in (*ROW, truth)))
        scores: dict[str, Drawn] = KINDS[predicted](columns[truth], columns[predicted], subjects)
        for score, drawn in scores.items():
            better: Literal["lower", "higher"] = "higher" if score in HIGHER else "lower"
            name = Name(evaluator, f"{score} of {task}")
            yield name, Measured(drawn.value, drawn.draws, len(np.unique(subjects)), better, rows=rows)


def _digest(*columns: np.ndarray) -> str:
    """A digest of columns, to tell whether two runs measured the same rows."""
    digest = hashlib.sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
