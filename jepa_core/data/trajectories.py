"""Trajectories in memory: ragged arrays with offsets, trajectory > step > event, so that nothing is padded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from jepa_core.config import Role, Split

ROLES: tuple[Role, ...] = get_args(Role)

SPLITS: tuple[Split, ...] = get_args(Split)
"""Names of the splits; a trajectory's `split` is an index into them."""


@dataclass(frozen=True)
class Channel:
    """What an event measures or does.

    name: unique in the store. unit: as in the values; empty for none. group: where it comes from, such as a table.
    label: for people. order: position within a step when steps are written out; equal orders keep the events' own
    order.
    """

    name: str
    unit: str = ""
    group: str = ""
    label: str = ""
    order: int = 0


@dataclass(frozen=True)
class Events:
    """E events of one role, ragged over their owners (trajectories for static facts, steps for states and actions).

    offsets: (owners + 1,) int64; the events of owner i are offsets[i]:offsets[i + 1]. channel: (E,) int32 index of the
    channel. value: (E,) float32, NaN for none. text: (E,) int32 index into the texts beside, -1 for none. time: (E,)
    float32, in the store's unit of time since the trajectory's origin (NaN for static facts without a time).
    """

    offsets: np.ndarray
    channel: np.ndarray
    value: np.ndarray
    text: np.ndarray
    time: np.ndarray

    def of(self, start: int, stop: int) -> Events:
        """The events of some owners that follow one another."""
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        columns = (column[first:last] for column in (self.channel, self.value, self.text, self.time))
        return Events(self.offsets[start : stop + 1] - first, *columns)


@dataclass(frozen=True)
class Trajectories:
    """N trajectories with S steps in all.

    identifier, subject: (N,) int64, the source's own; they are kept in the store and never reach a log, an error or a
    report. split: (N,) int8 index into SPLITS. steps: (N,) int32 number of steps. static, state, action: their events.
    texts: what the events' `text` points into.

    labels and outcomes are what evaluators predict, and are never rendered. labels: per step, (S,) float32 by name, NaN
    where not measured; an event that may or may not have happened is 1 or 0, NaN where nobody can tell. outcomes: per
    trajectory, (N,) float32 by name, NaN where not defined.
    """

    identifier: np.ndarray
    subject: np.ndarray
    split: np.ndarray
    steps: np.ndarray
    static: Events
    state: Events
    action: Events
    texts: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    outcomes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def events(self, role: Role) -> Events:
        return {"static": self.static, "state": self.state, "action": self.action}[role]

    def alone(self, number: int) -> Trajectories:
        """One of the trajectories, with all texts."""
        part = slice(number, number + 1)
        last = int(self.steps[: number + 1].sum(dtype=np.int64))
        first = last - int(self.steps[number])
        return Trajectories(
            self.identifier[part], self.subject[part], self.split[part], self.steps[part],
            self.static.of(number, number + 1), self.state.of(first, last), self.action.of(first, last), self.texts,
            {name: values[first:last] for name, values in self.labels.items()},
            {name: values[part] for name, values in self.outcomes.items()},
        )  # fmt: skip

    def event_trajectories(self, role: Role) -> np.ndarray:
        """(E,) number of the trajectory of each event of a role, from 0."""
        counts = np.diff(self.events(role).offsets)
        owner = np.repeat(np.arange(len(counts)), counts)
        return owner if role == "static" else np.repeat(np.arange(len(self.steps)), self.steps)[owner]

    def step_numbers(self) -> np.ndarray:
        """(S,) number of each step within its trajectory, from 0."""
        ends = np.cumsum(self.steps)
        return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - self.steps, self.steps)


@dataclass(frozen=True)
class Rendered:
    """Items of some trajectories, for the encoders of one modality.

    static: one item a trajectory. state, action: one item a step, trajectory after trajectory. For modality `text`
    these are lists of str; for `channels`, float32 arrays (owners, C, P) with NaN where nothing was observed, with the
    same C and P in all three (see `Channels`).
    """

    static: list[str] | np.ndarray
    state: list[str] | np.ndarray
    action: list[str] | np.ndarray
