"""The objective my_component."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Objective
from jepa_core.training.learner import Learner
from jepa_my_component.config import MyComponentConfig


class MyComponent(Objective[MyComponentConfig]):
    """A hinge on the standard deviation of every latent dimension over the real steps of a batch."""

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean shortfall; the loop multiplies by the config's weight."""
        latents = learner.latents(batch)
        states = latents.states[latents.mask].float()
        deviation = (states.var(0, unbiased=False) + 1e-4).sqrt()
        return {"spread": torch.relu(self.config.least - deviation).mean()}
