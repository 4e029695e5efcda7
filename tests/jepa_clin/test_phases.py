"""The five phases, on a learner that is small enough to compute by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepa_clin.config import (
    ActionTransformerConfig,
    EmaAlignmentConfig,
    HardSyncConfig,
    JointRefinementConfig,
    PredictorFinalizationConfig,
    PredictorWarmupConfig,
)
from jepa_clin.phases import (
    EmaAlignment,
    HardSync,
    JointRefinement,
    PredictorFinalization,
    PredictorWarmup,
    draw_origins,
    rollout_l1,
    teacher_forced_l1,
)
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Batch, Latents, Prediction

ONLINE = [(PredictorWarmup, PredictorWarmupConfig), (PredictorFinalization, PredictorFinalizationConfig)]
MOVING = [(JointRefinement, JointRefinementConfig), (EmaAlignment, EmaAlignmentConfig)]
LENGTHS = (8, 5, 2)
LATENT_DIM = 4


class Learner:
    """What phases see of a learner, with one table of items for an encoder and another for its target."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.encoder = nn.Embedding(30, LATENT_DIM)
        self.target = torch.randn(30, LATENT_DIM)
        config = ActionTransformerConfig(
            width=8, layers=1, heads=2, feedforward=8, max_steps=8, dropout=0.0, attention_dropout=0.0
        )
        self.predictor = ActionTransformer(config, LATENT_DIM)

    def latents(self, batch: Batch) -> Latents:
        static, states, actions = (self.encoder(index) for index in (batch.static, batch.states, batch.actions))
        return Latents(static, states, actions, batch.mask)

    def prediction(self, batch: Batch) -> Prediction:
        return self.predictor(self.latents(batch))

    def target_states(self, batch: Batch) -> Tensor:
        return self.target[batch.states]

    @torch.no_grad()
    def update_target(self, tau: float) -> None:
        self.target.lerp_(self.encoder.weight, 1 - tau)

    @torch.no_grad()
    def sync_target(self) -> None:
        self.target.copy_(self.encoder.weight)


def make_batch(lengths: tuple[int, ...] = LENGTHS) -> Batch:
    draw = torch.Generator().manual_seed(1)
    shape = (len(lengths), max(lengths))
    static, states, actions = (torch.randint(30, size, generator=draw) for size in (shape[:1], shape, shape))
    mask = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
    return Batch(torch.arange(30), static, states, actions, states, mask)


def loss_of(phase: Any, learner: Learner, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    return phase.loss(learner, batch, torch.Generator().manual_seed(seed))


def by_hand(learner: Learner, batch: Batch, targets: Tensor) -> Tensor:
    """The teacher-forced loss, one step after another."""
    predicted = learner.predictor(learner.latents(batch)).next_states
    errors = [
        (predicted[row, step - 1] - targets[row, step]).abs().mean()
        for row, length in enumerate(batch.mask.sum(1).tolist())
        for step in range(1, length)
    ]
    return torch.stack(errors).mean()


@pytest.mark.parametrize(("phase", "config"), ONLINE)
def test_native_phases_predict_the_online_states(phase: Any, config: Any) -> None:
    learner, batch = Learner(), make_batch()
    terms = loss_of(phase(config(rollout_horizon=3)), learner, batch)
    assert set(terms) == {"teacher_forcing", "rollout"}
    torch.testing.assert_close(terms["teacher_forcing"], by_hand(learner, batch, learner.latents(batch).states))


@pytest.mark.parametrize(("phase", "config"), MOVING)
def test_phases_with_a_moving_target_predict_the_targets_states(phase: Any, config: Any) -> None:
    learner, batch = Learner(), make_batch()
    terms = loss_of(phase(config()), learner, batch)
    assert set(terms) == {"teacher_forcing"}
    torch.testing.assert_close(terms["teacher_forcing"], by_hand(learner, batch, learner.target_states(batch)))


@pytest.mark.parametrize(("phase", "config"), MOVING)
def test_a_true_rollout_against_the_target_can_be_added(phase: Any, config: Any) -> None:
    learner, batch = Learner(), make_batch((6, 6))
    terms = loss_of(phase(config(rollout_horizon=5)), learner, batch)
    latents, origins = learner.latents(batch), torch.zeros(2, 1, dtype=torch.int64)
    rolled = learner.predictor.rollout(latents, learner.predictor(latents).memory, origins, 5).states
    expected = (rolled[:, 0] - learner.target_states(batch)[:, 1:]).abs().mean()
    torch.testing.assert_close(terms["rollout"], expected)


def test_joint_refinement_sends_gradients_to_encoder_and_predictor() -> None:
    learner = Learner()
    loss_of(JointRefinement(JointRefinementConfig()), learner, make_batch())["teacher_forcing"].backward()
    assert learner.encoder.weight.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in learner.predictor.parameters())


def test_gradients_flow_through_the_states_of_a_rollout() -> None:
    learner = Learner()
    learner.encoder.requires_grad_(False)
    terms = loss_of(PredictorWarmup(PredictorWarmupConfig(rollout_horizon=4)), learner, make_batch((5, 5)))
    whole = torch.autograd.grad(terms["rollout"], learner.predictor.output.weight)[0]

    predictor = learner.predictor
    latents, origins = learner.latents(make_batch((5, 5))), torch.zeros(2, 1, dtype=torch.int64)
    rolled = predictor.rollout(latents, predictor(latents).memory, origins, 4).states
    first_alone = rollout_l1(rolled[:, :, :1], latents.states, latents.mask, origins)
    partial = torch.autograd.grad(first_alone, predictor.output.weight)[0]
    assert not torch.allclose(whole, partial)


def test_the_rollout_term_is_weighted() -> None:
    learner, batch = Learner(), make_batch()
    one, half = (
        loss_of(PredictorWarmup(PredictorWarmupConfig(rollout_weight=weight)), learner, batch) for weight in (1.0, 0.5)
    )
    torch.testing.assert_close(half["rollout"], 0.5 * one["rollout"])
    torch.testing.assert_close(half["teacher_forcing"], one["teacher_forcing"])


def test_without_a_weight_teacher_forcing_trains_nothing() -> None:
    learner = Learner()
    config = PredictorWarmupConfig(teacher_forcing_weight=0, rollout_horizon=0)
    loss_of(PredictorWarmup(config), learner, make_batch())["teacher_forcing"].backward()
    assert not any(one.grad.any() for one in learner.predictor.parameters() if one.grad is not None)


def test_a_horizon_of_zero_leaves_the_rollout_out() -> None:
    assert set(loss_of(PredictorWarmup(PredictorWarmupConfig(rollout_horizon=0)), Learner(), make_batch())) == {
        "teacher_forcing"
    }


def test_rollouts_depend_on_the_generator_alone() -> None:
    learner, batch, phase = Learner(), make_batch((8, 8, 8)), PredictorWarmup(PredictorWarmupConfig(rollout_horizon=2))
    first = loss_of(phase, learner, batch, seed=3)["rollout"]
    torch.manual_seed(99)
    assert torch.equal(first, loss_of(phase, learner, batch, seed=3)["rollout"])
    assert not torch.equal(first, loss_of(phase, learner, batch, seed=4)["rollout"])


@pytest.mark.parametrize("lengths", [(1, 1), (2,), (1, 8)])
@pytest.mark.parametrize(("phase", "config"), ONLINE + MOVING)
def test_short_windows_give_a_finite_loss_with_gradients(phase: Any, config: Any, lengths: tuple[int, ...]) -> None:
    learner = Learner()
    loss = sum(loss_of(phase(config(rollout_horizon=10)), learner, make_batch(lengths)).values())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(learner.predictor.output.weight.grad).all()


@pytest.mark.parametrize(("phase", "config"), MOVING)
def test_the_target_moves_after_each_step(phase: Any, config: Any) -> None:
    learner = Learner()
    expected = 0.9 * learner.target + 0.1 * learner.encoder.weight.detach()
    phase(config(tau=0.9)).after_step(learner)
    torch.testing.assert_close(learner.target, expected)
    assert config().tau == 0.996


@pytest.mark.parametrize(("phase", "config"), ONLINE)
def test_native_phases_leave_the_target_alone(phase: Any, config: Any) -> None:
    learner = Learner()
    before = learner.target.clone()
    phase(config()).after_step(learner)
    phase(config()).finish(learner)
    assert torch.equal(learner.target, before)


def test_hard_sync_makes_the_target_equal_to_the_encoder() -> None:
    learner = Learner()
    HardSync(HardSyncConfig()).finish(learner)
    assert torch.equal(learner.target, learner.encoder.weight)


def test_hard_sync_takes_no_steps() -> None:
    with pytest.raises(ValueError, match="steps"):
        HardSyncConfig(steps=1)


def test_each_phase_says_what_it_trains_and_what_it_updates() -> None:
    said = {
        config: (set(config.trains), config.updates)
        for config in (*(config for _, config in ONLINE + MOVING), HardSyncConfig)
    }
    assert said == {
        PredictorWarmupConfig: ({"predictor"}, ""),
        JointRefinementConfig: ({"encoder", "predictor"}, "target"),
        EmaAlignmentConfig: ({"predictor"}, "target"),
        HardSyncConfig: (set(), "target"),
        PredictorFinalizationConfig: ({"predictor"}, ""),
    }


def test_teacher_forced_l1_is_the_mean_over_existing_steps_and_dimensions() -> None:
    predicted, targets = torch.zeros(2, 3, 2), torch.tensor([[[9.0, 9], [1, 3], [5, 5]], [[9, 9], [4, 4], [70, 70]]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert teacher_forced_l1(predicted, targets, mask).item() == pytest.approx((2 + 5 + 4) / 3)


def test_rollout_l1_counts_only_steps_that_exist() -> None:
    targets = torch.arange(4.0).expand(2, 4)[..., None]
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    rolled = torch.zeros(2, 2, 2, 1)
    origins = torch.tensor([[0, 2], [1, 2]])
    # Steps 1, 2 and 3 (4 is beyond the window) of the first; 2 of the second (3 is padding), nothing after its step 2.
    assert rollout_l1(rolled, targets, mask, origins).item() == pytest.approx((1 + 2 + 3 + 2) / 4)


def test_origins_reach_the_last_step_that_leaves_the_horizon() -> None:
    mask = torch.arange(8) < torch.tensor([8, 5, 2])[:, None]
    origins = draw_origins(mask, 3, 2000, torch.Generator().manual_seed(0))
    assert [sorted(set(row.tolist())) for row in origins] == [[0, 1, 2, 3, 4], [0, 1], [0]]
    counts = torch.bincount(origins[0], minlength=5)
    assert counts.min() > 330 and counts.max() < 470
