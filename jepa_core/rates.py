"""Optimizers and schedules that come with the framework, as recipes name them. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import OptimizerConfig, ScheduleConfig

MOMENT_BYTES = 4
"""Bytes of a moment of one parameter, in fp32."""
Decay = Annotated[float, Field(ge=0, lt=1)]
"""Share of a moment that the next step keeps."""


class AdamwConfig(OptimizerConfig):
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101), with a learning rate for each of the two modules."""

    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay rates of the two moments")

    @property
    def state_bytes(self) -> int:
        return 2 * MOMENT_BYTES


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum (Sutskever et al., ICML 2013), and decoupled weight decay."""

    encoder_lr: float = Field(1e-2, ge=0, description="peak learning rate of the encoder's trainable parameters")
    predictor_lr: float = Field(5e-2, ge=0, description="peak learning rate of the predictor")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled weight decay of matrices")
    momentum: float = Field(0.9, ge=0, lt=1, description="share of the last step that the next one goes on with")
    nesterov: bool = Field(False, description="look ahead along the momentum; needs some")

    @model_validator(mode="after")
    def _has_what_it_looks_ahead_along(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead along the momentum, and there is none; set momentum too")
        return self

    @property
    def state_bytes(self) -> int:
        return MOMENT_BYTES if self.momentum else 0


class MuonConfig(OptimizerConfig):
    """Muon (Jordan et al., 2024) on matrices, whose steps are made orthogonal, and AdamW on everything else.

    Steps of matrices have the size that AdamW's usually have (Liu et al., arXiv 2502.16982), so that both take the same
    learning rates.
    """

    momentum: float = Field(0.95, ge=0, lt=1, description="decay rate of the moment of matrices")
    nesterov: bool = Field(True, description="look ahead along the moment of matrices")
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay rates of AdamW's two moments, of all else")

    @property
    def state_bytes(self) -> int:
        return 2 * MOMENT_BYTES  # a matrix has one moment, anything else two


Warmup = Field(0.1, ge=0, le=1, description="share of the phase's steps over which the rate rises to its peak")


class CosineConfig(ScheduleConfig):
    """Linear warm-up, then a cosine down to the end of the phase (Loshchilov & Hutter, arXiv 1608.03983)."""

    warmup: float = Warmup
    final: float = Field(0.0, ge=0, le=1, description="factor that the cosine ends at")


class ConstantConfig(ScheduleConfig):
    """Linear warm-up, then the peak to the end of the phase."""

    warmup: float = Warmup


class WarmupStableDecayConfig(ScheduleConfig):
    """Linear warm-up, the peak, and a decay at the end of the phase (Hu et al., arXiv 2404.06395)."""

    warmup: float = Warmup
    decay: float = Field(0.2, ge=0, le=1, description="share of the phase's steps over which the rate falls at its end")
    shape: Literal["linear", "root"] = Field(
        "linear", description="of the decay: linear, or 1 less a square root, which falls fast at first"
    )
    final: float = Field(0.0, ge=0, le=1, description="factor that the decay ends at")

    @model_validator(mode="after")
    def _fits_into_the_phase(self) -> Self:
        if self.warmup + self.decay > 1:
            raise ValueError(f"warmup and decay are {self.warmup + self.decay:g} of the phase together; lower one")
        return self
