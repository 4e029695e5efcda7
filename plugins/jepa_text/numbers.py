"""Token vectors of numbers that know their magnitude."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

PERIODS = (10, 30, 100, 300, 1000, 3000)
"""Periods of sines and cosines of a number: from single units to the whole range of three digits."""

LOG_PERIODS = (1.5, 3.0, 7.0, 14.0)
"""Periods of sines and cosines of its logarithm: what is far at 5 is near at 500."""

OWN_SHARE = 0.3
"""What a vector keeps of its own random draw, so that neighbours can be told apart."""

DIGITS = 3


def by_magnitude(table: Tensor, vocabulary: Mapping[str, int]) -> Tensor:
    """A token table (V, D) whose rows of whole numbers of up to three digits lie along a curve of their magnitude.

    A language model that has read much holds its numbers so: sines and cosines of several periods (Zhou et al., arXiv
    2406.03445). With rows drawn one by one an encoder has to learn each number by itself, and a rare one never. Random
    directions of the curve, and their spread, are those of the table's other rows; what is no number stays as it is.
    """
    number_at = {row: int(token) for token, row in vocabulary.items() if _is_number(token)}
    rows = torch.tensor(sorted(number_at), dtype=torch.long, device=table.device)  # vocabularies come in any order
    if len(rows) < 2:  # one point has no spread
        return table
    waves = _waves(torch.tensor([number_at[row] for row in sorted(number_at)], dtype=table.dtype, device=table.device))
    directions = table[torch.arange(waves.shape[1], device=table.device) % len(table)]
    curve = (waves - waves.mean(0)) @ directions
    arranged = table.clone()
    arranged[rows] = curve * (table.std() / curve.std()) + OWN_SHARE * table[rows]
    return arranged


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) <= DIGITS


def _waves(numbers: Tensor) -> Tensor:
    """Sines and cosines of numbers (N,) and of their logarithms: (N, 20)."""
    turns = [numbers / period for period in PERIODS] + [(numbers + 1).log() / period for period in LOG_PERIODS]
    angles = 2 * math.pi * torch.stack(turns, dim=1)
    return torch.cat((angles.sin(), angles.cos()), dim=1)
