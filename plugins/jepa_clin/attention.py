"""The transformer layer, and the keys and values that a rollout goes on from.

Symbols: B windows, S tokens, Q tokens that ask, K tokens attended to, W width, A heads, Z = W / A.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_clin import products
from jepa_clin.config import TransformerConfig
from jepa_clin.dropout import Dropout
from jepa_clin.products import Linear
from jepa_clin.steps import at_steps

ALL = slice(None)
LARGE = 2**18
"""Entries of a matrix from which reading it costs more than multiplying by it, for a few rows."""

Asking: TypeAlias = slice | Tensor
"""Tokens that ask: the same of every window, or (B, Q) of each."""

Product: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Rows (..., I), a weight (O, I) and a bias (O,) to rows (..., O)."""


def of_few_rows(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `F.linear`, beyond rounding, and for two to four rows on a CPU in about half its time: with the weight on the
    left, its matrices are read once, where `F.linear` reads them once a row."""
    flat = rows.flatten(0, -2).contiguous()  # a row that is scattered over memory would cost the gain
    if not 2 <= len(flat) <= 4 or weight.numel() < LARGE or weight.device.type != "cpu":
        return products.linear(rows, weight, bias)
    return torch.addmm(bias[:, None], weight, flat.t()).t().reshape(*rows.shape[:-1], -1)


@dataclass(frozen=True)
class KeysValues:
    """Keys and values of one layer, each (B, A, K, Z)."""

    keys: Tensor
    values: Tensor

    def append(self, keys: Tensor, values: Tensor) -> KeysValues:
        """These, followed by the new ones; self is left as it is."""
        return KeysValues(torch.cat((self.keys, keys), dim=2), torch.cat((self.values, values), dim=2))

    def growable(self, room: int) -> KeysValues | BufferedKeysValues:
        """The same, ready to take `room` further tokens.

        Autograd needs every stage of the growth intact; without it one buffer saves copying all stages again.
        """
        return self if torch.is_grad_enabled() else BufferedKeysValues(self, room)


class BufferedKeysValues:
    """Keys and values of one layer in a buffer that is filled in place."""

    def __init__(self, start: KeysValues, room: int) -> None:
        windows, heads, self._filled, size = start.keys.shape
        self._keys = start.keys.new_empty(windows, heads, self._filled + room, size)
        self._values = torch.empty_like(self._keys)
        self._keys[:, :, : self._filled] = start.keys
        self._values[:, :, : self._filled] = start.values

    @property
    def keys(self) -> Tensor:
        return self._keys[:, :, : self._filled]

    @property
    def values(self) -> Tensor:
        return self._values[:, :, : self._filled]

    def append(self, keys: Tensor, values: Tensor) -> BufferedKeysValues:
        """These, followed by the new ones, in the same buffer."""
        end = self._filled + keys.shape[2]
        self._keys[:, :, self._filled : end] = keys
        self._values[:, :, self._filled : end] = values
        self._filled = end
        return self


@dataclass(frozen=True)
class Divided:
    """The projection of a layer, divided into that of queries, (W, W) and (W,), and that of keys and values, (2 W, W)
    and (2 W,)."""

    query: Tensor
    key_value: Tensor
    query_bias: Tensor
    key_value_bias: Tensor


class Layer(nn.Module):
    """Pre-norm transformer layer, in two halves between which a rollout puts the keys and values it remembers."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = Linear(width, 3 * width)
        self.attention_out = Linear(width, width)
        self.dropout = Dropout(config.dropout)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            Linear(width, config.feedforward),
            nn.GELU(),
            Dropout(config.dropout),
            Linear(config.feedforward, width),
            Dropout(config.dropout),
        )

    def divided(self) -> Divided:
        """To be divided once for all steps that are projected: each time has a gradient of the whole matrix."""
        sizes = [self.attention_out.in_features, 2 * self.attention_out.in_features]
        return Divided(*self.query_key_value.weight.split(sizes), *self.query_key_value.bias.split(sizes))

    def project(
        self, hidden: Tensor, divided: Divided, asking: Asking = ALL, linear: Product = products.linear
    ) -> tuple[Tensor, KeysValues]:
        """Of tokens (B, S, W), the queries (B, A, Q, Z) of those that ask, and the keys and values of all."""
        normed = self.attention_norm(hidden)
        queries = linear(asked(normed, asking), divided.query, divided.query_bias).unflatten(-1, (self.heads, -1))
        seen = linear(normed, divided.key_value, divided.key_value_bias).unflatten(-1, (2, self.heads, -1))
        keys, values = seen.permute(2, 0, 3, 1, 4)
        return queries.transpose(1, 2), KeysValues(keys, values)

    def attend(
        self, hidden: Tensor, queries: Tensor, seen: KeysValues | BufferedKeysValues, mask: Tensor,
        linear: Product = products.linear,
    ) -> Tensor:  # fmt: skip
        """The layer's output (B, Q, W) for the tokens `hidden` that ask, where `mask` (B, 1, Q, K), of `for_scores`,
        tells what each may see."""
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(queries, seen.keys, seen.values, attn_mask=mask, dropout_p=dropout)
        out = self.attention_out
        hidden = hidden + self.dropout(linear(mixed.transpose(1, 2).flatten(2), out.weight, out.bias))
        return hidden + self._feed(hidden, linear)

    def _feed(self, hidden: Tensor, linear: Product) -> Tensor:
        """Each token through the feedforward part."""
        for part in self.feedforward:
            hidden = linear(hidden, part.weight, part.bias) if isinstance(part, nn.Linear) else part(hidden)
        return hidden


def for_scores(mask: Tensor, hidden: Tensor) -> Tensor:
    """A mask that is true for what may be seen, for the layers to come: on a processor as what is added to scores, once
    for all of them, where each would make it anew, and slowly."""
    if hidden.device.type != "cpu" or hidden.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return mask
    return hidden.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)


def asked(of_tokens: Tensor, asking: Asking) -> Tensor:
    """What tokens have (B, S, ...), of those that ask: (B, Q, ...)."""
    return of_tokens[:, asking] if isinstance(asking, slice) else at_steps(of_tokens, asking)


class Layers(nn.ModuleList):
    """Layers, one behind the other."""

    def __iter__(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], super().__iter__())
