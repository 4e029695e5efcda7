"""Inputs of rows, made once however many tasks, fits and scores ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jepa_core.training.processes import ALONE
from jepa_core.training.shares import rows_on_disk
from jepa_downstream.rows import Rows

if TYPE_CHECKING:
    from jepa_core.data.store import Store

KEPT_BYTES = 2**29
"""Bytes of inputs that are kept; those of further rows are made again whenever they are asked for."""


class Inputs(Protocol):
    """What may be known of a row at its step, as numbers."""

    def __call__(self, rows: Rows) -> np.ndarray:
        """(R, F) float32 of the rows in their order."""

    def to_state(self) -> dict[str, Any]:
        """What makes them of other trajectories, as a kept head holds it: `kind` says how it is read."""


class Kept:
    """Inputs that are a function of a row's trajectory and step alone, kept in a file without a name in `scratch`."""

    def __init__(self, make: Inputs, store: Store, scratch: Path | None) -> None:
        self._make, self._scratch = make, scratch
        self._first = np.asarray(store.first_step)
        self._slot = np.full(int(np.sum(store.steps)), -1, dtype=np.int64)
        self._held = np.empty((0, 0), dtype=np.float32)
        self._count = 0

    def __call__(self, rows: Rows) -> np.ndarray:
        """(R, F) float32 of the rows in their order."""
        rows_at = self._first[rows.trajectory] + rows.step
        new = np.flatnonzero(self._slot[rows_at] < 0)
        if len(new) == len(rows):
            computed = self._make(rows)
            self._keep(rows_at, computed)
            return computed
        computed = np.asarray(self._held[self._slot[rows_at]])
        if len(new):
            computed[new] = self._make(rows.take(new))
            self._keep(rows_at[new], computed[new])
        return computed

    def to_state(self) -> dict[str, Any]:
        return self._make.to_state()

    def _keep(self, rows_at: np.ndarray, computed: np.ndarray) -> None:
        if self._count == 0:
            most = KEPT_BYTES // (4 * max(1, computed.shape[1]))
            shape = (min(len(self._slot), most), computed.shape[1])
            self._held = rows_on_disk(ALONE, shape, self._scratch)
        room = min(len(rows_at), len(self._held) - self._count)
        slots = np.arange(self._count, self._count + room)
        self._held[slots] = computed[:room]
        self._slot[rows_at[:room]] = slots
        self._count += room
