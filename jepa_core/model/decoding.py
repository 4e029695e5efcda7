"""What a run's readouts and its kept decoder read off foreseen states and beliefs, in the units of the data.

Symbols: n trajectories, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from jepa_core.contracts import Decoder, Intervals, Readout
from jepa_core.data.standardisation import NormalScores
from jepa_core.data.trajectories import Channel
from jepa_core.model.forecasting import Foreseen


@dataclass(frozen=True)
class ChannelDecoder:
    """The module of an objective that reads channels off beliefs, with the scale that it was trained on."""

    decoder: Decoder
    scaling: NormalScores
    channels: list[Channel]

    @torch.no_grad()
    def scores(self, belief: np.ndarray) -> np.ndarray:
        """Normal scores (..., C) that are expected at the next step, from beliefs (..., W)."""
        device = next(self.decoder.parameters()).device
        return self.decoder.next_values(torch.from_numpy(belief).to(device)).float().cpu().numpy()

    def values(self, scores: np.ndarray) -> np.ndarray:
        """Normal scores (..., C) in the units of the channels, no further than the values of the train split reach."""
        return self.scaling.values(scores)


@dataclass(frozen=True)
class Decoded:
    """Everything that is read of a forecast. reads: (C,) `label` or `channel`. values, low, high: (n, H, C) in the
    units of the channels; the bounds are NaN where no interval was fitted. level: share that intervals cover; None
    where there are none."""

    channels: list[Channel]
    reads: list[str]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float | None


def decoded(
    foreseen: Foreseen, readouts: Sequence[Readout], decoder: ChannelDecoder | None, intervals: Intervals | None
) -> Decoded | None:
    """Labels by the readouts, channels by the decoder; None where there is neither."""
    states = foreseen.state.astype(np.float64)
    parts = [_bounded(one.decode(states)) for one in readouts]
    channels = [channel for one in readouts for channel in one.channels]
    labels = len(channels)
    if decoder is not None:
        parts.append(_channels(foreseen.belief, decoder, intervals))
        channels = channels + decoder.channels
    if not parts:
        return None
    values, low, high = (np.concatenate(one, axis=-1) for one in zip(*parts, strict=True))
    reads = ["label"] * labels + ["channel"] * (len(channels) - labels)
    level = intervals.level if decoder is not None and intervals is not None else None
    return Decoded(channels, reads, values, low, high, level)


def _bounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values without intervals."""
    unknown = np.full(values.shape, np.nan)
    return values, unknown, unknown


def _channels(
    belief: np.ndarray, decoder: ChannelDecoder, intervals: Intervals | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, lower and upper bounds (n, H, C)."""
    scores = decoder.scores(belief)
    if intervals is None:
        return _bounded(decoder.values(scores))
    widths = intervals.at([channel.name for channel in decoder.channels], scores.shape[1])
    return decoder.values(scores), decoder.values(scores - widths), decoder.values(scores + widths)
