"""Few labels: who has them, who sees them, and what the curves say, on latents of which every answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn import metrics

from jepa_core.results.findings import Findings
from jepa_core.results.predictions import predictions_path
from jepa_core.runs.pipeline import write_findings
from jepa_downstream.config import LabelEfficiencyConfig
from jepa_downstream.kept import Kept
from jepa_downstream.label_efficiency import LabelEfficiency, labels_of, mean_estimates
from jepa_downstream.labelling import PARTS, cross_fit, labelling, strata
from jepa_downstream.measures import DrawnEstimate, Draws, binary
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows, Task
from jepa_downstream.tasks import task_rows
from tests.jepa_downstream import fakes

BAD = {"outcome": "bad", "after": 8}
LIFE = {"label": "life"}
SIZES = (20, 40)


def config(*tasks: dict, **keys) -> LabelEfficiencyConfig:
    small = {
        "bootstrap": 200,
        "subjects": SIZES,
        "labellings": 3,
        "methods": ["latents", "untrained_latents"],
        "baselines": [],
        "averaged_with": None,
        "references": ["untrained_latents"],
        "heads": {"families": ["linear"], "strengths": [0.01, 1]},
    }
    return LabelEfficiencyConfig.model_validate({"tasks": tasks, **small, **keys})


def table(found: Findings, name: str) -> list[dict]:
    one = next(table for table in found.tables if table.name == name)
    return [dict(zip([column.name for column in one.columns], row, strict=True)) for row in one.rows]


@pytest.fixture(scope="module")
def made():
    return fakes.dataset(trajectories=300)


@pytest.fixture(scope="module")
def noisy(made):
    """Latents that tell the outcome, among much else, so that labels are needed to find it."""
    latents = fakes.table(made, dimensions=12)
    latents[: made.total, 3] += 0.35 * np.sign(made.store.labels["risk"])
    return latents


@pytest.fixture(scope="module")
def evaluation(made, noisy):
    return fakes.evaluation(made, noisy, fakes.table(made, seed=5, dimensions=12))


@pytest.fixture(scope="module")
def found(evaluation):
    return LabelEfficiency(config(BAD, LIFE)).evaluate(evaluation)


class Spy:
    """Scores by the share of positives that it was fitted on, and remembers what it was given."""

    name, information = "spy", "nothing"

    def __init__(self) -> None:
        self.given: list[tuple[Rows, Rows]] = []

    def fit(self, task, train, tuning, seed):
        self.given.append((train, tuning))
        return self

    def scores(self, rows):
        return np.full(len(rows), float(len(self.given)))


# --- who has labels ---------------------------------------------------------------------------------------------------


def test_the_few_are_among_the_many_and_every_stratum_has_its_share(made):
    train = task_rows(made, config(BAD).tasks[0]).splits["train"]
    stratum = strata(train, "binary")
    order = labelling(train, stratum, number=2)
    assert sorted(order) == sorted(set(train.subject.tolist()))
    positive = np.isin(order, train.subject[stratum == 1])
    for count in range(1, len(order) + 1):
        assert abs(positive[:count].sum() - count * positive.mean()) <= 1


def test_another_labelling_draws_others_and_the_same_one_the_same(made):
    train = task_rows(made, config(BAD).tasks[0]).splits["train"]
    stratum = strata(train, "binary")
    first, again, other = (labelling(train, stratum, number) for number in (0, 0, 1))
    assert np.array_equal(first, again) and set(first[:20]) != set(other[:20])


def test_labelled_rows_are_all_rows_of_the_labelled_subjects_of_train_and_nobody_else(made):
    task = task_rows(made, config(LIFE).tasks[0])
    train = task.splits["train"]
    *few, every = labels_of(task, SIZES, labellings=3)
    for labels, size in zip(few, SIZES, strict=True):
        for rows in labels.rows:
            subjects = np.unique(rows.subject)
            assert len(subjects) == size and np.isin(subjects, train.subject).all()
            assert len(rows) == np.isin(train.subject, subjects).sum()
    assert len(every.rows) == 1 and len(every.rows[0]) == len(train) and every.subjects == len(set(train.subject))
    smaller, larger = (set(one.rows[1].subject) for one in few)
    assert smaller < larger


def test_values_are_divided_into_fifths_by_the_mean_of_a_subject():
    rows = Rows(np.arange(40), np.zeros(40, dtype=int), np.arange(40.0), np.arange(40) // 2)
    assert np.array_equal(strata(rows, "regression"), np.repeat(np.arange(5), 8))


def test_each_fit_chooses_on_the_part_that_it_did_not_see(made):
    train = task_rows(made, config(LIFE).tasks[0]).splits["train"]
    spy = Spy()
    fitted = cross_fit(spy, Task("life", "regression"), train, most=10**6, number=0, seed=0)
    assert len(spy.given) == PARTS == len(fitted.fits)
    for fitted_on, chosen_on in spy.given:
        assert not set(fitted_on.subject) & set(chosen_on.subject)
        assert len(fitted_on) + len(chosen_on) == len(train)
    chosen_on = np.concatenate([np.unique(one.subject) for _, one in spy.given])
    assert sorted(chosen_on) == sorted(set(train.subject.tolist()))


def test_the_truth_of_tuning_is_not_read(made, evaluation):
    asked = config(BAD, subjects=[20], labellings=2)
    before = LabelEfficiency(asked).evaluate(evaluation)
    kept = made.store.outcomes["bad"]
    made.store.outcomes["bad"] = np.where(made.split == 1, 1 - kept, kept)
    try:
        after = LabelEfficiency(asked).evaluate(evaluation)
    finally:
        made.store.outcomes["bad"] = kept
    assert table(before, "scores") == table(after, "scores")


# --- what is found ----------------------------------------------------------------------------------------------------


def test_more_labels_help_latents_that_tell_and_not_those_that_do_not(found):
    rows = [row for row in table(found, "scores") if row["method"] == "latents"]
    assert [row["labelled"] for row in rows] == [20, 40, 50] and rows[-1]["remark"] == "all of train"
    assert rows[0]["auroc"] < rows[-1]["auroc"] - 0.02 and rows[-1]["auroc_low"] > 0.7
    assert [row["labellings"] for row in rows] == [3, 3, 1]
    assert rows[0]["auroc_sd_over_labellings"] > 0 and rows[-1]["auroc_sd_over_labellings"] is None
    untrained = [row for row in table(found, "scores") if row["method"] == "untrained latents"]
    assert all(row["auroc_low"] <= 0.5 <= row["auroc_high"] for row in untrained)


def test_differences_to_the_references_are_paired(found):
    rows = table(found, "scores_differences")
    scores = {(row["method"], row["labelled"]): row for row in table(found, "scores")}
    assert [(row["method"], row["reference"]) for row in rows] == 3 * [("latents", "untrained latents")]
    for row in rows:
        mine, its = (scores[name, row["labelled"]]["auroc"] for name in ("latents", "untrained latents"))
        assert row["auroc"] == pytest.approx(mine - its)
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
    assert found.verdicts[0].level == "good" and "better with 20, 40 and all" in found.verdicts[0].text


def test_n_stands_beside_every_figure(made, found):
    measured = task_rows(made, config(BAD).tasks[0]).splits["held_out"]
    for row in table(found, "scores"):
        assert row["rows"] == len(measured) and row["subjects"] == len(set(measured.subject))
        assert row["positives"] == measured.truth.sum()
        assert 0 < row["labelled_positives"] < row["labelled_rows"] <= 2 * row["labelled"]
    assert all(headline.n for headline in found.headlines)


def test_values_have_curves_of_their_error(found):
    rows = table(found, "values")
    assert {row["method"] for row in rows} == {"latents", "untrained latents"} and all(row["rmse"] > 0 for row in rows)
    titles = {figure.name: figure for figure in found.figures}
    assert set(titles) == {
        "auroc_by_labels_bad_after_8",
        "average_precision_by_labels_bad_after_8",
        "rmse_by_labels_life",
    }
    curve = titles["auroc_by_labels_bad_after_8"].series[0]
    assert curve.x == [20, 40, 50]
    assert all(low <= y <= high for low, y, high in zip(curve.low, curve.y, curve.high, strict=True))


def test_every_point_can_be_recomputed_from_the_files(found, tmp_path):
    from pyarrow import parquet

    write_findings(tmp_path, "few", found)
    for row in table(found, "scores"):
        labels = "all" if row["remark"] else str(row["labelled"])
        path = predictions_path(tmp_path / "predictions", "few", f"{row['task']}, {labels} labelled", row["method"])
        file = parquet.read_table(path).to_pandas()
        assert set(file["labelling"]) == set(range(row["labellings"]))
        areas = [
            metrics.roc_auc_score(one["boolean_value"], one["predicted_boolean_probability"])
            for _, one in file.groupby("labelling")
        ]
        assert row["auroc"] == pytest.approx(np.mean(areas), abs=1e-12)
        if row["labellings"] > 1:
            assert row["auroc_sd_over_labellings"] == pytest.approx(np.std(areas, ddof=1), abs=1e-12)


def test_findings_are_plain_and_the_same_twice(evaluation, found):
    again = LabelEfficiency(config(BAD, LIFE)).evaluate(evaluation)
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())


def test_an_average_with_a_baseline_is_the_mean_of_both_scores(made, noisy):
    given = replace(fakes.evaluation(made, noisy, fakes.table(made, seed=5)), channels=None)
    asked = config(BAD, baselines=["linear"], averaged_with="linear", references=["linear"])
    found = LabelEfficiency(asked).evaluate(given)
    rows = {row["method"]: row for row in table(found, "scores") if row["labelled"] == 20}
    assert "does not render its steps as numbers" in rows["latents + linear"]["remark"]
    assert rows["latents + linear"]["auroc"] is None and rows["latents"]["auroc"] > 0.5


# --- what cannot be measured ------------------------------------------------------------------------------------------


def test_more_labels_than_train_has_are_null_with_the_reason(evaluation):
    found = LabelEfficiency(config(BAD, subjects=[20, 1000])).evaluate(evaluation)
    row = next(row for row in table(found, "scores") if row["labelled"] == 1000)
    assert row["auroc"] is None and row["remark"] == "50 subjects of train have a row"


def test_labels_of_one_class_are_null_with_the_reason(made, noisy):
    kept = made.store.outcomes["bad"]
    subject = made.subject[np.flatnonzero((made.split == 0) & (made.steps >= 8) & (kept == 1))[0]]
    made.store.outcomes["bad"] = np.where((made.split == 0) & (made.subject != subject), 0.0, kept)
    try:
        found = LabelEfficiency(config(BAD)).evaluate(fakes.evaluation(made, noisy, fakes.table(made, seed=5)))
    finally:
        made.store.outcomes["bad"] = kept
    rows = table(found, "scores")
    assert all(row["auroc"] is None and "of one class" in row["remark"] for row in rows)
    assert all(headline.value is None for headline in found.headlines)


def test_too_few_subjects_to_divide_cannot_be_fitted():
    rows = Rows(np.arange(4), np.zeros(4, dtype=int), np.array([0.0, 1, 0, 1]), np.arange(4))
    with pytest.raises(CannotFit, match="4 labelled subjects"):
        cross_fit(Spy(), Task("bad", "binary"), rows, most=10, number=0, seed=0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"references": ["lightgbm"]}, "references names lightgbm"),
        ({"averaged_with": "lstm"}, "averaged_with names lstm"),
        ({"subjects": [30, 20]}, "ascending"),
        ({"subjects": [5]}, "greater than or equal to 10"),
        ({"labellings": 1}, "greater than or equal to 2"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        config(BAD, **keys)


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_interval_has_the_spread_of_labellings_and_that_of_subjects():
    """Means of K labellings whose values differ by a known variance, and no subject: the variance of their mean."""
    values = np.array([0.6, 0.7, 0.75, 0.8])
    alike = [{"auroc": DrawnEstimate(value, np.full(20_000, value))} for value in values]
    both = mean_estimates(alike)["auroc"]
    assert both.value == pytest.approx(values.mean())
    assert both.draws.var() == pytest.approx(values.var(ddof=1) / len(values), rel=0.05)


def test_equal_labellings_have_the_interval_over_subjects_alone():
    rng = np.random.default_rng(0)
    truth, score, subject = (rng.random(80) < 0.4).astype(float), rng.random(80), np.arange(80)
    one = binary(truth, score, subject, Draws(subject, 200), np.ones(80))
    found = mean_estimates([one, one, one])
    np.testing.assert_allclose(found["auroc"].draws, one["auroc"].draws, rtol=1e-12)


# --- inputs that are kept ---------------------------------------------------------------------------------------------


def test_inputs_are_made_once_and_come_in_the_order_of_the_rows(made, tmp_path, monkeypatch):
    rows = task_rows(made, config(LIFE).tasks[0]).splits["train"]
    asked = []

    def make(some: Rows) -> np.ndarray:
        asked.append(len(some))
        return np.stack([some.trajectory, some.step], axis=1).astype(np.float32)

    monkeypatch.setattr("jepa_downstream.kept.KEPT_BYTES", 8 * 100)
    kept = Kept(make, made.store, tmp_path)
    for part in (np.arange(60), np.arange(60)[::-1], np.arange(40, 200), np.arange(150)):
        np.testing.assert_array_equal(kept(rows.take(part))[:, 1], rows.step[part])
        np.testing.assert_array_equal(kept(rows.take(part))[:, 0], rows.trajectory[part])
    assert asked == [60, 140, 100, 50, 50], "100 rows are kept, and the others are made each time"
