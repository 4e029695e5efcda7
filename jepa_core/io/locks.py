"""Locks between processes, by files."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jepa_core.errors import Busy
from jepa_core.io.files import require_replaceable


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file; it is free again however the process ends.

    Raises Busy with `message` if it is held already, RunError if something that is no regular file lies there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    require_replaceable(path)
    with path.open("a") as file:  # a lock that is a link must not empty what it links to
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(message) from error
        yield
