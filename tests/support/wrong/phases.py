from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from jepa_core.config import PhaseConfig, StreamConfig
from toy import ToyFitConfig, ToyTrainConfig
from toy.parts import ToyFit, ToyTrain, l1
from wrong import fails


class Fit(ToyFit):
    """Right, and changes nothing at its end."""

    def finish(self, learner):
        pass


class TrainsEncoderConfig(PhaseConfig):
    """Says that it trains the encoder too."""

    trains: ClassVar = frozenset({"encoder", "predictor"})


class SilentConfig(PhaseConfig):
    """Trains both, and does not say that it moves the target."""

    trains: ClassVar = frozenset({"encoder", "predictor"})
    tau: float = 0.9


@fails("check_runs_on_tiny_batch", "phase", ToyFitConfig)
class Raises(Fit):
    def loss(self, learner, batch, generator):
        return {"prediction": learner.no_such_thing(batch)}


@fails("check_loss_finite_and_named", "phase", ToyFitConfig)
class VectorLoss(Fit):
    def loss(self, learner, batch, generator):
        return {"prediction": super().loss(learner, batch, generator)["prediction"] * torch.ones(2)}


@fails("check_metrics_finite_and_named", "phase", ToyFitConfig)
class LogsNoNumber(Fit):
    def loss(self, learner, batch, generator):
        terms = super().loss(learner, batch, generator)
        learner.log("share", terms["prediction"].detach() / 0)
        return terms


@fails("check_frozen_params_unchanged", "phase", ToyFitConfig)
class MovesTheEncoder(Fit):
    @torch.no_grad()
    def after_step(self, learner):
        next(iter(learner.encoder_parameters().values())).add_(1e-3)


@fails("check_gradient_under_recomputation", "phase", TrainsEncoderConfig)
class EncodesUnderOtherWeights(Fit):
    def loss(self, learner, batch, generator):
        scaled = {name: 1.5 * value for name, value in learner.encoder_parameters().items()}
        latents = torch.func.functional_call(learner.encoder, scaled, (learner.dataset.items(batch.items),))
        return super().loss(learner, batch, generator) | {"scale": latents.abs().mean()}


@fails("check_trainable_params_change", "phase", TrainsEncoderConfig)
class DetachesTheEncoder(Fit):
    def loss(self, learner, batch, generator):
        latents = learner.latents(batch)
        predicted = learner.predictor(type(latents)(*(getattr(latents, name).detach() for name in vars(latents))))
        return {
            "prediction": l1(predicted.next_states[:, :-1], latents.states[:, 1:].detach(), latents.mask[:, 1:]),
        }


@fails("check_changes_declared", "phase", SilentConfig)
class MovesTheTarget(ToyTrain):
    pass


@fails("check_target_has_no_grad", "phase", ToyTrainConfig)
class TrainsTheTarget(ToyTrain):
    def loss(self, learner, batch, generator):
        for copy in learner.target.copies:
            copy.requires_grad_()
        pull = sum(copy.square().sum() for copy in learner.target.copies)
        return super().loss(learner, batch, generator) | {"pull": pull}


@fails("check_module_size_reported", "phase", ToyFitConfig)
class UncountedModule(Fit):
    def build_module(self, latent_dim):
        return torch.nn.Linear(latent_dim, latent_dim)


@fails("check_state_is_pickle_free", "phase", ToyFitConfig)
class KeepsANumber(Fit):
    def state_dict(self):
        return {"steps": 3}


class Counting(Fit):
    """Right: counts its steps, and weighs the loss by the count."""

    def __init__(self, config):
        super().__init__(config)
        self.count = torch.zeros(())

    def loss(self, learner, batch, generator):
        return {name: term * (1 + self.count) for name, term in super().loss(learner, batch, generator).items()}

    def after_step(self, learner):
        self.count = self.count + 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@fails("check_state_roundtrip_bitwise", "phase", ToyFitConfig)
class LoadsNothing(Counting):
    def load_state_dict(self, state):
        pass


@fails("check_resume_mid_phase_bitwise", "phase", ToyFitConfig)
class ForgetsItsCount(Counting):
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@fails("check_validation_changes_nothing", "phase", ToyFitConfig)
class CountsLosses(Fit):
    def __init__(self, config):
        super().__init__(config)
        self.losses = 0

    def loss(self, learner, batch, generator):
        self.losses += 1
        return {name: self.losses * term for name, term in super().loss(learner, batch, generator).items()}


@fails("check_patterns_respected", "phase", ToyFitConfig)
class MovesWhatItLikes(Fit):
    @torch.no_grad()
    def after_step(self, learner):
        list(learner.predictor.parameters())[1].add_(1e-3)


class TwoStreamsConfig(ToyFitConfig):
    """Reads a further stream of windows, it says."""

    def streams(self):
        return {"further": StreamConfig(batch_size=3)}


@fails("check_streams_read", "phase", TwoStreamsConfig)
class ReadsOneStream(Fit):
    pass


@fails("check_rng_isolation", "phase", ToyFitConfig)
class DrawsFromNumpy(Fit):
    def loss(self, learner, batch, generator):
        return {name: term * np.random.rand() for name, term in super().loss(learner, batch, generator).items()}


@fails("check_mask_respected", "phase", ToyFitConfig)
class ReadsPadding(Fit):
    def loss(self, learner, batch, generator):
        latents = learner.latents(batch)
        predicted = learner.predictor(latents).next_states
        return {"prediction": (predicted[:, :-1] - latents.states[:, 1:]).abs().mean()}


@fails("check_divided_alike", "phase", ToyFitConfig)
class TakesAMeanOfWhatIsAtHand(Fit):
    def loss(self, learner, batch, generator):
        latents = learner.latents(batch)
        return {"spread": learner.predictor(latents).next_states[latents.mask].abs().mean()}


@fails("check_single_window", "phase", ToyFitConfig)
class DividesBySpread(Fit):
    def loss(self, learner, batch, generator):
        spread = learner.latents(batch).static.std(0).mean()
        return {name: term / spread for name, term in super().loss(learner, batch, generator).items()}


@fails("check_bf16", "phase", ToyFitConfig)
class NeedsFloat32(Fit):
    def loss(self, learner, batch, generator):
        states = learner.latents(batch).states
        (states @ states.transpose(1, 2)).detach().numpy()
        return super().loss(learner, batch, generator)


@fails("check_no_prints", "phase", ToyFitConfig)
class Prints(Fit):
    def finish(self, learner):
        print("done")
