"""Prediction tasks from frozen latents, beside floors and supervised baselines, on any trajectories with labels."""

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_downstream.config import PredictionTasksConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component(
        "evaluator",
        "prediction_tasks",
        config=PredictionTasksConfig,
        implementation="jepa_downstream.prediction_tasks:PredictionTasks",
        example={
            "tasks": [{"label": "remaining"}, {"event": "far", "horizon": 3}, {"outcome": "pushed", "after": 3}],
            "heads": {"families": ["linear"], "strengths": [0.1]},
            "rollout_horizons": [1],
            "train_rows": 500,
            "bootstrap": 100,
        },
    )
