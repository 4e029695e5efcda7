"""Made-up stays before a frozen model whose latents cost next to nothing, for measuring what evaluators take.

Nothing is stored: labels, numbers and latents are functions of a number, computed when they are asked for. So a learner
of 8.6 million hours and 4,096 numbers a latent (282 GB of states and actions) can be evaluated on one small machine,
and what an evaluator holds is its own.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.contracts import (
    Channels,
    Decoder,
    Encoder,
    Evaluation,
    Latents,
    Observations,
    Prediction,
    Predictor,
    Rollout,
)
from jepa_core.data.dataset import Dataset
from jepa_core.data.trajectories import Channel
from jepa_core.training.learner import Learner

HOURS = 101
"""Mean hours of a stay: 85,000 of them have 8.6 million."""
WINDOW = 72
SPLITS = (0.7, 0.15, 0.15)
EVENTS = (
    "circulatory_failure", "respiratory_failure", "kidney_failure", "liver_failure", "decompensation", "hyperglycaemia",
    "sepsis",
)  # fmt: skip
OUTCOMES = (
    "hospital_mortality", "icu_mortality", "mortality_7d", "mortality_14d", "mortality_30d", "mortality_90d",
    "prolonged_stay_7d",
)  # fmt: skip
LABELS = ("sofa", "kdigo_stage", "urine_output_rate", "lactate", "mean_pressure", "ventilation")
OBSERVED = 126
"""Channels that the flagship's decoders read."""
FACTS = ("age", "sex")
"""Static channels, by which rows are divided into subgroups."""
ROWS = 1021
"""Rows of a table that numbers are looked up in: a prime, so that no stay begins where another did."""
ILL = 0.1
"""Share of the stays in which an event sets in, or that have an outcome."""


class Stays:
    """What a store says of N stays: some of 24 to 178 hours, one subject each, with events, labels and outcomes."""

    label_names = [*(f"event_{name}" for name in EVENTS), *LABELS]
    outcome_names = list(OUTCOMES)
    channels = [*(Channel(f"chart/{number}", "") for number in range(OBSERVED)), *(Channel(name) for name in FACTS)]
    path = Path("made-up stays")

    def __init__(self, count: int) -> None:
        draws = np.random.default_rng(0)
        self.steps = draws.integers(24, 2 * HOURS - 23, size=count).astype(np.int32)
        self.first_step = np.cumsum(self.steps, dtype=np.int64) - self.steps
        self.subject = np.arange(count, dtype=np.int64)
        self.split = draws.choice(3, p=SPLITS, size=count).astype(np.int8)
        self.identifier = self.subject

    def __len__(self) -> int:
        return len(self.steps)

    def event_count(self, role: str) -> int:
        return len(FACTS) * len(self) if role == "static" else int(self.steps.sum())

    def event_offsets(self, role: str) -> np.ndarray:
        """(N + 1,) of the static facts, which every stay has all of."""
        return len(FACTS) * np.arange(len(self) + 1)

    def event_column(self, role: str, name: str, part: slice) -> np.ndarray:
        """Of the static facts: ages from 20 to 90, and two words for sex."""
        age, sex = np.arange(len(self)) % 71 + 20.0, np.arange(len(self)) % 2
        nothing = np.full(len(self), np.nan)
        columns = {
            "channel": np.tile(OBSERVED + np.arange(len(FACTS)), (len(self), 1)),
            "value": np.column_stack([age, nothing]),
            "text": np.column_stack([np.full(len(self), -1), sex]),
        }
        return columns[name].ravel()[part]

    def texts(self) -> np.ndarray:
        return np.array(["female", "male"], dtype=object)

    def label(self, name: str) -> np.ndarray:
        """(S,) float32: 1 from an onset to the end of a stay, 0 before; or values with gaps."""
        draws = np.random.default_rng(zlib.crc32(name.encode()))
        if not name.startswith("event_"):
            values = draws.random(int(self.steps.sum()), dtype=np.float32)
            return np.where(values < 0.3, np.float32(np.nan), values)
        onset = draws.integers(6, 2 * HOURS, size=len(self)) + np.where(draws.random(len(self)) < ILL, 0, 4 * HOURS)
        step = np.arange(int(self.steps.sum())) - np.repeat(self.first_step, self.steps)
        return (step >= np.repeat(onset, self.steps)).astype(np.float32)

    def outcome(self, name: str) -> np.ndarray:
        """(N,) float32: 1 for one stay in ten."""
        draws = np.random.default_rng(zlib.crc32(name.encode()))
        return (draws.random(len(self)) < ILL).astype(np.float32)


class Numbered:
    """Items of the stays: each is its own number, so that an encoder can make anything of it."""

    modality = "channels"
    folder = Path("made-up stays")

    def __init__(self, stays: Stays, table: np.ndarray | None = None) -> None:
        """table: (ROWS, C) of what items show; their numbers where there is none."""
        count, steps = len(stays), int(stays.steps.sum())
        self.static = np.arange(count)
        self.state = np.arange(count, count + steps)
        self.action = np.arange(count + steps, count + 2 * steps)
        self.count = count + 2 * steps
        self._table = table

    def take(self, ids: np.ndarray) -> Channels:
        values = ids[:, None].astype(np.float32) if self._table is None else self._table[ids % ROWS]
        shown = torch.from_numpy(values)[..., None]
        return Channels(torch.nan_to_num(shown), shown.isfinite())


class LookedUp(Encoder[Channels]):
    """Latents that are rows of a table, added up two by two."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.latent_dim = size
        self.table = nn.Parameter(torch.randn(ROWS, size), requires_grad=False)

    def forward(self, items: Channels) -> Tensor:
        return self.of(items.values[:, 0, 0].long())

    def of(self, ids: Tensor) -> Tensor:
        """Of items by their numbers: (N, D)."""
        return self.table[ids % ROWS].add_(self.table[ids % (ROWS - 12)])


class Fading(Predictor):
    """A state fades towards the action: what a predictor hands on, at the cost of writing it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.belief_dim = width
        self.share = nn.Parameter(torch.tensor(0.1), requires_grad=False)

    def forward(self, latents: Latents) -> Prediction:
        ahead = torch.lerp(latents.states, latents.actions, self.share)
        return Prediction(ahead, latents.states[..., : self.belief_dim].contiguous(), None)

    def rollout(self, latents: Latents, memory: Any, origins: Tensor, horizon: int) -> Rollout:
        row = torch.arange(len(origins))[:, None]
        state, states, beliefs = latents.states[row, origins], [], []
        for ahead in range(horizon):
            beliefs.append(state[..., : self.belief_dim])
            state = torch.lerp(state, latents.actions[row, origins + ahead], self.share)
            states.append(state)
        return Rollout(torch.stack(states, dim=2), torch.stack(beliefs, dim=2))


class FirstNumbers(Decoder):
    """Reads the first numbers of a belief as channels, and all 1,638 that the flagship's decoders read."""

    def forward(self, belief: Tensor) -> Tensor:
        return belief[..., :OBSERVED].repeat(*[1] * (belief.dim() - 1), 13)

    def next_values(self, belief: Tensor) -> Tensor:
        return belief[..., :OBSERVED]


class MadeUpObserver:
    """Observations of steps, looked up by their number. One in three is there."""

    def __init__(self, table: np.ndarray) -> None:
        self.names = [channel.name for channel in Stays.channels[:OBSERVED]]
        self.channels = {name: number for number, name in enumerate(self.names)}
        self._table = torch.from_numpy(table)

    def of(self, steps: Tensor) -> Observations:
        values = self._table[steps % ROWS]
        return Observations(torch.nan_to_num(values), values.isfinite())

    def means(self, steps: np.ndarray) -> Channels:
        values = self._table[torch.from_numpy(steps) % ROWS][..., None]
        return Channels(torch.nan_to_num(values), values.isfinite())


class Unkept(Learner):
    """A learner that keeps no latents: they cost less than reading them would."""

    def _kept_latents(self) -> Any:
        return SimpleNamespace(take=cast(LookedUp, self.encoder).of)


def made_up_learner(dataset: Dataset, size: int, width: int, seed: int, scratch: Path) -> Learner:
    """A frozen learner of latents of so many numbers, and beliefs of so many."""
    torch.manual_seed(seed)
    learner = Unkept(LookedUp(size), Fading(width), dataset, torch.device("cpu"), scratch)
    learner.observer = cast(Any, MadeUpObserver(observations()))
    learner.modules["made up"] = FirstNumbers()
    learner.freeze()
    return learner


def observations() -> np.ndarray:
    """(ROWS, OBSERVED) float32, NaN for two in three."""
    draws = np.random.default_rng(1)
    values = draws.normal(size=(ROWS, OBSERVED)).astype(np.float32)
    return np.where(draws.random(values.shape) < 2 / 3, np.float32(np.nan), values)


def made_up_evaluation(stays: int, size: int, width: int, scratch: Path) -> Evaluation:
    """An evaluation of so many stays, with a control and with channels."""
    store = Stays(stays)
    dataset = Dataset(cast(Any, store), cast(Any, Numbered(store)))
    channels = Dataset(cast(Any, store), cast(Any, Numbered(store, observations())))
    learner, control = (made_up_learner(dataset, size, width, seed, scratch) for seed in (0, 1))
    return Evaluation(learner, WINDOW, 0, lambda: control, lambda: channels, scratch)
