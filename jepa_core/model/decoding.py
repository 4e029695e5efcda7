"""What a run's readouts and its kept decoder read off foreseen states and beliefs, in the units of the data.

Symbols: n trajectories, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from jepa_core.contracts import Decoder, Intervals, Readout
from jepa_core.data.standardisation import NormalScores
from jepa_core.data.trajectories import Channel
from jepa_core.ensemble import member_decoder
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

    def of_member(self) -> ChannelDecoder:
        """The same for the beliefs of one member of an ensemble."""
        return replace(self, decoder=member_decoder(self.decoder))

    def values(self, scores: np.ndarray) -> np.ndarray:
        """Normal scores (..., C) in the units of the channels, no further than the values of the train split reach."""
        return self.scaling.values(scores)


@dataclass(frozen=True)
class Decoded:
    """Everything that is read of a forecast. reads: (C,) `label` or `channel`. values, low, high: (n, H, C) in the
    units of the channels; the bounds are NaN where no interval was fitted. members: (n, K, H, C), read of what each
    member of an ensemble imagines by itself. noise: (n, H, C) standard deviation of what no member foresees, NaN where
    none was fitted. level: share that intervals cover; None where there are none."""

    channels: list[Channel]
    reads: list[str]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray
    members: np.ndarray
    level: float | None

    @property
    def spread(self) -> np.ndarray:
        """(n, H, C) standard deviation over the members, two at the least."""
        return self.members.std(axis=1, ddof=1)

    def samples(self, count: int, seed: int) -> np.ndarray:
        """(n, count, H, C) futures: one member, drawn for the whole future, and noise of every step by itself. NaN
        where no noise was fitted.

        At every step they spread as what may come does; how errors hang together from step to step they do not say.
        """
        draws = np.random.default_rng(seed)
        rows, members = self.members.shape[:2]
        drawn = draws.integers(0, members, (rows, count))
        own = self.members[np.arange(rows)[:, None], drawn]
        return own + self.noise[:, None] * draws.standard_normal(own.shape)


def decoded(
    foreseen: Foreseen, readouts: Sequence[Readout], decoder: ChannelDecoder | None, intervals: Intervals | None
) -> Decoded | None:
    """Labels by the readouts, channels by the decoder; None where there is neither."""
    states, own = foreseen.state.astype(np.float64), foreseen.member_state.astype(np.float64)
    parts = [(*_unbounded(readout.decode(states)), readout.decode(own)) for readout in readouts]
    channels = [channel for readout in readouts for channel in readout.channels]
    labels = len(channels)
    if decoder is not None:
        by_members = decoder.of_member()
        members = by_members.values(by_members.scores(foreseen.member_belief))
        parts.append((*_channels(foreseen.belief, decoder, intervals), members))
        channels = channels + decoder.channels
    if not parts:
        return None
    values, low, high, noise, members = (np.concatenate(blocks, axis=-1) for blocks in zip(*parts, strict=True))
    reads = ["label"] * labels + ["channel"] * (len(channels) - labels)
    level = intervals.level if decoder is not None and intervals is not None else None
    return Decoded(channels, reads, values, low, high, noise, members, level)


def _unbounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values around which nothing was fitted."""
    unknown = np.full(values.shape, np.nan)
    return values, unknown, unknown, unknown


def _channels(
    belief: np.ndarray, decoder: ChannelDecoder, intervals: Intervals | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values, lower and upper bounds, noise (n, H, C)."""
    scores = decoder.scores(belief)
    values = decoder.values(scores)
    if intervals is None:
        return _unbounded(values)
    widths, noise = intervals.at([channel.name for channel in decoder.channels], scores.shape[1])
    scaled = (decoder.values(scores + noise) - decoder.values(scores - noise)) / 2
    return values, decoder.values(scores - widths), decoder.values(scores + widths), scaled
