"""Convolutions over the samples of a step."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from jepa_channels.blocks import ChannelEncoder, with_mask
from jepa_channels.config import TemporalConvolutionConfig
from jepa_core.config import ItemShape


class TemporalConvolution(ChannelEncoder):
    """Dilated causal convolutions over the samples of a step (TCN, Bai et al., arXiv 1803.01271), averaged over them.

    Values and mask of all channels are the features of a sample. Block l reads `kernel` samples that lie 2^l apart,
    none of them later than its output; before the first sample there are zeros.
    """

    def __init__(self, config: TemporalConvolutionConfig, shape: ItemShape) -> None:
        super().__init__(config, shape)
        self.input = nn.Linear(2 * shape.channels, config.width)
        self.blocks = nn.Sequential(*(_CausalBlock(config, 2**level) for level in range(config.layers)))

    def represent(self, values: Tensor, observed: Tensor) -> Tensor:
        return self.samples(values, observed).mean(1)

    def samples(self, values: Tensor, observed: Tensor) -> Tensor:
        """Representation of each sample, of it and those before: (N, P, W)."""
        return self.blocks(self.input(with_mask(values, observed, 1).transpose(1, 2)))


class _CausalBlock(nn.Module):
    """Residual block, pre-norm: (N, P, W) to (N, P, W)."""

    def __init__(self, config: TemporalConvolutionConfig, dilation: int) -> None:
        super().__init__()
        self.reach = (config.kernel - 1) * dilation
        self.norm = nn.LayerNorm(config.width)
        self.convolution = nn.Conv1d(config.width, config.hidden, config.kernel, dilation=dilation)
        self.output = nn.Linear(config.hidden, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        samples = F.pad(self.norm(hidden).transpose(1, 2), (self.reach, 0))
        return hidden + self.output(F.gelu(self.convolution(samples)).transpose(1, 2))
