"""Mean and scale of each channel, found on the training items."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from jepa_core.contracts import Channels
from jepa_core.errors import DataError

# Below this share of the mean a spread is the rounding of float32, not information.
SMALLEST_SPREAD = 1e-6


class Standardisation(nn.Module):
    """Puts each channel on mean 0 and standard deviation 1, clips it, and sets what was not observed to 0.

    The moments are those of the observed samples, merged group by group (Chan, Golub & LeVeque 1983), in fp64. A
    channel that is constant keeps the scale 1; one that was never observed keeps the mean 0 too.
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
            here = (values * observed).sum((0, 2)) / seen.clamp(min=1)
            spread = ((values - here[:, None]).square() * observed).sum((0, 2))
            total = (count + seen).clamp(min=1)
            squares += spread + (here - mean).square() * count * seen / total
            mean += (here - mean) * seen / total
            count += seen
        deviation = (squares / count.clamp(min=1)).sqrt()
        constant = deviation <= SMALLEST_SPREAD * mean.abs()
        self.load(mean, torch.where(constant, torch.ones_like(deviation), deviation))

    def load(self, mean: Tensor, scale: Tensor) -> None:
        """Take up moments, each (C,)."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        """values, observed: (N, C, P); returns (N, C, P) float32."""
        centred = (values - self.mean[:, None]) / self.scale[:, None]
        return centred.clamp(-self.clip, self.clip) * observed


def _refuse_infinite(values: Tensor, observed: Tensor) -> None:
    wrong = (~values.isfinite() & observed).any(2).any(0).nonzero().flatten().tolist()
    if wrong:
        raise DataError(
            f"the channels at the positions {', '.join(map(str, wrong[:10]))} of the source hold values that are not "
            "finite; mark such samples as not observed (NaN) when the source renders them"
        )
