"""Saying how far a long pass has come."""

from __future__ import annotations

import logging
import time
from collections import Counter

SECONDS = 10.0
"""Least time between two lines of one pass."""

log = logging.getLogger("jepa")


class Ticker:
    """Logs a line every so many seconds while things go through a pass; a short pass logs nothing."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._began = self._last = time.monotonic()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """Count what went through, such as `trajectories=128, steps=9216`."""
        self._counts.update(counts)
        now = time.monotonic()
        if now - self._last >= SECONDS:
            self._last = now
            told = ", ".join(f"{count:,} {name}" for name, count in self._counts.items())
            log.info("%s: %s, %.0f s", self._doing, told, now - self._began)
