"""Studies over the folds of a split: the grid, and what was held out, pooled. The runs here are written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jepa_core.errors import DataError
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe
from jepa_core.results.findings import Findings, Headline, Predictions, Redrawn, Samples
from jepa_core.results.paired import DRAWS, SEED
from jepa_core.runs.pipeline import write_findings
from jepa_core.study.definition import Cell, Study
from jepa_core.study.findings import study_findings
from jepa_core.study.folder import StudyFolder, run_rows
from jepa_core.study.reading import load_study
from jepa_core.study.report import write_study

FOLDS, EACH = 3, 20
STUDY = """\
base: toy.yaml
seeds: [3, 4]
folds: 3
against: [floor]
variants:
  full: {}
  without_joint:
    change: {curriculum: {joint: null}}
"""


def of_data(content: str) -> dict[str, str]:
    """What a manifest says of its data."""
    return {"source": "table", "fingerprint": "0", "content": content}


@pytest.fixture
def study(recipe_file: Path, registry: Registry) -> Study:
    path = recipe_file.with_name("folds.yaml")
    path.write_text(STUDY)
    return load_study(path, [], registry, {})


def held_out(fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Subjects of a fold, and the truth of each."""
    subjects = 1000 + np.arange(fold, FOLDS * EACH, FOLDS)
    return subjects, np.random.default_rng(5).random(FOLDS * EACH)[subjects - 1000] < 0.4


def write_run(folder: StudyFolder, cell: Cell, subjects: np.ndarray, truth: np.ndarray) -> None:
    """A finished run: latents tell more than the floor, and more in the variant `full` than in the other."""
    random = np.random.default_rng([cell.seed, cell.fold or 0])
    gain = {"latents": 0.6 if cell.variant == "full" else 0.3, "floor": 0.1}
    rows = {"subject": subjects, "trajectory": subjects - 1000, "step": np.zeros_like(subjects)}
    rows |= {"seconds": np.zeros(len(subjects)), "truth": truth.astype(float)}
    noise = random.random(len(subjects))
    said = [
        Predictions("death", name, "boolean", score=np.clip((noise + more * truth) / 2, 0, 1), **rows)
        for name, more in gain.items()
    ]
    numbers = np.arange(len(subjects))
    error = Samples("error", numbers, noise, np.ones(len(subjects)))
    rank = Redrawn("rank", numbers, 3.0 + (cell.fold or 0), np.full(DRAWS, 3.0 + (cell.fold or 0)))
    headlines = [
        Headline("error", float(noise.mean()), n=len(subjects), metric="error", better="lower"),
        Headline("steps", float(cell.fold or 0), n=len(subjects)),
    ]
    path = folder.run(cell)
    path.mkdir(parents=True)
    write_findings(path, "tasks", Findings(headlines=headlines, predictions=said, samples=[error], redrawn=[rank]))
    manifest = {"name": cell.variant, "ended": "now", "dataset": of_data(f"fold {cell.fold}")}
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(study: Study, tmp_path: Path) -> StudyFolder:
    """The folder of the study, all of its runs done."""
    folder = StudyFolder(tmp_path / "out")
    for cell in study.cells:
        write_run(folder, cell, *held_out(cell.fold or 0))
    return folder


def table(found: Findings, name: str) -> list[dict]:
    one = next(table for table in found.tables if table.name == name)
    return [dict(zip([column.name for column in one.columns], row, strict=True)) for row in one.rows]


def row(found: Findings, name: str, **wanted: str) -> dict:
    (one,) = (one for one in table(found, name) if all(one[key] == value for key, value in wanted.items()))
    return one


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_every_variant_and_seed_is_run_on_every_fold(study: Study, tmp_path: Path) -> None:
    names = [cell.name for cell in study.cells]
    assert names[:4] == ["full-3-0", "full-3-1", "full-3-2", "full-4-0"] and len(names) == 12
    for cell in study.cells:
        split = cell.recipe.source.config.split
        assert (split.folds, split.fold) == (FOLDS, cell.fold) and cell.recipe.seed == cell.seed
    assert [row["fold"] for row in run_rows(study, StudyFolder(tmp_path))][:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("folds: 1", "from 2 to 127"),
        ("folds: many", "found 'many'"),
        ("against: floor", "expected a list"),
    ],
)
def test_folds_and_methods_that_are_none_are_refused_where_they_stand(
    recipe_file: Path, registry: Registry, written: str, message: str
) -> None:
    key = written.partition(":")[0]
    lines = [written if line.startswith(key) else line for line in STUDY.splitlines()]
    path = recipe_file.with_name("folds.yaml")
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidRecipe) as caught:
        load_study(path, [], registry, {})
    (problem,) = caught.value.to_list()
    assert message in problem["message"] and problem["line"] == lines.index(written) + 1


# --- what was held out, pooled ----------------------------------------------------------------------------------------


def test_scores_are_those_of_the_predictions_for_all_subjects(study: Study, folder: StudyFolder) -> None:
    from pyarrow import parquet

    found = study_findings(study, folder)
    for method in ("latents", "floor"):
        wanted = {"AUROC": [], "average precision": []}
        for seed in study.seeds:
            files = [
                parquet.read_table(folder.run(cell) / "predictions" / f"tasks.death.{method}.parquet").to_pandas()
                for cell in study.cells
                if (cell.variant, cell.seed) == ("full", seed)
            ]
            truth, score = (
                np.concatenate([file[name] for file in files])
                for name in ("boolean_value", "predicted_boolean_probability")
            )
            wanted["AUROC"].append(roc_auc_score(truth, score))
            wanted["average precision"].append(average_precision_score(truth, score))
        for name, values in wanted.items():
            one = row(found, "methods", variant="full", score=name, method=method)
            assert one["mean"] == pytest.approx(np.mean(values), abs=1e-12) and one["subjects"] == FOLDS * EACH
            assert one["subjects_low"] < one["mean"] < one["subjects_high"] and one["seeds"] == 2


def test_methods_are_paired_by_subject_with_those_the_study_names(study: Study, folder: StudyFolder) -> None:
    found = study_findings(study, folder)
    latents, floor = (row(found, "methods", variant="full", score="AUROC", method=one) for one in ("latents", "floor"))
    one = row(found, "method_differences", variant="full", score="AUROC")
    assert (one["method"], one["against"]) == ("latents", "floor")
    assert one["difference"] == pytest.approx(latents["mean"] - floor["mean"])
    apart = latents["subjects_low"] - floor["subjects_high"], latents["subjects_high"] - floor["subjects_low"]
    assert one["subjects_low"] > 0 and one["subjects_high"] - one["subjects_low"] < 0.8 * (apart[1] - apart[0])
    assert one["p_holm"] < 0.05
    assert {forest.title for forest in found.method_forests} >= {"full, tasks: AUROC of death, against floor"}


def test_runs_are_paired_by_subject_over_all_folds(study: Study, folder: StudyFolder) -> None:
    one = row(study_findings(study, folder), "metrics", variant="without_joint", metric="AUROC of death, latents")
    assert one["difference"] < 0 and one["subjects_high"] < 0 and one["subjects"] == FOLDS * EACH


def test_a_mean_over_subjects_is_of_all_of_them_and_the_rest_is_the_mean_over_folds(
    study: Study, folder: StudyFolder
) -> None:
    found = study_findings(study, folder)
    cells = [cell for cell in study.cells if (cell.variant, cell.seed) == ("full", 3)]
    errors = [np.random.default_rng([3, cell.fold or 0]).random(EACH) for cell in cells]
    seeds = {(one["metric"], one["seed"]): one["value"] for one in table(found, "seeds") if one["variant"] == "full"}
    assert seeds["error", 3] == pytest.approx(np.concatenate(errors).mean())
    assert seeds["rank", 3] == 4 and seeds["steps", 3] == 1
    assert row(found, "headlines", variant="full", metric="error")["subjects"] == FOLDS * EACH


def test_a_pooled_interval_is_that_of_scikit_learn_on_redrawn_subjects(study: Study, folder: StudyFolder) -> None:
    from pyarrow import parquet

    one_seed = Study("x", "", "full", (3,), {"full": ""}, [cell for cell in study.cells if cell.seed == 3], ("floor",))
    one = row(study_findings(one_seed, folder), "methods", variant="full", score="AUROC", method="latents")
    paths = [folder.run(cell) / "predictions" / "tasks.death.latents.parquet" for cell in one_seed.cells[:FOLDS]]
    files = [parquet.read_table(path).to_pandas() for path in paths]
    columns = {name: np.concatenate([file[name] for file in files]) for name in files[0]}
    order = np.argsort(columns["subject_id"])
    truth, score = columns["boolean_value"][order], columns["predicted_boolean_probability"][order]
    times = np.random.default_rng(SEED).multinomial(len(order), np.full(len(order), 1 / len(order)), size=DRAWS)
    areas = [roc_auc_score(truth, score, sample_weight=weight) for weight in times]
    assert (one["subjects_low"], one["subjects_high"]) == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=1e-9)


# --- what is not whole ------------------------------------------------------------------------------------------------


def test_a_seed_without_all_of_its_folds_is_left_out_and_said_to_be(study: Study, folder: StudyFolder) -> None:
    (folder.run(study.cells[4]) / "manifest.json").unlink()
    found = study_findings(study, folder)
    assert "Of 12 runs, 1 waiting" in found.verdicts[0].text and "all folds are done" in found.verdicts[0].text
    assert row(found, "methods", variant="full", score="AUROC", method="latents")["seeds"] == 1


def test_a_subject_that_two_folds_hold_out_is_refused(study: Study, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "twice")
    for cell in study.cells:
        write_run(folder, cell, *held_out(min(cell.fold or 0, 1)))
    with pytest.raises(DataError, match="held out by more than one run"):
        study_findings(study, folder)


def test_folds_of_other_data_are_refused(study: Study, folder: StudyFolder) -> None:
    path = folder.run(study.cells[3]) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset": of_data("other")}))
    with pytest.raises(DataError, match="on different data"):
        study_findings(study, folder)


def test_a_method_that_no_run_has_is_said_to_be_missing(
    recipe_file: Path, registry: Registry, folder: StudyFolder
) -> None:
    path = recipe_file.with_name("folds.yaml")
    path.write_text(STUDY.replace("[floor]", "[floor, ceiling]"))
    found = study_findings(load_study(path, [], registry, {}), folder)
    assert any("No run has predictions of ceiling" in verdict.text for verdict in found.verdicts)


def test_the_page_shows_methods_with_their_panels(study: Study, folder: StudyFolder) -> None:
    page = write_study(study, folder).read_text()
    assert "3 folds" in page and "AUROC of death, against floor" in page and 'id="methods"' in page
    assert (folder.path / "tables" / "method_differences.csv").is_file()
