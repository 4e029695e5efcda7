"""A dataset with labels, and learners of known latents."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.contracts import Batch, Evaluation, Latents, Prediction, Predictor, Rollout
from jepa_core.data.trajectories import SPLITS, Channel
from jepa_core.data.windows import Windows, cut_windows
from jepa_core.training.processes import ALONE

FIRST_SUBJECT = 70_000_000


@dataclass
class Store:
    """Trajectories of given lengths, with labels, outcomes and one static fact each."""

    steps: np.ndarray
    subject: np.ndarray
    split: np.ndarray
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    fact: np.ndarray | None = None
    word: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.first_step = np.cumsum(self.steps, dtype=np.int64) - self.steps

    def label(self, name: str) -> np.ndarray:
        return self.labels[name].astype(np.float32)

    def outcome(self, name: str) -> np.ndarray:
        return self.outcomes[name].astype(np.float32)

    def event_count(self, role: str) -> int:
        return len(self.channels) * len(self.steps)

    def event_offsets(self, role: str) -> np.ndarray:
        return np.arange(len(self.steps) + 1) * len(self.channels)

    def event_column(self, role: str, name: str, part: slice) -> np.ndarray:
        nothing = {"value": np.full(len(self.steps), np.nan), "text": np.full(len(self.steps), -1)}
        number, word = np.asarray(self.fact), np.asarray(self.word)
        columns = {
            "channel": [np.zeros(len(self.steps), dtype=int), np.ones(len(self.steps), dtype=int)],
            "value": [number, nothing["value"]],
            "text": [nothing["text"], word],
        }[name]
        return np.stack(columns, axis=1).ravel()[part]

    def texts(self) -> np.ndarray:
        return np.array(["red", "green", "purple"], dtype=object)


class Dataset:
    """A state's item is the number of its step; action items follow, then the static ones."""

    def __init__(self, store: Store) -> None:
        self.store, self.steps, self.subject, self.split = store, store.steps, store.subject, store.split
        self.total = int(self.steps.sum())
        self.trajectory = np.repeat(np.arange(len(self.steps)), self.steps)
        self.step = np.arange(self.total) - store.first_step[self.trajectory]
        state = np.arange(self.total)
        self.rendering = SimpleNamespace(
            static=2 * self.total + np.arange(len(self.steps)), state=state, action=self.total + state
        )

    def items(self, ids: Tensor) -> Tensor:
        return ids

    def trajectories(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split == SPLITS.index(split))

    def windows_of(self, trajectories: np.ndarray, length: int, stride: int, min_length: int) -> Windows:
        return cut_windows(trajectories, self.steps[trajectories], length, stride, min_length)

    def batch(self, windows: Windows, index: np.ndarray) -> Batch:
        length = windows.length[index]
        offset = np.arange(length.max())
        mask = offset < length[:, None]
        first = self.store.first_step[windows.trajectory[index]] + windows.start[index]
        states = first[:, None] + np.where(mask, offset, 0)
        return Batch(
            items=torch.arange(2 * self.total + len(self.steps)),
            static=torch.from_numpy(2 * self.total + windows.trajectory[index]),
            states=torch.from_numpy(states),
            actions=torch.from_numpy(states + self.total),
            steps=torch.from_numpy(states),
            mask=torch.from_numpy(mask),
        )


class Drifts(Predictor):
    """Foresees that each step adds the action to the state."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.belief_dim = latent_dim

    def forward(self, latents: Latents) -> Prediction:
        counted = torch.arange(1, latents.states.shape[1] + 1)[:, None]
        so_far = latents.states.cumsum(1) / counted  # the belief at a step is the mean of the states up to it
        return Prediction(latents.states + latents.actions, so_far, memory=latents.states)

    def rollout(self, latents: Latents, memory: Tensor, origins: Tensor, horizon: int) -> Rollout:
        rows = torch.arange(len(origins))
        state, made = memory[rows, origins[:, 0]], []
        for step in range(horizon):
            state = state + latents.actions[rows, origins[:, 0] + step]
            made.append(state)
        states = torch.stack(made, dim=1)[:, None]
        return Rollout(states, states)


class Encoder(nn.Module):
    """A latent by the number of its item."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table, self.latent_dim = table, table.shape[1]

    def forward(self, items: Tensor) -> Tensor:
        return self.table[items]


class Learner:
    """Latents by table, a row an item."""

    processes = ALONE
    precision = nullcontext
    dataset: Dataset

    def __init__(self, table: np.ndarray) -> None:
        self.table = torch.from_numpy(table.astype(np.float32))
        self.predictor = Drifts(table.shape[1])
        self.encoder = Encoder(self.table)
        self.modules: dict[str, nn.Module] = {}
        self.device = torch.device("cpu")

    def latents(self, batch: Batch) -> Latents:
        encoded = self.table[batch.items]
        return Latents(encoded[batch.static], encoded[batch.states], encoded[batch.actions], batch.mask)

    def prediction(self, batch: Batch) -> Prediction:
        return self.predictor(self.latents(batch))

    def decoders(self) -> dict[str, nn.Module]:
        return self.modules


def dataset(trajectories: int = 120, seed: int = 0) -> Dataset:
    """Trajectories of 8 to 20 steps, two a subject, thirds of the subjects in each split, with a label of every kind.

    risk: a hidden number of a trajectory, whose sign is the outcome `bad`. event_on: an event that begins at a random
    step in half of the trajectories. life: steps that remain.
    """
    rng = np.random.default_rng(seed)
    subject = np.arange(trajectories) // 2
    split = (subject % 3).astype(np.int8)
    steps = rng.integers(8, 21, size=trajectories).astype(np.int32)
    store = Store(steps, FIRST_SUBJECT + subject, split, channels=[Channel("size"), Channel("colour")])
    store.fact, store.word = rng.normal(size=trajectories), rng.integers(0, 2, size=trajectories)
    made = Dataset(store)
    risk = rng.normal(size=trajectories)
    begins = np.where(rng.random(trajectories) < 0.5, rng.integers(4, 20, size=trajectories), 99)
    store.outcomes["bad"] = (risk > 0).astype(float)
    store.labels["risk"] = risk[made.trajectory]
    store.labels["event_on"] = (made.step >= begins[made.trajectory]).astype(float)
    store.labels["life"] = (steps[made.trajectory] - 1 - made.step).astype(float)
    assert set(np.unique(split)) == set(range(len(SPLITS)))
    return made


def table(made: Dataset, states: np.ndarray | None = None, seed: int = 0, dimensions: int = 3) -> np.ndarray:
    """Latents of all items: noise, with the given values (S,) in the first dimension of the states."""
    noise = np.random.default_rng(seed).normal(size=(2 * made.total + len(made.steps), dimensions))
    if states is not None:
        noise[: made.total, 0] = states
    return noise


def evaluation(
    made: Any, latents: np.ndarray, untrained: np.ndarray | None = None, window_length: int = 12
) -> Evaluation:
    control = None if untrained is None else lambda: learner_of(made, untrained)
    return Evaluation(learner_of(made, latents), window_length, 0, control)


def learner_of(made: Any, latents: np.ndarray) -> Any:
    learner = Learner(latents)
    learner.dataset = made
    return learner
