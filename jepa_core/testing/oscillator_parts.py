"""The oscillators and the tiny models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jepa_core.config import ItemShape
from jepa_core.contracts import (
    Act,
    Channels,
    Encoder,
    LanguageEncoder,
    Latents,
    Otherwise,
    Prediction,
    Predictor,
    Rollout,
    Simulator,
    Source,
)
from jepa_core.data.splits import divide
from jepa_core.data.store import StoreWriter
from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_core.data.words import plain_number
from jepa_core.errors import DataError, RecipeError
from jepa_core.testing.oscillators import (
    HIDDEN,
    OscillatorsConfig,
    TinyChannelsConfig,
    TinyRecurrentConfig,
    TinyTextConfig,
)
from jepa_core.training.totals import total

CHANNELS = [Channel("stiffness"), Channel("position", "m"), Channel("speed", "m/s"), Channel("push", "N")]
STIFFNESS, POSITION, SPEED, PUSH = range(4)

FIRST_IDENTIFIER = 7_300_001
"""Identifiers are distinctive, so that they can be looked for where they must not be."""

FAR = 0.5
"""Position in m above which the event `event_far` is on."""


DRIFT, PULL = 0.3, 0.2
"""Radians that an oscillator of stiffness 1 turns in a step by itself, and for each newton of the push before it."""


@dataclass(frozen=True)
class DrawnOscillators:
    """What is drawn of oscillators. steps, stiffness: (N,). push, angle: (S,), trajectory by trajectory; an angle is
    that of a step's last sample, and a push acts after it. random: what draws the errors of measurement."""

    steps: np.ndarray
    stiffness: np.ndarray
    push: np.ndarray
    angle: np.ndarray
    random: np.random.Generator

    @classmethod
    def of(cls, config: OscillatorsConfig) -> DrawnOscillators:
        """The same for the same config."""
        random = np.random.default_rng(config.seed)
        steps = random.integers(config.shortest, config.longest + 1, config.trajectories)
        stiffness = random.uniform(0.8, 1.2, config.trajectories)
        push = _lasting(random.normal(size=steps.sum()), steps, config.persistence)
        pairs = zip(stiffness, _by_owner(push, steps), strict=True)
        angle = np.concatenate([np.cumsum(k * turns_before(part)) for k, part in pairs])
        return cls(steps, stiffness, push, angle, random)


def _lasting(push: np.ndarray, steps: np.ndarray, persistence: float) -> np.ndarray:
    """Pushes (S,) of variance 1, each correlated with the one before it of the same trajectory, from independent
    ones."""
    lasting = push.copy()
    for part in _by_owner(lasting, steps):  # views
        for step in range(1, len(part)):
            part[step] = persistence * part[step - 1] + np.sqrt(1 - persistence**2) * part[step]
    return lasting


def turns_before(push: np.ndarray) -> np.ndarray:
    """Radians by which an oscillator of stiffness 1 comes to each step (T,), from its pushes (T,)."""
    return DRIFT + PULL * np.concatenate([[0.0], push[:-1]])


class Oscillators(Source):
    """Position and speed of oscillators that an action pushes; the stiffness is a static fact.

    A push of step t moves the state of step t + 1 and those after it.

    Labels: `event_far`, 1 while the true position is above 0.5 m; `remaining`, the steps that are left. Outcomes:
    `pushed`, whether the pushes were strong; `travel`, how far the oscillator turned in all.
    """

    def __init__(self, config: OscillatorsConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Digest of the options, which are all that there is."""
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write all trajectories as one block, `repeats` times over."""
        writer.channels(CHANNELS)
        count, drawn = self.config.trajectories, DrawnOscillators.of(self.config)
        steps, push, angle = drawn.steps, drawn.push, drawn.angle
        observed = self._observed(angle, drawn.random)
        subject = FIRST_IDENTIFIER + np.arange(count) // 2
        split = divide(subject, np.zeros(count, dtype=int), self.config.split)
        block = Trajectories(
            identifier=FIRST_IDENTIFIER + np.arange(count),
            subject=subject,
            split=split,
            steps=steps,
            static=_events(self._grid(STIFFNESS, drawn.stiffness[:, None]), np.full(count, np.nan)),
            state=_events(observed, _step_times(steps)),
            action=_events(self._grid(PUSH, push[:, None]), _step_times(steps)),
            texts=np.array([], dtype=object),
            labels={
                "event_far": (np.sin(angle) > FAR).astype(float),
                "remaining": np.concatenate([np.arange(count)[::-1] for count in steps]),
            },
            outcomes=_outcomes(push, angle, steps),
        )
        for _ in range(self.config.repeats):
            writer.append(block)

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Channel values as they are, or texts such as `position 0.31 m; speed -0.95 m/s`."""
        grids = [self._spread(trajectories.events(role)) for role in ("static", "state", "action")]
        if modality == "channels":
            return Rendered(*grids)
        if modality == "text":
            return Rendered(*([_sentence(item) for item in grid] for grid in grids))
        raise RecipeError(f"the source oscillators renders text and channels, not {modality}")

    def simulator(self) -> Simulator:
        """The oscillators themselves."""
        return OscillatorSimulator(self.config)

    def _observed(self, angle: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """States as they are observed, (S, C, P): noisy, and with gaps."""
        samples = sampled(angle, self.config.samples)
        grid = self._grid(POSITION, np.sin(samples))
        grid[:, SPEED] = np.cos(samples)
        grid += self.config.noise * random.normal(size=grid.shape)
        grid[random.random(grid.shape) < self.config.gaps] = np.nan
        return grid

    def _grid(self, channel: int, values: np.ndarray) -> np.ndarray:
        """(owners, C, P) with nothing but `values` in one channel: (owners, P), or (owners, 1) in the first sample."""
        grid = np.full((len(values), len(CHANNELS), self.config.samples), np.nan)
        grid[:, channel, : values.shape[1]] = values
        return grid

    def _spread(self, events: Events) -> np.ndarray:
        """Events of one role as (owners, C, P) float32; an event's sample is the place of its time within the step."""
        grid = np.full((len(events.offsets) - 1, len(CHANNELS), self.config.samples), np.nan, dtype=np.float32)
        owner = np.repeat(np.arange(len(grid)), np.diff(events.offsets))
        sample = np.nan_to_num(events.time % 1.0) * self.config.samples
        grid[owner, events.channel, sample.astype(int)] = events.value
        return grid


def _events(grid: np.ndarray, step: np.ndarray) -> Events:
    """What is not NaN in (owners, C, P) as events, sample by sample; one lies in the middle of its sample."""
    owner, sample, channel = np.nonzero(~np.isnan(grid.transpose(0, 2, 1)))
    return Events(
        offsets=np.searchsorted(owner, np.arange(len(grid) + 1)),
        channel=channel,
        value=grid[owner, channel, sample],
        text=np.full(len(owner), -1),
        time=step[owner] + (sample + 0.5) / grid.shape[2],
    )


def _by_owner(values: np.ndarray, steps: np.ndarray) -> list[np.ndarray]:
    return np.split(values, np.cumsum(steps)[:-1])


def _step_times(steps: np.ndarray) -> np.ndarray:
    return np.concatenate([np.arange(count, dtype=float) for count in steps])


def _outcomes(push: np.ndarray, angle: np.ndarray, steps: np.ndarray) -> dict[str, np.ndarray]:
    strength = np.array([np.abs(part).mean() for part in _by_owner(push, steps)])
    travel = np.array([part[-1] for part in _by_owner(angle, steps)])
    return {"pushed": (strength > np.median(strength)).astype(float), "travel": travel}


def _sentence(item: np.ndarray) -> str:
    """Text of one item, (C, P)."""
    parts = []
    for channel, samples in zip(CHANNELS, item, strict=True):
        observed = [plain_number(float(value)) for value in samples if not np.isnan(value)]
        if observed:
            parts.append(" ".join([channel.name, *observed, channel.unit]).rstrip())
    return "; ".join(parts)


def sampled(angle: np.ndarray, samples: int) -> np.ndarray:
    """Angles of the samples (..., P) of steps whose last samples have these (...)."""
    return angle[..., None] + DRIFT * (np.arange(samples) + 1 - samples) / samples


class OscillatorSimulator(Simulator):
    """Oscillators run on under chosen pushes; nothing in how they move is left to chance."""

    def __init__(self, config: OscillatorsConfig) -> None:
        self._config, self._drawn = config, DrawnOscillators.of(config)

    def simulate(
        self,
        identifiers: np.ndarray,
        acts: Sequence[Sequence[Act]],
        at: int,
        horizon: int,
        otherwise: Otherwise = "none",
        turn: int = 0,
    ) -> dict[str, np.ndarray]:
        owner = np.asarray(identifiers) - FIRST_IDENTIFIER
        if not ((owner >= 0) & (owner < self._config.trajectories)).all():
            raise DataError("these oscillators are not of this source; give identifiers of its own trajectories")
        if (self._drawn.steps[owner] < at).any():
            raise DataError(f"an oscillator has fewer than {at} steps; run it on from one that it has")
        push = np.stack([self._pushes(*row, at, horizon, otherwise) for row in zip(owner, acts, strict=True)])
        first = np.cumsum(self._drawn.steps) - self._drawn.steps
        turned = np.cumsum(self._drawn.stiffness[owner, None] * (DRIFT + PULL * push), axis=1)
        angle = sampled(self._drawn.angle[first[owner] + at - 1, None] + turned, self._config.samples)
        return {"position": np.sin(angle).mean(axis=-1), "speed": np.cos(angle).mean(axis=-1)}

    def _pushes(self, owner: int, acts: Sequence[Act], at: int, horizon: int, otherwise: Otherwise) -> np.ndarray:
        """Pushes of the steps at - 1 ... at + H - 2, in newtons: (H,)."""
        own = _by_owner(self._drawn.push, self._drawn.steps)[owner]
        push = np.zeros(at + horizon - 1)
        known = min(len(own), len(push)) if otherwise == "recorded" else at
        push[:known] = own[:known]
        for act in acts:
            if act.channel != CHANNELS[PUSH].name or act.value is None:
                raise DataError(f"an oscillator can be pushed and nothing else; there was an act on '{act.channel}'")
            push[act.begin : act.end] = act.value
        return push[at - 1 :]


class TinyChannels(Encoder[Channels]):
    """See its config. `fit` finds the mean of every channel and sample; what was not observed counts as the mean."""

    mean: Tensor

    def __init__(self, config: TinyChannelsConfig, shape: ItemShape) -> None:
        super().__init__()
        self.latent_dim = config.width
        inputs = shape.channels * shape.samples
        self.register_buffer("mean", torch.zeros(inputs), persistent=False)
        self.net = nn.Sequential(
            nn.Linear(inputs, HIDDEN), nn.Tanh(), nn.Dropout(config.dropout), nn.Linear(HIDDEN, config.width)
        )

    def fit(self, items: Iterable[Channels]) -> None:
        total = torch.zeros_like(self.mean)
        count = torch.zeros_like(self.mean)
        for item in items:
            total += item.values.flatten(1).sum(0)
            count += item.observed.flatten(1).sum(0)
        self.mean = total / count.clamp(min=1)

    def fitted(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist()}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        self.mean = torch.tensor(fitted["mean"], device=self.mean.device)

    def forward(self, items: Channels) -> Tensor:
        values, observed = items.values.to(self.mean.device), items.observed.to(self.mean.device)
        return self.net((values.flatten(1) - self.mean) * observed.flatten(1)).float()


class TinyText(LanguageEncoder):
    """See its config."""

    def __init__(self, config: TinyTextConfig, shape: None) -> None:
        super().__init__()
        self.latent_dim = config.width
        self.bytes = nn.EmbeddingBag(256, HIDDEN, mode="mean")
        self.net = nn.Sequential(nn.Tanh(), nn.Dropout(config.dropout), nn.Linear(HIDDEN, config.width))

    def forward(self, items: Sequence[str]) -> Tensor:
        device = self.bytes.weight.device
        encoded = [text.encode() for text in items]
        starts = torch.tensor([0, *map(len, encoded)]).cumsum(0)[:-1]
        content = torch.tensor(list(chain.from_iterable(encoded)), dtype=torch.int64)
        return self.net(self.bytes(content.to(device), starts.to(device))).float()

    def next_token_loss(self, items: Sequence[str]) -> Tensor:
        table = self.bytes.weight
        pairs = [pair for text in items for pair in pairwise(text.encode())]
        seen, wanted = torch.tensor(pairs, dtype=torch.int64, device=table.device).view(-1, 2).T
        surprise = cross_entropy(torch.tanh(table[seen]) @ table.T, wanted, reduction="sum")
        return total(surprise) / total(torch.tensor(len(pairs), device=table.device)).clamp(min=1)


class TinyRecurrent(Predictor):
    """See its config. Belief and memory are the hidden state after every step, which is the prediction itself."""

    def __init__(self, config: TinyRecurrentConfig, latent_dim: int) -> None:
        super().__init__()
        self.belief_dim = latent_dim
        self.cell = nn.GRU(2 * latent_dim, latent_dim, batch_first=True)

    def forward(self, latents: Latents) -> Prediction:
        actions = latents.actions[:, : latents.states.shape[1]]
        hidden, _ = self.cell(torch.cat([latents.states, actions], -1))
        return Prediction(hidden, hidden, hidden)

    def extend(self, step: Latents, memory: Tensor) -> Prediction:
        hidden, _ = self.cell(torch.cat([step.states, step.actions], -1), memory[None, :, -1].contiguous())
        return Prediction(hidden, hidden, torch.cat([memory, hidden], dim=1))

    def rollout(self, latents: Latents, memory: Tensor, origins: Tensor, horizon: int) -> Rollout:
        rows = torch.arange(len(origins), device=memory.device)
        rolled = []
        for column in origins.to(memory.device).T:
            hidden = memory[rows, column]
            states = [hidden]
            for step in range(1, horizon):
                seen = torch.cat([states[-1], latents.actions[rows, column + step].to(hidden.dtype)], -1)
                hidden = self.cell(seen[:, None], hidden[None].contiguous())[1][0]
                states.append(hidden)
            rolled.append(torch.stack(states, 1))
        everything = torch.stack(rolled, 1)
        return Rollout(everything, everything)
