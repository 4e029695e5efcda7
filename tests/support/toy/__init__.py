"""A small plugin for tests: noisy oscillators that an action pushes. It has one component of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from jepa_core.config import (
    EncoderConfig,
    EvaluatorConfig,
    ItemShape,
    ModelSize,
    PhaseConfig,
    PredictorConfig,
    SourceConfig,
)
from jepa_core.plugin import Component, hookimpl


class ToySourceConfig(SourceConfig):
    """Noisy oscillators."""

    trajectories: int = 24
    noise: float = 0.05

    def item_shape(self) -> ItemShape:
        return ItemShape(channels=4)


class ToyEncoderConfig(EncoderConfig):
    """A perceptron over channels."""

    modality: ClassVar = "channels"
    width: int = 8
    dropout: float = 0.1

    @property
    def latent_dim(self) -> int:
        return self.width

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        count = shape.channels * shape.samples * 16 + 16 + 16 * self.width + self.width
        return ModelSize(count, count)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        return items * 4 * (16 + self.width)


class ToyPredictorConfig(PredictorConfig):
    """A recurrent predictor."""

    def size(self, latent_dim: int) -> ModelSize:
        count = 3 * latent_dim * 2 * latent_dim + 3 * latent_dim * latent_dim + 6 * latent_dim
        return ModelSize(count, count)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        return windows * steps * latent_dim * 32


class ToyTrainConfig(PhaseConfig):
    """Trains both modules to the EMA target."""

    trains: ClassVar = frozenset({"encoder", "predictor"})
    updates: ClassVar = "target"
    tau: float = 0.9


class ToyFitConfig(PhaseConfig):
    """Trains the predictor on frozen latents."""

    trains: ClassVar = frozenset({"predictor"})
    wrong: bool = False


class ToyDisposableConfig(PhaseConfig):
    """Trains the encoder with a module that is thrown away."""

    trains: ClassVar = frozenset({"encoder"})

    def module_size(self, latent_dim: int) -> ModelSize:
        count = 2 * (latent_dim * latent_dim + latent_dim)
        return ModelSize(count, count)


class ToyEvaluatorConfig(EvaluatorConfig):
    """One-step error."""


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("source", "toy", ToySourceConfig, "toy.parts:ToySource")
    yield Component("encoder", "toy", ToyEncoderConfig, "toy.parts:ToyEncoder")
    yield Component("predictor", "toy", ToyPredictorConfig, "toy.parts:ToyPredictor")
    yield Component("phase", "toy_train", ToyTrainConfig, "toy.parts:ToyTrain")
    yield Component("phase", "toy_fit", ToyFitConfig, "toy.parts:ToyFit")
    yield Component("phase", "toy_disposable", ToyDisposableConfig, "toy.parts:ToyDisposable")
    yield Component("evaluator", "toy", ToyEvaluatorConfig, "toy.parts:ToyEvaluator")
