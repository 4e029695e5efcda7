from __future__ import annotations

import numpy as np
import torch

from jepa_core.config import RegularizerConfig
from jepa_core.contracts import Regularizer
from wrong import fails


class SpreadConfig(RegularizerConfig):
    """Keeps states spread out."""


class Spread(Regularizer):
    """Right."""

    def terms(self, latents):
        states = latents.states[latents.mask].float()
        return {"spread": torch.relu(1 - (states.var(0, unbiased=False) + 1e-4).sqrt()).mean()}


@fails("check_terms_finite_and_named", "regularizer", SpreadConfig)
class RootOfNothing(Spread):
    def terms(self, latents):
        return {"spread": torch.relu(1 - latents.states[latents.mask].var(0).sqrt()).mean()}


@fails("check_gradient_flows", "regularizer", SpreadConfig)
class Detaches(Spread):
    def terms(self, latents):
        return {name: term.detach() for name, term in super().terms(latents).items()}


@fails("check_mask_respected", "regularizer", SpreadConfig)
class ReadsPadding(Spread):
    def terms(self, latents):
        return {"size": latents.states.square().mean()}


@fails("check_weight_left_to_the_loop", "regularizer", SpreadConfig)
class WeighsItself(Spread):
    def terms(self, latents):
        return {name: self.config.weight * term for name, term in super().terms(latents).items()}


@fails("check_rng_isolation", "regularizer", SpreadConfig)
class DrawsFromNumpy(Spread):
    def terms(self, latents):
        return {name: term * np.random.rand() for name, term in super().terms(latents).items()}


@fails("check_bf16", "regularizer", SpreadConfig)
class InBf16(Spread):
    def terms(self, latents):
        states = latents.states[latents.mask]
        (states.T @ states).detach().numpy()
        return super().terms(latents)


@fails("check_no_prints", "regularizer", SpreadConfig)
class Prints(Spread):
    def terms(self, latents):
        print("here")
        return super().terms(latents)
