"""Causal attention within each text of a pack, and nothing between texts.

For attention alone a text lies in a row that may be somewhat longer (`row_length`), because a processor takes less time
for 32 tokens than for 27; no token of the text sees what follows it there. Each group of equally long rows is one call
of scaled dot-product attention, so nothing is quadratic in the pack.

Symbols: S tokens of the pack, R tokens of all rows, N texts, A query heads, K heads of keys and values, Z size of a
head.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from jepa_text.functions import into_rows, out_of_rows
from jepa_text.packing import Groups, TextRows


def attend(queries: Tensor, keys: Tensor, values: Tensor, rows: TextRows, scale: float, dropout: float) -> Tensor:
    """What every token gathers from its text up to itself: (S, A, Z).

    queries: (S, A, Z). keys, values: (S, K, Z). dropout: of attention weights.
    """
    laid_out = (into_rows(tensor, rows) for tensor in (queries, keys, values))
    grouped = zip(*(_by_group(tensor, rows.groups) for tensor in laid_out), strict=True)
    shared = queries.shape[1] != keys.shape[1]
    gathered = [
        F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout, scale=scale, enable_gqa=shared)
        for q, k, v in grouped
    ]
    return out_of_rows(_joined([part.transpose(1, 2).flatten(0, 1) for part in gathered]), rows)


def attend_at_ends(
    queries: Tensor, keys: Tensor, values: Tensor, rows: TextRows, scale: float, dropout: float
) -> Tensor:
    """What the last token of every text gathers from its text: (N, A, Z).

    queries: (N, A, Z), of the last tokens. keys, values: (S, K, Z), of all tokens. dropout: of attention weights.
    """
    # The query heads that share keys and values stand where several queries of one head would.
    asked = queries.unflatten(1, (keys.shape[1], -1)).split([texts for texts, _ in rows.groups])
    laid_out = (_by_group(into_rows(tensor, rows), rows.groups) for tensor in (keys, values))
    seen = (part.mT for part in _by_group(rows.filled[:, None, None], rows.groups))
    grouped = zip(asked, *laid_out, seen, strict=True)
    return _joined(
        [
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale).flatten(1, 2)
            for q, k, v, mask in grouped
        ]
    )


def _by_group(of_rows: Tensor, groups: Groups) -> Iterator[Tensor]:
    """The tokens (R, H, Z) of each group of rows, H heads: (rows, H, length, Z)."""
    for (rows, length), part in zip(groups, of_rows.split([rows * length for rows, length in groups]), strict=True):
        yield part.unflatten(0, (rows, length)).transpose(1, 2)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
