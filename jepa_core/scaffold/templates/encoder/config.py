"""Keys of the encoder my_component."""

from typing import ClassVar

from pydantic import Field

from jepa_core.config import EncoderConfig, ItemShape, Modality, ModelSize


class MyComponentConfig(EncoderConfig):
    """A perceptron over channel values and over which of them were observed."""

    modality: ClassVar[Modality] = "channels"

    hidden: int = Field(32, gt=0, description="size of the hidden layer")
    width: int = Field(16, gt=0, description="size of a latent")

    @property
    def latent_dim(self) -> int:
        return self.width

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        """Parameters of the two layers; all of them train."""
        assert shape is not None
        inputs = 2 * shape.channels * shape.samples
        count = (inputs + 1) * self.hidden + (self.hidden + 1) * self.width
        return ModelSize(parameters=count, trainable=count)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """What a pass keeps of every item, in float32."""
        return 4 * items * (2 * self.hidden + self.width)
