"""The objective my_component."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Objective
from jepa_core.training.learner import Learner
from jepa_core.training.totals import total
from jepa_my_component.config import MyComponentConfig


class MyComponent(Objective[MyComponentConfig]):
    """A hinge on the standard deviation of every latent dimension over the real steps of a batch."""

    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean shortfall; the loop multiplies by the config's weight."""
        latents = learner.latents(batch)
        states = latents.states[latents.mask].double()
        count = total(latents.mask.sum()).clamp(min=1)
        mean, square = total(states.sum(0)) / count, total(states.square().sum(0)) / count
        variance = (square - mean.square()).clamp(min=0)
        deviation = (variance + 1e-4).sqrt().float()
        return {"spread": torch.relu(self.config.least - deviation).mean()}
