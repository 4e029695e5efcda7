"""What single precision, in which a store keeps its values, loses of a column (IEEE 754 binary32: 24 bits)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jepa_sensors.staging import Database, quoted

_EXACT = 1 << 24
"""Whole numbers up to which each has a single-precision number of its own."""
_ENOUGH = 1000
"""Steps over the range of a column below which its changes count as lost."""


@dataclass(frozen=True)
class Held:
    """Values of a column. count: known ones. low, high: the least and the largest. rounded: whole numbers that single
    precision rounds to others. step: from one of its numbers to the next, where the values are largest."""

    count: int
    low: float
    high: float
    rounded: int
    step: float

    @property
    def lost(self) -> bool:
        """Whether changes of the column are lost."""
        return self.rounded > 0 or self.step * _ENOUGH > self.high - self.low

    @property
    def offset(self) -> float:
        """A round number below the least value, whose subtraction keeps what is lost; a thousand times as round as the
        values lie apart, so that it tells none of them."""
        spread = max(self.high - self.low, self.step)
        unit = 10.0 ** np.floor(np.log10(spread * _ENOUGH))
        return float(np.floor(self.low / unit) * unit)


def held(database: Database, path: Path, number: int) -> Held:
    """What a staged column holds."""
    name = f"v{number}"
    ((count, low, high, rounded),) = database.rows(
        f"""SELECT count({name}), min({name}), max({name}),
            count(*) FILTER (abs({name}) > {_EXACT} AND {name} = floor({name}) AND {name} <> {name}::FLOAT::DOUBLE)
            FROM read_parquet({quoted(path)})"""
    )
    low, high = (0.0, 0.0) if low is None else (low + 0.0, high + 0.0)  # Parquet writes the least zero as -0
    step = float(np.spacing(np.float32(max(abs(low), abs(high)))))
    return Held(count, low, high, rounded, step)


def say_what_is_lost(name: str, found: Held) -> str:
    """What is lost of a column, and what keeps it."""
    few = f"it spans fewer than {_ENOUGH:,} of them"
    lost = f"{found.rounded:,} whole numbers are rounded" if found.rounded else few
    return (
        f"the column {name} has values so large that single precision tells them apart in steps of {found.step:g}: "
        f"{lost}; set source.offsets: {{{name}: {found.offset:.17g}}} to subtract that first"
    )
