"""Trajectories with the same states, whoever they are said to be of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from jepa_core.data.trajectories import Trajectories

FEWEST_EVENTS = 20
"""Events of states from which two equal trajectories are no coincidence."""


def state_digests(block: Trajectories, fewest: int = FEWEST_EVENTS) -> Iterator[bytes]:
    """Of the states of each trajectory; empty where they have fewer than `fewest` events, too few to tell."""
    state = block.state
    for last, steps in zip(np.cumsum(block.steps).tolist(), block.steps.tolist(), strict=True):
        offsets = state.offsets[last - steps : last + 1]
        own = slice(int(offsets[0]), int(offsets[-1]))
        if own.stop - own.start < fewest:
            yield b""
            continue
        digest = hashlib.sha256(state.channel[own].tobytes() + state.value[own].tobytes() + np.diff(offsets).tobytes())
        texts = state.text[own]
        digest.update("\0".join(block.texts[texts[texts >= 0]].tolist()).encode())
        yield digest.digest()
