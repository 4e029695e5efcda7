"""What a recipe may say about anomalies."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jepa_core.config import Draws, EvaluatorConfig, LearnerShape


class AnomaliesConfig(EvaluatorConfig):
    """Surprise of every step and the alarms it raises, beside last values and an isolation forest."""

    label: str | None = Field(
        None, description="label of the store that is 1 while an anomaly is on; null: alarms are raised, none is judged"
    )
    horizons: tuple[Annotated[int, Field(gt=0, le=1000)], ...] = Field(
        (1, 4), min_length=1, description="steps ahead from which a step is foreseen; its surprise is their mean"
    )
    span: int = Field(5, gt=0, le=10_000, description="steps, up to the present one, that a score is the mean of")
    rate: float = Field(
        0.01, gt=0, lt=1, description="share of the tuning split's steps beyond the threshold; no label is read for it"
    )
    silence: int = Field(10, ge=0, le=10_000, description="steps after an alarm in which no other is raised")
    fit_steps: int = Field(20_000, gt=0, description="steps of the train split that everything is fitted on, about")
    trees: int = Field(100, gt=0, le=10_000, description="trees of the isolation forest")
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")
    untrained: bool = Field(True, description="also measure the encoder as it was before training")

    def memory_bytes(self, shape: LearnerShape) -> int:
        """The beliefs that channels are read off, twice as they are and three times in float64, and their second
        moments."""
        return (2 * 4 + 3 * 8) * self.fit_steps * shape.belief + 3 * 8 * shape.belief**2
