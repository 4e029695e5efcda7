"""The encoder my_component."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from jepa_core.config import ItemShape
from jepa_core.contracts import Channels, Encoder
from jepa_my_component.config import MyComponentConfig


class MyComponent(Encoder):
    """Two linear layers. `fit` finds the mean of every channel; what was not observed counts as the mean."""

    def __init__(self, config: MyComponentConfig, shape: ItemShape) -> None:
        super().__init__()
        self.latent_dim = config.latent_dim
        self.register_buffer("mean", torch.zeros(shape.channels, 1), persistent=False)
        inputs = 2 * shape.channels * shape.samples
        self.layers = nn.Sequential(nn.Linear(inputs, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.width))

    def fit(self, items: Iterable[Channels]) -> None:
        """See the distinct items of the train split, chunk by chunk."""
        total, count = torch.zeros_like(self.mean), torch.zeros_like(self.mean)
        for chunk in items:
            total += chunk.values.sum((0, 2))[:, None]
            count += chunk.observed.sum((0, 2))[:, None]
        self.mean = total / count.clamp(min=1)

    def fitted(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist()}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        self.mean = torch.tensor(fitted["mean"], device=self.mean.device)

    def forward(self, items: Channels) -> Tensor:
        """Latents (N, D) of items (N, C, P)."""
        values, observed = items.values.to(self.mean.device), items.observed.to(self.mean.device)
        inputs = torch.cat([(values - self.mean) * observed, observed.to(values.dtype)], 1)
        return self.layers(inputs.flatten(1)).float()
