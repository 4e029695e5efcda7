"""What a recipe may say about predictors and objectives beyond those of Clin-JEPA."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from jepa_core.config import LearnerShape, ModelSize, ObjectiveConfig, PredictorConfig


class StateSpaceConfig(PredictorConfig):
    """A selective state-space model over states and actions, whose cost grows linearly with the steps of a window."""

    size_keys: ClassVar[tuple[str, ...]] = ("heads", "state_size")

    width: int = Field(128, gt=0, description="size of a step inside the model, which is that of a belief")
    layers: int = Field(3, gt=0, description="blocks")
    heads: int = Field(
        8, gt=0, description="parts of a block's hidden state, each with a rate of forgetting of its own"
    )
    head_size: int = Field(32, gt=0, description="size of a head")
    state_size: int = Field(16, gt=0, description="numbers that a block remembers of each of a head's")
    chunk: int = Field(16, gt=0, description="steps that are computed at once; changes speed and memory only")
    output: Literal["absolute", "residual"] = Field(
        "absolute", description="predict the next state itself, or what to add to the present one"
    )

    @property
    def inner(self) -> int:
        """Size of a block's hidden state."""
        return self.heads * self.head_size

    @property
    def projected(self) -> int:
        """Numbers that a block makes of a step: values, gate, keys and queries of the state, and a step size a head."""
        return 2 * self.inner + 2 * self.state_size + self.heads

    def belief_dim(self, latent_dim: int) -> int:
        return self.width

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D; all are trainable."""
        inputs = 3 * (latent_dim + 1) * self.width
        block = self.width * (2 + self.projected + self.inner) + 2 * self.heads
        total = inputs + self.layers * block + 2 * self.width + (self.width + 1) * latent_dim
        return ModelSize(parameters=total, trainable=total)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations: what each block makes of a step, its decays, and its states between
        chunks."""
        chunk = min(self.chunk, steps)
        block = 3 * self.width + 2 * self.projected + 3 * self.inner + 3 * self.heads * chunk
        between = 2 * self.inner * self.state_size * -(-steps // chunk)
        return 4 * windows * (self.layers * (steps * block + between) + steps * 3 * latent_dim)

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        """Twice the multiply-adds of a teacher-forced pass, and three times that with the backward pass."""
        chunk = min(self.chunk, steps)
        scan = chunk * (self.state_size + self.inner) + 2 * self.inner * self.state_size
        step = self.layers * (self.width * (self.projected + self.inner) + scan) + 3 * latent_dim * self.width
        return 2 * windows * (steps * step + latent_dim * self.width) * (3 if training else 1)


class RssmConfig(PredictorConfig):
    """A recurrent state-space model with discrete latent variables (DreamerV2, arXiv 2010.02193)."""

    size_keys: ClassVar[tuple[str, ...]] = ("width",)

    width: int = Field(128, gt=0, description="size of the deterministic state, which is the belief")
    variables: int = Field(8, gt=0, description="categorical variables of a step")
    classes: int = Field(16, gt=1, description="values of each of them")
    kl_weight: float = Field(0.1, ge=0, description="factor of the divergence between what is guessed and what is seen")
    kl_balance: float = Field(
        0.8, ge=0, le=1, description="share of the divergence that trains the guess; the rest trains what is seen"
    )
    uniform: float = Field(0.01, gt=0, lt=1, description="share of a uniform distribution in every distribution")
    output: Literal["absolute", "residual"] = Field(
        "absolute", description="predict the next state itself, or what to add to the present one"
    )

    @property
    def drawn(self) -> int:
        """Numbers that the variables of a step take, one of each in every variable."""
        return self.variables * self.classes

    def belief_dim(self, latent_dim: int) -> int:
        return self.width

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D; all are trainable."""
        width, drawn = self.width, self.drawn
        cell = 3 * width * (drawn + latent_dim + width + 2)
        seen = (latent_dim + 1) * width + width * width + (width + 1) * drawn
        guessed = (width + 1) * width + (width + 1) * drawn
        maps = (latent_dim + 1) * width + (width + drawn + 1) * latent_dim
        return ModelSize(cell + seen + guessed + maps, cell + seen + guessed + maps)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations: gates, states, and both distributions of each step."""
        return 4 * windows * steps * (4 * latent_dim + 12 * self.width + 8 * self.drawn)

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int:
        """Twice the multiply-adds of a teacher-forced pass, and three times that with the backward pass."""
        width, drawn = self.width, self.drawn
        cell = 3 * width * (drawn + latent_dim + width)
        distributions = (latent_dim + width) * width + width * width + 2 * width * drawn
        step = cell + distributions + width * width + (width + drawn) * latent_dim
        return 2 * windows * (steps * step + latent_dim * width) * (3 if training else 1)


class PooledFutureConfig(ObjectiveConfig):
    """Predicts from beliefs the mean of the latents of whole windows ahead."""

    keep: bool = Field(
        False, description="whether a module that it trains belongs to the model, or is dropped after its last phase"
    )
    windows: tuple[tuple[int, int], ...] = Field(
        ((0, 6), (6, 12), (12, 24)),
        min_length=1,
        description="windows ahead: [a, b] is the steps after the a-th up to the b-th",
    )

    @field_validator("windows")
    @classmethod
    def _ahead(cls, windows: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        wrong = [list(window) for window in windows if not 0 <= window[0] < window[1]]
        if wrong:
            raise ValueError(f"the window {wrong[0]} must go from 0 or more to a later step")
        if len(set(windows)) < len(windows):
            raise ValueError("the windows must differ")
        return windows

    def module_size(self, shape: LearnerShape) -> ModelSize:
        count = 2 * shape.belief + (shape.belief + 1) * len(self.windows) * shape.latent
        return ModelSize(count, count)


class HiddenChannelsConfig(ObjectiveConfig):
    """Recovers hidden channels of the next step from the belief and the channels that are left to see."""

    observes: ClassVar[bool] = True

    keep: bool = Field(
        False, description="whether a module that it trains belongs to the model, or is dropped after its last phase"
    )
    share: float = Field(0.5, gt=0, le=1, description="chance of a channel to be hidden at a step; 1 hides all")
    hidden_size: int = Field(128, gt=0, description="width of the hidden layer that recovers channels")

    def module_size(self, shape: LearnerShape) -> ModelSize:
        inputs = shape.belief + 2 * shape.channels
        count = 2 * shape.belief + (inputs + 1) * self.hidden_size + (self.hidden_size + 1) * shape.channels
        return ModelSize(count, count)


class ReconstructionConfig(ObjectiveConfig):
    """Reads off the latent of each step the values that the step shows."""

    observes: ClassVar[bool] = True

    def module_size(self, shape: LearnerShape) -> ModelSize:
        count = (shape.latent + 1) * shape.channels
        return ModelSize(count, count)
