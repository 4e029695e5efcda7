"""The predictor my_component."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_core.contracts import Latents, Prediction, Predictor
from jepa_my_component.config import MyComponentConfig


class MyComponent(Predictor):
    """A GRU cell, step by step. Its memory is the hidden state after every real step, (B, T, W)."""

    def __init__(self, config: MyComponentConfig, latent_dim: int) -> None:
        super().__init__()
        self.start = nn.Linear(latent_dim, config.width)
        self.cell = nn.GRUCell(2 * latent_dim, config.width)
        self.output = nn.Linear(config.width, latent_dim)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t, from static, states <= t and actions <= t."""
        hidden = self.start(latents.static)
        kept = []
        for step in range(latents.states.shape[1]):
            hidden = self._next(latents.states[:, step], latents.actions[:, step], hidden)
            kept.append(hidden)
        memory = torch.stack(kept, 1)
        return Prediction(self.output(memory), memory)

    def rollout(self, latents: Latents, memory: Tensor, origins: Tensor, horizon: int) -> Tensor:
        """Roll out H steps from M origins a window, without reading a real step again: (B, M, H, D)."""
        origins = origins.to(memory.device)
        window = torch.arange(len(origins), device=memory.device)[:, None]
        hidden = memory[window, origins]
        rolled = [self.output(hidden)]
        for ahead in range(1, horizon):
            action = latents.actions[window, origins + ahead]
            hidden = self._next(rolled[-1], action, hidden)
            rolled.append(self.output(hidden))
        return torch.stack(rolled, 2)

    def _next(self, state: Tensor, action: Tensor, hidden: Tensor) -> Tensor:
        """The hidden state after one more step; leading dimensions may be any."""
        seen = torch.cat([state, action.to(state.dtype)], -1)
        return self.cell(seen.flatten(0, -2), hidden.flatten(0, -2)).view(hidden.shape)
