"""Implementations of the toy plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    Batch,
    Channels,
    Encoder,
    Evaluation,
    Evaluator,
    Latents,
    Phase,
    Prediction,
    Predictor,
    Source,
)
from jepa_core.findings import Column, Findings, Headline, Table
from jepa_core.splits import split_by_subject
from jepa_core.store import StoreWriter
from jepa_core.trajectories import Channel, Events, Rendered, Trajectories


def events(values: np.ndarray, channel: int) -> Events:
    """One event an owner, on one channel."""
    count = len(values)
    return Events(
        offsets=np.arange(count + 1), channel=np.full(count, channel), value=values.astype(np.float32),
        text=np.full(count, -1), time=np.zeros(count),
    )  # fmt: skip


class ToySource(Source):
    def __init__(self, config: Any) -> None:
        self.config = config

    def fingerprint(self) -> str:
        return f"toy{self.config.trajectories:03d}{self.config.noise}".ljust(12, "0")

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        random = np.random.default_rng(0)
        count = self.config.trajectories
        steps = random.integers(3, 30, count)
        subjects = np.arange(count) // 2
        split = split_by_subject(subjects, np.zeros(count, dtype=int), (0.6, 0.2, 0.2), 0)
        states, actions = [], []
        for length in steps:
            push = random.normal(size=length)
            phase = np.cumsum(0.3 + 0.2 * push)
            states.append(np.sin(phase) + self.config.noise * random.normal(size=length))
            actions.append(push)
        roles = {
            "static": events(np.ones(count), 0),
            "state": events(np.concatenate(states), 1),
            "action": events(np.concatenate(actions), 2),
        }
        block = Trajectories(np.arange(count), subjects, split, steps, texts=np.array([], dtype=object), **roles)
        writer.append(block)
        writer.channels([Channel("kind"), Channel("position", "m"), Channel("push", "N")])

    def render(self, trajectories: Trajectories, modality: str) -> Rendered:
        def spread(part: Events) -> np.ndarray:
            grid = np.full((len(part.offsets) - 1, 4), np.nan, dtype=np.float32)
            grid[np.repeat(np.arange(len(grid)), np.diff(part.offsets)), part.channel] = part.value
            return grid[:, :, None]

        if modality == "text":
            one, two, three = (spread(trajectories.events(role)) for role in ("static", "state", "action"))
            return Rendered(
                *([str(np.round(np.nan_to_num(row[:, 0]), 1).tolist()) for row in part] for part in (one, two, three))
            )
        return Rendered(spread(trajectories.static), spread(trajectories.state), spread(trajectories.action))


class ToyEncoder(Encoder):
    def __init__(self, config: Any, shape: Any) -> None:
        super().__init__()
        self.latent_dim = config.width
        self.mean: list[float] = []
        self.net = nn.Sequential(
            nn.Linear(shape.channels * shape.samples, 16),
            nn.Tanh(),
            nn.Dropout(config.dropout),
            nn.Linear(16, config.width),
        )

    def fit(self, items: Any) -> None:
        self.mean = torch.cat([one.values.flatten(1) for one in items]).mean(0).tolist()

    def fitted(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        self.mean = fitted["mean"]

    def forward(self, items: Channels) -> Tensor:
        return self.net(items.values.flatten(1) - torch.tensor(self.mean))


class ToyPredictor(Predictor):
    def __init__(self, config: Any, latent_dim: int) -> None:
        super().__init__()
        self.cell = nn.GRU(2 * latent_dim, latent_dim, batch_first=True)

    def forward(self, latents: Latents) -> Prediction:
        hidden, _ = self.cell(torch.cat([latents.states, latents.actions], -1))
        return Prediction(hidden, hidden)

    def rollout(self, latents: Latents, memory: Any, origins: Tensor, horizon: int) -> Tensor:
        rows = torch.arange(len(origins))
        rolled = []
        for column in origins.T:
            hidden = memory[rows, column]
            states = [hidden]
            for step in range(1, horizon):
                seen = torch.cat([states[-1], latents.actions[rows, column + step]], -1)
                _, hidden = self.cell(seen[:, None], hidden[None].contiguous())
                hidden = hidden[0]
                states.append(hidden)
            rolled.append(torch.stack(states, 1))
        return torch.stack(rolled, 1)


def l1(predicted: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    return (predicted - wanted).abs().mean(-1)[mask].mean()


class ToyTrain(Phase):
    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        noise = 0.01 * torch.randn(latents.static.shape, generator=generator).mean()
        predicted = learner.predictor(latents).next_states
        wanted = learner.target_states(batch)
        return {"prediction": l1(predicted[:, :-1], wanted[:, 1:], latents.mask[:, 1:]), "noise": noise}

    def after_step(self, learner: Any) -> None:
        learner.update_target(self.config.tau)


class ToyFit(Phase):
    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        loss = l1(learner.predictor(latents).next_states[:, :-1], latents.states[:, 1:], latents.mask[:, 1:])
        return {"prediction": loss / 0.0 if self.config.wrong else loss}

    def finish(self, learner: Any) -> None:
        learner.sync_target()


class ToyDisposable(Phase):
    def build_module(self, latent_dim: int) -> nn.Module:
        norm = nn.BatchNorm1d(latent_dim, affine=False)  # buffers, besides parameters
        return nn.Sequential(
            nn.Linear(latent_dim, latent_dim), norm, nn.Dropout(0.2), nn.Linear(latent_dim, latent_dim)
        )

    def loss(self, learner: Any, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents, wanted = learner.latents(batch), learner.target_latents(batch)
        predicted = self.module(latents.states[latents.mask])
        return {"decoded": (predicted - wanted.actions[latents.mask]).abs().mean()}


class ToyEvaluator(Evaluator):
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
