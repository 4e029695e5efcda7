"""Prediction tasks from frozen latents, beside floors and supervised baselines, on any trajectories with labels."""

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_downstream.config import LabelEfficiencyConfig, PredictionTasksConfig


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
    yield Component(
        "evaluator",
        "label_efficiency",
        config=LabelEfficiencyConfig,
        implementation="jepa_downstream.label_efficiency:LabelEfficiency",
        example={
            "tasks": [{"label": "remaining"}, {"outcome": "pushed", "after": 3}],
            "subjects": [15],
            "labellings": 2,
            "methods": ["latents", "untrained_latents"],
            "baselines": [],
            "averaged_with": None,
            "references": ["untrained_latents"],
            "heads": {"families": ["linear"], "strengths": [0.1]},
            "train_rows": 500,
            "bootstrap": 100,
        },
    )
