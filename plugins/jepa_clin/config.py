"""What a recipe may say about the components of Clin-JEPA."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import ModelSize, Module, PhaseConfig, PredictorConfig, RegularizerConfig


class ActionTransformerConfig(PredictorConfig):
    """Block-causal transformer over [static, state 1, action 1, ..., state T, action T].

    The defaults are the paper's sizes: with latents of size 4096, 92,514,304 parameters.
    """

    width: int = Field(1024, gt=0, description="size of a token inside the transformer")
    layers: int = Field(6, gt=0, description="transformer layers")
    heads: int = Field(8, gt=0, description="attention heads; must divide width")
    feedforward: int = Field(4096, gt=0, description="hidden size of the feed-forward blocks")
    max_steps: int = Field(72, gt=0, description="longest window in steps; its rollout may reach two steps further")
    dropout: float = Field(0.15, ge=0, lt=1, description="dropout of residual branches and inside feed-forward blocks")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of attention weights")
    output: Literal["absolute", "residual"] = Field(
        "absolute", description="predict the next state itself, or what to add to the present one"
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        return self

    @property
    def longest_window(self) -> int:
        return self.max_steps

    @property
    def reach(self) -> int:
        """Steps that have a position; the last two are there so that a rollout may leave a full window."""
        return self.max_steps + 2

    @property
    def positions(self) -> int:
        """Rows of the position table: one for the static token, two for each step."""
        return 2 * self.reach + 1

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D; all are trainable."""
        width, hidden = self.width, self.feedforward
        inputs = 3 * (latent_dim * width + width)
        attention = 4 * (width * width + width)
        feedforward = 2 * width * hidden + hidden + width
        norms = 2 * 2 * width
        output = width * latent_dim + latent_dim
        total = inputs + self.positions * width + self.layers * (attention + feedforward + norms) + output
        return ModelSize(parameters=total, trainable=total)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations of one training step on `windows` windows of `steps` steps.

        Counts what a teacher-forced pass keeps for its gradient; a rollout of H steps adds about 2 H / (2 T + 1) of it.
        """
        tokens = 2 * steps + 1
        attention = 2 * self.heads * tokens if self.attention_dropout else 0
        layer = 10 * self.width + 3 * self.feedforward + attention
        return 4 * windows * (tokens * (self.layers * layer + 2 * self.width + latent_dim) + 2 * steps * latent_dim)

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        """Twice the multiply-adds of a teacher-forced pass, and three times that with the backward pass.

        Attention is counted in full, the masked half too. A rollout of H steps adds about 2 H / (2 T + 1) of it.
        """
        tokens, width = 2 * steps + 1, self.width
        layer = 4 * width * width + 2 * width * self.feedforward + 2 * tokens * width
        multiply_adds = tokens * (latent_dim * width + self.layers * layer) + steps * width * latent_dim
        return 2 * windows * multiply_adds * (3 if training else 1)


class _RolloutConfig(PhaseConfig):
    """Keys of the phases that train the predictor on a rollout beside teacher forcing."""

    rollout_horizon: int = Field(10, ge=0, description="steps of the rollout in the loss (2 in the paper); 0 for none")
    rollout_origins: int = Field(1, gt=0, description="rollouts of each window, each from a step drawn at random")
    rollout_weight: float = Field(1.0, gt=0, description="factor of the rollout term; teacher forcing has 1")


class PredictorWarmupConfig(_RolloutConfig):
    """Trains the predictor on the latents of the frozen encoder, by teacher forcing and rollout."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class PredictorFinalizationConfig(_RolloutConfig):
    """Trains the predictor on the latents of the final, frozen encoder, by teacher forcing and rollout."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class _MovingTargetConfig(_RolloutConfig):
    """Keys of the phases that predict the states of the EMA target."""

    updates: ClassVar[str] = "target"

    rollout_horizon: int = Field(0, ge=0, description="steps of a rollout against the target's states; 0 leaves it out")
    tau: float = Field(0.996, ge=0, le=1, description="share of itself that the target keeps at each step")


class JointRefinementConfig(_MovingTargetConfig):
    """Trains encoder and predictor together against the states of the EMA target."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder", "predictor"})


class EmaAlignmentConfig(_MovingTargetConfig):
    """Trains the predictor while the EMA target moves on to the frozen encoder."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class HardSyncConfig(PhaseConfig):
    """Makes the EMA target equal to the encoder; takes no step."""

    updates: ClassVar[str] = "target"

    steps: int = Field(0, ge=0, le=0, description="always 0: the phase acts only at its end")


class VarianceCovarianceConfig(RegularizerConfig):
    """Keeps latent dimensions spread out and uncorrelated (VICReg, arXiv 2105.04906)."""

    target_std: float = Field(1.0, gt=0, description="standard deviation below which a dimension is penalised")
    covariance_factor: float = Field(
        0.04, ge=0, description="factor of the covariance term beside the variance term (1 to 25 in VICReg)"
    )
