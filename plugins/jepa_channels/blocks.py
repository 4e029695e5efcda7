"""What the encoders of channels share: fitting, standardised values, residual blocks, the output layer.

Symbols: N items, C channels, P samples, W width, F feed-forward width, D latent size.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from jepa_channels.config import ChannelEncoderConfig
from jepa_core.config import ItemShape
from jepa_core.contracts import Channels, Encoder
from jepa_core.data.standardisation import NormalScores, Standardisation
from jepa_core.errors import DataError, RunError
from jepa_core.training.latent_norm import normalise_latents


class ChannelEncoder(Encoder):
    """Base of the encoders of channels: standardises values, and puts the output layer on what `represent` makes.

    Values are standardised by moments of the train split (`fit`); what was not observed is 0 there and false in the
    mask, which every encoder reads beside the values. Weights are drawn from torch's global random state.
    """

    def __init__(self, config: ChannelEncoderConfig, shape: ItemShape) -> None:
        super().__init__()
        self.config = config
        self.shape = shape
        self.latent_dim = config.latent_dim
        scaling = {"moments": Standardisation, "ranks": NormalScores}[config.scaling]
        self.standardise = scaling(shape.channels, config.clip)
        self.output = nn.Sequential(nn.LayerNorm(config.inner_width), nn.Linear(config.inner_width, self.latent_dim))
        self._is_fitted = False

    @abstractmethod
    def represent(self, values: Tensor, observed: Tensor) -> Tensor:
        """Represent items: values (N, C, P) standardised, observed (N, C, P) bool; returns (N, W)."""

    def fit(self, items: Iterable[Channels]) -> None:
        """Find the scale of each channel. Raises DataError if an observed value is not finite."""
        self.standardise.fit(items)
        self._is_fitted = True

    def forget_rare(self, owned: Iterable[tuple[int, Channels]]) -> None:
        """Keep of the scales what enough subjects share."""
        self.standardise.forget_rare(owned)

    def fitted(self) -> dict[str, Any]:
        """What puts each channel on one scale."""
        return self.standardise.fitted() if self._is_fitted else {}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        """Take up what was fitted. Raises DataError if it is not that of as many channels."""
        self.standardise.load_fitted(fitted)
        self._is_fitted = True

    def forward(self, items: Channels) -> Tensor:
        """Latents of items: (N, D) float32.

        Raises RunError if the encoder was not fitted, DataError if the items have another shape.
        """
        if not self._is_fitted:
            raise RunError("the encoder has no mean and scale yet; call fit or load_fitted before encoding")
        channels, samples = items.values.shape[1:]
        if (channels, samples) != (self.shape.channels, self.shape.samples):
            raise DataError(
                f"the items have {channels} channels of {samples} samples, and the source's item_shape states "
                f"{self.shape.channels} of {self.shape.samples}; the source must render what it states"
            )
        device = next(self.output.parameters()).device
        values, observed = items.values.to(device), items.observed.to(device)
        represented = self.represent(self.standardise(values, observed), observed)
        return normalise_latents(self.output(represented), self.config.latent_norm)


class FeedForward(nn.Module):
    """Residual block, pre-norm: (..., W) to (..., W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.net(hidden)


def with_mask(values: Tensor, observed: Tensor, dim: int) -> Tensor:
    """Values and the mask of what was observed, beside one another along `dim`."""
    return torch.cat((values, observed.to(values.dtype)), dim)
