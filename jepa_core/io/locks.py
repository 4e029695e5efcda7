"""Locks between processes, by files."""

from __future__ import annotations

import errno
import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jepa_core.errors import Busy, RunError
from jepa_core.io.files import require_replaceable

log = logging.getLogger("jepa")

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that has none, such as one on the network whose service for locks is not there."""
WAIT_SECONDS = 0.2
"""Between two looks at a lock that another process holds."""


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file; it is free again however the process ends.

    Raises Busy with `message` if it is held already, RunError if something that is no regular file lies there.
    """
    with _opened(path) as file:
        if not _taken(file):
            raise Busy(message)
        yield


@contextmanager
def locked_in_turn(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file as `locked` does, but wait while another process holds it; the log says `message` once.

    Raises RunError if something that is no regular file lies there.
    """
    with _opened(path) as file:
        if not _taken(file):
            log.info(message)
        while not _taken(file):
            time.sleep(WAIT_SECONDS)
        yield


def _opened(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    require_replaceable(path)
    return path.open("a")  # a lock that is a link must not empty what it links to


def _taken(file: IO[str]) -> bool:
    """Whether this process has the lock now; taking it twice is taking it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise RunError(
            f"{file.name}: the file system there has no locks ({error.strerror}), which keep two commands from one "
            "folder; mount it with locks (of NFS, without the option nolock), or put the folder on another disk"
        ) from error
    return True
