"""Saying how far a long pass has come."""

from __future__ import annotations

import logging
import time

SECONDS = 10.0
"""Least time between two lines of one pass."""

log = logging.getLogger("jepa")


class Ticker:
    """Logs a line every so many seconds while trajectories go through something; a short pass logs nothing."""

    def __init__(self, doing: str, total: int | None = None) -> None:
        self._doing = doing
        self._of = f" of {total:,}" if total is not None else ""
        self._began = self._last = time.monotonic()
        self._trajectories = self._steps = 0

    def add(self, trajectories: int, steps: int) -> None:
        """Count what went through."""
        self._trajectories += trajectories
        self._steps += steps
        now = time.monotonic()
        if now - self._last >= SECONDS:
            self._last = now
            log.info(
                "%s: %s%s trajectories, %s steps, %.0f s",
                self._doing, f"{self._trajectories:,}", self._of, f"{self._steps:,}", now - self._began,
            )  # fmt: skip
