"""Split-conformal intervals (Papadopoulos et al. 2002; Vovk et al. 2005) around forecasts of channels.

Symbols: N windows, H horizons, C channels.
"""

from __future__ import annotations

import math

import numpy as np


def conformal_widths(errors: np.ndarray, level: float) -> np.ndarray:
    """Half-widths (H, C) of intervals that cover `level` of new values, from absolute errors (N, H, C) of windows that
    nothing was fitted on; NaN where a channel is not observed.

    The ceil((n + 1) level)-th smallest of n errors; infinite where n is too small for that to exist. What is promised
    is coverage of values that are exchangeable with these; of time series it has to be measured.
    """
    return np.stack([_of_horizon(errors[:, ahead], level) for ahead in range(errors.shape[1])])


def _of_horizon(errors: np.ndarray, level: float) -> np.ndarray:
    """(C,) of errors (N, C)."""
    counts = np.isfinite(errors).sum(axis=0)
    ordered = np.sort(errors, axis=0)  # NaN last
    ranks = np.ceil((counts + 1) * level - 1e-9).astype(np.int64)
    enough = ranks <= counts
    ranks_at = np.clip(ranks - 1, 0, max(len(errors) - 1, 0))
    widths = np.take_along_axis(ordered, ranks_at[None], axis=0)[0] if len(errors) else np.full(counts.shape, np.nan)
    return np.where(enough & (counts > 0), widths, np.inf).astype(np.float64)


def least_errors(level: float) -> int:
    """Errors below which there is no finite interval."""
    return math.ceil(level / (1 - level) - 1e-9)
