"""Part of a store as a store of its own, such as that of a few subjects."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import ROLES, Events, Trajectories


def write_excerpt(store: Store, chosen: np.ndarray, path: Path) -> Store:
    """Write the trajectories at the positions `chosen` as a new store, with its own digest and no text of any other.

    `np.flatnonzero(np.isin(store.subject, subjects))` chooses by subject. A copy of some of a store's files, or a store
    saved again by other tools, is no store: its digest would be that of the whole.
    """
    digest = hashlib.sha256(f"{store.content} ".encode() + np.asarray(chosen, dtype=np.int64).tobytes())
    kept = {name: value for name, value in store.attributes.items() if name in ("options", "inputs")}
    with StoreWriter(path, store.attributes["source"], digest.hexdigest(), kept) as writer:
        writer.channels(store.channels)
        for _, alone in store.each(chosen):
            writer.append(_with_own_texts(alone))
    return Store(path)


def _with_own_texts(trajectories: Trajectories) -> Trajectories:
    """With a vocabulary of the texts that its events have."""
    used = np.unique(np.concatenate([trajectories.events(role).text for role in ROLES]))
    used = used[used >= 0]

    def renumbered(events: Events) -> Events:
        return replace(events, text=np.where(events.text < 0, -1, np.searchsorted(used, events.text)))

    static, state, action = (renumbered(trajectories.events(role)) for role in ROLES)
    return replace(trajectories, texts=trajectories.texts[used], static=static, state=state, action=action)
