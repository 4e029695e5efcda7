"""An encoder and a predictor whose weights no longer change, and latents of one trajectory at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Decoder, Encoder, Items, Latents, Predictor, Rollout
from jepa_core.data.windows import Windows, cut_windows
from jepa_core.ensemble import member_decoder, members_of

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner

AT_ONCE = 512
"""Items that are encoded at once."""


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Context in which everything is computed: bf16 autocast where the precision is `bf16`."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def roll_out(predictor: Predictor, seen: Latents, actions: Tensor, origins: Tensor, horizon: int) -> Rollout:
    """Roll out from origins (B, M) within the steps that are seen, under actions (B, T, D) that go on behind them."""
    memory = predictor.memory_for(seen, origins)
    behind = actions.shape[1] - seen.states.shape[1]
    blank = seen.states.new_zeros(len(seen.states), behind, seen.states.shape[2])
    longer = Latents(
        seen.static, torch.cat([seen.states, blank], dim=1), actions, seen.mask.new_ones(actions.shape[:2])
    )
    return predictor.rollout(longer, memory, origins, horizon)


def belief_windows(trajectories: np.ndarray, steps: np.ndarray, length: int) -> Windows:
    """The windows that beliefs are taken from: of `length` steps, overlapping by half, all steps covered."""
    return cut_windows(trajectories, steps, length, max(1, length // 2), 1)


@dataclass(frozen=True)
class Frozen:
    """What encodes, predicts and reads beliefs, in evaluation mode. precision: makes the context in which it computes.
    decoders: by the names of the objectives that trained them."""

    encoder: Encoder
    predictor: Predictor
    device: torch.device
    precision: Callable[[], AbstractContextManager[object]]
    decoders: Mapping[str, Decoder] = field(default_factory=dict)

    @classmethod
    def of(cls, learner: Learner) -> Frozen:
        """A learner that was frozen."""
        return cls(learner.encoder, learner.predictor, learner.device, learner.precision, learner.decoders())

    def apart(self) -> list[Frozen]:
        """The same with each member of an ensemble in turn as the predictor, and what reads its beliefs; itself alone
        where there is one."""
        members = members_of(self.predictor)
        decoders = {name: member_decoder(decoder) for name, decoder in self.decoders.items()}
        return (
            [replace(self, predictor=member, decoders=decoders) for member in members] if len(members) > 1 else [self]
        )

    @torch.no_grad()
    def encode(self, items: Items) -> Tensor:
        """Latents of items: (N, D) float32."""
        with self.precision():
            return self.encoder(items).float()

    def latents(self, dataset: Dataset, trajectory: int) -> Latents:
        """Latents of every step of a trajectory, a batch of one.

        They are a function of weights and trajectory alone, to the bit: the trajectory's distinct items are encoded by
        themselves, in the order in which they turn up, so neither the data set around it nor what was encoded before
        takes part. (The latents of a learner's cache depend by rounding on the items beside.)
        """
        first, steps = int(dataset.store.first_step[trajectory]), int(dataset.steps[trajectory])
        part = slice(first, first + steps)
        rendering = dataset.rendering
        ids = np.concatenate([rendering.static[trajectory, None], rendering.state[part], rendering.action[part]])
        encoded = self._encoded(dataset, ids)
        mask = torch.ones((1, steps), dtype=torch.bool, device=self.device)
        return Latents(encoded[:1], encoded[None, 1 : 1 + steps], encoded[None, 1 + steps :], mask)

    @torch.no_grad()
    def beliefs(self, latents: Latents, window_length: int) -> Tensor:
        """Beliefs at every step of a trajectory, a batch of one: (T, W) float32.

        Windows of `window_length` steps overlap by half, and a step's belief is that of the first which holds it: it
        has seen every step before it, or half a window at the least.
        """
        steps = latents.states.shape[1]
        windows = belief_windows(np.zeros(1, dtype=np.int64), np.array([steps]), window_length)
        start = torch.from_numpy(windows.start).to(latents.states.device)
        seen = start[:, None] + torch.arange(int(windows.length[0]), device=start.device)
        given = Latents(
            latents.static.expand(len(start), -1), latents.states[0, seen], latents.actions[0, seen],
            torch.ones_like(seen, dtype=torch.bool),
        )  # fmt: skip
        with self.precision():
            believed = self.predictor(given).belief.float()
        new = np.diff(windows.start + windows.length, prepend=0)
        return torch.cat([belief[-count:] for belief, count in zip(believed, new.tolist(), strict=True)])

    def _encoded(self, dataset: Dataset, ids: np.ndarray) -> Tensor:
        """Latents of items that may stand there several times: (n, D)."""
        _, turns_up, inverse = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(turns_up)
        distinct = torch.from_numpy(ids[turns_up[order]])
        latents = torch.cat([self.encode(dataset.items(part)) for part in distinct.split(AT_ONCE)])
        rank = np.argsort(order)
        return latents[torch.from_numpy(rank[inverse]).to(latents.device)]
