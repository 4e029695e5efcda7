"""Folds of a real source with real phases, heads and few labels: what each run saw, and what is pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from pyarrow import parquet
from sklearn.metrics import roc_auc_score

from jepa_core.data.places import store_path
from jepa_core.data.store import Store
from jepa_core.plugin import discover
from jepa_core.results.findings import Findings
from jepa_core.results.predictions import predictions_path
from jepa_core.results.record import read_run
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run
from jepa_core.study.definition import Study
from jepa_core.study.findings import study_findings
from jepa_core.study.folder import StudyFolder
from jepa_core.study.reading import load_study

RECIPE = """\
source: {use: oscillators, trajectories: 120, shortest: 10, longest: 14}
windows: {length: 10, stride: 5, min_length: 6}
encoder: {use: mlp, width: 16, latent_size: 8}
predictor: {use: action_transformer, width: 16, layers: 1, heads: 2, feedforward: 32, max_steps: 12}
curriculum:
  - {use: predictor_finalization, steps: 3, batch_size: 8, rollout_horizon: 2}
evaluators:
  - use: prediction_tasks
    name: tasks
    tasks: [{outcome: pushed, after: 8}]
    methods: [latents, untrained_latents]
    baselines: [linear]
    heads: {families: [linear]}
  - use: label_efficiency
    name: few
    tasks: [{outcome: pushed, after: 8}]
    subjects: [20]
    labellings: 2
    methods: [latents]
    baselines: [linear]
    averaged_with: linear
    references: [linear]
    heads: {families: [linear]}
runtime: {threads: 1}
"""
STUDY = """\
base: recipe.yaml
folds: 3
against: [logistic / ridge]
variants: {recipe: {}}
"""


@dataclass
class Done:
    study: Study
    folder: StudyFolder
    found: Findings

    def rows(self, name: str, **wanted: str) -> list[dict]:
        table = next(table for table in self.found.tables if table.name == name)
        rows = [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]
        return [row for row in rows if all(row[key] == value for key, value in wanted.items())]

    def files(self, *names: str) -> list[dict[str, np.ndarray]]:
        paths = [predictions_path(self.folder.run(cell) / "predictions", *names) for cell in self.study.cells]
        tables = [parquet.read_table(path) for path in paths]
        return [{name: one[name].to_numpy(zero_copy_only=False) for name in one.column_names} for one in tables]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    path = tmp_path_factory.mktemp("folds")
    (path / "recipe.yaml").write_text(RECIPE)
    (path / "study.yaml").write_text(STUDY)
    registry = discover()
    study, folder = load_study(path / "study.yaml", [], registry, {}), StudyFolder(path / "out")
    folder.open(study, STUDY)
    for cell in study.cells:
        execute(Run.create(folder.run(cell), cell.recipe, registry, RECIPE))
    yield Done(study, folder, study_findings(study, folder))
    torch.use_deterministic_algorithms(False)


def test_each_fold_predicts_for_the_subjects_that_its_own_train_and_tuning_do_not_hold(done: Done) -> None:
    everyone = []
    for cell, file in zip(done.study.cells, done.files("tasks", "pushed_after_8", "latents"), strict=True):
        dataset = read_run(done.folder.run(cell)).manifest["dataset"]
        store = Store(store_path(done.folder.stores, dataset["source"], dataset["fingerprint"]))
        fitted_on = set(store.subject[store.split < 2].tolist())
        assert fitted_on and not fitted_on & set(file["subject_id"].tolist())
        everyone += set(file["subject_id"].tolist())
    assert len(everyone) == len(set(everyone)) == 60


def test_the_score_is_that_of_all_subjects_together(done: Done) -> None:
    for method in ("latents", "untrained latents", "logistic / ridge"):
        files = done.files("tasks", "pushed_after_8", method)
        truth, score = (
            np.concatenate([one[key] for one in files]) for key in ("boolean_value", "predicted_boolean_probability")
        )
        (row,) = done.rows("methods", evaluator="tasks", method=method.replace(" / ", " "), score="AUROC")
        assert row["mean"] == pytest.approx(roc_auc_score(truth, score), abs=1e-12) and row["subjects"] == 60


def test_few_labels_are_pooled_labelling_by_labelling(done: Done) -> None:
    files = done.files("few", "pushed_after_8, 20 labelled", "latents + logistic / ridge")
    columns = {name: np.concatenate([one[name] for one in files]) for name in files[0]}
    areas = [
        roc_auc_score(columns["boolean_value"][mine], columns["predicted_boolean_probability"][mine])
        for mine in (columns["labelling"] == 0, columns["labelling"] == 1)
    ]
    (row,) = done.rows(
        "methods", evaluator="few", task="pushed after 8 20 labelled", score="AUROC", method="latents logistic ridge"
    )
    assert row["mean"] == pytest.approx(np.mean(areas), abs=1e-12) and row["subjects_low"] < row["subjects_high"]


def test_every_method_is_compared_with_the_one_that_is_named(done: Done) -> None:
    rows = done.rows("method_differences", evaluator="tasks", score="AUROC")
    assert [(row["method"], row["against"]) for row in rows] == [
        ("latents", "logistic ridge"), ("untrained latents", "logistic ridge"),
    ]  # fmt: skip
    assert all(row["subjects_low"] <= row["difference"] <= row["subjects_high"] for row in rows)
