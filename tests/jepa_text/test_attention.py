"""Attention in rows that are longer than their texts, held against attention on each text alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jepa_text.architecture import row_length
from jepa_text.attention import attend, attend_at_ends
from jepa_text.packing import Pack, pack

LENGTHS = (1, 3, 3, 13, 16, 27, 30)
"""Some fill their rows, some share a length of row, some are filled up by one token or by several."""


@pytest.fixture
def texts() -> Pack:
    return pack([list(range(length)) for length in LENGTHS], torch.device("cpu"))


@pytest.fixture
def heads() -> tuple[Tensor, Tensor, Tensor]:
    """Queries of 4 heads, keys and values of 2, in fp64."""
    torch.manual_seed(0)
    drawn = (torch.randn(sum(LENGTHS), count, 8, dtype=torch.float64) for count in (4, 2, 2))
    queries, keys, values = (tensor.requires_grad_() for tensor in drawn)
    return queries, keys, values


def alone(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Each text by itself: (S, A, Z)."""
    parts = zip(*(tensor.split(LENGTHS) for tensor in (queries, keys, values)), strict=True)
    of_texts = [tuple(part.transpose(0, 1) for part in text) for text in parts]
    mixed = [
        F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.5, enable_gqa=True) for q, k, v in of_texts
    ]
    return torch.cat([text.transpose(0, 1) for text in mixed])


def gradients(of: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weights = torch.randn(of.shape, generator=torch.Generator().manual_seed(1), dtype=of.dtype)
    return torch.autograd.grad((of * weights).sum(), inputs)


@pytest.mark.parametrize("at_ends", [False, True])
def test_neither_outputs_nor_gradients_know_what_follows_a_text_in_its_row(
    texts: Pack, heads: tuple[Tensor, Tensor, Tensor], at_ends: bool
) -> None:
    queries, keys, values = heads
    if at_ends:
        gathered = attend_at_ends(queries[texts.ends], keys, values, texts.rows, 0.5, 0.0)
        expected = alone(*heads)[texts.ends]
    else:
        gathered, expected = attend(queries, keys, values, texts.rows, 0.5, 0.0), alone(*heads)
    torch.testing.assert_close(gathered, expected)
    for found, wanted in zip(gradients(gathered, heads), gradients(expected, heads), strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_row_holds_its_text_and_is_filled_up_by_a_fifth_or_by_three_tokens(texts: Pack) -> None:
    for tokens in range(1, 200):
        row = row_length(tokens)
        assert row % 4 == 0 and 0 <= row - tokens <= max(3, row // 5)
    assert [row for count, row in texts.rows.groups for _ in range(count)] == [*map(row_length, LENGTHS)]
    assert int(texts.rows.filled.sum()) == sum(LENGTHS) == len(texts.rows.places)


@pytest.mark.parametrize("longest_first", [False, True])
def test_a_token_is_found_where_its_row_has_it(longest_first: bool) -> None:
    order: Callable[[list[int]], list[int]] = (lambda lengths: lengths[::-1]) if longest_first else list
    rows = pack([[0] * length for length in order(list(LENGTHS))], torch.device("cpu")).rows
    assert torch.equal(rows.tokens[rows.places], torch.arange(sum(LENGTHS)))
    assert torch.equal(rows.filled.nonzero().squeeze(1), rows.places)
