"""Inputs of rows, made once however many tasks, fits and scores ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jepa_core.training.processes import ALONE
from jepa_core.training.shares import batches_of, rows_on_disk
from jepa_downstream.rows import BLOCK, Rows

if TYPE_CHECKING:
    from jepa_core.data.store import Store

KEPT_BYTES = 2**29
"""Bytes of inputs that are kept; those of further rows are made again whenever they are asked for."""


class Inputs(Protocol):
    """What may be known of a row at its step, as numbers."""

    def __call__(self, rows: Rows) -> np.ndarray:
        """(R, F) float32 of the rows in their order, in memory of the caller's own."""

    def to_state(self) -> dict[str, Any]:
        """What makes them of other trajectories, as a kept head holds it: `kind` says how it is read."""


class Kept:
    """Inputs that are a function of a row's trajectory and step alone, kept in a file without a name in `scratch`."""

    def __init__(self, make: Inputs, store: Store, scratch: Path | None) -> None:
        self._make, self._scratch = make, scratch
        self._first = np.asarray(store.first_step)
        self._steps = int(np.sum(store.steps))
        self._rows, self._slots = np.empty((2, 0), dtype=np.int64)
        """Rows that are kept, ascending, and where: no number for each step there is."""
        self._held = np.empty((0, 0), dtype=np.float32)

    def __call__(self, rows: Rows) -> np.ndarray:
        """(R, F) float32 of the rows in their order."""
        rows_at = self._first[rows.trajectory] + rows.step
        slot = self._slot_of(rows_at)
        if (slot < 0).all():
            computed = self._make(rows)
            self._keep(rows_at, computed)
            return computed
        computed = np.empty((len(rows), self._held.shape[1]), dtype=np.float32)
        for part in _parts(np.flatnonzero(slot >= 0)):
            computed[part] = self._held[slot[part]]
        for part in _parts(np.flatnonzero(slot < 0)):
            computed[part] = self._make(rows.take(part))
            self._keep(rows_at[part], computed[part])
        return computed

    def to_state(self) -> dict[str, Any]:
        return self._make.to_state()

    def _slot_of(self, rows_at: np.ndarray) -> np.ndarray:
        """Where rows are kept, -1 for those that are not."""
        if not len(self._rows):
            return np.full(len(rows_at), -1)
        at = np.minimum(np.searchsorted(self._rows, rows_at), len(self._rows) - 1)
        return np.where(self._rows[at] == rows_at, self._slots[at], -1)

    def _keep(self, rows_at: np.ndarray, computed: np.ndarray) -> None:
        count = len(self._rows)
        if count == 0:
            most = KEPT_BYTES // (4 * max(1, computed.shape[1]))
            self._held = rows_on_disk(ALONE, (min(self._steps, most), computed.shape[1]), self._scratch)
        room = min(len(rows_at), len(self._held) - count)
        self._held[count : count + room] = computed[:room]
        rows = np.concatenate([self._rows, rows_at[:room]])
        order = np.argsort(rows, kind="stable")
        self._rows, self._slots = rows[order], np.concatenate([self._slots, np.arange(count, count + room)])[order]


def _parts(index: np.ndarray) -> list[np.ndarray]:
    return batches_of(index, BLOCK)
