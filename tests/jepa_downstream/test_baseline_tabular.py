"""Tabular baselines on planted truths."""

import warnings
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import r2_score, roc_auc_score

from jepa_downstream.baseline_config import LightGBMConfig, SequenceConfig
from jepa_downstream.baseline_summaries import RECENT
from jepa_downstream.baselines import BASELINES
from jepa_downstream.heads import Trees, head_of
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Task
from tests.jepa_downstream import baseline_fakes as fakes

TABULAR = ["linear", "lightgbm"]
BINARY, VALUE = Task("sign", "binary"), Task("sum", "regression")
DATA = fakes.many(count=150)


def splits(data, truth):
    return [fakes.rows(data, truth, first, last) for first, last in ((0, 90), (90, 120), (120, 150))]


def fit(name, data, task, truth, seed=0):
    train, tuning, held_out = splits(data, truth)
    return BASELINES[name](fakes.evaluation(data), fakes.config()).fit(task, train, tuning, seed), held_out


@pytest.mark.parametrize("name", TABULAR)
def test_a_planted_sign_is_found_as_a_probability(name):
    fitted, held_out = fit(name, DATA, BINARY, fakes.sums(DATA) > 0)
    scores = fitted.scores(held_out)
    assert scores.min() >= 0 and scores.max() <= 1
    assert roc_auc_score(held_out.truth, scores) > 0.85
    assert abs(scores.mean() - held_out.truth.mean()) < 0.1


@pytest.mark.parametrize("name", TABULAR)
def test_a_planted_value_is_found_in_its_own_unit(name):
    fitted, held_out = fit(name, DATA, VALUE, 500 + 20 * fakes.sums(DATA))
    assert r2_score(held_out.truth, fitted.scores(held_out)) > 0.5


@pytest.mark.parametrize("name", TABULAR)
def test_what_comes_after_the_rows_changes_no_score(name):
    last = DATA.steps // 2
    noisy, found = DATA.with_noise_after(last), []
    for data in (DATA, noisy):
        parts = [
            part.take(np.flatnonzero(part.step <= last[part.trajectory])) for part in splits(data, fakes.sums(DATA) > 0)
        ]
        fitted = BASELINES[name](fakes.evaluation(data), fakes.config()).fit(BINARY, *parts[:2], 0)
        found.append(fitted.scores(parts[2]))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", TABULAR)
def test_equal_seeds_give_equal_scores_and_settings(name):
    one, other = (fit(name, DATA, BINARY, fakes.sums(DATA) > 0) for _ in range(2))
    np.testing.assert_array_equal(one[0].scores(one[1]), other[0].scores(other[1]))
    assert one[0].chosen == other[0].chosen


@pytest.mark.parametrize("name", TABULAR)
def test_the_truth_of_scored_rows_is_not_read(name):
    fitted, held_out = fit(name, DATA, BINARY, fakes.sums(DATA) > 0)
    blind = replace(held_out, truth=1 - held_out.truth)
    np.testing.assert_array_equal(fitted.scores(held_out), fitted.scores(blind))


@pytest.mark.parametrize("name", TABULAR)
def test_a_channel_that_no_row_saw_lately_is_no_cause_to_warn(name):
    data = fakes.many(count=150)
    data.values[len(data.steps), fakes.NEVER] = 1.0
    train, tuning, held_out = (
        part.take(np.flatnonzero(part.step > RECENT)) for part in splits(data, fakes.sums(data) > 0)
    )
    train.trajectory[0], train.step[0] = 0, data.steps[0] - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = BASELINES[name](fakes.evaluation(data), fakes.config()).fit(BINARY, train, tuning, 0)
        fitted.scores(held_out)


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_train_split_of_one_class_cannot_be_fitted(name):
    with pytest.raises(CannotFit, match="all .* train rows have the same truth"):
        fit(name, DATA, BINARY, np.ones(DATA.steps.sum()))


@pytest.mark.parametrize("name", list(BASELINES))
def test_without_tuning_rows_nothing_can_be_chosen(name):
    train, tuning, _ = splits(DATA, fakes.sums(DATA) > 0)
    with pytest.raises(CannotFit, match="0 tuning rows"):
        BASELINES[name](fakes.evaluation(DATA), fakes.config()).fit(BINARY, train, tuning.take(np.arange(0)), 0)


@pytest.mark.parametrize("given", [{"rounds": 2**31}, {"leaves": [131_073]}, {"leaf_rows": [2**31]}], ids=str)
def test_what_lightgbm_cannot_count_is_a_mistake_of_the_recipe(given):
    with pytest.raises(ValidationError, match="less than or equal"):
        LightGBMConfig.model_validate(given)


@pytest.mark.parametrize("given", [{"layers": 2**32 - 1}, {"blocks": 63}, {"width": 2**20}], ids=str)
def test_layers_that_no_machine_builds_are_a_mistake_of_the_recipe(given):
    with pytest.raises(ValidationError, match="less than or equal"):
        SequenceConfig.model_validate(given)


def test_a_share_of_rows_that_leaves_a_tree_none_cannot_be_fitted():
    train, tuning, _ = splits(DATA, fakes.sums(DATA) > 0)
    search = fakes.QUICK.model_copy(update={"lightgbm": fakes.QUICK.lightgbm.model_copy(update={"row_share": 1e-9})})
    with pytest.raises(CannotFit, match="row_share leaves a tree none of"):
        BASELINES["lightgbm"](fakes.evaluation(DATA), fakes.config(search)).fit(BINARY, train, tuning, 0)


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_source_without_numbers_is_said_to_have_none(name):
    with pytest.raises(CannotFit, match="does not render its steps as numbers"):
        BASELINES[name](fakes.evaluation(None), fakes.config())


def test_boosted_trees_are_the_mean_of_models_of_one_setting_under_several_seeds():
    train, tuning, held_out = splits(DATA, fakes.sums(DATA) > 0)
    search = fakes.QUICK.model_copy(update={"lightgbm": fakes.QUICK.lightgbm.model_copy(update={"models": 3})})
    fitted = BASELINES["lightgbm"](fakes.evaluation(DATA), fakes.config(search)).fit(BINARY, train, tuning, 0)
    alone = fakes.QUICK.model_copy(update={"lightgbm": fakes.QUICK.lightgbm.model_copy(update={"models": 1})})
    each = [
        BASELINES["lightgbm"](fakes.evaluation(DATA), fakes.config(alone)).fit(BINARY, train, tuning, seed)
        for seed in range(3)
    ]
    scores = [one.scores(held_out) for one in each]
    assert not np.array_equal(scores[0], scores[1])
    np.testing.assert_allclose(fitted.scores(held_out), np.mean(scores, axis=0), rtol=1e-12)


def test_a_fact_that_no_train_row_lacks_is_typical_and_not_zero_where_it_is_missing():
    data, truth = fakes.many(count=150), fakes.sums(DATA) > 0
    data.values[:150, fakes.STATIC] += 40
    train, tuning, held_out = splits(data, truth)
    fitted = BASELINES["lightgbm"](fakes.evaluation(data), fakes.config()).fit(BINARY, train, tuning, 0)
    typical, inputs = np.median(fitted.inputs(train)[:, 1]), fitted.inputs(held_out)
    facts = {"missing": np.nan, "typical": typical, "zero": 0.0}
    of_static = np.arange(inputs.shape[1]) == 1
    scores = {name: fitted.head(np.where(of_static, fact, inputs)[:, fitted.columns]) for name, fact in facts.items()}
    np.testing.assert_array_equal(scores["missing"], scores["typical"])
    assert not np.array_equal(scores["missing"], scores["zero"])


def test_a_mean_of_heads_scores_the_same_when_it_is_read_back():
    train, tuning, held_out = splits(DATA, fakes.sums(DATA) > 0)
    fitted = BASELINES["lightgbm"](fakes.evaluation(DATA), fakes.config()).fit(BINARY, train, tuning, 0)
    mean = fitted.head.head
    state = mean.to_state()
    assert state["kind"] == "mean" and list(state["heads"]) == ["0", "1"]
    inputs = fitted.inputs(held_out)[:, fitted.columns]
    np.testing.assert_array_equal(head_of(state)(inputs), mean(inputs))


def test_trees_keep_no_least_or_largest_value_of_an_input_and_score_the_same():
    train, tuning, held_out = splits(DATA, fakes.sums(DATA) > 0)
    fitted = BASELINES["lightgbm"](fakes.evaluation(DATA), fakes.config()).fit(BINARY, train, tuning, 0)
    inputs = fitted.inputs(train)[:, fitted.columns]
    ranges = " ".join(f"[{column.min()}:{column.max()}]" for column in inputs.T)
    text = fitted.head.head.to_state()["heads"]["0"]["trees"]
    (infos,) = (line for line in text.splitlines() if line.startswith("feature_infos="))
    assert set(infos.removeprefix("feature_infos=").split()) == {"none"}
    whole = lightgbm.Booster(model_str=text.replace(infos, f"feature_infos={ranges}"))
    shown = fitted.inputs(held_out)[:, fitted.columns]
    np.testing.assert_array_equal(Trees(text)(shown), whole.predict(shown))
