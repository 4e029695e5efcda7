"""A small causal transformer over event tokens, which also says what label a step ends with.

Symbols: B sequences, L tokens, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ModelShape(NamedTuple):
    """Sizes of the transformer. tokens: of the vocabulary. context: tokens of a sequence at most."""

    tokens: int
    context: int
    width: int
    layers: int
    heads: int
    feedforward: int

    @property
    def parameters(self) -> int:
        """Parameters of an EventModel of this shape; tokens are scored by their own table."""
        attention = 4 * (self.width + 1) * self.width
        feedforward = 2 * self.width * self.feedforward + self.feedforward + self.width
        layer = attention + feedforward + 4 * self.width
        return (self.tokens + self.context) * self.width + self.layers * layer + 3 * self.width + 1


def sized(shape: ModelShape, wanted: int) -> ModelShape:
    """The shape with about so many parameters: the widest with a feed-forward block of four widths that has no more,
    its feed-forward block widened by what is left."""
    step = shape.heads
    while (wider := _with_width(shape, step + shape.heads)).parameters <= wanted:
        step = wider.width
    narrow = _with_width(shape, step)
    left = max(0, wanted - narrow.parameters)
    return narrow._replace(feedforward=narrow.feedforward + left // (narrow.layers * (2 * narrow.width + 1)))


def _with_width(shape: ModelShape, width: int) -> ModelShape:
    return shape._replace(width=width, feedforward=4 * width)


Past = list[tuple[Tensor, Tensor]]
"""Keys and values (B, H, L, W / H) of the tokens so far, layer by layer."""


class EventModel(nn.Module):
    """Pre-norm layers with learned positions.

    A label of a step (whether an event is on, what came of the trajectory) is read by a linear map of the hidden state
    that the step's last token leaves. No token stands for it, so nothing that comes after depends on it.
    """

    def __init__(self, shape: ModelShape, dropout: float) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.tokens = nn.Embedding(shape.tokens, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.label = nn.Linear(shape.width, 1)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """Hidden states (B, L, W) of tokens (B, L) behind those of a past, and the past of all."""
        begin = past[0][0].shape[2] if past else 0
        places = torch.arange(begin, begin + tokens.shape[1], device=tokens.device)
        hidden = F.dropout(self.tokens(tokens) + self.positions(places), self.dropout, self.training)
        longer: Past = []
        for number, layer in enumerate(self.layers):
            hidden, kept = layer(hidden, past[number] if past else None, self.dropout)
            longer.append(kept)
        return self.norm(hidden), longer

    def scores(self, hidden: Tensor) -> Tensor:
        """Logits of the next token: (..., tokens)."""
        return F.linear(hidden, self.tokens.weight)

    def labels(self, hidden: Tensor) -> Tensor:
        """Logits of the label: (...)."""
        return self.label(hidden)[..., 0]


class _Layer(nn.Module):
    """Causal attention and a feed-forward block, pre-norm."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before, self.between = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.project = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.inner = nn.Linear(shape.width, shape.feedforward)
        self.outer = nn.Linear(shape.feedforward, shape.width)

    def forward(
        self, hidden: Tensor, past: tuple[Tensor, Tensor] | None, dropout: float
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        parts = self.project(self.before(hidden)).chunk(3, dim=-1)
        queries, keys, values = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        alone = past is None
        if past is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        # Behind a past there is one token, which sees all.
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=alone)
        hidden = hidden + F.dropout(self.out(seen.transpose(1, 2).flatten(2)), dropout, self.training)
        fed = self.outer(F.gelu(self.inner(self.between(hidden))))
        return hidden + F.dropout(fed, dropout, self.training), (keys, values)
