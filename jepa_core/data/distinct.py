"""Numbers for distinct things, a block at a time, in memory that a dictionary of them would take several times over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DIGEST = np.dtype("S16")
"""128 bits: among a billion things the chance that any two have the same is below 1e-20."""


class Distinct:
    """Numbers things by their digests, from 0 in order of first appearance.

    Some 24 bytes are kept of each: its digest and its number, in sorted runs whose lengths at least halve from one to
    the next, so that a digest is looked up in few of them and moved a few times at most.
    """

    def __init__(self) -> None:
        self.count = 0
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def number(self, digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n,) int64 of n things, and the places (m,) among them of those never seen before, in order.

        digests: 16 bytes each.
        """
        keys, first, inverse = np.unique(np.array(digests, DIGEST), return_index=True, return_inverse=True)
        numbers = self._find(keys)
        new = np.flatnonzero(numbers < 0)
        new = new[np.argsort(first[new])]
        numbers[new] = self.count + np.arange(len(new))
        self.count += len(new)
        self._add(np.sort(new), keys, numbers)
        return numbers[inverse], first[new]

    def _find(self, keys: np.ndarray) -> np.ndarray:
        """Numbers of sorted keys, -1 where one is not known."""
        rows = np.full(len(keys), -1, np.int64)
        for known, numbers in self._runs:
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            rows = np.where(known[at] == keys, numbers[at], rows)
        return rows

    def _add(self, new: np.ndarray, keys: np.ndarray, numbers: np.ndarray) -> None:
        """Keep new keys as a run, and join the last runs for as long as one is less than twice the next."""
        if len(new) == 0:
            return
        self._runs.append((keys[new], numbers[new]))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            (early, of_early), (late, of_late) = self._runs[-2:]
            at = np.searchsorted(early, late)
            self._runs[-2:] = [(np.insert(early, at, late), np.insert(of_early, at, of_late))]
