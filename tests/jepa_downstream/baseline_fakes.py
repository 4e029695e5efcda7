"""Trajectories as numbers, small enough to know what can be predicted from them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from jepa_core.contracts import Channels
from jepa_downstream.baseline_config import BaselineSearchConfig, LightGBMConfig, LinearConfig, SequenceConfig
from jepa_downstream.rows import Rows

STATIC, STATE, ACTION, NEVER = range(4)
"""The channels; the last is never observed."""

QUICK = BaselineSearchConfig(
    linear=LinearConfig(strengths=(1e-2, 1.0)),
    lightgbm=LightGBMConfig(learning_rates=(0.1,), leaves=(4,), leaf_rows=(10,), rounds=150, patience=20, models=2),
    sequence=SequenceConfig(learning_rates=(1e-2,), dropouts=(0.0,), width=8, blocks=2, epochs=6, batch_size=16),
)


class Dataset:
    """Trajectories of given lengths. static: (N, C, P), state, action: (S, C, P), NaN where not observed."""

    def __init__(self, steps: np.ndarray, static: np.ndarray, state: np.ndarray, action: np.ndarray) -> None:
        self.steps, total = steps, int(steps.sum())
        self.values = np.concatenate([static, state, action]).astype(np.float32)
        self.store = SimpleNamespace(first_step=np.cumsum(steps) - steps, steps=steps, subject=np.arange(len(steps)))
        self.rendering = SimpleNamespace(
            static=np.arange(len(steps)),
            state=len(steps) + np.arange(total),
            action=len(steps) + total + np.arange(total),
        )
        self.items_read = 0

    def trajectories(self, split: str) -> np.ndarray:
        return np.arange(len(self.steps))

    def items(self, ids: torch.Tensor) -> Channels:
        self.items_read += len(ids)
        values = torch.from_numpy(self.values[ids.numpy()])
        return Channels(values.nan_to_num(0.0), ~values.isnan())

    def with_noise_after(self, last: np.ndarray) -> Dataset:
        """The same, but every state and action after step `last` (N,) of its trajectory is another, and observed."""
        random, after = np.random.default_rng(99), self.step_numbers() > np.repeat(last, self.steps)
        count, total = len(self.steps), int(self.steps.sum())
        static, state, action = np.split(self.values.copy(), [count, count + total])
        for part in (state, action):
            part[after] = random.normal(scale=100.0, size=part[after].shape)
        return Dataset(self.steps, static, state, action)

    def step_numbers(self) -> np.ndarray:
        return np.arange(int(self.steps.sum())) - np.repeat(self.store.first_step, self.steps)


def many(count: int = 60, samples: int = 1, seed: int = 0) -> Dataset:
    """Trajectories of 3 to 14 steps with a static fact, a state that is observed in half of the samples, and an
    action."""
    random = np.random.default_rng(seed)
    steps = random.integers(3, 15, count)
    total = int(steps.sum())
    static, state, action = (np.full((owners, 4, samples), np.nan) for owners in (count, total, total))
    static[:, STATIC] = random.normal(size=(count, 1))
    state[:, STATE] = 40 + 3 * random.normal(size=(total, samples))
    state[random.random((total, 4, samples)) < 0.5] = np.nan
    action[:, ACTION] = random.normal(size=(total, samples))
    return Dataset(steps, static, state, action)


def evaluation(dataset: Dataset | None) -> SimpleNamespace:
    channels = None if dataset is None else lambda: dataset
    # A baseline may be sized to what the run trains; on meta, so that no weight is drawn.
    trained = torch.nn.Linear(32, 32, device="meta")
    learner = SimpleNamespace(
        device=torch.device("cpu"), encoder_parameters=lambda: dict(trained.named_parameters()), predictor=trained
    )
    return SimpleNamespace(channels=channels, learner=learner, dataset=dataset, seed=0, scratch=None)


def config(search: BaselineSearchConfig = QUICK) -> SimpleNamespace:
    return SimpleNamespace(baseline_search=search)


def sums(dataset: Dataset) -> np.ndarray:
    """(S,) of each step: the static fact, the action of the step and that of the step before."""
    count, total = len(dataset.steps), int(dataset.steps.sum())
    static, action = dataset.values[:count, STATIC, -1], dataset.values[count + total :, ACTION, -1]
    before = np.where(dataset.step_numbers() > 0, np.roll(action, 1), 0.0)
    return np.repeat(static, dataset.steps) + action + before


def rows(dataset: Dataset, truth: np.ndarray, first: int, last: int) -> Rows:
    """A row at every step of the trajectories from `first` to before `last`. truth: (S,)."""
    owner = np.repeat(np.arange(len(dataset.steps)), dataset.steps)
    mine = (owner >= first) & (owner < last)
    return Rows(owner[mine], dataset.step_numbers()[mine], truth[mine].astype(np.float64), owner[mine])
