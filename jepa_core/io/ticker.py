"""Saying how far a long pass has come."""

from __future__ import annotations

import logging
import time
from collections import Counter

SECONDS = 10.0
"""Least time between two lines of one pass."""
LOOKS = 0.2
"""Least time between two looks at how far a pass has come, by whoever draws it."""

log = logging.getLogger("jepa")


class Ticker:
    """Logs a line every so many seconds while things go through a pass; a short pass logs nothing.

    Between the lines are records of level DEBUG, for bars. All have the attribute `come`: what is done, in the words of
    the pass, and the share of it; None where nobody knows how many there are.
    """

    def __init__(self, doing: str, total: int | None = None) -> None:
        """total: how many go through the pass, by the first name that is counted."""
        self._doing = doing
        self._total = total
        self._began = self._last = time.monotonic()
        self._counted = self._began
        self._looked = 0.0
        self._counts: Counter[str] = Counter()

    def go_on(self) -> None:
        """Leave out of the seconds what has passed since something was counted: other work was done."""
        aside = time.monotonic() - self._counted
        self._began += aside
        self._last += aside
        self._counted += aside

    def add(self, **counts: int) -> None:
        """Count what went through, such as `trajectories=128, steps=9216`."""
        self._counts.update(counts)
        now = self._counted = time.monotonic()
        is_line = now - self._last >= SECONDS
        if not is_line and now - self._looked < LOOKS:
            return
        self._looked = now
        self._last = now if is_line else self._last
        told = ", ".join(f"{count:,} {name}" for name, count in self._counts.items())
        level = logging.INFO if is_line else logging.DEBUG
        come = {"come": (self._doing, self._share())}
        log.log(level, "%s: %s, %.0f s", self._doing, told, now - self._began, extra=come)

    def _share(self) -> float | None:
        return next(iter(self._counts.values())) / self._total if self._total else None
