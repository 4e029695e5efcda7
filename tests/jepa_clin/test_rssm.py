"""The stochastic predictor: what it draws, what its divergence trains, and where that joins the loss."""

from __future__ import annotations

import math

import pytest
import torch

from jepa_clin.config import PredictorFinalizationConfig
from jepa_clin.further_config import RssmConfig
from jepa_clin.phases import PredictorFinalization
from jepa_clin.rssm import Rssm
from jepa_core.contracts import Latents, Listener
from jepa_core.testing.bench import oscillators, scratch, tiny_encoder
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner

LATENT_DIM = 8


def make(**keys: object) -> Rssm:
    torch.manual_seed(0)
    return Rssm(RssmConfig(**{"width": 12, "variables": 3, "classes": 4} | keys), LATENT_DIM)


def latents_of(windows: int = 2, steps: int = 5) -> Latents:
    torch.manual_seed(1)
    states, actions = torch.randn(windows, steps, LATENT_DIM), torch.randn(windows, steps, LATENT_DIM)
    return Latents(torch.randn(windows, LATENT_DIM), states, actions, torch.ones(windows, steps, dtype=torch.bool))


def test_training_draws_and_evaluation_does_not() -> None:
    predictor, latents = make(), latents_of()
    first, second = (predictor.train()(latents).belief for _ in range(2))
    assert not torch.equal(first, second)
    first, second = (predictor.eval()(latents).belief for _ in range(2))
    assert torch.equal(first, second)


def test_a_draw_is_one_class_of_each_variable_as_often_as_its_chance() -> None:
    predictor = make().train()
    logits = torch.tensor([2.0, 0.0, 0.0, 0.0] * 3).expand(20_000, -1)
    drawn = predictor._draw(predictor._log_chances(logits)).unflatten(-1, (3, 4))
    assert torch.equal(drawn.sum(-1), torch.ones(20_000, 3)) and set(drawn.unique().tolist()) == {0.0, 1.0}
    chance = 0.99 * math.exp(2) / (math.exp(2) + 3) + 0.01 / 4
    assert drawn[..., 0].mean().item() == pytest.approx(chance, abs=0.01)


def test_the_divergence_is_zero_where_the_guess_is_what_is_seen() -> None:
    predictor = make(kl_weight=1.0).eval()
    for last in (predictor.seen, predictor.guess[-1]):
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    assert predictor(latents_of()).terms["kl"].item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        predictor.guess[-1].bias[0] = 3.0
    assert predictor(latents_of()).terms["kl"] > 0.1


@pytest.mark.parametrize(("balance", "guess", "seen"), [(1.0, True, False), (0.0, False, True)])
def test_the_balance_says_which_side_of_the_divergence_is_trained(balance: float, guess: bool, seen: bool) -> None:
    predictor = make(kl_balance=balance, kl_weight=1.0).eval()
    latents = latents_of(steps=1)  # of one step: what was seen before it trains neither side
    predictor(latents).terms["kl"].backward()
    assert bool(predictor.guess[-1].weight.grad.any()) is guess
    assert bool(predictor.seen.weight.grad.any()) is seen


class Terms(Listener):
    """Names of the terms of every step."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def step_ended(self, progress: Progress) -> None:
        self.names |= set(progress.terms)


def test_its_divergence_joins_the_loss_of_whatever_phase_trains_it() -> None:
    data = oscillators()
    learner = Learner(tiny_encoder(data), make(), data, torch.device("cpu"), scratch() / "rssm")
    phase = PredictorFinalization(PredictorFinalizationConfig(steps=2, batch_size=4, rollout_horizon=2))
    terms = Terms()
    run_curriculum([BuiltPhase("last", phase)], learner, data.windows("train", 12, 4, 3), 0, [terms])
    assert terms.names == {"teacher_forcing", "rollout", "predictor.kl"}
