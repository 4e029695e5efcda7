"""How values of each channel are put on one scale: by moments, or by ranks. Both are found on the training items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.contracts import Channels
from jepa_core.data.rarity import SharedCells
from jepa_core.errors import DataError

# Below this share of the mean a spread is the rounding of float32, not information.
SMALLEST_SPREAD = 1e-6


KNOTS = 129
"""Quantiles of a channel between which normal scores are interpolated."""
BETWEEN = 0.49
"""Where values are parted that lie between two quantiles: not quite halfway, where rounded values may lie, whose place
rounding would decide."""
SAMPLE = 1 << 16
"""Values of a channel, about, that its quantiles are found on; of more, every second, fourth, ... is kept."""


class ChannelScaling(nn.Module):
    """Puts each channel on one scale; what was not observed becomes 0.

    least_subjects: how many subjects share all that was found, at the least; None as long as none were counted.
    """

    least_subjects: int | None = None

    def fit(self, groups: Iterable[Channels]) -> None:
        """Find the scales on the items. Raises DataError if an observed value is not finite."""
        raise NotImplementedError

    def forget_rare(self, owned: Iterable[tuple[int, Channels]]) -> None:
        """Put what enough subjects share in the place of what was found of fewer. owned: of the train split, a number
        for a subject and items of it; all of one subject's come one after another."""
        raise NotImplementedError

    def fitted(self) -> dict[str, Any]:
        """What was found, as JSON holds it."""
        counted = {} if self.least_subjects is None else {"least_subjects": self.least_subjects}
        return self._found() | counted

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        """Take up what was found. Raises DataError if it is of other channels."""
        self._take(fitted)
        self.least_subjects = fitted.get("least_subjects")

    def _found(self) -> dict[str, Any]:
        raise NotImplementedError

    def _take(self, fitted: dict[str, Any]) -> None:
        raise NotImplementedError

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        """values, observed: (N, C, P); returns (N, C, P) float32."""
        raise NotImplementedError


class Standardisation(ChannelScaling):
    """Puts each channel on mean 0 and standard deviation 1, clips it, and sets what was not observed to 0.

    The moments are those of the observed samples, merged group by group (Chan, Golub & LeVeque 1983), in fp64. A
    channel that is constant keeps the scale 1; one that was never observed keeps the mean 0 too. One that too few
    subjects show is forgotten: its scale is 0, and so is all that it shows.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(channels), persistent=False)
        self.register_buffer("scale", torch.ones(channels), persistent=False)

    def fit(self, groups: Iterable[Channels]) -> None:
        """Find the moments of the items.

        Raises DataError if an observed value is not finite.
        """
        count, mean, squares = (torch.zeros(len(self.mean), dtype=torch.float64) for _ in range(3))
        for group in groups:
            values, observed = group.values.double(), group.observed
            _refuse_infinite(values, observed)
            seen = observed.sum((0, 2))
            seen_mean = (values * observed).sum((0, 2)) / seen.clamp(min=1)
            spread = ((values - seen_mean[:, None]).square() * observed).sum((0, 2))
            total = (count + seen).clamp(min=1)
            squares += spread + (seen_mean - mean).square() * count * seen / total
            mean += (seen_mean - mean) * seen / total
            count += seen
        deviation = (squares / count.clamp(min=1)).sqrt()
        constant = deviation <= SMALLEST_SPREAD * mean.abs()
        self.load(mean, torch.where(constant, torch.ones_like(deviation), deviation))

    def forget_rare(self, owned: Iterable[tuple[int, Channels]]) -> None:
        """Forget the channels that too few subjects show."""
        shown = SharedCells(len(self.mean))
        for subject, items in owned:
            channels = items.observed.any(2).any(0).nonzero().flatten().numpy()
            shown.add(subject, channels, np.zeros(len(channels)))
        shared = torch.from_numpy(shown.shared())
        self.load(self.mean * shared, self.scale * shared)
        self.least_subjects = shown.fewest

    def load(self, mean: Tensor, scale: Tensor) -> None:
        """Take up moments, each (C,)."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def _found(self) -> dict[str, Any]:
        """`mean` and `scale` of each channel."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    def _take(self, fitted: dict[str, Any]) -> None:
        self.load(*(torch.tensor(array) for array in _of_channels(fitted, ("mean", "scale"), len(self.mean))))

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        known = self.scale > 0
        centred = (values - self.mean[:, None]) / torch.where(known, self.scale, 1.0)[:, None]
        return centred.clamp(-self.clip, self.clip) * (observed & known[:, None])


class NormalScores(ChannelScaling):
    """Puts each channel on the normal scores of its ranks, linear between quantiles; 0 where nothing was observed.

    Skewed laboratory values and slipped decimal points set no scale this way (the quantile transformation of Gorishniy
    et al., arXiv 2106.11959). Equal values have their middle rank. Beyond the outer quantiles the score is theirs.
    A quantile is one subject's value: in its place `forget_rare` puts the mean of the values next to it, of all who
    have one, and merges quantiles whose neighbours are of too few subjects.
    """

    knots: Tensor
    scores: Tensor

    def __init__(self, channels: int, clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("knots", torch.full((channels, KNOTS), torch.inf), persistent=False)
        self.register_buffer("scores", torch.zeros(channels, KNOTS), persistent=False)

    def fit(self, groups: Iterable[Channels]) -> None:
        samples = [_Thinned() for _ in range(len(self.knots))]
        for group in groups:
            _refuse_infinite(group.values.double(), group.observed)
            for sample, values, observed in zip(samples, group.values.unbind(1), group.observed.unbind(1), strict=True):
                sample.add(values[observed])
        for channel, sample in enumerate(samples):
            self._place(channel, *_knots_of(sample.values()))

    def _place(self, channel: int, knots: Tensor, scores: Tensor) -> None:
        """Knots and scores (k,) of a channel; those that are left over are never reached."""
        self.knots[channel, : len(knots)], self.knots[channel, len(knots) :] = knots, torch.inf
        self.scores[channel, : len(scores)], self.scores[channel, len(scores) :] = scores, 0.0

    def forget_rare(self, owned: Iterable[tuple[int, Channels]]) -> None:
        """Move each knot to the mean of the values that are nearest to it, and merge those of too few subjects."""
        channels = len(self.knots)
        between = self.knots[:, :-1] + BETWEEN * (self.knots[:, 1:] - self.knots[:, :-1]).nan_to_num(torch.inf)
        nearest = SharedCells(channels * KNOTS)
        for subject, items in owned:
            observed = items.observed.transpose(0, 1).flatten(1)
            values = torch.where(observed, items.values.transpose(0, 1).flatten(1), 0.0).float().contiguous()
            cells = torch.searchsorted(between, values) + KNOTS * torch.arange(channels)[:, None]
            nearest.add(subject, cells[observed].numpy(), values[observed].numpy())
        for channel, count in enumerate(self.knots.isfinite().sum(1).tolist()):
            groups = nearest.groups(channel * KNOTS, count)
            scores = self.scores[channel].double().numpy()
            middle = [float(np.average(scores[group.cells % KNOTS], weights=group.weights)) for group in groups]
            knots = torch.tensor([group.mean for group in groups])
            self._place(channel, knots, torch.tensor(middle if len(groups) > 1 else [0.0] * len(groups)))
        self.least_subjects = nearest.fewest

    def _found(self) -> dict[str, Any]:
        """`knots` of each channel, ascending, and their `scores`."""
        counts = self.knots.isfinite().sum(1).tolist()
        return {
            name: [row[:count] for row, count in zip(table.tolist(), counts, strict=True)]
            for name, table in (("knots", self.knots), ("scores", self.scores))
        }

    def _take(self, fitted: dict[str, Any]) -> None:
        pairs = zip(*_of_channels(fitted, ("knots", "scores"), len(self.knots)), strict=True)
        for channel, (knots, scores) in enumerate(pairs):
            self._place(channel, torch.tensor(knots), torch.tensor(scores))

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        by_channel = torch.where(observed, values, 0.0).float().transpose(0, 1)
        flat = by_channel.flatten(1).contiguous()
        known = self.knots.isfinite().sum(1, keepdim=True)
        after = torch.searchsorted(self.knots, flat).minimum((known - 1).clamp(min=0))
        before = (after - 1).clamp(min=0)
        low, high = self.knots.gather(1, before), self.knots.gather(1, after)
        share = ((flat - low) / (high - low)).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
        scores = torch.lerp(self.scores.gather(1, before), self.scores.gather(1, after), share)
        return scores.view(by_channel.shape).transpose(0, 1).clamp(-self.clip, self.clip) * observed

    def values(self, scores: np.ndarray) -> np.ndarray:
        """Values that have given scores (..., C), float64: the inverse of `forward`, which cannot tell values beyond
        the outer quantiles; NaN for a channel that was never observed, and for a score that is NaN."""
        values = np.full(scores.shape, np.nan)
        for channel, (knots, known) in enumerate(zip(self.knots, self.scores, strict=True)):
            count = int(knots.isfinite().sum())
            if count:
                of_channel = scores[..., channel].astype(np.float64)
                values[..., channel] = np.interp(of_channel, known[:count].numpy(), knots[:count].numpy())
        return np.where(np.isnan(scores), np.nan, values)


class _Thinned:
    """Values of a channel as they come; every second is forgotten whenever there are too many."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._every, self._seen, self._held = 1, 0, 0

    def add(self, values: Tensor) -> None:
        kept = values[(-self._seen) % self._every :: self._every]
        self._seen += len(values)
        self._parts.append(kept)
        self._held += len(kept)
        while self._held > 2 * SAMPLE:
            self._parts, self._every = [self.values()[::2]], 2 * self._every
            self._held = len(self._parts[0])

    def values(self) -> Tensor:
        return torch.cat(self._parts) if self._parts else torch.empty(0)


def _knots_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Different quantiles of values, ascending, and their normal scores: (k,) each, k at most KNOTS."""
    if len(values) == 0:
        return torch.empty(0), torch.empty(0)
    levels = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
    ordered = values.double().sort().values
    quantiles = ordered[(levels * (len(ordered) - 1)).round().long()].float()
    knots, inverse, counts = quantiles.unique_consecutive(return_inverse=True, return_counts=True)
    middle = torch.zeros(len(knots), dtype=torch.float64).index_add(0, inverse, levels) / counts
    if len(knots) == 1:
        return knots, torch.zeros(1)
    edge = 1 / (2 * KNOTS)
    return knots, torch.special.ndtri(middle.clamp(edge, 1 - edge)).float()


def _of_channels(fitted: dict[str, Any], names: tuple[str, ...], channels: int) -> list[list[Any]]:
    """Lists of one entry a channel out of what was fitted. Raises DataError if they are not there."""
    lists = [kept for name in names if isinstance(kept := fitted.get(name), list) and len(kept) == channels]
    if len(lists) < len(names):
        raise DataError(f"what was fitted has no {' and '.join(names)} of {channels} channels; it is another encoder's")
    return lists


def _refuse_infinite(values: Tensor, observed: Tensor) -> None:
    wrong = (~values.isfinite() & observed).any(2).any(0).nonzero().flatten().tolist()
    if wrong:
        raise DataError(
            f"the channels at the positions {', '.join(map(str, wrong[:10]))} of the source hold values that are not "
            "finite; mark such samples as not observed (NaN) when the source renders them"
        )
