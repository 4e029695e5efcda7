"""The predictor my_component."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_core.contracts import Latents, Prediction, Predictor, Rollout
from jepa_my_component.config import MyComponentConfig


class MyComponent(Predictor):
    """A GRU cell, step by step. Belief and memory are the hidden state after every real step, (B, T, W)."""

    def __init__(self, config: MyComponentConfig, latent_dim: int) -> None:
        super().__init__()
        self.belief_dim = config.width
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
        belief = torch.stack(kept, 1)
        return Prediction(self.output(belief), belief, memory=belief)

    def rollout(self, latents: Latents, memory: Tensor, origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from M origins a window, without reading a real step again."""
        origins = origins.to(memory.device)
        window = torch.arange(len(origins), device=memory.device)[:, None]
        hidden = memory[window, origins]
        states, beliefs = [self.output(hidden)], [hidden]
        for ahead in range(1, horizon):
            action = latents.actions[window, origins + ahead]
            beliefs.append(self._next(states[-1], action, beliefs[-1]))
            states.append(self.output(beliefs[-1]))
        return Rollout(torch.stack(states, 2), torch.stack(beliefs, 2))

    def _next(self, state: Tensor, action: Tensor, hidden: Tensor) -> Tensor:
        """The hidden state after one more step; leading dimensions may be any."""
        seen = torch.cat([state, action.to(state.dtype)], -1)
        return self.cell(seen.flatten(0, -2), hidden.flatten(0, -2)).view(hidden.shape)
