"""Trackers that a recipe may name: metrics and plan of a run in TensorBoard, MLflow or Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_trackers.config import MlflowConfig, TensorboardConfig, WandbConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The components of this plugin."""
    yield Component("listener", "tensorboard", TensorboardConfig, "jepa_trackers.to_tensorboard:Tensorboard")
    yield Component("listener", "mlflow", MlflowConfig, "jepa_trackers.to_mlflow:Mlflow")
    yield Component("listener", "wandb", WandbConfig, "jepa_trackers.to_wandb:Wandb")
