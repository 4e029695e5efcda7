"""Causal attention within each text of a pack, and nothing between texts.

Each group of equally long texts is one call of scaled dot-product attention, so that no token is padded and nothing is
quadratic in the pack.

Symbols: S tokens of the pack, N texts, A query heads, K heads of keys and values, Z size of a head.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from jepa_text.packing import Groups


def attend(queries: Tensor, keys: Tensor, values: Tensor, groups: Groups, scale: float, dropout: float) -> Tensor:
    """What every token gathers from its text up to itself: (S, A, Z).

    queries: (S, A, Z). keys, values: (S, K, Z). dropout: of attention weights.
    """
    grouped = zip(*(_by_group(tensor, groups) for tensor in (queries, keys, values)), strict=True)
    gathered = []
    for q, k, v in grouped:
        mixed = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, dropout_p=dropout, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        gathered.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(gathered)


def attend_at_ends(
    queries: Tensor, keys: Tensor, values: Tensor, groups: Groups, scale: float, dropout: float
) -> Tensor:
    """What the last token of every text gathers from its text: (N, A, Z).

    queries: (N, A, Z), of the last tokens. keys, values: (S, K, Z), of all tokens. dropout: of attention weights.
    """
    # The query heads that share keys and values stand where several queries of one head would.
    queries = queries.unflatten(1, (keys.shape[1], -1))
    asked = queries.split([texts for texts, _ in groups])
    grouped = zip(asked, *(_by_group(tensor, groups) for tensor in (keys, values)), strict=True)
    return torch.cat(
        [F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scale).flatten(1, 2) for q, k, v in grouped]
    )


def _by_group(packed: Tensor, groups: Groups) -> Iterator[Tensor]:
    """The tokens (S, H, Z) of each group of texts, H heads: (texts, H, length, Z)."""
    for (texts, length), rows in zip(groups, packed.split([texts * length for texts, length in groups]), strict=True):
        yield rows.unflatten(0, (texts, length)).transpose(1, 2)
