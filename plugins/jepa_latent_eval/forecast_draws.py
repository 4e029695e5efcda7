"""The median error of decoded forecasts under redrawn subjects, for comparing runs on the same subjects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jepa_core.results.findings import Redrawn
from jepa_core.results.paired import redraw
from jepa_latent_eval.decoding import LAST_VALUE


def redrawn_errors(
    errors: Sequence[dict[str, np.ndarray]], subjects: np.ndarray, horizons: Sequence[int], forecasts: Sequence[str]
) -> Iterator[Redrawn]:
    """The median MASE over labels of some forecasts, at every horizon that a label is measured at.

    errors: for each label, errors (N, H) of each forecast, NaN where the label is not measured. subjects: (N,) numbers.
    """
    numbers = np.unique(subjects)
    for index, horizon in enumerate(horizons):
        for name in forecasts:
            pairs = np.stack([[error[name][:, index], error[LAST_VALUE][:, index]] for error in errors])
            columns = np.nan_to_num(pairs).transpose(2, 0, 1)
            scaled = columns.mean(axis=0)
            kept = scaled[:, 1] > 0
            if kept.any():
                draws = _median(redraw(columns[:, kept], subjects))
                value = float(_median(scaled[None, kept])[0])
                yield Redrawn(error_name(name), numbers, value, draws, axis="h", at=float(horizon))


def error_name(forecast: str) -> str:
    """Name of the metric: median over labels of the error relative to that of the last value."""
    return f"MASE, {forecast}"


def _median(sums: np.ndarray) -> np.ndarray:
    """(draws,) of sums (draws, labels, 2) of errors and of those of the last value, over the labels that a draw
    measures; NaN where it measures none."""
    above, below = sums[..., 0], sums[..., 1]
    ratios = np.ma.masked_array(above, mask=below <= 0) / np.ma.masked_array(below, mask=below <= 0)
    return np.ma.median(ratios, axis=1).filled(np.nan)
