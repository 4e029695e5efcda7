"""An action-conditioned recurrent predictor: the belief is the hidden state of a GRU.

Symbols: B windows, T steps, D latent size, W width, M origins a window, H horizon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_clin.config import GruConfig
from jepa_clin.recurrent import Recurrent
from jepa_core.contracts import Latents, Prediction


class Gru(Recurrent):
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

    def step(self, states: Tensor, actions: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat((states, actions.to(states.dtype)), dim=-1).flatten(0, 1)
        hidden = before.flatten(0, 1).contiguous()
        belief = self.cell(seen[:, None], hidden[None])[1][0].view(before.shape)
        return self._read(belief, states), belief

    def _read(self, belief: Tensor, states: Tensor) -> Tensor:
        """Next states from the beliefs of these."""
        predicted = self.output(belief)
        return states + predicted if self.config.output == "residual" else predicted
