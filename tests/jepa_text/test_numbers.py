"""Token vectors of numbers lie by magnitude, whatever the order of a vocabulary; others stay as drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_text.numbers import by_magnitude

WORDS = ["<|endoftext|>", "rate", " bpm.", "1000", "1.5"]
NUMBERS = [str(number) for number in range(0, 200, 2)]


def vocabulary() -> dict[str, int]:
    return {token: row for row, token in enumerate(WORDS + NUMBERS)}


def drawn() -> Tensor:
    return torch.randn(len(WORDS) + len(NUMBERS), 64, generator=torch.Generator().manual_seed(0)) * 0.02


def likeness(table: Tensor, number: int, other: int) -> float:
    rows = table[len(WORDS) + number // 2], table[len(WORDS) + other // 2]
    return float(torch.cosine_similarity(*rows, dim=0))


def test_numbers_that_are_near_have_vectors_that_are_alike() -> None:
    table = by_magnitude(drawn(), vocabulary())

    assert likeness(table, 100, 102) > 0.6 > likeness(table, 100, 190)
    assert likeness(table, 2, 10) < likeness(table, 102, 110), "what is near at 100 is far at 2"
    assert likeness(table, 100, 102) < 1, "neighbours can be told apart"


def test_what_is_no_whole_number_of_three_digits_keeps_its_vector() -> None:
    assert torch.equal(by_magnitude(drawn(), vocabulary())[: len(WORDS)], drawn()[: len(WORDS)])


def test_vectors_keep_their_spread() -> None:
    rows = by_magnitude(drawn(), vocabulary())[len(WORDS) :]
    assert 0.8 < rows.std() / drawn().std() < 1.2


def test_the_order_of_the_vocabulary_changes_no_bit() -> None:
    backwards = dict(reversed(vocabulary().items()))
    assert torch.equal(by_magnitude(drawn(), backwards), by_magnitude(drawn(), vocabulary()))


def test_a_vocabulary_with_a_single_number_keeps_its_table() -> None:
    assert torch.equal(by_magnitude(drawn(), {"rate": 0, "7": 1}), drawn())
