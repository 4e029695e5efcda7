"""Causal attention within each text of a packed sequence, and nothing between texts.

The backbone's own handling of packed sequences is not used: it builds a mask of S x S values, and it silently drops the
borders between texts when a cache or a mask is given. Here the borders are an argument, and each group of equally long
texts is one call of scaled dot-product attention, so that no token is padded and nothing is quadratic in the pack.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NAME = "jepa_packed_texts"

Groups = list[tuple[int, int]]
"""Runs of equally long texts of a pack, in its order: (number of texts, tokens of each)."""


def groups_of(lengths: Iterable[int]) -> Groups:
    """Runs of equal lengths."""
    return [(len(list(run)), length) for length, run in groupby(lengths)]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    groups: Groups,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention as the backbone calls it.

    query: (1, heads, S, head_dim), key and value: (1, kv_heads, S, head_dim); returns (1, S, heads, head_dim).
    """
    packed = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    attended, start = [], 0
    for texts, length in groups:
        rows = slice(start, start + texts * length)
        q, k, v = (tensor[rows].unflatten(0, (texts, length)).transpose(1, 2) for tensor in packed)
        result = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, dropout_p=dropout, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
        )
        attended.append(result.transpose(1, 2).flatten(0, 1))
        start = rows.stop
    return torch.cat(attended).unsqueeze(0), None
