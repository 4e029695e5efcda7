"""Several predictors as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jepa_clin.config import ActionTransformerConfig, GruConfig
from jepa_clin.gru import Gru
from jepa_clin.predictor import ActionTransformer
from jepa_core.config import ModelSize, PredictorConfig
from jepa_core.contracts import Latents, Predictor
from jepa_core.ensemble import Ensemble, EnsembleDecoder, ensemble_of, members_of
from jepa_core.plugin import Component
from jepa_core.testing import Check, checks_of
from jepa_core.testing.bench import LATENT, oscillators, random_latents, tiny_learner
from jepa_core.testing.oscillator_parts import TinyRecurrent
from jepa_core.testing.oscillators import TinyRecurrentConfig

MEMBERS = 3
SMALL = {"width": 16, "layers": 1, "heads": 2, "feedforward": 16, "max_steps": 24}


class _Whole(PredictorConfig):
    """Sizes of all members, as checks of a predictor ask for them."""

    def belief_dim(self, latent_dim: int) -> int:
        return MEMBERS * super().belief_dim(latent_dim)

    def size(self, latent_dim: int) -> ModelSize:
        one = super().size(latent_dim)
        return ModelSize(MEMBERS * one.parameters, MEMBERS * one.trainable)


class GrusConfig(_Whole, GruConfig):
    """Some GRUs."""


class TransformersConfig(_Whole, ActionTransformerConfig):
    """Some transformers."""


class WithoutExtendConfig(_Whole, TinyRecurrentConfig):
    """Some predictors that take no steps one at a time."""


class WithoutExtend(TinyRecurrent):
    extend = Predictor.extend


class Grus(Ensemble):
    def __init__(self, config: GruConfig, latent_dim: int) -> None:
        super().__init__([Gru(config, latent_dim) for _ in range(MEMBERS)])


class Transformers(Ensemble):
    def __init__(self, config: ActionTransformerConfig, latent_dim: int) -> None:
        super().__init__([ActionTransformer(config, latent_dim) for _ in range(MEMBERS)])


class WithoutExtends(Ensemble):
    def __init__(self, config: TinyRecurrentConfig, latent_dim: int) -> None:
        super().__init__([WithoutExtend(config, latent_dim) for _ in range(MEMBERS)])


class Here(Component):
    """A component of this file."""

    def load(self) -> type[Any]:
        return {"grus": Grus, "transformers": Transformers, "without_extend": WithoutExtends}[self.name]


CHECKS = [
    check
    for name, config, keys in (
        ("grus", GrusConfig, {"width": 8}),
        ("transformers", TransformersConfig, SMALL),
        ("without_extend", WithoutExtendConfig, {}),
    )
    for check in checks_of(Here("predictor", name, config, "here:Here"), keys)
    if check.name not in ("check_declared_without_heavy_imports", "check_implementation_is_there")
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_an_ensemble_holds_what_every_predictor_holds(check: Check) -> None:
    check()


def drawn() -> Ensemble:
    torch.manual_seed(0)
    return Grus(GruConfig(width=8), LATENT).eval()  # type: ignore[return-value]


@torch.no_grad()
def test_the_prediction_is_the_mean_and_the_belief_all_of_the_members() -> None:
    whole, latents = drawn(), random_latents()
    made, apart = whole(latents), [member(latents) for member in members_of(whole)]
    torch.testing.assert_close(made.next_states, torch.stack([one.next_states for one in apart]).mean(0))
    torch.testing.assert_close(made.belief, torch.cat([one.belief for one in apart], -1))
    assert (apart[0].next_states - apart[1].next_states).abs().max() > 0.01


@torch.no_grad()
def test_a_rollout_reads_its_memory_where_that_ends_at_the_origin() -> None:
    whole, latents = drawn(), random_latents(steps=9)
    seen = Latents(latents.static, latents.states[:, :4], latents.actions[:, :4], torch.ones(3, 4, dtype=torch.bool))
    at_the_end = whole.rollout(latents, whole(seen).memory, torch.full((3, 1), 3), 4)
    among_others = whole.rollout(latents, whole(seen).memory, torch.tensor([[3, 1]] * 3), 4)
    torch.testing.assert_close(at_the_end.states[:, 0], among_others.states[:, 0])


@torch.no_grad()
def test_a_decoder_reads_every_members_belief() -> None:
    from jepa_clin.config import GroundingConfig
    from jepa_clin.grounding import GroundingHeads
    from jepa_core.config import LearnerShape

    heads = GroundingHeads(GroundingConfig(), LearnerShape(LATENT, 8, 2))
    beliefs = torch.randn(4, 3, MEMBERS, 8)
    for of_all, of_one in ((EnsembleDecoder(heads, MEMBERS), heads),):
        torch.testing.assert_close(of_all(beliefs.flatten(-2)), of_one(beliefs).mean(dim=-2))
        torch.testing.assert_close(of_all.next_values(beliefs.flatten(-2)), of_one.next_values(beliefs).mean(dim=-2))


def test_members_take_turns_on_the_latents_of_one_encoding() -> None:
    learner = tiny_learner(oscillators())
    learner.predictor = ensemble_of(lambda: TinyRecurrent(TinyRecurrentConfig(), LATENT), 2)
    batch = learner.dataset.batch(learner.dataset.windows("train", 8, 4, 4), np.arange(3))
    learner.begin(frozenset({"encoder", "predictor"}))
    turns = [(learner.latents(batch), learner.prediction(batch).next_states) for _ in learner.each_member()]
    assert turns[0][0] is turns[1][0] and not torch.equal(turns[0][1], turns[1][1])
    assert isinstance(learner.predictor, Ensemble)
    torch.testing.assert_close(learner.prediction(batch).next_states, (turns[0][1] + turns[1][1]) / 2)
    learner.freeze()
    assert list(learner.each_member()) == [0]


def test_a_member_trains_as_it_would_alone(tmp_path: Path) -> None:
    """Of an ensemble on a frozen encoder the first member sees the draws of a predictor that is alone."""
    from jepa_clin.config import PredictorWarmupConfig
    from jepa_clin.phases import PredictorWarmup
    from jepa_core.training.curriculum import BuiltPhase, run_curriculum

    trained = []
    for members in (1, 2):
        learner = tiny_learner(oscillators())
        torch.manual_seed(5)
        learner.predictor = ensemble_of(lambda: TinyRecurrent(TinyRecurrentConfig(), LATENT), members)
        phase = BuiltPhase("warm_up", PredictorWarmup(PredictorWarmupConfig(steps=4, batch_size=4, rollout_horizon=2)))
        run_curriculum([phase], learner, learner.dataset.windows("train", 8, 4, 4), seed=1)
        trained.append(members_of(learner.predictor))
    (alone,), (first, second) = trained
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, alone.state_dict()[name], atol=2e-5, rtol=1e-3)
        assert not torch.equal(value, second.state_dict()[name])


def test_the_plan_counts_all_members() -> None:
    from jepa_core.recipe import load_recipe
    from jepa_core.runs.plan import make_plan

    one, three = (make_plan(load_recipe("five_phases", overrides)) for overrides in ([], ["predictor.members=3"]))
    assert three.predictor.parameters == 3 * one.predictor.parameters
    assert three.predictor.flops == 3 * one.predictor.flops
    assert three.memory_bytes > one.memory_bytes and json.dumps(three.to_dict())
