"""A dataset and a learner small enough to know every answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.contracts import Batch, Evaluation, Latents, Prediction, Predictor, Rollout
from jepa_core.data.trajectories import SPLITS, Channel
from jepa_core.data.windows import Windows, cut_windows
from jepa_core.training.processes import ALONE

DECAY = 0.9


@dataclass
class Store:
    """Labels by step and outcomes by trajectory."""

    first_step: np.ndarray
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    outcomes: dict[str, np.ndarray] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)

    def event_count(self, role: str) -> int:
        """One action a step, as `batch` places them."""
        return 1

    @property
    def label_names(self) -> list[str]:
        return sorted(self.labels)

    def label(self, name: str) -> np.ndarray:
        return self.labels[name]

    def outcome(self, name: str) -> np.ndarray:
        return self.outcomes[name]


class Dataset:
    """Trajectories of given lengths; a state's item is the number of its step, and action items follow all states."""

    def __init__(self, steps: list[int], subject: list[int], split: list[str]) -> None:
        self.steps, self.subject = np.array(steps, dtype=np.int32), np.array(subject, dtype=np.int64)
        self.split = np.array([SPLITS.index(name) for name in split], dtype=np.int8)
        self.first = np.cumsum(self.steps) - self.steps
        self.store = Store(self.first)
        self.total = int(self.steps.sum())
        self.trajectory_of_step = np.repeat(np.arange(len(steps)), self.steps)
        self.step_number = np.arange(self.total) - self.first[self.trajectory_of_step]

    def trajectories(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split == SPLITS.index(split))

    def windows(self, split: str, length: int, stride: int, min_length: int) -> Windows:
        mine = self.trajectories(split)
        return cut_windows(mine, self.steps[mine], length, stride, min_length)

    def batch(self, windows: Windows, index: np.ndarray) -> Batch:
        lengths = windows.length[index]
        offset = np.arange(lengths.max())
        mask = offset < lengths[:, None]
        first = self.first[windows.trajectory[index]] + windows.start[index]
        states = np.where(mask, first[:, None] + offset, 0)
        return Batch(
            items=torch.arange(2 * self.total),
            static=torch.zeros(len(index), dtype=torch.int64),
            states=torch.from_numpy(states),
            actions=torch.from_numpy(states + self.total),
            steps=torch.from_numpy(states),
            mask=torch.from_numpy(mask),
        )


def rolled(states: Tensor) -> Rollout:
    """States (B, H, D) as the rollout of one origin a window, whose beliefs are the states."""
    return Rollout(states[:, None], states[:, None])


class Exact(Predictor):
    """Rolls out z' = DECAY z + a, the dynamics that `linear_latents` has."""

    def forward(self, latents: Latents) -> Prediction:
        return Prediction(DECAY * latents.states + latents.actions, latents.states, memory=[latents.states])

    def rollout(self, latents: Latents, memory: list[Tensor], origins: Tensor, horizon: int) -> Rollout:
        rows = torch.arange(len(origins))
        state, made = memory.pop()[rows, origins[:, 0]], []
        for h in range(horizon):
            state = DECAY * state + latents.actions[rows, origins[:, 0] + h]
            made.append(state)
        return rolled(torch.stack(made, dim=1))


class Reads(Exact):
    """Gives the states that stand in the latents after the origin, which no predictor may see."""

    def rollout(self, latents: Latents, memory: list[Tensor], origins: Tensor, horizon: int) -> Rollout:
        first = int(origins[0, 0]) + 1
        return rolled(latents.states[:, first : first + horizon])


class Constant(Exact):
    """Predicts one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def rollout(self, latents: Latents, memory: list[Tensor], origins: Tensor, horizon: int) -> Rollout:
        return rolled(torch.full((len(origins), horizon, latents.states.shape[-1]), self.value))


@dataclass
class Encoder:
    latent_dim: int


class Learner:
    """Latents by table, a row an item."""

    processes = ALONE
    dataset: Dataset

    def __init__(self, table: np.ndarray, predictor: nn.Module) -> None:
        self.table = torch.from_numpy(table.astype(np.float32))
        self.predictor = predictor
        self.encoder = Encoder(table.shape[1])
        self.device = torch.device("cpu")

    def latents(self, batch: Batch) -> Latents:
        encoded = self.table[batch.items]
        return Latents(encoded[batch.static], encoded[batch.states], encoded[batch.actions], batch.mask)


def linear_latents(dataset: Dataset, seed: int = 0, dimensions: int = 4) -> np.ndarray:
    """Latents (2 S, D) of states that follow z' = DECAY z + a, and of their actions, drawn at random."""
    rng = np.random.default_rng(seed)
    actions = rng.normal(size=(dataset.total, dimensions))
    states = np.empty_like(actions)
    for place in range(dataset.total):
        if dataset.step_number[place] == 0:
            states[place] = rng.normal(size=dimensions)
        else:
            states[place] = DECAY * states[place - 1] + actions[place - 1]
    return np.concatenate([states, actions])


def many(subjects: int = 12, steps: int = 20) -> Dataset:
    """As many subjects of two trajectories in the train split as in the held-out one."""
    owner = [subject for subject in range(2 * subjects) for _ in range(2)]
    return Dataset([steps] * len(owner), owner, ["train" if one < subjects else "held_out" for one in owner])


def evaluation(
    dataset: Dataset, learner: Learner, window_length: int = 12, untrained: Learner | None = None, seed: int = 0
) -> Evaluation:
    def control() -> Learner:
        assert untrained is not None, "an untrained learner costs a training and was not asked for"
        untrained.dataset = dataset
        return untrained

    learner.dataset = dataset
    return Evaluation(learner, window_length, seed, control)
