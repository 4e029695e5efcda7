"""An action-conditioned recurrent predictor: the belief is the hidden state of a GRU.

Symbols: B windows, T steps, D latent size, W width, M origins a window, H horizon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_clin.config import GruConfig
from jepa_clin.steps import at_steps
from jepa_core.contracts import Latents, Prediction, Predictor, Rollout


class Gru(Predictor):
    """A GRU (Cho et al., arXiv 1406.1078) over states and actions; the static facts make its first hidden state.

    Belief and memory are the hidden state after each step; the next state is a linear map of it, added to the present
    one if the output is residual. A rollout goes on from the hidden state at its origin, so it costs its own steps
    alone, and windows may have any length.
    """

    def __init__(self, config: GruConfig, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.belief_dim = config.width
        self.start = nn.Linear(latent_dim, config.width)
        self.cell = nn.GRU(2 * latent_dim, config.width, batch_first=True)
        self.output = nn.Linear(config.width, latent_dim)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t; actions beyond the states are left to the rollout."""
        states, actions = latents.states, latents.actions[:, : latents.states.shape[1]]
        hidden = torch.tanh(self.start(latents.static))[None]
        belief, _ = self.cell(torch.cat((states, actions), dim=-1), hidden)
        next_states = self._read(belief, states)
        return Prediction(next_states, belief, memory=(next_states, belief))

    def extend(self, step: Latents, memory: tuple[Tensor, Tensor]) -> Prediction:
        """One more step, from the hidden state after the last."""
        belief, _ = self.cell(torch.cat((step.states, step.actions), dim=-1), memory[1][None, :, -1].contiguous())
        prediction = self._read(belief, step.states), belief
        joined = tuple(torch.cat(pair, dim=1) for pair in zip(memory, prediction, strict=True))
        return Prediction(*prediction, memory=joined)

    def rollout(self, latents: Latents, memory: tuple[Tensor, Tensor], origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and their beliefs (B, M, H, W)."""
        origins = origins.to(latents.states.device)
        state, belief = (at_steps(part, origins) for part in memory)
        states, beliefs = [state], [belief]
        for ahead in range(1, horizon):
            action = at_steps(latents.actions, origins + ahead)
            belief = self._step(state, action, belief)
            state = self._read(belief, state)
            states.append(state)
            beliefs.append(belief)
        return Rollout(torch.stack(states, dim=2), torch.stack(beliefs, dim=2))

    def _step(self, state: Tensor, action: Tensor, belief: Tensor) -> Tensor:
        """The belief (B, M, W) after one more step."""
        seen = torch.cat((state, action.to(state.dtype)), dim=-1).flatten(0, 1)
        hidden = belief.flatten(0, 1).contiguous()
        return self.cell(seen[:, None], hidden[None])[1][0].view(belief.shape)

    def _read(self, belief: Tensor, states: Tensor) -> Tensor:
        """Next states from the beliefs of these."""
        predicted = self.output(belief)
        return states + predicted if self.config.output == "residual" else predicted
