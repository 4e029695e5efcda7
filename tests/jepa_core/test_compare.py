"""Comparing runs: what differs, by how much on the same subjects, and what is not compared."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from jepa_core.cli import main
from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.report.comparison_page import comparison_page
from jepa_core.results.comparison import RunDifference, compare_runs
from jepa_core.results.findings import Findings, Headline, Predictions, Redrawn, Samples
from jepa_core.results.meaning import MEANING
from jepa_core.results.paired import DRAWS, SEED, metric_difference, redraw, score_differences
from jepa_core.results.predictions import Predicted
from jepa_core.results.samples import ratio_samples, read_kept, read_samples, subject_numbers, write_kept
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from jepa_core.runs.pipeline import write_findings

SUBJECTS = np.arange(12)
RANDOM = np.random.default_rng(3)
VALUES, WEIGHTS = RANDOM.normal(size=12), RANDOM.integers(1, 5, 12).astype(float)
ROWS = 60
TRUTH, SCORE = RANDOM.random(ROWS) < 0.4, np.round(RANDOM.random(ROWS), 1)

RECIPE = """\
name: {name}
seed: 1
curriculum:
- {{use: fit, name: warm, steps: {steps}, batch_size: 4}}
- {{use: fit, name: last, steps: 10, batch_size: 4}}
evaluators:
- {{use: drift, split: held_out}}
"""


def predictions(score: np.ndarray, truth: np.ndarray = TRUTH, order: np.ndarray | None = None) -> Predictions:
    order = np.arange(ROWS) if order is None else order
    columns = {"subject": np.arange(ROWS) // 5, "trajectory": np.arange(ROWS) // 3, "step": np.arange(ROWS) % 3}
    columns |= {"seconds": np.arange(ROWS, dtype=float), "truth": truth.astype(float), "score": score}
    return Predictions("task", "latents", "boolean", **{name: part[order] for name, part in columns.items()})


def predicted(truth: np.ndarray, score: np.ndarray, subjects: np.ndarray, kind: str = "boolean") -> Predicted:
    """Rows of one labelling."""
    nothing = np.zeros(len(truth), dtype=np.int64)
    return Predicted(kind, nothing, subjects, np.arange(len(truth)), nothing, truth, score)


def make_run(
    folder: Path,
    samples: Samples | None = None,
    said: Predictions | None = None,
    steps: int = 100,
    name: str = "toy",
    redrawn: Redrawn | None = None,
    **manifest: Any,
) -> Path:
    """A folder with everything that a comparison reads of a finished run."""
    folder.mkdir()
    samples = samples or Samples("error", SUBJECTS, VALUES, WEIGHTS)
    value = float(np.average(samples.values, weights=samples.weights))
    found = Findings(
        headlines=[
            Headline("error", value, metric="error"),
            Headline("rank", redrawn.value if redrawn else 3.0, "of 8", metric=redrawn.key if redrawn else ""),
        ],
        samples=[samples, Samples("growth", SUBJECTS, VALUES**2, WEIGHTS, "%", "h", 2)],
        predictions=[said or predictions(SCORE)],
        redrawn=[redrawn] if redrawn else [],
    )
    write_findings(folder, "drift", found)
    dataset = {"source": "toy", "fingerprint": "f" * 64, "content": "c" * 64, "trajectories": 20, "subjects": 12}
    noted = {"name": name, "dataset": dataset, "versions": {"torch": "2.13"}} | manifest
    (folder / "manifest.json").write_text(json.dumps(noted))
    each = {"batch_size": 4, "flops": 1000}
    phases = [{"name": "warm", "steps": steps} | each, {"name": "last", "steps": 10} | each]
    sizes = {"encoder": {"trainable": 100}, "predictor": {"trainable": 50}}
    (folder / "plan.json").write_text(json.dumps({"phases": phases} | sizes))
    (folder / "recipe.resolved.yaml").write_text(RECIPE.format(name=name, steps=steps))
    return folder


def only(differences: list[RunDifference], metric: str, headline: bool = False) -> RunDifference:
    (found,) = [one for one in differences if one.metric == metric and one.headline == headline]
    return found


def test_runs_that_differ_in_name_alone_differ_by_exactly_nothing(tmp_path: Path) -> None:
    found = compare_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", name="other")])
    assert [(row.key, row.values) for row in found.recipe] == [("name", ["toy", "other"])]
    assert found.warnings == []
    assert len(found.differences) == 2 + 2 + 3
    assert {one.difference for one in found.differences} == {0.0}
    assert {(one.low, one.high) for one in found.differences if one.metric != "rank"} == {(0.0, 0.0)}


def test_a_shift_that_every_subject_has_is_found_without_any_spread() -> None:
    mine, its = (Samples("error", SUBJECTS, VALUES + shift, WEIGHTS) for shift in (0.0, 0.25))
    found = metric_difference(mine, its)
    assert (found.difference, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.subjects == 12


def test_the_interval_is_that_of_the_bootstrap_over_rows_with_their_subjects() -> None:
    """Rows of one subject, redrawn together, against the sums by subject that the samples hold."""
    subjects = np.repeat(SUBJECTS, WEIGHTS.astype(int))
    mine, its = RANDOM.normal(size=len(subjects)), RANDOM.normal(size=len(subjects))
    counts = np.bincount(subjects).astype(float)
    one, two = (ratio_samples("m", SUBJECTS, np.bincount(subjects, part), counts) for part in (mine, its))
    found = metric_difference(one, two)
    draws = bootstrap_subjects(its, subjects, DRAWS, SEED) - bootstrap_subjects(mine, subjects, DRAWS, SEED)
    assert found.difference == pytest.approx(its.mean() - mine.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(percentile_interval(draws), abs=1e-12)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    found = read_samples(run, "drift")
    assert list(found) == ["error", "growth, h = 2"]
    growth = found["growth, h = 2"]
    assert (growth.unit, growth.axis, growth.at) == ("%", "h", 2.0)
    assert (growth.values == VALUES**2).all() and (growth.weights == WEIGHTS).all()
    assert (growth.subjects == SUBJECTS).all()


def test_a_subject_without_a_denominator_weighs_nothing() -> None:
    samples = ratio_samples("m", np.arange(3), np.array([1.0, 2.0, 7.0]), np.array([2.0, 2.0, 0.0]))
    assert np.average(samples.values, weights=samples.weights) == pytest.approx(3 / 4)


def test_a_subject_is_written_down_by_its_place_in_the_split() -> None:
    assert subject_numbers(np.array([90, 10, 90]), np.array([40, 10, 90, 10])).tolist() == [2, 0, 2]


def test_scores_of_predictions_are_those_of_scikit_learn(tmp_path: Path) -> None:
    other = np.clip(SCORE + 0.3 * TRUTH, 0, 1)
    shuffled = np.random.default_rng(0).permutation(ROWS)
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", said=predictions(other, order=shuffled))]
    found = compare_runs(runs).differences
    wanted = {"AUROC": roc_auc_score, "average precision": average_precision_score, "Brier score": brier_score_loss}
    for name, score in wanted.items():
        one = only(found, f"{name} of task, latents")
        assert one.reference == pytest.approx(score(TRUTH, SCORE), abs=1e-12)
        assert one.value == pytest.approx(score(TRUTH, other), abs=1e-12)
        assert one.difference == pytest.approx(score(TRUTH, other) - score(TRUTH, SCORE), abs=1e-12)
        assert one.low <= one.difference <= one.high and one.low < one.high
    assert only(found, "AUROC of task, latents").low > 0


def test_the_interval_of_auroc_is_that_of_scikit_learn_on_the_redrawn_rows() -> None:
    subjects, other = np.arange(ROWS) // 5, np.clip(SCORE + 0.3 * TRUTH, 0, 1)
    found = score_differences(*(predicted(TRUTH, one, subjects) for one in (SCORE, other)))["AUROC"]
    generator, differences = np.random.default_rng(SEED), []
    for _ in range(DRAWS):
        weight = generator.multinomial(12, np.full(12, 1 / 12))[subjects]
        chosen = np.repeat(np.arange(ROWS), weight)
        if 0 < TRUTH[chosen].mean() < 1:
            scores = [roc_auc_score(TRUTH[chosen], one[chosen]) for one in (SCORE, other)]
            differences.append(scores[1] - scores[0])
    assert (found.low, found.high) == pytest.approx(percentile_interval(np.array(differences)), abs=1e-9)


def test_one_class_has_no_ranking_and_says_so_but_has_a_brier_score() -> None:
    found = score_differences(*2 * [predicted(np.ones(ROWS, dtype=bool), SCORE, np.arange(ROWS))])
    assert found["AUROC"] == found["average precision"] == "the rows are of one class"
    assert found["Brier score"].difference == 0


def test_values_are_compared_by_the_size_of_their_errors() -> None:
    truth = RANDOM.normal(size=ROWS)
    subjects = np.arange(ROWS) // 5
    found = score_differences(*(predicted(truth, truth + error, subjects, "float") for error in (1, -3)))
    assert (found["MAE"].difference, found["RMSE"].difference) == pytest.approx((2, 2))


def test_a_method_that_was_fitted_on_several_labellings_has_the_mean_of_their_scores(tmp_path: Path) -> None:
    scores = [np.clip(SCORE + shift * TRUTH, 0, 1) for shift in (0.0, 0.1, 0.4)]
    labelled = predictions(np.concatenate(scores), np.tile(TRUTH, 3), np.arange(3 * ROWS) % ROWS)
    labelled = replace(labelled, score=np.concatenate(scores), extra={"labelling": np.repeat(np.arange(3), ROWS)})
    better = replace(labelled, score=np.clip(labelled.score + 0.3 * labelled.truth, 0, 1))
    found = compare_runs([make_run(tmp_path / "a", said=labelled), make_run(tmp_path / "b", said=better)]).differences
    one = only(found, "AUROC of task, latents")
    areas = [[roc_auc_score(TRUTH, np.clip(score + more * TRUTH, 0, 1)) for score in scores] for more in (0, 0.3)]
    assert one.reference == pytest.approx(np.mean(areas[0])) and one.value == pytest.approx(np.mean(areas[1]))
    assert 0 < one.low < one.difference < one.high


def test_other_rows_or_other_truths_are_not_compared(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", said=predictions(SCORE, truth=~TRUTH))]
    one = only(compare_runs(runs).differences, "scores of task, latents")
    assert one.difference is None and "other truths" in one.note


def test_other_subjects_are_not_compared(tmp_path: Path) -> None:
    other = Samples("error", SUBJECTS + 1, VALUES, WEIGHTS)
    found = compare_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", other)])
    one = only(found.differences, "error", headline=True)
    assert one.difference is None and one.note == "measured on other subjects"


def largest(values: np.ndarray, subjects: np.ndarray = SUBJECTS) -> Redrawn:
    """A metric that is no mean over subjects: the larger of the means of two columns."""
    return Redrawn("rank", subjects, float(values.mean(axis=0).max()), redraw(values, subjects).max(axis=1))


def test_a_metric_that_is_no_mean_is_paired_by_its_draws(tmp_path: Path) -> None:
    """The second run has twice the values of the first on the same subjects, so the difference is the first's own."""
    columns = RANDOM.random((12, 2))
    runs = [make_run(tmp_path / str(scale), redrawn=largest(scale * columns)) for scale in (1, 2)]
    found = only(compare_runs(runs).differences, "rank", headline=True)
    draws = bootstrap_subjects(columns, SUBJECTS, DRAWS, SEED).max(axis=1)
    assert found.difference == pytest.approx(columns.mean(axis=0).max()) and found.subjects == 12
    assert (found.low, found.high) == pytest.approx(percentile_interval(draws), abs=1e-12)


def test_redrawn_metrics_come_back_as_they_were_written_and_only_of_the_same_subjects(tmp_path: Path) -> None:
    one = replace(largest(RANDOM.random((12, 2))), unit="%", axis="h", at=3.0)
    one.draws[7] = np.nan
    write_kept(tmp_path, "drift", [], [one])
    (found,) = read_kept(tmp_path, "drift").values()
    assert (found.key, found.unit, found.value) == ("rank, h = 3", "%", one.value)
    assert np.array_equal(found.draws, one.draws, equal_nan=True) and (found.subjects == SUBJECTS).all()
    assert metric_difference(found, found).difference == 0
    assert metric_difference(found, replace(found, subjects=SUBJECTS + 1)) == "measured on other subjects"


def test_a_run_from_before_draws_were_kept_has_a_bare_difference(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "old"), make_run(tmp_path / "new", redrawn=largest(RANDOM.random((12, 2))))]
    found = only(compare_runs(runs).differences, "rank", headline=True)
    assert found.difference is not None and found.low is None and "no values by subject" in found.note


def test_two_metrics_of_one_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'rank' twice"):
        write_kept(tmp_path, "drift", [Samples("rank", SUBJECTS, VALUES, WEIGHTS)], [largest(RANDOM.random((12, 2)))])


@pytest.mark.parametrize("damage", ["torn", "short"])
def test_a_damaged_file_of_draws_is_named(tmp_path: Path, damage: str) -> None:
    whole = largest(RANDOM.random((12, 2)))
    write_kept(tmp_path, "drift", [], [whole if damage == "torn" else replace(whole, draws=whole.draws[:-1])])
    path = tmp_path / "samples" / "drift.redrawn.parquet"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"drift\.redrawn\.parquet"):
        read_kept(tmp_path, "drift")


def test_other_data_are_refused(tmp_path: Path) -> None:
    dataset = {"source": "toy", "fingerprint": "e" * 64, "content": "d" * 64, "trajectories": 20, "subjects": 12}
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", dataset=dataset)]
    with pytest.raises(DataError, match="different data or splits"):
        compare_runs(runs)


def test_another_split_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    evaluated = {"drift": {"settings": {"use": "drift", "split": "tuning"}}}
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", evaluated=evaluated)]
    with pytest.raises(DataError, match=r"jepa evaluate .*b evaluators\.drift\.split=held_out"):
        compare_runs(runs)


@pytest.mark.parametrize(("steps", "warned"), [(105, False), (116, True)])
def test_budgets_may_differ_by_five_per_cent(tmp_path: Path, steps: int, warned: bool) -> None:
    found = compare_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", steps=steps)])
    assert any("optimizer steps" in warning for warning in found.warnings) == warned
    rows = {row.key: row.values for row in found.budgets}
    assert rows["optimizer steps"] == [110, steps + 10] and rows["trainable parameters"] == [150, 150]
    assert rows["FLOPs"] == [110_000, 1000 * (steps + 10)] and rows["windows"] == [440, 4 * (steps + 10)]
    assert [row.values for row in found.recipe if row.key == "curriculum.warm.steps"] == [[100, steps]]


def test_a_phase_that_one_run_lacks_is_one_line(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b")]
    recipe = runs[1] / "recipe.resolved.yaml"
    recipe.write_text("".join(line for line in recipe.read_text().splitlines(True) if "name: last" not in line))
    rows = {row.key: row.values for row in compare_runs(runs).recipe}
    assert rows == {"curriculum.order": [["warm", "last"], ["warm"]], "curriculum.last.use": ["fit", None]}


def test_other_settings_of_an_evaluator_leave_bare_figures_uncompared(tmp_path: Path) -> None:
    evaluated = {"drift": {"settings": {"use": "drift", "split": "held_out", "steps": 7}}}
    found = compare_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", evaluated=evaluated)])
    one = only(found.differences, "rank", headline=True)
    assert one.difference is None and "set otherwise" in one.note
    assert only(found.differences, "error", headline=True).difference == 0
    assert [row.key for row in found.recipe] == ["evaluators.drift.steps"]


def test_other_versions_are_pointed_out(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", versions={"torch": "2.12"})]
    assert compare_runs(runs).warnings == ["made with other versions of torch"]


def test_numbers_that_mean_different_things_are_pointed_out(tmp_path: Path) -> None:
    again = {"drift": {"settings": {"use": "drift", "split": "held_out"}, "meaning": MEANING}}
    runs = [make_run(tmp_path / "a", meaning=MEANING), make_run(tmp_path / "b", evaluated=again)]
    (warning,) = compare_runs(runs).warnings
    assert warning.startswith("training: by versions of jepa-core whose scales, losses or measures mean different")
    before = {"drift": again["drift"] | {"meaning": 1}}
    (warning,) = compare_runs([make_run(tmp_path / "c", evaluated=before), runs[1]]).warnings
    assert warning.startswith("drift: ")


def test_every_run_is_compared_with_the_first(tmp_path: Path) -> None:
    shifted = [Samples("error", SUBJECTS, VALUES + shift, WEIGHTS) for shift in (0.0, 1.0, 2.0)]
    found = compare_runs([make_run(tmp_path / name, one) for name, one in zip("abc", shifted, strict=True)])
    headlines = [(one.run, one.difference) for one in found.differences if one.headline and one.metric == "error"]
    assert headlines == [("b", pytest.approx(1.0)), ("c", pytest.approx(2.0))]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    with pytest.raises(RecipeError, match="two runs"):
        compare_runs([run])
    with pytest.raises(RecipeError, match="not the folder of a run"):
        compare_runs([run, tmp_path])
    (run / "findings" / "drift.json").unlink()
    with pytest.raises(RunError, match="jepa resume"):
        compare_runs([run, run])


def test_a_damaged_file_of_samples_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    (run / "samples" / "drift.parquet").write_bytes(b"torn")
    with pytest.raises(RunError, match=r"samples.drift\.parquet"):
        compare_runs([run, make_run(tmp_path / "b")])


def test_the_command_prints_text_and_json_and_writes_a_page_that_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = predictions(np.clip(SCORE + 0.3 * TRUTH, 0, 1))
    runs = [str(make_run(tmp_path / "a")), str(make_run(tmp_path / "b", said=better, name="<i>other</i>"))]
    assert main(["compare", *runs, "--html", str(tmp_path / "pages" / "ab.html")]) == 0
    text = capsys.readouterr().out
    assert "b less a" in text and "AUROC of task, latents" in text and "name" in text
    assert main(["compare", *runs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == ["a", "b"]
    page = (tmp_path / "pages" / "ab.html").read_text()
    assert page == comparison_page(compare_runs([Path(run) for run in runs]))
    assert "&lt;i&gt;other" in page and "<i>" not in page
    assert not re.search(r"https?:|@import|<script|url\((?!#)", page)


def test_predictions_of_another_evaluation_do_not_stay(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert list((run / "predictions").iterdir()) and list((run / "samples").iterdir())
    write_findings(run, "drift", Findings())
    assert not list((run / "predictions").rglob("*.parquet")) and not list((run / "samples").iterdir())
