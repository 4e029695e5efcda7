"""The phase my_component."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from jepa_core.contracts import Batch, Phase
from jepa_core.training.learner import Learner
from jepa_core.training.totals import total
from jepa_my_component.config import MyComponentConfig


class MyComponent(Phase[MyComponentConfig]):
    """Predicts clean next states from noisy ones, by teacher forcing."""

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean absolute error of the next state, over the steps that have one before them."""
        clean = learner.latents(batch)
        noise = torch.randn(*batch.whole_mask.shape, clean.states.shape[-1], generator=generator)
        noisy = replace(clean, states=clean.states + self.config.noise * batch.own(noise).to(clean.states.device))
        predicted = learner.predictor(noisy).next_states
        error = (predicted[:, :-1] - clean.states[:, 1:]).abs().mean(-1)
        real = clean.mask[:, 1:]
        return {"prediction": total((error * real).sum()) / total(real.sum()).clamp(min=1)}
