"""The predictor of masked prediction. It lives as long as its phase.

Symbols: B windows, V visible steps, K hidden steps, D latent size, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_clin.attention import Layer, Layers, for_scores
from jepa_clin.config import MaskedPredictorConfig
from jepa_core.contracts import Latents

SLOWEST = 10_000.0
STATIC, STATE, ACTION = range(3)


class MaskedPredictor(nn.Module):
    """Predicts the latents of hidden steps from those of visible ones, earlier and later (I-JEPA, arXiv 2301.08243).

    A transformer over the static latent, the states and actions of the visible steps, and a learned mask token for the
    state and the action of each hidden step. A token is told its role by a learned vector and its step by sines and
    cosines, so that windows may have any length. Every token sees every other that is no padding.

    Departure from the reference's decoder (whose queries see the visible tokens as they come in): the visible tokens
    see one another, and the layers are those of the action transformer.
    """

    def __init__(self, config: MaskedPredictorConfig, latent_dim: int) -> None:
        super().__init__()
        self.input = nn.Linear(latent_dim, config.width)
        self.roles = nn.Embedding(3, config.width)
        self.mask_token = nn.Parameter(torch.empty(config.width))
        self.layers = Layers(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, latent_dim)
        nn.init.normal_(self.roles.weight, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, visible: Latents, steps: Tensor, hidden: Tensor, exists: Tensor) -> Tensor:
        """States and actions of the hidden steps: (B, 2, K, D).

        visible: latents of the visible steps, which are number `steps` (B, V) of their windows. hidden: (B, K) numbers
        of the hidden steps, where `exists` (B, K) is true.
        """
        masks = self.mask_token.expand(*hidden.shape, -1)
        groups = [
            self.input(visible.static)[:, None] + self.roles.weight[STATIC],
            self._tokens(self.input(visible.states), STATE, steps),
            self._tokens(self.input(visible.actions), ACTION, steps),
            self._tokens(masks, STATE, hidden),
            self._tokens(masks, ACTION, hidden),
        ]
        tokens = torch.cat(groups, dim=1)
        static = torch.ones_like(exists[:, :1])
        seen = torch.cat((static, visible.mask, visible.mask, exists, exists), dim=1)[:, None, None]
        seen = for_scores(seen, tokens)
        for layer in self.layers:
            queries, keys_values = layer.project(tokens, layer.divided())
            tokens = layer.attend(tokens, queries, keys_values, seen)
        read = tokens[:, -2 * hidden.shape[1] :].unflatten(1, (2, -1))
        return self.output(self.norm(read))

    def _tokens(self, content: Tensor, role: int, steps: Tensor) -> Tensor:
        return content + self.roles.weight[role] + sines_and_cosines(steps, content.shape[-1])


def sines_and_cosines(steps: Tensor, width: int) -> Tensor:
    """Positions of steps (...) as (..., W): sines, then cosines, of frequencies from 1 to 1 / 10,000 (Vaswani et al.,
    arXiv 1706.03762)."""
    exponents = torch.arange(width // 2, device=steps.device) / (width // 2)
    angles = steps[..., None] * SLOWEST**-exponents
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
