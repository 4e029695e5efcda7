"""How many threads this machine has work for, and how many this process can start."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from jepa_core.errors import RunError

ANYWHERE = 64
"""Threads that may be asked for on the smallest machine: the last bits of a result depend on their number, and so what
a larger machine found can be found again."""


def cores() -> int:
    """Cores that this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def too_many_threads(asked: Mapping[str, int]) -> list[str]:
    """What is wrong with threads that are asked for, a sentence each. asked: by the key that does."""
    most = max(ANYWHERE, cores())
    return [
        f"{key} asks for {count:,} threads, and this machine has {cores():,} cores; set it to {most:,} at the most"
        for key, count in asked.items() if count > most
    ]  # fmt: skip


def require_threads(count: int) -> None:
    """Start so many threads, and end them, so that a limit is met here: libraries that meet it end the process.

    Raises RunError if they cannot be started.
    """
    release, started = threading.Event(), list[threading.Thread]()
    try:
        while len(started) < count:
            thread = threading.Thread(target=release.wait, daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError):
        raise RunError(
            f"{count:,} threads are asked for, and this process can start {len(started):,} under the limits on its "
            "memory and its threads (ulimit -v, ulimit -u); ask for fewer, or raise the limits"
        ) from None
    finally:
        release.set()
        for thread in started:
            thread.join()
