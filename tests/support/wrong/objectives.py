from __future__ import annotations

import numpy as np
import torch
from torch import nn

from jepa_core.config import ModelSize, ObjectiveConfig
from jepa_core.contracts import Objective
from wrong import fails


class SpreadConfig(ObjectiveConfig):
    """Keeps states spread out."""


class Spread(Objective):
    """Right."""

    def terms(self, learner, batch, generator):
        return self.of(learner.latents(batch))

    def of(self, latents):
        states = latents.states[latents.mask].float()
        return {"spread": torch.relu(1 - (states.var(0, unbiased=False) + 1e-4).sqrt()).mean()}


class ReadingConfig(ObjectiveConfig):
    """A head that reads what states show off beliefs."""

    observes = True

    def module_size(self, shape):
        count = (shape.belief + 1) * shape.channels
        return ModelSize(count, count)


class Reading(Objective):
    """Right."""

    def build_module(self, shape):
        return nn.Linear(shape.belief, shape.channels)

    def terms(self, learner, batch, generator):
        return self.error(self.module(learner.prediction(batch).belief), learner.observations(batch), batch)

    def error(self, read, seen, batch):
        shown = seen.observed & batch.mask[..., None]
        return {"reading": ((read - seen.values).abs() * shown).sum() / shown.sum().clamp(min=1)}


@fails("check_terms_finite_and_named", "objective", SpreadConfig)
class RootOfNothing(Spread):
    def of(self, latents):
        return {"spread": torch.relu(1 - latents.states[latents.mask].var(0).sqrt()).mean()}


@fails("check_gradient_flows", "objective", SpreadConfig)
class Detaches(Spread):
    def of(self, latents):
        return {name: term.detach() for name, term in super().of(latents).items()}


@fails("check_mask_respected", "objective", SpreadConfig)
class ReadsPadding(Spread):
    def of(self, latents):
        return {"size": latents.states.square().mean()}


@fails("check_mask_respected", "objective", ReadingConfig)
class ReadsWhatPaddingShows(Reading):
    def error(self, read, seen, batch):
        return {"reading": (read - seen.values).abs().mean()}


@fails("check_divided_alike", "objective", SpreadConfig)
class SpreadOfWhatIsAtHand(Spread):
    def of(self, latents):
        return {"spread": torch.relu(1 - (latents.states[latents.mask].var(0) + 1e-4).sqrt()).mean()}


@fails("check_weight_left_to_the_loop", "objective", SpreadConfig)
class WeighsItself(Spread):
    def of(self, latents):
        return {name: self.config.weight * term for name, term in super().of(latents).items()}


@fails("check_rng_isolation", "objective", SpreadConfig)
class DrawsFromNumpy(Spread):
    def of(self, latents):
        return {name: term * np.random.rand() for name, term in super().of(latents).items()}


@fails("check_reads_what_the_phase_made", "objective", ReadingConfig)
class PredictsAgain(Reading):
    def terms(self, learner, batch, generator):
        belief = learner.predictor(learner.latents(batch)).belief
        return self.error(self.module(belief), learner.observations(batch), batch)


@fails("check_learner_left_alone", "objective", SpreadConfig)
class ShrinksTheEncoder(Spread):
    def terms(self, learner, batch, generator):
        with torch.no_grad():
            for parameter in learner.encoder.parameters():
                parameter.mul_(0.9)
        return super().terms(learner, batch, generator)


@fails("check_module_size_reported", "objective", ObjectiveConfig)
class CountsNothing(Reading):
    pass


@fails("check_module_trained", "objective", ReadingConfig)
class LeavesOutTheBias(Reading):
    def terms(self, learner, batch, generator):
        read = learner.prediction(batch).belief @ self.module.weight.T
        return self.error(read, learner.observations(batch), batch)


@fails("check_resume_bitwise", "objective", SpreadConfig)
class CountsCalls(Spread):
    calls = 0

    def of(self, latents):
        self.calls += 1
        return {name: term * self.calls for name, term in super().of(latents).items()}


@fails("check_bf16", "objective", SpreadConfig)
class InBf16(Spread):
    def of(self, latents):
        states = latents.states[latents.mask]
        (states.T @ states).detach().numpy()
        return super().of(latents)


@fails("check_no_prints", "objective", SpreadConfig)
class Prints(Spread):
    def of(self, latents):
        print("here")
        return super().of(latents)
