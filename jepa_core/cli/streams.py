"""What the system refuses without naming a file: streams that are closed or full, limits of the process."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from jepa_core.errors import RunError

REASONS = {
    errno.ENOSPC: "no space is left on the disk, or where standard output goes; make some, and give the command again",
    errno.EDQUOT: "the disk quota is used up; make some room, and give the command again",
    errno.EFBIG: "a file would grow beyond the limit of this process; raise it (ulimit -f), and give the command again",
    errno.EMFILE: "this process may open no more files; raise the limit (ulimit -n), and give the command again",
    errno.ENFILE: "this machine can open no more files; end other programs, and give the command again",
    errno.ENOMEM: "this machine has no memory left; end other programs, and give the command again",
    errno.EAGAIN: "this process may start no further one; raise the limit (ulimit -u), and give the command again",
    errno.EIO: "a disk, or what standard output goes to, gives errors; give another one",
}


def stand_in_for_closed() -> None:
    """Give a stream that was closed before the command began somewhere to go. A file that is opened would have its
    number, and hold what libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # has the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def error_of(error: OSError) -> RunError | None:
    """A failure of the system in one message; None if it is none that a user can mend."""
    if error.filename is not None:
        return RunError(f"{error.filename}: {error.strerror}; give another path")
    reason = REASONS.get(error.errno or 0)
    return None if reason is None else RunError(reason)


def flush_output() -> None:
    """Have what was printed arrive, so that a failure is one of the command. Raises OSError."""
    sys.stdout.flush()


def drop_output() -> None:
    """Give up what standard output and error did not take: Python would try again when it ends, and say so."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())
