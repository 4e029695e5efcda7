"""The regularizer my_component."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Latents, Regularizer
from jepa_my_component.config import MyComponentConfig


class MyComponent(Regularizer):
    """A hinge on the standard deviation of every latent dimension over the real steps of a batch."""

    config: MyComponentConfig

    def terms(self, latents: Latents) -> dict[str, Tensor]:
        """Mean shortfall; the loop multiplies by the config's weight."""
        states = latents.states[latents.mask].float()
        deviation = (states.var(0, unbiased=False) + 1e-4).sqrt()
        return {"spread": torch.relu(self.config.least - deviation).mean()}
