"""Attention over the channels of one item.

Symbols: N items, C channels, P samples, L tokens of the fullest item, W width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_channels.blocks import ChannelEncoder, FeedForward, with_mask
from jepa_channels.config import PatchTransformerConfig
from jepa_core.config import ItemShape


class PatchTransformer(ChannelEncoder):
    """Transformer whose tokens are the channels that were observed in a step, and one summary token.

    A token is a linear map of the channel's P samples and their mask, the same for every channel (PatchTST, Nie et al.,
    arXiv 2211.14730), times a gain and plus a shift of the channel's own (FiLM, Perez et al., arXiv 1709.07871);
    attention runs over the channels (iTransformer, Liu et al., arXiv 2310.06625). Gains are drawn far apart: were they
    alike, the summary of an untrained encoder could tell little but the mean of all values.

    Channels without an observation are no tokens, so a sparse item costs little; the summary token, which is read,
    makes an item without any observation as good as another.
    """

    def __init__(self, config: PatchTransformerConfig, shape: ItemShape) -> None:
        super().__init__(config, shape)
        width = config.inner_width
        self.tokens_per_pass = config.tokens_per_pass
        self.patch = nn.Linear(2 * shape.samples, width)
        self.gains = nn.Embedding(shape.channels, width)
        self.shifts = nn.Embedding(shape.channels, width)
        self.summary = nn.Parameter(torch.empty(width))
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        nn.init.normal_(self.summary, std=0.02)

    def represent(self, values: Tensor, observed: Tensor) -> Tensor:
        counts = observed.any(2).sum(1)
        order = counts.argsort(stable=True)
        passes = _passes(counts[order].tolist(), self.tokens_per_pass)
        represented = [self._pass(values[rows], observed[rows]) for rows in order.split(list(passes))]
        return torch.cat(represented)[order.argsort()]

    def _pass(self, values: Tensor, observed: Tensor) -> Tensor:
        """Represent items that are about equally full: (N, W)."""
        present = observed.any(2)
        longest = int(present.sum(1).max()) if len(present) else 0
        present, channels = (tensor[:, :longest] for tensor in present.sort(dim=1, descending=True, stable=True))
        rows = torch.arange(len(values), device=values.device)[:, None]
        patches = self.patch(with_mask(values[rows, channels], observed[rows, channels], 2))
        tokens = patches * self.gains(channels) + self.shifts(channels)
        hidden = torch.cat((self.summary.expand(len(values), 1, -1).to(tokens.dtype), tokens), 1)
        visible = F.pad(present, (1, 0), value=True)[:, None, None]
        for layer in self.layers:
            hidden = layer(hidden, visible)
        return hidden[:, 0]


class _Layer(nn.Module):
    """Transformer layer, pre-norm: (N, L, W) to (N, L, W)."""

    def __init__(self, config: PatchTransformerConfig) -> None:
        super().__init__()
        width = config.inner_width
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.feedforward = FeedForward(width, config.hidden)

    def forward(self, hidden: Tensor, visible: Tensor) -> Tensor:
        """visible: (N, 1, 1, L) bool, the tokens that may be attended to."""
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.query_key_value(self.norm(hidden)).chunk(3, dim=2)
        )
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=visible)
        return self.feedforward(hidden + self.project(attended.transpose(1, 2).flatten(2)))


def _passes(counts: list[int], budget: int) -> Iterator[int]:
    """Sizes of runs of items, in ascending order of their observed channels, that fit into a budget of tokens."""
    items = 0
    for count in counts:
        if items and (items + 1) * (count + 1) > budget:
            yield items
            items = 0
        items += 1
    yield items
