"""What a recipe may say about the supervised baselines."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import BatchSize, Config

BaselineName = Literal["linear", "lightgbm", "lstm", "gru_d", "tcn", "event_sequences"]

Positive = Annotated[float, Field(gt=0)]
TreeCount = Annotated[int, Field(gt=0, le=100_000)]
"""Of one model; LightGBM counts in 32 bits, and has stopped long before."""
Leaves = Annotated[int, Field(ge=2, le=131_072)]
"""Of one tree; LightGBM takes no more."""
LeafRows = Annotated[int, Field(gt=0, le=2**31 - 1)]
"""LightGBM counts them in 32 bits."""

Layers = Annotated[int, Field(gt=0, le=1000)]
"""They are built one by one, before anything is known of the memory that they need."""
Extent = Annotated[int, Field(gt=0, le=65_536)]
"""Of a layer or of a sequence; memory grows with its square, or with it for every row."""


class LinearConfig(Config):
    """Logistic regression for a task of yes or no, ridge regression for a value.

    The published comparison has one strength, unscaled inputs, and imputation before the summaries are taken.
    """

    strengths: tuple[Positive, ...] = Field(
        (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description="inverse strengths C of the penalty: C * loss + |w|^2 / 2, on the summed loss of the rows",
    )
    iterations: int = Field(200, gt=0, description="most iterations of logistic regression")
    clip: float = Field(5.0, gt=0, description="inputs are clipped at so many standard deviations from their mean")


class LightGBMConfig(Config):
    """Boosted trees; every combination of the first three is tried.

    The published comparison has one: 300 trees, rate 0.05, 31 leaves, 500 rows a leaf, patience 20.
    """

    learning_rates: tuple[Positive, ...] = Field((0.03,), min_length=1, description="shrinkage of a tree")
    leaves: tuple[Leaves, ...] = Field((4, 8, 24), min_length=1, description="leaves of a tree")
    leaf_rows: tuple[LeafRows, ...] = Field((10, 40), min_length=1, description="fewest rows a leaf")
    rounds: TreeCount = Field(2000, description="most trees")
    patience: TreeCount = Field(100, description="trees without a better loss on tuning after which it stops")
    feature_share: float = Field(0.3, gt=0, le=1, description="share of the inputs that a tree may use")
    row_share: float = Field(0.8, gt=0, le=1, description="share of the rows that a tree sees")
    l2: float = Field(5.0, ge=0, description="penalty on the values of leaves")
    models: int = Field(
        5,
        gt=0,
        le=1000,
        description="models of the settings that are chosen, each under its own seed; their mean score counts",
    )


class SequenceConfig(Config):
    """Networks over the steps; every combination of the first two is tried.

    The defaults suit some thousand trajectories. The published comparison has width 256, 2 layers, dropout 0.2, rate
    1e-3, weight decay 1e-4, batches of 256, 30 epochs, patience 5, one setting of each.
    """

    learning_rates: tuple[Positive, ...] = Field((1e-3, 3e-3), min_length=1, description="of AdamW")
    dropouts: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        (0.3,), min_length=1, description="share of the values that are dropped in training"
    )
    width: Extent = Field(32, description="size of a hidden state")
    layers: Layers = Field(1, description="recurrent layers of the LSTM")
    blocks: int = Field(4, gt=0, le=30, description="residual blocks of the TCN; block b looks 2 ** b steps apart")
    kernel: int = Field(3, gt=1, le=1000, description="steps that a convolution of the TCN sees")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW, on matrices")
    batch_size: BatchSize = Field(64, description="trajectories in a batch")
    epochs: int = Field(30, gt=0, description="most passes over the train rows")
    patience: int = Field(4, gt=0, description="epochs without a better loss on tuning after which it stops")
    gradient_clip: float = Field(1.0, gt=0, description="largest gradient norm")
    input_clip: float = Field(5.0, gt=0, description="inputs are clipped at so many standard deviations")


class EventSequenceConfig(Config):
    """A generative model of event tokens; one setting, stopped early on the loss of its tokens on tuning."""

    bins: int = Field(10, ge=2, le=1000, description="quantile bins of a channel")
    times: Extent = Field(72, description="steps that have a token of their own; later ones share the last")
    context: Extent = Field(768, description="tokens of a sequence at most, sampled ones included")
    parameters: int | None = Field(
        None, gt=0, description="size of the model; that of the run's encoder and predictor together if null"
    )
    layers: Layers = Field(2, description="transformer layers")
    heads: int = Field(4, gt=0, le=1024, description="attention heads")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the layers while training")
    learning_rate: Positive = Field(2e-3, description="of AdamW")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    batch_size: BatchSize = Field(16, description="sequences in a batch")
    epochs: int = Field(10, gt=0, description="most passes over the train split")
    patience: int = Field(2, gt=0, description="epochs without a better loss on tuning after which it stops")
    gradient_clip: float = Field(1.0, gt=0, description="largest gradient norm")
    futures: Extent = Field(8, description="futures that are sampled for a row")
    future_tokens: int = Field(256, gt=0, description="tokens of a future at most")
    scored_tuning_rows: int = Field(
        1000, ge=0, description="tuning rows up to which their loss is told; each costs its futures"
    )

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.future_tokens >= self.context:
            raise ValueError(f"context ({self.context}) must be above future_tokens ({self.future_tokens})")
        return self


class BaselineSearchConfig(Config):
    """What is tried for each supervised baseline; the settings with the least loss on tuning are taken."""

    linear: LinearConfig = LinearConfig()
    lightgbm: LightGBMConfig = LightGBMConfig()
    sequence: SequenceConfig = SequenceConfig()
    event_sequences: EventSequenceConfig = EventSequenceConfig()
