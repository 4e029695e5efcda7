"""What a recipe may say about the components of Clin-JEPA and of the curricula that it is compared with."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from jepa_core.config import Config, LearnerShape, ModelSize, Module, ObjectiveConfig, PhaseConfig, PredictorConfig


class TransformerConfig(Config):
    """Sizes of the layers of a pre-norm transformer; the defaults are those of Clin-JEPA's predictor."""

    width: int = Field(1024, gt=0, description="size of a token inside the transformer")
    layers: int = Field(6, gt=0, description="transformer layers")
    heads: int = Field(8, gt=0, description="attention heads; must divide width")
    feedforward: int = Field(4096, gt=0, description="hidden size of the feed-forward blocks")
    dropout: float = Field(0.15, ge=0, lt=1, description="dropout of residual branches and inside feed-forward blocks")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of attention weights")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        return self

    def layer_parameters(self) -> int:
        """Parameters of all layers."""
        attention = 4 * (self.width * self.width + self.width)
        feedforward = 2 * self.width * self.feedforward + self.feedforward + self.width
        norms = 2 * 2 * self.width
        return self.layers * (attention + feedforward + norms)


class ActionTransformerConfig(TransformerConfig, PredictorConfig):
    """Block-causal transformer over [static, state 1, action 1, ..., state T, action T].

    The defaults are the paper's sizes and layout: with latents of size 4096, 92,514,304 parameters. `layout: joined`
    puts state and action of a step into one token, which halves the tokens and the work.
    """

    size_keys: ClassVar[tuple[str, ...]] = ("layers", "feedforward")

    max_steps: int = Field(72, gt=0, description="longest window in steps; its rollout may reach two steps further")
    layout: Literal["interleaved", "joined"] = Field(
        "interleaved", description="a token for the state and one for the action of a step, or one for both"
    )
    output: Literal["absolute", "residual"] = Field(
        "absolute", description="predict the next state itself, or what to add to the present one"
    )

    @property
    def longest_window(self) -> int:
        return self.max_steps

    def belief_dim(self, latent_dim: int) -> int:
        return self.width

    @property
    def reach(self) -> int:
        """Steps that have a position; the last two are there so that a rollout may leave a full window."""
        return self.max_steps + 2

    @property
    def tokens_per_step(self) -> int:
        """Tokens that a state and its action take."""
        return 1 if self.layout == "joined" else 2

    @property
    def positions(self) -> int:
        """Rows of the position table: one for each token of the longest window, the static one included."""
        return self.tokens_per_step * self.reach + 1

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D; all are trainable."""
        inputs = 3 * (latent_dim * self.width + self.width)
        output = self.width * latent_dim + latent_dim
        total = inputs + self.positions * self.width + self.layer_parameters() + output
        return ModelSize(parameters=total, trainable=total)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations of one training step on `windows` windows of `steps` steps.

        Counts what a teacher-forced pass keeps for its gradient; a rollout of H steps adds about H / T of it. The last
        layer keeps keys and values of every token, and the rest of one token a step.
        """
        tokens = self.tokens_per_step * steps + 1
        attention = 2 * self.heads * tokens if self.attention_dropout else 0
        carried = 7 * self.width + 3 * self.feedforward + attention
        layers = ((self.layers - 1) * tokens + steps) * carried + self.layers * tokens * 3 * self.width
        return 4 * windows * (layers + tokens * (2 * self.width + latent_dim) + 2 * steps * latent_dim)

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        """Twice the multiply-adds of a teacher-forced pass, and three times that with the backward pass.

        Attention is counted in full, the masked half too. A rollout of H steps adds about H / T of it.
        """
        tokens, width = self.tokens_per_step * steps + 1, self.width
        carried = 2 * width * width + 2 * width * self.feedforward + 2 * tokens * width
        layers = ((self.layers - 1) * tokens + steps) * carried + self.layers * tokens * 2 * width * width
        multiply_adds = (2 * steps + 1) * latent_dim * width + layers + steps * width * latent_dim
        return 2 * windows * multiply_adds * (3 if training else 1)


class GruConfig(PredictorConfig):
    """A GRU over states and actions, begun by the static facts."""

    size_keys: ClassVar[tuple[str, ...]] = ("width",)

    width: int = Field(128, gt=0, description="size of the hidden state, which is the belief")
    output: Literal["absolute", "residual"] = Field(
        "absolute", description="predict the next state itself, or what to add to the present one"
    )

    def belief_dim(self, latent_dim: int) -> int:
        return self.width

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D; all are trainable."""
        cell = 3 * self.width * (2 * latent_dim + self.width + 2)
        maps = (latent_dim + 1) * self.width + (self.width + 1) * latent_dim
        return ModelSize(parameters=cell + maps, trainable=cell + maps)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations: inputs, gates, hidden state and prediction of each step."""
        return 4 * windows * steps * (3 * latent_dim + 8 * self.width)

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        """Twice the multiply-adds of a teacher-forced pass, and three times that with the backward pass."""
        step = 3 * self.width * (2 * latent_dim + self.width) + self.width * latent_dim
        return 2 * windows * (steps * step + latent_dim * self.width) * (3 if training else 1)


class RolloutConfig(PhaseConfig):
    """Keys of the phases that train the predictor on a rollout beside teacher forcing."""

    rollout_horizon: int = Field(10, ge=0, description="steps of the rollout in the loss (2 in the paper); 0 for none")
    rollout_origins: int = Field(
        1, gt=0, le=1024, description="rollouts of each window, each from a step drawn at random"
    )
    rollout_weight: float = Field(1.0, gt=0, description="factor of the rollout term")
    teacher_forcing_weight: float = Field(
        1.0, ge=0, description="factor of the teacher-forced term; at 0, without a rollout, objectives alone are left"
    )


class PredictorWarmupConfig(RolloutConfig):
    """Trains the predictor on the latents of the frozen encoder, by teacher forcing and rollout."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class PredictorFinalizationConfig(RolloutConfig):
    """Trains the predictor on the latents of the final, frozen encoder, by teacher forcing and rollout."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class MovingTargetConfig(RolloutConfig):
    """Keys of the phases that predict the states of the EMA target."""

    updates: ClassVar[str] = "target"

    rollout_horizon: int = Field(0, ge=0, description="steps of a rollout against the target's states; 0 leaves it out")
    tau: float = Field(0.996, ge=0, le=1, description="share of itself that the target keeps at each step")


class JointRefinementConfig(MovingTargetConfig):
    """Trains encoder and predictor together against the states of the EMA target."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder", "predictor"})


class EmaAlignmentConfig(MovingTargetConfig):
    """Trains the predictor while the EMA target moves on to the frozen encoder."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})


class HardSyncConfig(PhaseConfig):
    """Makes the EMA target equal to the encoder; takes no step."""

    updates: ClassVar[str] = "target"

    steps: int = Field(0, ge=0, le=0, description="always 0: the phase acts only at its end")


class NextTokenConfig(PhaseConfig):
    """Trains the encoder as a language model, on every text of the windows (supervised fine-tuning)."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder"})
    updates: ClassVar[str] = "target"
    needs: ClassVar[frozenset[str]] = frozenset({"next_token_loss"})


class CotrainingConfig(RolloutConfig):
    """Trains encoder and predictor together on their own latents: no EMA target, no stop-gradient."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder", "predictor"})
    updates: ClassVar[str] = "target"


class MaskedPredictorConfig(TransformerConfig):
    """Sizes of the predictor that masked prediction throws away."""

    width: int = Field(512, gt=0, description="size of a token inside the transformer")
    layers: int = Field(3, gt=0, description="transformer layers")
    feedforward: int = Field(2048, gt=0, description="hidden size of the feed-forward blocks")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of residual branches and inside feed-forward blocks")

    @model_validator(mode="after")
    def _sines_come_with_cosines(self) -> Self:
        if self.width % 2:
            raise ValueError(f"width ({self.width}) must be even")
        return self

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters for latents of size D; all are trainable."""
        inputs = latent_dim * self.width + self.width
        tokens = 4 * self.width  # three roles and the mask
        output = 2 * self.width + self.width * latent_dim + latent_dim
        total = inputs + tokens + self.layer_parameters() + output
        return ModelSize(parameters=total, trainable=total)


class MaskedPredictionConfig(PhaseConfig):
    """Trains the encoder to let hidden steps be predicted from the visible ones, by a predictor thrown away after."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder"})
    updates: ClassVar[str] = "target"

    mask_ratio: float = Field(
        0.4, gt=0, lt=1, description="share of a window's steps that are hidden; two stay visible"
    )
    block_length: int = Field(1, gt=0, description="steps hidden in a row; 1 hides steps independently of one another")
    tau_start: float = Field(0.996, ge=0, le=1, description="share of itself that the target keeps at the first step")
    tau_end: float = Field(1.0, ge=0, le=1, description="the same at the last step; it changes linearly in between")
    predictor: MaskedPredictorConfig = Field(MaskedPredictorConfig(), description="the predictor that is thrown away")

    def module_size(self, latent_dim: int) -> ModelSize:
        return self.predictor.size(latent_dim)


class VarianceCovarianceConfig(ObjectiveConfig):
    """Keeps latent dimensions spread out and uncorrelated (VICReg, arXiv 2105.04906)."""

    target_std: float = Field(1.0, gt=0, description="standard deviation below which a dimension is penalised")
    covariance_factor: float = Field(
        0.04, ge=0, description="factor of the covariance term beside the variance term (1 to 25 in VICReg)"
    )


class SigregConfig(ObjectiveConfig):
    """Makes the latents an isotropic Gaussian (SIGReg of LeJEPA, arXiv 2511.08544)."""

    projections: int = Field(256, gt=0, le=65_536, description="random directions that are tested at each step")
    knots: int = Field(
        9, ge=3, le=1024, description="points of the integral from 0 to `reach`; with their mirror images, 17"
    )
    reach: float = Field(5.0, gt=0, description="largest frequency at which characteristic functions are compared")


class GroundingConfig(ObjectiveConfig):
    """Reads off beliefs what every channel will show in windows ahead, and what it has shown so far."""

    observes: ClassVar[bool] = True

    windows: tuple[tuple[int, int], ...] = Field(
        ((0, 1), (0, 6), (6, 12), (12, 24)),
        description="windows ahead: [a, b] is the steps after the a-th up to the b-th; [0, 1] is the next step",
    )
    presence_weight: float = Field(0.5, ge=0, description="factor of the cross-entropy of what is observed")
    detached: bool = Field(
        False, description="stop the gradient at the belief: heads learn to read it, and it learns nothing from them"
    )

    @field_validator("windows")
    @classmethod
    def _ahead(cls, windows: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        wrong = [list(window) for window in windows if not 0 <= window[0] < window[1]]
        if wrong:
            raise ValueError(f"the window {wrong[0]} must go from 0 or more to a later step")
        if (0, 1) not in windows or len(set(windows)) < len(windows):
            raise ValueError("the windows must differ, and [0, 1] must be among them: forecasts are read from it")
        return windows

    def rows(self) -> int:
        """Numbers that are read of a channel: value and presence of each window, and five of what was so far."""
        return 2 * len(self.windows) + 5

    def module_size(self, shape: LearnerShape) -> ModelSize:
        count = 2 * shape.belief + (shape.belief + 1) * self.rows() * shape.channels
        return ModelSize(count, count)
