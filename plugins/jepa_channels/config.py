"""What a recipe may say about the encoders of channels, and the arithmetic of their sizes. Imports no torch.

Symbols: C channels, P samples, W width, F feed-forward width, D latent size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from jepa_core.config import EncoderConfig, ItemShape, LatentNorm, Modality, ModelSize

VALUE_BYTES = 4


@dataclass(frozen=True)
class Cost:
    """What one item costs: multiply-adds of the first layer and of the others, and values kept for the backward
    pass."""

    first: int
    others: int
    kept: int


class ChannelEncoderConfig(EncoderConfig):
    """What the encoders of channels have in common."""

    modality: ClassVar[Modality] = "channels"
    latent_key: ClassVar[str] = "latent_size"

    latent_size: int = Field(128, gt=0, description="size of a latent")
    feedforward: int | None = Field(None, gt=0, description="hidden size of a block; 4 times the width if not given")
    layers: int = Field(2, gt=0, description="residual blocks")
    scaling: Literal["moments", "ranks"] = Field(
        "moments", description="moments: mean and deviation of each channel; ranks: normal scores, for skewed values"
    )
    clip: float = Field(5.0, gt=0, description="values further from the mean, in standard deviations, are set to this")
    latent_norm: LatentNorm = "layer"

    @property
    def latent_dim(self) -> int:
        return self.latent_size

    @property
    def inner_width(self) -> int:
        """W: size of the representation that the blocks pass on."""
        raise NotImplementedError

    @property
    def hidden(self) -> int:
        """F: hidden size of a block."""
        return self.feedforward or 4 * self.inner_width

    def body_parameters(self, shape: ItemShape) -> int:
        """Parameters of everything before the output layer."""
        raise NotImplementedError

    def cost(self, shape: ItemShape) -> Cost:
        """What one item costs, without the output layer."""
        raise NotImplementedError

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        """All parameters train."""
        assert shape is not None, "an encoder of channels is sized by the shape of its items"
        output = 2 * self.inner_width + (self.inner_width + 1) * self.latent_size
        total = self.body_parameters(shape) + output
        return ModelSize(parameters=total, trainable=total)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Estimated peak bytes of activations; without a gradient those of one block at a time."""
        assert shape is not None, "an encoder of channels is sized by the shape of its items"
        kept = self.cost(shape).kept // (1 if training else self.layers)
        return VALUE_BYTES * items * (kept + 2 * self.inner_width + 2 * self.latent_size)

    def flops(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Twice the multiply-adds; three times that in training, less the gradient of the input, which nobody needs."""
        assert shape is not None, "an encoder of channels is sized by the shape of its items"
        cost = self.cost(shape)
        others = cost.others + self.inner_width * self.latent_size
        return 2 * items * (2 * cost.first + 3 * others if training else cost.first + others)


class MlpConfig(ChannelEncoderConfig):
    """Residual perceptron over the values of all channels and the mask of what was observed."""

    size_keys: ClassVar[tuple[str, ...]] = ("width", "feedforward")

    width: int = Field(128, gt=0, description="size of the representation between blocks")

    @property
    def inner_width(self) -> int:
        return self.width

    def body_parameters(self, shape: ItemShape) -> int:
        inputs = 2 * shape.channels * shape.samples
        block = 2 * self.width + (self.width + 1) * self.hidden + (self.hidden + 1) * self.width
        return (inputs + 1) * self.width + self.layers * block

    def cost(self, shape: ItemShape) -> Cost:
        inputs = 2 * shape.channels * shape.samples
        return Cost(
            first=inputs * self.width,
            others=self.layers * 2 * self.width * self.hidden,
            kept=inputs + self.layers * (2 * self.width + 2 * self.hidden),
        )


class PatchTransformerConfig(ChannelEncoderConfig):
    """Transformer over the channels of one item: a token for each channel that was observed.

    The width is `heads` times `head_dim`. The estimates of memory and operations count every channel as observed.
    """

    size_keys: ClassVar[tuple[str, ...]] = ("head_dim", "feedforward")

    heads: int = Field(4, gt=0, description="attention heads")
    head_dim: int = Field(32, gt=0, description="size of a head; the width is heads times this")
    tokens_per_pass: int = Field(16384, gt=0, description="tokens computed at once; changes memory and speed only")

    @property
    def inner_width(self) -> int:
        return self.heads * self.head_dim

    def body_parameters(self, shape: ItemShape) -> int:
        width, hidden = self.inner_width, self.hidden
        tokens = (2 * shape.samples + 1) * width + (2 * shape.channels + 1) * width
        attention = 2 * width + (width + 1) * 3 * width + (width + 1) * width
        feedforward = 2 * width + (width + 1) * hidden + (hidden + 1) * width
        return tokens + self.layers * (attention + feedforward)

    def cost(self, shape: ItemShape) -> Cost:
        width, hidden, tokens = self.inner_width, self.hidden, shape.channels + 1
        token = 4 * width * width + 2 * tokens * width + 2 * width * hidden
        return Cost(
            first=2 * shape.channels * shape.samples * width,
            others=self.layers * tokens * token,
            kept=tokens * (2 * shape.samples + 2 * width + self.layers * (8 * width + 2 * hidden)),
        )

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Estimated peak bytes of activations; without a gradient those of one block of one pass."""
        assert shape is not None, "an encoder of channels is sized by the shape of its items"
        at_once = items if training else min(items, -(-self.tokens_per_pass // (shape.channels + 1)))
        return super().activation_bytes(at_once, training, shape)


class TemporalConvolutionConfig(ChannelEncoderConfig):
    """Dilated causal convolutions over the samples of a step, averaged over them."""

    size_keys: ClassVar[tuple[str, ...]] = ("width", "feedforward")

    width: int = Field(128, gt=0, description="size of the representation of a sample between blocks")
    kernel: int = Field(3, gt=0, description="samples that a convolution reads; block l takes every 2^l-th")

    @property
    def inner_width(self) -> int:
        return self.width

    def body_parameters(self, shape: ItemShape) -> int:
        block = 2 * self.width + (self.kernel * self.width + 1) * self.hidden + (self.hidden + 1) * self.width
        return (2 * shape.channels + 1) * self.width + self.layers * block

    def cost(self, shape: ItemShape) -> Cost:
        block = (self.kernel + 1) * self.width * self.hidden
        return Cost(
            first=shape.samples * 2 * shape.channels * self.width,
            others=shape.samples * self.layers * block,
            kept=shape.samples * (2 * shape.channels + self.layers * (3 * self.width + 2 * self.hidden)),
        )
