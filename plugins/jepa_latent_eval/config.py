"""What a recipe may say about the evaluators of latents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jepa_core.config import EvaluatorConfig


class RolloutDriftConfig(EvaluatorConfig):
    """Error of latent rollouts by horizon, on a fixed cohort of windows, beside what needs no model."""

    contexts: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (6, 12, 24, 48), min_length=1, description="real steps that are seen before the rollout, one cohort each"
    )
    headline_context: int = Field(24, gt=0, description="context of the headlines; the nearest measured one stands in")
    horizon: int = Field(48, gt=0, description="longest rollout, in steps; shorter where the training window ends")
    stride: int = Field(12, gt=0, description="steps between the starts of two windows of a trajectory")
    batch_size: int = Field(16, gt=0, description="windows rolled out at once")
    bootstrap: int = Field(1000, ge=100, description="draws of subjects behind every interval")
    mean_steps: int = Field(20_000, gt=0, description="steps of the train split behind the mean latent, about")
    shuffled_actions: bool = Field(True, description="also roll out under the future actions of another subject")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")


class LatentCollapseConfig(EvaluatorConfig):
    """Rank and spread of the latents of states, and a verdict on whether they have collapsed."""

    steps: int = Field(20_000, gt=0, description="steps that are encoded, about; whole windows are drawn until then")
    batch_size: int = Field(16, gt=0, description="windows encoded at once")
    bootstrap: int = Field(1000, ge=100, description="draws of subjects behind every interval")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")
    least_spread: float = Field(1e-3, ge=0, description="collapsed if the latents' spread over size is below this")
    least_rank: float = Field(
        0.02, ge=0, le=1, description="collapsed if the effective rank over its largest possible value is below this"
    )
    least_part: float = Field(
        0.05, ge=0, le=1, description="collapsed if the spread over time or across trajectories is a smaller part"
    )
