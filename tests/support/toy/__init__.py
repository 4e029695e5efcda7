"""A small plugin for tests: the oscillators and tiny models of the testing kit under names of its own, with phases, an
objective and evaluators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from jepa_core.config import EvaluatorConfig, LearnerShape, ModelSize, ObjectiveConfig, PhaseConfig
from jepa_core.plugin import Component, hookimpl
from jepa_core.testing.oscillators import OscillatorsConfig as ToySourceConfig
from jepa_core.testing.oscillators import TinyChannelsConfig as ToyEncoderConfig
from jepa_core.testing.oscillators import TinyRecurrentConfig as ToyPredictorConfig


class ToyTrainConfig(PhaseConfig):
    """Trains both modules to the EMA target."""

    trains: ClassVar = frozenset({"encoder", "predictor"})
    updates: ClassVar = "target"
    tau: float = 0.9
    greedy: bool = False
    """Asks for more memory than there is."""


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


class ToyReadingConfig(ObjectiveConfig):
    """A linear head that reads what states show off beliefs."""

    observes: ClassVar = True
    bias: bool = True

    def module_size(self, shape: LearnerShape) -> ModelSize:
        count = (shape.belief + self.bias) * shape.channels
        return ModelSize(count, count)


class ToyEvaluatorConfig(EvaluatorConfig):
    """One-step error."""


class ToyControlConfig(EvaluatorConfig):
    """One-step error of the untrained control."""


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("source", "toy", ToySourceConfig, "toy.parts:ToySource")
    yield Component("encoder", "toy", ToyEncoderConfig, "toy.parts:ToyEncoder")
    yield Component("predictor", "toy", ToyPredictorConfig, "toy.parts:ToyPredictor")
    yield Component("phase", "toy_train", ToyTrainConfig, "toy.parts:ToyTrain")
    yield Component("phase", "toy_fit", ToyFitConfig, "toy.parts:ToyFit")
    yield Component("phase", "toy_disposable", ToyDisposableConfig, "toy.parts:ToyDisposable")
    yield Component("objective", "toy_reading", ToyReadingConfig, "toy.parts:ToyReading")
    yield Component("evaluator", "toy", ToyEvaluatorConfig, "toy.parts:ToyEvaluator")
    yield Component("evaluator", "toy_control", ToyControlConfig, "toy.parts:ToyControl")
