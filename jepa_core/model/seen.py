"""What a run was trained and tuned on, kept as digests, so that nothing of it is measured when it is given again.

seen.json    a digest of the states of each trajectory of train and tuning, in the run's folder and in no export

A digest tells whether a trajectory that lies at hand is one of them, and nothing else of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jepa_core.data.store import Store
from jepa_core.data.trajectories import SPLITS, Channel, Trajectories
from jepa_core.data.twins import state_digests
from jepa_core.io.records import Shape, read_sealed, write_sealed

SEEN = "seen.json"
HELD_OUT = SPLITS.index("held_out")
_FEWEST = 8
"""Events of states from which equal trajectories count as one: fewer than where twins are refused, because who is taken
for one of them is only left out of a measure."""
_DIGITS = 16
"""Hexadecimal digits that are kept of a digest."""


class _SeenShape(Shape):
    """`seen.json`."""

    trajectories: list[str]


def keep_seen(folder: Path, store: Store) -> None:
    """Write the digests of what a store holds in train and tuning."""
    digests = np.array(list(_digests(store)))
    kept = set(digests[store.split != HELD_OUT].tolist()) - {""}
    write_sealed(folder / SEEN, {"trajectories": sorted(kept)})


def seen(folder: Path, store: Store) -> np.ndarray | None:
    """(N,) bool: which trajectories of a store are of a subject of which one was seen. None where the run keeps no
    digests: an export, or a run of an earlier version. Raises DataError if they are damaged."""
    if not (folder / SEEN).is_file():
        return None
    known = set(read_sealed(folder / SEEN, _SeenShape, "copy the run again")["trajectories"])
    alike = np.array([digest in known for digest in _digests(store)], dtype=bool)
    return np.isin(store.subject, store.subject[alike])


def _digests(store: Store) -> Iterator[str]:
    """Of the states of each trajectory; empty where they have too few events to tell."""
    for block in store.blocks():
        for digest in state_digests(_by_name(block, store.channels), _FEWEST):
            yield digest.hex()[:_DIGITS]


def _by_name(block: Trajectories, channels: Sequence[Channel]) -> Trajectories:
    """A block whose channels are numbered by their names, and its events within a step by that, so that it is the same
    in any store."""
    names = [hashlib.sha256(channel.name.encode()).digest()[:4] for channel in channels]
    state = block.state
    channel = np.array([int.from_bytes(name) for name in names], dtype=np.uint32)[state.channel]
    step = np.repeat(np.arange(len(state.offsets) - 1), np.diff(state.offsets))
    order = np.lexsort((state.value, channel, step))
    return replace(
        block, state=replace(state, channel=channel[order], value=state.value[order], text=state.text[order])
    )
