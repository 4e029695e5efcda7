"""The contract of a source. It stands apart from the other contracts because preparing data needs no torch, which takes
longer to import than a small store to build; `jepa_core.contracts` has it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from jepa_core.data.trajectories import Channel, Rendered, Trajectories

if TYPE_CHECKING:
    from jepa_core.data.store import Store, StoreWriter


@dataclass(frozen=True)
class Act:
    """Something that is done in a what-if, in the steps begin to end - 1 of a trajectory, counted from 0.

    channel: name of a channel of the store. value: in the channel's unit; None where the action has none. unit: that
    unit, or None for whichever it is. text: what a recorded event of the kind says in words, if anything.
    """

    channel: str
    value: float | None
    unit: str | None
    begin: int
    end: int
    text: str | None = None


Otherwise: TypeAlias = Literal["none", "recorded"]
"""What is done besides the acts of a what-if: nothing, or what the data record."""


Concern: TypeAlias = Literal["availability", "intervals", "hindsight"]
"""What a store cannot show of itself: whether results were there when they are shown, whether an interval is shown
before it is over, whether something was written down only when the outcome was known."""


@dataclass(frozen=True)
class Assurance:
    """What a source knows of a concern. holds: None where nobody can tell. words: how it is, in a sentence. channels:
    names of those that it is about."""

    about: Concern
    holds: bool | None
    words: str
    channels: tuple[str, ...] = ()


class Source(ABC):
    """Builds a store from raw data and renders its steps. The only part that knows the raw format."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the inputs and of every option that changes the store. Equal fingerprints mean equal stores.

        Raises DataError if an input is missing or unreadable.
        """

    @abstractmethod
    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write every trajectory to `writer`, in an order that depends on the data alone; `scratch` is an empty folder
        to work in.

        Splits are by subject and are written with the trajectories. Memory must not grow with their number.
        Raises DataError if the data break their contract.
        """

    @abstractmethod
    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Render some of the store's trajectories for encoders of a modality. A step shows nothing that came after it.

        channels: of the store, which the events point into. They are given, not remembered: a source that has built no
        store renders all the same.
        """

    def begins(self, steps: np.ndarray) -> np.ndarray:
        """When steps begin, in the unit in which the store's events have their times. steps: (S,) counted from 0."""
        return steps.astype(np.float64)

    def acting(self, act: Act, trajectory: Trajectories, channels: Sequence[Channel]) -> list[Act]:
        """What an act leaves in the data, as recorded ones do: by default an event of its channel in each of its steps.
        One whose value is NaN leaves none, and takes away what is recorded of the channel.

        trajectory: of one, up to where the act begins, for a source that needs a fact of it (a weight, for a dose by
        weight). Raises DataError if that is not there. No act at all is what a step without an action is rendered as.
        """
        return [act]

    def assurances(self, channels: Sequence[Channel]) -> list[Assurance]:
        """What is known of leaks that no store shows, for `jepa audit`; nothing by default. channels: of the store."""
        return []

    def simulator(self) -> Simulator | None:
        """What made the data, to be run on under chosen acts; None where they were recorded."""
        return None

    def rendering_fingerprint(self, modality: str) -> str:
        """Digest of everything besides the store that `render` depends on; a change makes the dataset render again."""
        return modality

    def fitted(self, store: Store, shared: Sequence[Channel]) -> dict[str, Any]:
        """What reading other data as this store was read takes besides the config, as plain values that JSON holds:
        columns that were found, names that were read. A run keeps it; it is never found again on other data.

        shared: the channels of the store that enough subjects of train have. It is given away with the model, so what
        can be read without it is left out of other channels.
        """
        return {}

    def load_fitted(self, fitted: dict[str, Any]) -> None:  # noqa: B027 - most sources find nothing on their data
        """Take up what `fitted` of another instance gave, before `build` of other data (see `SourceConfig.at`).

        `build` then raises DataError for data that the fitted encoder cannot read: a channel that is missing, other
        units, a category that it does not know.
        """


class Simulator(ABC):
    """What made the data of a source, run on from a trajectory's own past under acts that were chosen: the truth of a
    what-if. A source of made data hands one out by `Source.simulator`."""

    @abstractmethod
    def simulate(
        self,
        identifiers: np.ndarray,
        acts: Sequence[Sequence[Act]],
        at: int,
        horizon: int,
        otherwise: Otherwise = "none",
        turn: int = 0,
    ) -> dict[str, np.ndarray]:
        """True values at the steps at ... at + H - 1, free of errors of measurement: (R, H) float64 in the data's
        units, by the names of the config's `observations`, of which it may know some.

        identifiers: (R,) of trajectories of the store, each as often as is asked. acts: those of each row, from step
        `at` on; the action of step at - 1 is in the past, so that acts change nothing of the first step. otherwise:
        what is done besides. turn: 0 lets chance take the turns that it took in the data, another number lets it take
        others after step at - 1; they are the same whatever is done, so that the difference of two rows is the effect
        of their acts.

        Raises DataError for a trajectory that it did not make, or an act whose effect it does not know.
        """


@dataclass(frozen=True)
class Staged:
    """What a source found while staging. partitions: how many there are, a function of the data and the options alone.
    channels: of the store. records: tables about how it was built; see `StoreWriter.record`."""

    partitions: int
    channels: list[Channel]
    records: dict[str, list[dict[str, str | int | float]]]


class PartitionedSource(Source):
    """A source whose trajectories can be made a partition at a time, in any order, by any number of processes.

    The framework keeps what is finished, so that an interrupted build goes on from there; the store is the partitions
    in their order, whoever made them. Instances can be pickled.
    """

    @abstractmethod
    def stage(self, scratch: Path) -> Staged:
        """Read the raw data once, and put into the empty folder `scratch` all that partitions are made of.

        Raises DataError if the data break their contract.
        """

    @abstractmethod
    def partition(self, scratch: Path, number: int, channels: Sequence[Channel]) -> Iterator[Trajectories]:
        """Blocks of one partition, from what was staged, in memory that does not grow with the number of partitions.

        channels: of the store, as they were staged. `scratch` is only read: other processes read it at the same time.
        """

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        staged = self.stage(scratch)
        writer.channels(staged.channels)
        for number in range(staged.partitions):
            for block in self.partition(scratch, number, staged.channels):
                writer.append(block)
        for name, rows in staged.records.items():
            writer.record(name, rows)
