"""Texts laid end to end, so that no token of padding is computed.

Symbols: S tokens of a pack, N texts in it, U distinct tokens in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import torch
from torch import Tensor

Tokens = list[int]

Groups = list[tuple[int, int]]
"""Runs of equally long texts of a pack, in its order: (number of texts, tokens of each)."""


@dataclass(frozen=True)
class Pack:
    """distinct: (U,) the tokens of the texts, each once. places: (S,) where each token of the texts, one after another,
    lies in `distinct`. positions: (S,) of each token in its text, from 0. ends: (N,) place of each text's last token.
    groups: what attention may not cross."""

    distinct: Tensor
    places: Tensor
    positions: Tensor
    ends: Tensor
    groups: Groups


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
    return Pack(distinct, places, positions, ends, groups_of(lengths.tolist()))


def groups_of(lengths: Iterable[int]) -> Groups:
    """Runs of equal lengths."""
    return [(len(list(run)), length) for length, run in groupby(lengths)]


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
