"""Training of networks over steps: planted truths, the choice on tuning, and what a seed fixes."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

from jepa_downstream.baseline_config import BaselineSearchConfig, SequenceConfig
from jepa_downstream.baseline_search import log_loss
from jepa_downstream.baselines import BASELINES
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Task
from tests.jepa_downstream import baseline_fakes as fakes

SEQUENCES = ["lstm", "gru_d", "tcn"]
BINARY, VALUE = Task("sign", "binary"), Task("sum", "regression")
DATA = fakes.many(count=150)


def splits(data, truth):
    return [fakes.rows(data, truth, first, last) for first, last in ((0, 90), (90, 120), (120, 150))]


def fit(name, task, truth, data=DATA, parts=None, search=fakes.QUICK):
    train, tuning, _ = parts or splits(data, truth)
    return BASELINES[name](fakes.evaluation(data), fakes.config(search)).fit(task, train, tuning, 0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_planted_sign_is_found_at_every_step(name):
    """The truth depends on the action of the step before, so a network without memory would not get there."""
    truth = fakes.sums(DATA) > 0
    held_out = splits(DATA, truth)[2]
    scores = fit(name, BINARY, truth).scores(held_out)
    assert scores.min() >= 0 and scores.max() <= 1
    assert roc_auc_score(held_out.truth, scores) > 0.9


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_planted_value_is_found_in_its_own_unit(name):
    truth = 500 + 20 * fakes.sums(DATA)
    held_out = splits(DATA, truth)[2]
    assert r2_score(held_out.truth, fit(name, VALUE, truth).scores(held_out)) > 0.6


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_comes_after_the_rows_changes_no_score(name):
    last, truth = DATA.steps // 2, fakes.sums(DATA) > 0
    parts = [part.take(np.flatnonzero(part.step <= last[part.trajectory])) for part in splits(DATA, truth)]
    found = [fit(name, BINARY, truth, data, parts).scores(parts[2]) for data in (DATA, DATA.with_noise_after(last))]
    np.testing.assert_array_equal(*found)


def test_the_network_of_the_epoch_with_the_least_loss_on_tuning_is_kept():
    truth = fakes.sums(DATA) > 0
    tuning = splits(DATA, truth)[1]
    search = fakes.QUICK.model_copy(update={"sequence": fakes.QUICK.sequence.model_copy(update={"epochs": 40})})
    fitted = fit("lstm", BINARY, truth, search=search)
    # The loss is of batches, and rows are scored trajectory by trajectory: the same but for rounding.
    assert fitted.chosen["tuning_loss"] == pytest.approx(log_loss(tuning.truth, fitted.scores(tuning)), rel=1e-6)
    assert 1 <= fitted.chosen["epochs"] < 40


def test_the_setting_with_the_least_loss_on_tuning_is_taken():
    sequence = fakes.QUICK.sequence.model_copy(update={"learning_rates": (1e-6, 1e-2)})
    fitted = fit("lstm", BINARY, fakes.sums(DATA) > 0, search=BaselineSearchConfig(sequence=sequence))
    assert fitted.chosen["learning_rate"] == 1e-2


def test_a_training_that_diverges_is_said_to():
    sequence = fakes.QUICK.sequence.model_copy(update={"learning_rates": (float("inf"),)})
    with pytest.raises(CannotFit, match="diverged"):
        fit("lstm", BINARY, fakes.sums(DATA) > 0, search=BaselineSearchConfig(sequence=sequence))


def test_a_network_starts_from_the_prevalence():
    """One epoch at a rate of almost 0 leaves it there, however rare the positives are."""
    search = BaselineSearchConfig(sequence=SequenceConfig(learning_rates=(1e-9,), epochs=1, width=2))
    truth = fakes.sums(DATA) > 3
    train = splits(DATA, truth)[0]
    scores = fit("lstm", BINARY, truth, search=search).scores(train)
    assert 0.5 < scores.mean() / train.truth.mean() < 2


def test_equal_seeds_give_equal_scores_and_leave_the_randomness_of_others_alone():
    truth = fakes.sums(DATA) > 0
    held_out = splits(DATA, truth)[2]
    sequence = fakes.QUICK.sequence.model_copy(update={"dropouts": (0.3,), "epochs": 2})
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(fit("tcn", BINARY, truth, search=BaselineSearchConfig(sequence=sequence)).scores(held_out))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*found)
