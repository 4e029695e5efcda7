"""Implementations of the toy plugin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import EvaluatorConfig, LearnerShape
from jepa_core.contracts import Batch, Evaluation, Evaluator, Objective, Phase
from jepa_core.results.findings import Column, Findings, Headline, Table
from jepa_core.testing.oscillator_parts import Oscillators as ToySource
from jepa_core.testing.oscillator_parts import TinyChannels as ToyEncoder
from jepa_core.testing.oscillator_parts import TinyRecurrent as ToyPredictor
from toy import ToyDisposableConfig, ToyFitConfig, ToyReadingConfig, ToyTrainConfig

__all__ = [
    "ToyControl",
    "ToyDisposable",
    "ToyEncoder",
    "ToyEvaluator",
    "ToyFit",
    "ToyPredictor",
    "ToyReading",
    "ToySource",
    "ToyTrain",
]


def l1(predicted: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    return (predicted - wanted).abs().mean(-1)[mask].mean()


class ToyTrain(Phase[ToyTrainConfig]):
    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        noise = 0.01 * torch.randn(latents.static.shape, generator=generator).mean()
        predicted = learner.predictor(latents).next_states
        wanted = learner.target_states(batch)
        if self.config.greedy:
            torch.empty(1 << 60, dtype=torch.uint8)
        return {"prediction": l1(predicted[:, :-1], wanted[:, 1:], latents.mask[:, 1:]), "noise": noise}

    def after_step(self, learner: Any) -> None:
        learner.update_target(self.config.tau)


class ToyFit(Phase[ToyFitConfig]):
    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        loss = l1(learner.predictor(latents).next_states[:, :-1], latents.states[:, 1:], latents.mask[:, 1:])
        return {"prediction": loss / 0.0 if self.config.wrong else loss}

    def finish(self, learner: Any) -> None:
        learner.sync_target()


class ToyDisposable(Phase[ToyDisposableConfig]):
    def build_module(self, latent_dim: int) -> nn.Module:
        norm = nn.BatchNorm1d(latent_dim, affine=False)  # buffers, besides parameters
        return nn.Sequential(
            nn.Linear(latent_dim, latent_dim), norm, nn.Dropout(0.2), nn.Linear(latent_dim, latent_dim)
        )

    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents, wanted = learner.latents(batch), learner.target_latents(batch)
        predicted = self.module(latents.states[latents.mask])
        return {"decoded": (predicted - wanted.actions[latents.mask]).abs().mean()}


class ToyReading(Objective[ToyReadingConfig]):
    def build_module(self, shape: LearnerShape) -> nn.Module:
        return nn.Linear(shape.belief, shape.channels, bias=self.config.bias)

    def terms(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        seen = learner.observations(batch)
        shown = seen.observed & learner.latents(batch).mask[..., None]
        read = self.module(learner.prediction(batch).belief)
        return {"read": (read - seen.values).abs()[shown].mean()}


class ToyEvaluator(Evaluator[EvaluatorConfig]):
    def evaluate(self, evaluation: Evaluation) -> Findings:
        learner, dataset = evaluation.learner, evaluation.dataset
        windows = dataset.windows(self.config.split, evaluation.window_length, 5, 3)
        latents = learner.latents(dataset.batch(windows, np.arange(len(windows))))
        with torch.no_grad():
            error = float(
                l1(learner.predictor(latents).next_states[:, :-1], latents.states[:, 1:], latents.mask[:, 1:])
            )
        table = Table(
            "errors",
            "One-step errors",
            [Column("measure"), Column("value", "latent l1"), Column("n")],
            [["l1", error, len(windows)]],
        )
        return Findings(
            [Headline("one-step error", error, "latent l1", n=len(windows), n_unit="windows")], tables=[table]
        )


class ToyControl(ToyEvaluator):
    def evaluate(self, evaluation: Evaluation) -> Findings:
        return super().evaluate(replace(evaluation, learner=evaluation.untrained()))
