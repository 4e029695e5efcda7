"""The five phases of Clin-JEPA (arXiv 2605.10840).

Symbols: B windows, T steps, D latent size, M rollout origins a window, H horizon; d static latent, z states, a actions
of the online encoder, y targets, g the predictor, m the mask of steps that exist. |.| is the mean of absolute
differences over the D dimensions.

    teacher forcing   L_TF = sum_{b,t} m[b, t+1] |g(d; z[<=t]; a[<=t]) - y[t+1]| / sum m
    rollout           L_R  = the same mean over the steps o + 1 ... o + H of rollouts from drawn origins o

In a rollout the states after o are the predictor's own, and gradients flow through them.

Departures from the reference in every phase:
* It sums over the D dimensions (and over the H steps of a rollout). We take means, so that learning rates and clips
  mean the same for every latent size and horizon.
* It draws one rollout origin for a whole batch, no later than its shortest window allows, so late steps are rarely
  rolled. We draw origins for each window; a window too short for the horizon counts as far as it goes.
* It has one learning-rate cosine over all phases. Ours have one each, so dropping a phase changes no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from jepa_clin.config import HardSyncConfig, MovingTargetConfig, RolloutConfig
from jepa_clin.steps import at_steps, masked_mean
from jepa_core.contracts import Batch, Latents, Phase

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

RolloutC = TypeVar("RolloutC", bound=RolloutConfig, covariant=True)


class NextStatePrediction(Phase[RolloutC]):
    """Predicts the next states of windows, by teacher forcing and (with a horizon above 0) by rollout."""

    def targets(self, learner: Learner, batch: Batch, latents: Latents) -> Tensor:
        """The states to predict: (B, T, D)."""
        raise NotImplementedError

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms `teacher_forcing` and, if there is a rollout, `rollout`."""
        latents = learner.latents(batch)
        targets = self.targets(learner, batch, latents)
        prediction = learner.prediction(batch)
        forced = teacher_forced_l1(prediction.next_states, targets, latents.mask)
        terms = {"teacher_forcing": self.config.teacher_forcing_weight * forced}
        # A longer rollout has no step to be compared with, in no window.
        horizon = min(self.config.rollout_horizon, latents.states.shape[1] - 1)
        if horizon > 0:
            # The batch lies on the CPU, so the origins are drawn and checked without waiting for an accelerator.
            drawn = draw_origins(batch.whole_mask, horizon, self.config.rollout_origins, generator)
            origins = batch.own(drawn)
            rolled = learner.predictor.rollout(latents, prediction.memory, origins, horizon).states
            terms["rollout"] = self.config.rollout_weight * rollout_l1(rolled, targets, latents.mask, origins)
        return terms


class _OnlineTargets(NextStatePrediction[RolloutConfig]):
    """Predicts the states of the online encoder, which is frozen."""

    def targets(self, learner: Learner, batch: Batch, latents: Latents) -> Tensor:
        return latents.states


class _MovingTargets(NextStatePrediction[MovingTargetConfig]):
    """Predicts the states of the EMA target, which moves towards the online encoder after each step."""

    def targets(self, learner: Learner, batch: Batch, latents: Latents) -> Tensor:
        return learner.target_states(batch)

    def after_step(self, learner: Learner) -> None:
        learner.update_target(self.config.tau)


class PredictorWarmup(_OnlineTargets):
    """Phase 1: trains the predictor while the encoder is frozen, so that joint refinement does not start on a random
    predictor.

    Context and targets: the online encoder. Loss: L_TF + L_R.
    Departure: the paper rolls out 2 steps. The default is 10: in a trial on PhysioNet 2012 (one seed, context 12) a
    curriculum with 2 ended worse than predicting the mean latent after 36 steps, and with 10 it beat mean and
    persistence at every step.
    """


class JointRefinement(_MovingTargets):
    """Phase 2: trains encoder and predictor together.

    Context: the online encoder, with gradient through states, actions and static facts. Targets: the EMA target, no
    gradient. Loss: L_TF. After each step the target becomes tau * target + (1 - tau) * online, tau 0.996.
    Departure: the reference adds a "teacher-forced rollout" whose context is always real. Under a causal mask that
    computes the outputs of L_TF at two positions again, so we leave it out. `rollout_horizon` adds a true rollout, L_R
    against the EMA target.
    """


class EmaAlignment(_MovingTargets):
    """Phase 3: trains the predictor towards the EMA target while that moves on to the encoder, now frozen.

    Context, targets, loss, target update and departure as in joint refinement; only the predictor trains.
    """


class HardSync(Phase[HardSyncConfig]):
    """Phase 4: makes the EMA target equal to the online encoder. Takes no step.

    The later phases of the curriculum read the online encoder, so this changes only what a further phase with an EMA
    target would see.
    """

    def finish(self, learner: Learner) -> None:
        learner.sync_target()


class PredictorFinalization(_OnlineTargets):
    """Phase 5: trains the predictor on the final encoder, so that it ends in the space it will roll out in.

    Context, targets, loss and departure as in the warm-up.
    """


def teacher_forced_l1(predicted: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean l1 between predictions of the next states (B, T, D) and `targets` (B, T, D) over the steps that have a
    predecessor.

    mask: (B, T) bool, true where a window has a step. 0 if no window has two steps.
    """
    return masked_mean((predicted[:, :-1] - targets[:, 1:]).abs().mean(dim=-1), mask[:, 1:])


def rollout_l1(rolled: Tensor, targets: Tensor, mask: Tensor, origins: Tensor) -> Tensor:
    """Mean l1 between rollouts (B, M, H, D) from `origins` (B, M) and `targets` (B, T, D) over the steps that exist.

    mask: (B, T) bool, true where a window has a step. 0 if every rollout leaves its window at once.
    """
    last = targets.shape[1] - 1
    steps = origins.to(targets.device)[..., None] + 1 + torch.arange(rolled.shape[2], device=targets.device)
    inside = steps.clamp(max=last)
    exists = at_steps(mask, inside) & (steps <= last)
    return masked_mean((rolled - at_steps(targets, inside)).abs().mean(dim=-1), exists)


def draw_origins(mask: Tensor, horizon: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw origins (B, M), evenly from those that leave `horizon` steps in the window; 0 where the window is too short.

    mask: (B, T) bool, true where a window has a step. The result lies where the generator does.
    """
    last = (mask.sum(dim=1, keepdim=True) - 1 - horizon).clamp(min=0).to(generator.device)
    share = torch.rand(len(mask), count, generator=generator, device=generator.device)
    # The product can round up to last + 1.
    return torch.minimum((share * (last + 1)).long(), last)
