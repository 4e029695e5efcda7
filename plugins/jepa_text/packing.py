"""Texts laid end to end, so that no token of padding is computed but in attention.

Symbols: S tokens of a pack, N texts in it, U distinct tokens in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import torch
from torch import Tensor

from jepa_text.architecture import row_length

Tokens = list[int]

Groups = list[tuple[int, int]]
"""Runs of equally long rows, in the order of the texts: (number of rows, tokens of each)."""


@dataclass(frozen=True)
class TextRows:
    """Each text in a row of its own, which may be longer.

    tokens: (R,) which token of the pack lies at each place of the rows, any where none does. places: (S,) where each
    token of the pack lies in the rows. filled: (R,) bool, where one lies. groups: the rows' lengths.
    """

    tokens: Tensor
    places: Tensor
    filled: Tensor
    groups: Groups


@dataclass(frozen=True)
class Pack:
    """distinct: (U,) the tokens of the texts, each once. places: (S,) where each token of the texts, one after another,
    lies in `distinct`. positions: (S,) of each token in its text, from 0. ends: (N,) place of each text's last token.
    rows: the texts as attention takes them, which crosses no row."""

    distinct: Tensor
    places: Tensor
    positions: Tensor
    ends: Tensor
    rows: TextRows


def pack(texts: list[Tokens], device: torch.device) -> Pack:
    """The texts, none of them empty, in their order."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    stops = lengths.cumsum()
    tokens = np.fromiter(chain.from_iterable(texts), np.int64, stops[-1])
    unique, inverse = np.unique(tokens, return_inverse=True)
    within = np.arange(stops[-1]) - np.repeat(stops - lengths, lengths)
    distinct, places, positions, ends = (
        torch.from_numpy(array).to(device) for array in (unique, inverse, within, stops - 1)
    )
    return Pack(distinct, places, positions, ends, _rows(lengths, within, device))


def _rows(lengths: np.ndarray, within: np.ndarray, device: torch.device) -> TextRows:
    """Rows of texts of these lengths (N,), whose tokens have the places `within` (S,) in them."""
    room = np.fromiter(map(row_length, lengths.tolist()), np.int64, len(lengths))
    places = np.repeat(room.cumsum() - room, lengths) + within
    tokens, filled = np.zeros(room.sum(), np.int64), np.zeros(room.sum(), bool)
    tokens[places], filled[places] = np.arange(len(places)), True
    groups = [(len(list(run)), length) for length, run in groupby(room.tolist())]
    of_pack, in_rows, mask = (torch.from_numpy(array).to(device) for array in (tokens, places, filled))
    return TextRows(of_pack, in_rows, mask, groups)


def split_into_passes(texts: list[Tokens], budget: int) -> Iterator[list[Tokens]]:
    """Split texts into runs of at most `budget` tokens; a longer text is a run of its own."""
    run: list[Tokens] = []
    tokens = 0
    for text in texts:
        if run and tokens + len(text) > budget:
            yield run
            run, tokens = [], 0
        run.append(text)
        tokens += len(text)
    if run:
        yield run
