"""Trajectories as padded batches of numbers, for the networks over steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from jepa_downstream.baseline_channels import Histories, Profile
from jepa_downstream.rows import Rows, by_trajectory

POOL = 20
"""Batches among which trajectories are sorted by length: little padding, and still batches of chance."""


@dataclass(frozen=True)
class Sequences:
    """B trajectories of up to T steps, padded at their ends, and R rows of theirs.

    A step has K inputs: its samples of every channel that train rows observe, in standard deviations from their mean.

    values: (B, T, K) float32, what was last observed up to the step, 0 (the mean) before the first. observed: (B, T, K)
    float32, 1 where the step itself has the value. since: (B, T, K) float32, steps since the last step that had it, as
    of the step before (0 at the first; Che et al., section 2.2), counted from the beginning before the first. static:
    (B, K0) float32, 0 for none; known: (B, K0) float32, 1 where there is one. row: (R,), step: (R,) int64, place of the
    rows; index: (R,) int64, their number among all.
    """

    values: Tensor
    observed: Tensor
    since: Tensor
    static: Tensor
    known: Tensor
    row: Tensor
    step: Tensor
    index: Tensor

    def to(self, device: torch.device) -> Sequences:
        return Sequences(*(getattr(self, field.name).to(device) for field in fields(self)))


class Batches:
    """Batches of the trajectories of some rows, each up to its last row, or each whole and by itself (`alone`)."""

    def __init__(
        self, histories: Histories, profile: Profile, clip: float, size: int, rows: Rows,
        steps: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """size: trajectories of a batch. steps: of each trajectory that has a row; up to its last row if None."""
        self._histories = histories
        self._profile = profile
        self._clip = clip
        self._rows = rows
        self._size = size
        self.rows = len(rows)
        self._parts = [part for _, part in by_trajectory(rows)]
        until = [int(rows.step[part].max()) + 1 for part in self._parts]
        self._steps = np.array(until, dtype=np.int64) if steps is None else steps

    @classmethod
    def alone(cls, histories: Histories, profile: Profile, clip: float, rows: Rows) -> Batches:
        """One whole trajectory a batch, so that no bit depends on what stands beside or on which rows are asked for."""
        whole = [histories.steps(trajectory) for trajectory, _ in by_trajectory(rows)]
        return cls(histories, profile, clip, 1, rows, np.array(whole, dtype=np.int64))

    def in_order(self) -> Iterator[Sequences]:
        """Every trajectory once, those of like length together."""
        yield from map(self._batch, self._cut(np.argsort(self._steps, kind="stable")))

    def shuffled(self, random: np.random.Generator) -> Iterator[Sequences]:
        """Every trajectory once, in batches drawn at random; among POOL batches, those of like length together."""
        order = random.permutation(len(self._parts))
        pool = np.arange(len(order)) // (POOL * self._size)
        batches = self._cut(order[np.lexsort((self._steps[order], pool))])
        yield from (self._batch(batches[number]) for number in random.permutation(len(batches)))

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        return [order[first : first + self._size] for first in range(0, len(order), self._size)]

    def _batch(self, chosen: np.ndarray) -> Sequences:
        """The trajectories at `chosen`, with their rows."""
        parts, samples = [self._parts[number] for number in chosen], self._histories.samples
        index = np.concatenate(parts)
        owners = [int(self._rows.trajectory[part[0]]) for part in parts]
        read = [self._histories.read(*owned) for owned in zip(owners, self._steps[chosen].tolist(), strict=True)]
        length = int(self._steps[chosen].max()) * samples
        dynamic = np.full((len(chosen), length, len(self._profile.dynamic.chosen)), np.nan, dtype=np.float32)
        for row_number, (_, values) in enumerate(read):
            dynamic[row_number, : len(values)] = self._profile.dynamic.standardised(values, self._clip)
        static = torch.from_numpy(
            self._profile.static.standardised(np.stack([static for static, _ in read]), self._clip)
        )
        return Sequences(
            *_carried_forward(torch.from_numpy(dynamic), samples),
            static=static.nan_to_num(0.0),
            known=(~static.isnan()).float(),
            row=torch.from_numpy(np.repeat(np.arange(len(parts)), [len(part) for part in parts])),
            step=torch.from_numpy(self._rows.step[index]),
            index=torch.from_numpy(index),
        )


def _carried_forward(samples: Tensor, per_step: int) -> tuple[Tensor, Tensor, Tensor]:
    """`values`, `observed` and `since` of Sequences, from samples (B, T * per_step, channels), NaN for none."""
    seen = ~samples.isnan()
    positions = torch.arange(samples.shape[1])[None, :, None]
    last = torch.where(seen, positions, -1).cummax(dim=1).values
    values = torch.where(last >= 0, samples.gather(1, last.clamp(min=0)), 0.0)
    before = torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1].clamp(min=0)], dim=1)
    since = (positions - before) / per_step
    return tuple(part.unflatten(1, (-1, per_step)).flatten(2) for part in (values, seen.float(), since))
