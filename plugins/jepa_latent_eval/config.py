"""What a recipe may say about the evaluators of latents."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import BatchSize, Config, Draws, EvaluatorConfig, LearnerShape


class RolloutDriftConfig(EvaluatorConfig):
    """Error of latent rollouts by horizon, on a fixed cohort of windows, beside what needs no model."""

    contexts: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (6, 12, 24, 48), min_length=1, description="real steps that are seen before the rollout, one cohort each"
    )
    headline_context: int = Field(24, gt=0, description="context of the headlines; the nearest measured one stands in")
    horizon: int = Field(48, gt=0, description="longest rollout, in steps; shorter where the training window ends")
    stride: int = Field(12, gt=0, description="steps between the starts of two windows of a trajectory")
    batch_size: BatchSize = Field(64, description="windows rolled out at once")
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")
    mean_steps: int = Field(20_000, gt=0, description="steps of the train split behind the mean latent, about")
    shuffled_actions: bool = Field(True, description="also roll out under the future actions of another subject")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")


DRAWN_SETS = 200
"""Sets whose paths stand behind the picture of a displacement."""


class LatentDisplacementConfig(EvaluatorConfig):
    """How far latents move before an event sets in, beside stable trajectories over the same steps."""

    events: tuple[str, ...] = Field(
        (), description="labels of the store that are 1 while an event is on; a case moves up to its first onset"
    )
    outcomes: tuple[str, ...] = Field(
        (), description="outcomes of the store; a case, of outcome 1, moves up to its end"
    )
    horizons: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (6, 12, 24), min_length=1, description="steps from the baseline to the onset"
    )
    controls: int = Field(5, gt=0, description="most stable trajectories drawn for each case")
    batch_size: BatchSize = Field(16, description="windows encoded at once")
    bootstrap: Draws = Field(1000, description="draws of subjects, and of shuffled labels")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")

    def memory_bytes(self, shape: LearnerShape) -> int:
        """The states behind the picture, and their second moments."""
        states = DRAWN_SETS * (1 + self.controls) * (1 + max(self.horizons))
        return 4 * states * shape.latent + 3 * 8 * shape.latent**2

    @model_validator(mode="after")
    def _something_to_measure(self) -> Self:
        if not self.events and not self.outcomes:
            raise ValueError("name at least one of the store's labels in events, or one of its outcomes in outcomes")
        return self


class DecodedForecastConfig(EvaluatorConfig):
    """Errors of labels decoded from rolled-out latents, beside last values and decoded persistence."""

    labels: tuple[str, ...] = Field((), description="labels of the store that are decoded; none means all of them")
    exclude: tuple[str, ...] = Field((), description="labels that are left out, where `*` stands for anything")
    context: int = Field(24, gt=0, description="real steps that are seen before the rollout")
    horizons: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (1, 6, 12, 24, 48), min_length=1, description="steps ahead; those beyond the training window are null"
    )
    stride: int = Field(12, gt=0, description="steps between the starts of two windows of a trajectory")
    batch_size: BatchSize = Field(64, description="windows rolled out at once")
    probe_steps: int = Field(20_000, gt=0, description="steps of the train split that a probe is fitted on, about")
    strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0, 10.0, 100.0, 1000.0), min_length=1, description="ridge penalties, of which the tuning split chooses"
    )
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")

    def memory_bytes(self, shape: LearnerShape) -> int:
        """The states that probes are fitted on and chosen on, also in float64, and a factor for each penalty."""
        return (2 * 4 + 2 * 8) * self.probe_steps * shape.latent + (3 + len(self.strengths)) * 8 * shape.latent**2


class ChannelForecastConfig(EvaluatorConfig):
    """Errors and intervals of channels that a kept decoder reads off rollouts, beside last values and the mean."""

    context: int = Field(24, gt=0, description="real steps that are seen before the rollout")
    horizon: int = Field(48, gt=0, description="longest rollout, in steps; shorter where the training window ends")
    stride: int = Field(12, gt=0, description="steps between the starts of two windows of a trajectory")
    level: float = Field(0.9, gt=0, lt=1, description="share of values that intervals shall cover")
    least_values: int = Field(1000, gt=0, description="values on the split that a channel in medians has, at least")
    batch_size: BatchSize = Field(64, description="windows rolled out at once")
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")


Value = Annotated[float, Field(allow_inf_nan=False)]
"""A value in the unit of a channel."""


class JudgedActConfig(Config):
    """An act that is imagined in every trajectory, in the data's units."""

    channel: str = Field(description="channel of the data")
    value: Value = Field(description="its value")
    unit: str | None = Field(None, description="unit of the value, to be held against the channel's")
    against: Value | None = Field(None, description="value in the other future; null: the act is left out there")
    begin: int = Field(0, ge=0, le=10_000, description="steps after the first one imagined at which it begins")
    steps: int = Field(6, gt=0, le=10_000, description="steps that it lasts")


class ImaginationConfig(EvaluatorConfig):
    """Effects of acts as the model imagines them, beside those that the generator of the data says they have."""

    acts: tuple[JudgedActConfig, ...] = Field(min_length=1, description="acts, each judged by itself")
    channels: tuple[str, ...] = Field(
        (), description="observations that are judged; none means all that are both decoded and made by the generator"
    )
    at: tuple[Annotated[int, Field(gt=0, le=1_000_000)], ...] = Field(
        (24,), min_length=1, description="steps that are seen; a trajectory is imagined from each that it reaches"
    )
    horizon: int = Field(12, gt=1, le=10_000, description="steps that are imagined")
    otherwise: Literal["none", "recorded"] = Field(
        "recorded", description="what is done besides the act, in both futures: nothing, or what the data record"
    )
    turns: int = Field(
        8, ge=2, le=1000, description="turns of chance that the generator is run through, besides that of the data"
    )
    clear: float = Field(
        1.0, ge=0, le=100, description="an effect is clear beyond so many standard deviations of the channel over turns"
    )
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")

    @model_validator(mode="after")
    def _acts_lead_somewhere(self) -> Self:
        late = [act for act in self.acts if act.begin + 1 >= self.horizon]
        if late:
            raise ValueError(
                f"the act on '{late[0].channel}' begins {late[0].begin} steps after the first of {self.horizon} that "
                "are imagined, and so changes none of them; begin it earlier, or choose a longer horizon"
            )
        return self


class LatentCollapseConfig(EvaluatorConfig):
    """Rank and spread of the latents of states, and a verdict on whether they have collapsed."""

    steps: int = Field(20_000, gt=0, description="steps that are encoded, about; whole windows are drawn until then")
    batch_size: BatchSize = Field(16, description="windows encoded at once")
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")
    least_spread: float = Field(1e-3, ge=0, description="collapsed if the latents' spread over size is below this")
    least_rank: float = Field(
        0.02, ge=0, le=1, description="collapsed if the effective rank over its largest possible value is below this"
    )
    least_part: float = Field(
        0.05, ge=0, le=1, description="collapsed if the spread over time or across trajectories is a smaller part"
    )

    def memory_bytes(self, shape: LearnerShape) -> int:
        """The states of an encoder, twice in float64, and their second moments."""
        return (4 + 2 * 8) * self.steps * shape.latent + 4 * 8 * shape.latent**2
