"""One store of two: what a model was fitted on, and the trajectories of another source that it is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import SPLITS, Channel, Events, Trajectories
from jepa_core.data.truncation import of_owners
from jepa_core.data.twins import state_digests
from jepa_core.errors import DataError
from jepa_core.io.files import digest_of_record

HELD_OUT = SPLITS.index("held_out")
_SEEN = "are among those that the run was trained or tuned on; leave them out"


def join_stores(fitted: Store, other: Store, path: Path) -> Store:
    """A store with the train and tuning splits of `fitted`, and all of `other` as held out.

    Channels that both have are those of `fitted`, and only its labels and outcomes are there: unknown where `other` has
    none of the name. Subjects of `other` get numbers of their own where two sources count theirs alike.

    Raises DataError where `other` holds a trajectory, or a known subject, that was fitted on.
    """
    _refuse_known_subjects(fitted, other)
    channels = _all_channels(fitted.channels, other.channels)
    shift = _shift(fitted, other)
    about = {"fitted": fitted.content, "other": other.content}
    with StoreWriter(path, other.attributes["source"], digest_of_record(about), about) as writer:
        writer.channels(channels)
        seen: set[bytes] = set()
        for block in fitted.blocks():
            kept = _chosen(block, block.split != HELD_OUT)
            seen.update(filter(None, state_digests(kept)))
            writer.append(kept)
        twins = 0
        for block in other.blocks():
            measured = _held_out(block, _places(other.channels, channels), fitted, shift)
            twins += sum(digest in seen for digest in state_digests(measured))
            writer.append(measured)
        if twins:
            raise DataError(f"{twins} of {len(other)} trajectories {_SEEN}")
        writer.record("attrition", other.record("attrition"))
    return Store(path)


def _all_channels(own: Sequence[Channel], others: Sequence[Channel]) -> list[Channel]:
    names = {channel.name for channel in own}
    return [*own, *(channel for channel in others if channel.name not in names)]


def _places(channels: Sequence[Channel], among: Sequence[Channel]) -> np.ndarray:
    """(C,) where each channel stands among others, by name."""
    numbers = {channel.name: number for number, channel in enumerate(among)}
    return np.array([numbers[channel.name] for channel in channels], dtype=np.int32)


def _chosen(block: Trajectories, kept: np.ndarray) -> Trajectories:
    """The trajectories of a block that are kept: a bool each, (N,)."""
    steps = np.repeat(kept, block.steps)
    return replace(
        block,
        identifier=block.identifier[kept], subject=block.subject[kept], split=block.split[kept],
        steps=block.steps[kept],
        labels={name: values[steps] for name, values in block.labels.items()},
        outcomes={name: values[kept] for name, values in block.outcomes.items()},
        static=of_owners(block.static, kept),
        state=of_owners(block.state, steps), action=of_owners(block.action, steps),
    )  # fmt: skip


def _held_out(block: Trajectories, places: np.ndarray, fitted: Store, shift: int) -> Trajectories:
    """A block of the other store, in the channels, labels and outcomes of the joint one."""
    return replace(
        block,
        subject=block.subject + shift,
        split=np.full_like(block.split, HELD_OUT),
        labels=_named(block.labels, fitted.label_names, int(block.steps.sum())),
        outcomes=_named(block.outcomes, fitted.outcome_names, len(block.steps)),
        static=_with_channels(block.static, places),
        state=_with_channels(block.state, places),
        action=_with_channels(block.action, places),
    )


def _with_channels(events: Events, places: np.ndarray) -> Events:
    return replace(events, channel=places[events.channel])


def _named(values: Mapping[str, np.ndarray], names: Iterable[str], count: int) -> dict[str, np.ndarray]:
    return {name: values.get(name, np.full(count, np.nan, dtype=np.float32)) for name in names}


def _shift(fitted: Store, other: Store) -> int:
    """What is added to the numbers of the other store's subjects, so that none is one of those fitted on."""
    if np.intersect1d(fitted.subject, other.subject).size == 0:
        return 0
    return int(fitted.subject.max() - other.subject.min()) + 1


def _refuse_known_subjects(fitted: Store, other: Store) -> None:
    """Subjects that a source numbers by their own identifiers are the same ones in both stores; those that it counts
    from 0 are not."""
    alike = fitted.attributes["source"] == other.attributes["source"]
    if not alike or _are_counted(fitted.subject) or _are_counted(other.subject):
        return
    seen = fitted.subject[fitted.split != HELD_OUT]
    shared = np.intersect1d(seen, other.subject).size
    if shared:
        raise DataError(f"{shared} of {len(np.unique(other.subject))} subjects {_SEEN}")


def _are_counted(subject: np.ndarray) -> bool:
    return len(subject) == 0 or int(subject.max()) < len(subject)
