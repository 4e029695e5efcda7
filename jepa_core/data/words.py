"""Numbers in texts for encoders."""

from __future__ import annotations

import math


def plain_number(value: float) -> str:
    """A number as people write it: no more than two decimals, but never fewer than two significant digits, no trailing
    zeros. A dose of 0.004 does not read 0.
    """
    size = abs(value)
    return rounded(value, 2 if size >= 0.095 or size == 0 else 1 - math.floor(math.log10(size)))


def rounded(value: float, decimals: int) -> str:
    """A number to so many decimals, without trailing zeros, and never -0."""
    written = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written
