"""A perceptron over all channels at once."""

from __future__ import annotations

from torch import Tensor, nn

from jepa_channels.blocks import ChannelEncoder, FeedForward, with_mask
from jepa_channels.config import MlpConfig
from jepa_core.config import ItemShape


class Mlp(ChannelEncoder):
    """Residual perceptron over values and mask, as the ResNet of Gorishniy et al. (arXiv 2106.11959), with LayerNorm:
    a batch's statistics would let an item see its neighbours."""

    def __init__(self, config: MlpConfig, shape: ItemShape) -> None:
        super().__init__(config, shape)
        self.input = nn.Linear(2 * shape.channels * shape.samples, config.width)
        self.blocks = nn.Sequential(*(FeedForward(config.width, config.hidden) for _ in range(config.layers)))

    def represent(self, values: Tensor, observed: Tensor) -> Tensor:
        return self.blocks(self.input(with_mask(values, observed, 1).flatten(1)))
