"""Keys of the optimizer my_component."""

from typing import Annotated

from pydantic import Field

from jepa_core.config import OptimizerConfig

Decay = Annotated[float, Field(ge=0, lt=1)]


class MyComponentConfig(OptimizerConfig):
    """Lion (Chen et al., arXiv 2302.06675): steps of one size, along the sign of a mean of gradients."""

    encoder_lr: float = Field(3e-5, ge=0, description="peak learning rate of the encoder's trainable parameters")
    predictor_lr: float = Field(2e-4, ge=0, description="peak learning rate of the predictor")
    betas: tuple[Decay, Decay] = Field((0.9, 0.99), description="decay rates of the mean: in a step, and as kept")

    @property
    def state_bytes(self) -> int:
        return 4
