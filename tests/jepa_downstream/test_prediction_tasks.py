"""The evaluator on latents of which every answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from jepa_core.errors import DataError
from jepa_core.results.findings import Findings
from jepa_core.results.paired import DRAWS, score_draws
from jepa_core.results.predictions import Predicted, predictions_path
from jepa_core.runs.pipeline import write_findings
from jepa_downstream.config import PredictionTasksConfig
from jepa_downstream.latent_methods import FittedHead, LatentMethods
from jepa_downstream.methods import CannotFit
from jepa_downstream.prediction_tasks import PredictionTasks, makers
from jepa_downstream.tasks import task_rows
from tests.jepa_downstream import fakes

BAD = {"outcome": "bad", "after": 8}
EVENT = {"event": "on", "horizon": 4}
LIFE = {"label": "life", "rows": "every", "asymmetric_score": True}


def config(*tasks: dict, **keys) -> PredictionTasksConfig:
    small = {
        "bootstrap": 100,
        "rollout_horizons": [1, 3],
        "baselines": [],
        "heads": {"rounds": 20, "strengths": [0.01, 1]},
    }
    return PredictionTasksConfig.model_validate({"tasks": tasks, **small, **keys})


def findings(evaluation, *tasks: dict, **keys) -> Findings:
    return PredictionTasks(config(*tasks, **keys)).evaluate(evaluation)


def table(found: Findings, name: str) -> list[dict]:
    one = next(table for table in found.tables if table.name == name)
    return [dict(zip([column.name for column in one.columns], row, strict=True)) for row in one.rows]


def row(found: Findings, name: str, method: str = "latents", task: str | None = None) -> dict:
    return next(one for one in table(found, name) if one["method"] == method and task in (None, one["task"]))


@pytest.fixture(scope="module")
def made():
    return fakes.dataset()


@pytest.fixture(scope="module")
def telling(made):
    """Latents that hold the sign of the hidden risk, and whether the event is near, with some noise."""
    latents = fakes.table(made, np.sign(made.store.labels["risk"]))
    rows = task_rows(made, config(EVENT).tasks[0]).splits.values()
    place = np.concatenate([made.store.first_step[one.trajectory] + one.step for one in rows])
    latents[place, 1] += 3 * np.concatenate([one.truth for one in rows])
    return latents


@pytest.fixture(scope="module")
def everything(made, telling):
    """Every kind of task, with subgroups."""
    evaluation = fakes.evaluation(made, telling, fakes.table(made, seed=5))
    return findings(evaluation, BAD, EVENT, LIFE, subgroups=["size", "colour"], step_seconds=3600)


def test_latents_that_tell_the_outcome_rank_it_perfectly_and_noise_does_not(everything):
    latents, untrained = (row(everything, "scores", one, "bad_after_8") for one in ("latents", "untrained latents"))
    assert latents["auroc"] == 1 and latents["average_precision"] == 1
    assert untrained["auroc_low"] <= 0.5 <= untrained["auroc_high"]
    assert row(everything, "scores_differences", "untrained latents", "bad_after_8")["auroc_high"] < 0


def test_every_row_of_a_table_says_how_many_there_are(everything, made):
    held = made.split == 2
    found = row(everything, "scores", task="bad_after_8")
    assert found["rows"] == held.sum() and found["subjects"] == len(np.unique(made.subject[held]))
    bad = held & (made.store.outcomes["bad"] == 1)
    assert found["positives"] == bad.sum() and found["positive_subjects"] == len(np.unique(made.subject[bad]))
    assert found["prevalence"] == pytest.approx(found["positives"] / found["rows"])


def test_the_overview_repeats_the_scores_a_row_a_task(everything):
    for one in table(everything, "auroc_by_method"):
        for method in ("latents", "untrained latents", "train mean"):
            found = row(everything, "scores", method, one["task"])
            assert [one[f"{method}{end}"] for end in ("", "_low", "_high")] == [
                found[f"auroc{end}"] for end in ("", "_low", "_high")
            ]
    assert [one["task"] for one in table(everything, "rmse_by_method")] == ["life"]


def test_constant_latents_are_called_what_they_are(made):
    constant = np.ones((2 * made.total + len(made.steps), 3))
    found = findings(fakes.evaluation(made, constant), BAD, methods=["latents", "train_mean"])
    assert row(found, "scores")["auroc"] == 0.5 and row(found, "scores")["remark"] == "scores are constant"
    assert [one.level for one in found.verdicts if "one constant score" in one.text] == ["bad"]
    assert row(found, "scores")["brier"] == pytest.approx(row(found, "scores", "train mean")["brier"], abs=1e-3)


def test_a_split_of_one_class_gives_null_and_the_reason(made, telling):
    bad = np.where(made.split == 2, 0.0, made.store.outcomes["bad"])
    store = replace(made.store, outcomes={"bad": bad})
    found = findings(fakes.evaluation(fakes.Dataset(store), telling), BAD, methods=["latents"])
    one = row(found, "scores")
    assert one["auroc"] is None and one["auroc_low"] is None and one["remark"] == "all 40 rows are negative"
    assert one["brier"] is not None and found.headlines[0].value is None
    assert any("want of rows of both classes: bad after 8" in verdict.text for verdict in found.verdicts)


def test_a_train_split_of_one_class_and_tasks_without_rows_give_null_and_the_reason(made, telling):
    bad = np.where(made.split == 0, 1.0, made.store.outcomes["bad"])
    evaluation = fakes.evaluation(fakes.Dataset(replace(made.store, outcomes={"bad": bad})), telling)
    found = findings(evaluation, BAD, {"outcome": "bad", "after": 99}, methods=["latents"])
    reasons = [one["remark"] for one in table(found, "scores")]
    assert reasons == ["all 40 train rows are of one class", "the held_out split has no row"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_method_that_cannot_be_made_says_why_on_every_task(made, telling):
    found = findings(
        fakes.evaluation(made, telling), BAD, EVENT, methods=["latents", "untrained_latents"], baselines=["lstm"]
    )
    remarks = [one["remark"] for one in table(found, "scores") if one["method"] == "untrained latents"]
    assert len(remarks) == 2 and all("no phase of the curriculum" in one for one in remarks)
    assert [bool(one["remark"]) for one in table(found, "scores") if one["method"] == "lstm"] == [True, True]


@pytest.mark.parametrize("method", ["latents", "latents_and_rollout"])
@pytest.mark.parametrize("components", [2, 128])
def test_nothing_after_the_step_of_a_row_changes_its_score(made, telling, method, components):
    """Train trajectories stay as they are; in the others all that lies behind a row becomes noise."""
    asked = config({"label": "life", "rows": "stride", "stride": 5}, methods=[method], components=components)
    rows = task_rows(made, asked.tasks[0])
    first = rows.splits["held_out"].take(np.flatnonzero(rows.splits["held_out"].step == 4))
    later = np.flatnonzero((made.step > 4) & (made.split[made.trajectory] == 2))
    spoilt = telling.copy()
    for offset in (0, made.total):
        spoilt[later + offset] = np.random.default_rng(1).normal(size=(len(later), telling.shape[1])) * 1000
    scores = []
    for latents in (telling, spoilt):
        made_method = makers(fakes.evaluation(made, latents), asked)[method]()
        scores.append(made_method.fit(rows.task, rows.splits["train"], rows.splits["tuning"], 0).scores(first))
    np.testing.assert_array_equal(*scores)
    assert np.ptp(scores[0]) > 0


def test_what_a_row_shows_does_change_its_score(made, telling):
    asked = config(BAD, methods=["latents"])
    rows = task_rows(made, asked.tasks[0])
    spoilt = telling.copy()
    spoilt[np.flatnonzero((made.step <= 7) & (made.split[made.trajectory] == 2))] *= -1
    scores = [
        makers(fakes.evaluation(made, one), asked)["latents"]()
        .fit(rows.task, rows.splits["train"], rows.splits["tuning"], 0)
        .scores(rows.splits["held_out"])
        for one in (telling, spoilt)
    ]
    assert np.abs(scores[0] - scores[1]).min() > 0.1


def test_summaries_are_what_the_words_say(made, telling):
    asked = config({"label": "life"})
    inputs = LatentMethods(fakes.evaluation(made, telling), asked).latents().inputs
    rows = task_rows(made, asked.tasks[0]).splits["held_out"]
    one = int(np.flatnonzero(rows.step == 7)[0])
    start = made.store.first_step[rows.trajectory[one]]
    states, actions = telling[start : start + 8], telling[made.total + start : made.total + start + 8]
    expected = [
        telling[2 * made.total + rows.trajectory[one]], states[-1], states.mean(axis=0), states.std(axis=0),
        states.min(axis=0), states.max(axis=0), states[-1] - states[1], actions[2:].mean(axis=0),
    ]  # fmt: skip
    np.testing.assert_allclose(inputs(rows)[one], np.concatenate(expected), rtol=1e-4, atol=1e-5)


def test_the_rollout_holds_the_last_action(made, telling):
    asked = config({"label": "life"})
    method = LatentMethods(fakes.evaluation(made, telling), asked).with_rollout()
    rows = task_rows(made, asked.tasks[0]).splits["held_out"]
    place = made.total + made.store.first_step[rows.trajectory] + rows.step
    expected = np.concatenate([telling[place], 3 * telling[place]], axis=1)
    np.testing.assert_allclose(method.inputs(rows)[:, -6:], expected, rtol=1e-3, atol=1e-4)


def test_a_subsample_of_train_is_drawn_and_every_row_is_measured(made, telling):
    found = findings(fakes.evaluation(made, telling), EVENT, methods=["latents"], train_rows=50)
    whole = len(task_rows(made, config(EVENT).tasks[0]).splits["held_out"])
    assert row(found, "scores")["rows"] == whole > 50


def test_trajectories_that_are_too_short_or_begin_with_the_event_are_left_out_and_counted(made):
    asked = config({"outcome": "bad", "after": 10, "not_yet": "on"}).tasks[0]
    found = task_rows(made, asked)
    first_on = [made.store.labels["event_on"][made.trajectory == one][:10].any() for one in range(len(made.steps))]
    train, short = made.split == 0, made.steps < 10
    assert found.left_out["train"] == {
        "shorter than 10 steps": (train & short).sum(),
        "on on by then": (train & ~short & first_on).sum(),
    }
    assert len(found.splits["train"]) == (train & ~short & ~np.array(first_on)).sum()
    assert set(found.splits["train"].step) == {9}


@pytest.mark.parametrize(("rows", "expected"), [("every", [0, 1, 2, 3]), ("last", [3]), ("stride", [1, 3])])
def test_the_rows_of_a_label_are_those_asked_for(rows, expected):
    store = fakes.Store(np.array([5]), np.array([1]), np.array([0]), {"life": np.array([4.0, 3, 2, 1, np.nan])})
    asked = config({"label": "life", "rows": rows, "stride": 2}).tasks[0]
    assert task_rows(fakes.Dataset(store), asked).splits["train"].step.tolist() == expected


def test_heads_may_be_fitted_on_other_rows_than_those_that_are_measured():
    life = np.tile([4.0, 3, 2, 1, np.nan], 3)
    store = fakes.Store(np.full(3, 5), np.arange(3), np.arange(3), {"life": life})
    asked = config({"label": "life", "rows": "last", "fit_rows": "stride", "stride": 2}).tasks[0]
    for measured, other in (("held_out", "tuning"), ("tuning", "held_out")):
        found = task_rows(fakes.Dataset(store), asked, measured)
        steps = {split: rows.step.tolist() for split, rows in found.splits.items()}
        assert steps == {"train": [1, 3], other: [1, 3], measured: [3]}
        assert found.left_out[measured] == {"label not measured": 1, "not asked for (rows: last)": 3}
        assert found.left_out["train"] == {"label not measured": 1, "not asked for (fit_rows: stride)": 2}


def test_scores_that_are_no_numbers_are_null_with_the_reason(made, telling, monkeypatch):
    monkeypatch.setattr(FittedHead, "scores", lambda self, rows: np.full(len(rows), np.nan))
    found = findings(fakes.evaluation(made, telling), BAD, methods=["latents", "train_mean"])
    assert row(found, "scores")["remark"] == "40 of its scores are no numbers"
    assert row(found, "scores", "train mean")["auroc"] == 0.5


def test_the_last_value_of_what_tells_the_future_is_not_known(made, telling):
    found = findings(fakes.evaluation(made, telling), {**EVENT, "ready": True}, methods=["last_value"])
    assert table(found, "scores")[0]["remark"] == "nothing of what is predicted is known before"


def test_a_value_asked_for_as_yes_or_no_is_refused(made):
    with pytest.raises(DataError, match="neither 1 nor 0"):
        task_rows(made, config({"label": "life", "kind": "binary"}).tasks[0])


def test_a_channel_that_no_trajectory_has_is_refused_and_the_known_ones_are_named(made, telling):
    with pytest.raises(DataError, match="'weight'; the store has colour, size"):
        findings(fakes.evaluation(made, telling), BAD, subgroups=["weight"])


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two tasks are called bad_after_8"):
        config(BAD, BAD)


def test_subgroups_of_few_subjects_are_counted_and_neither_measured_nor_named(made, telling):
    store = replace(made.store, word=np.where(made.subject < fakes.FIRST_SUBJECT + 3, 2, made.store.word))
    found = findings(fakes.evaluation(fakes.Dataset(store), telling), BAD, methods=["latents"], subgroups=["colour"])
    groups = {one["group"]: one for one in table(found, "subgroups")}
    assert set(groups) == {"red", "green", "rare values"}
    assert groups["rare values"]["auroc"] is None and groups["rare values"]["remark"] == "fewer than 10 subjects"


def test_findings_of_the_same_seed_are_the_same_and_name_nobody(made, telling):
    one, two = (findings(fakes.evaluation(made, telling), BAD, EVENT, methods=["latents"]) for _ in range(2))
    assert one.to_dict() == two.to_dict() and "predictions" not in one.to_dict()
    assert Findings.from_dict(json.loads(json.dumps(one.to_dict()))).to_dict() == one.to_dict()


def test_headlines_are_kept_under_the_draws_that_every_run_shares(made, telling):
    control = fakes.table(made, seed=5)
    methods = ["latents", "untrained_latents"]
    one, other = (
        findings(replace(fakes.evaluation(made, telling, control), seed=seed), BAD, methods=methods, bootstrap=DRAWS)
        for seed in (0, 1)
    )
    kept = {found.metric: found for found in one.redrawn}
    labels = {"AUROC of bad after 8, latents", "AUROC gained by training, latents"}
    assert set(kept) == labels == {line.metric for line in one.headlines}
    auroc, gained = kept.values()
    assert auroc.value == one.headlines[0].value and len(auroc.draws) == DRAWS
    np.testing.assert_allclose(np.quantile(gained.draws, [0.025, 0.975]), [one.headlines[1].low, one.headlines[1].high])
    np.testing.assert_array_equal(auroc.subjects, other.redrawn[0].subjects)
    said = one.predictions[0]
    rows = (np.zeros_like(said.subject), said.subject, said.trajectory, said.step)
    predicted = Predicted("boolean", *rows, said.truth == 1, said.score)
    np.testing.assert_allclose(auroc.draws, score_draws(predicted)["AUROC"].draws)
    assert auroc.subjects.max() < len(np.unique(made.subject))
    assert not findings(
        fakes.evaluation(made, telling), BAD, methods=["latents"]
    ).redrawn  # 100 draws pair with nobody's


# --- files of predictions ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(everything, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_findings(folder, "tasks", everything)
    return folder / "predictions"


def columns(folder, task: str, method: str) -> dict[str, np.ndarray]:
    found = parquet.read_table(predictions_path(folder, "tasks", task, method))
    return {name: found[name].to_numpy(zero_copy_only=False) for name in found.column_names}


def test_the_files_have_the_schema_of_meds_evaluation_and_tell_no_time_of_a_record(written, made):
    schema = parquet.read_schema(predictions_path(written, "tasks", "bad_after_8", "latents"))
    kinds = {name: str(schema.field(name).type) for name in schema.names}
    assert kinds | {
        "subject_id": "int64", "prediction_time": "timestamp[us]", "boolean_value": "bool",
        "predicted_boolean_value": "bool", "predicted_boolean_probability": "double",
    } == kinds  # fmt: skip
    file = columns(written, "bad_after_8", "latents")
    assert set(file["prediction_time"]) == {np.datetime64("1970-01-01T08:00")}
    np.testing.assert_array_equal(file["subject_id"], made.subject[file["trajectory"]])


def test_findings_that_are_written_name_no_subject(written, made):
    (path,) = (written.parent / "findings").iterdir()
    assert not any(str(one) in path.read_text() for one in np.unique(made.subject))


def test_a_method_may_refuse_with_a_reason(made, telling):
    evaluation = fakes.evaluation(made, telling, window_length=2)
    with pytest.raises(CannotFit, match="no horizon of the rollout"):
        makers(evaluation, config(BAD, rollout_horizons=[5]))["latents_and_rollout"]()
