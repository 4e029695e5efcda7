"""Commands of `jepa` in forked children, which begin with its libraries imported, and the signals that strike them."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LIMIT = 600.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Strike:
    """A signal, so many seconds after the command began. worker: at a process that it started, not at itself."""

    number: signal.Signals
    after: float
    worker: bool = False


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: its exit code, or less the signal that killed it. lived: seconds of processor time
    between the last strike that found it alive and its end; None if none did. A busy machine gives a command little of
    a second, so no second of the clock says that a signal was lost."""

    code: int
    words: str
    seconds: float
    lived: float | None
    hung: bool


def run(
    arguments: Sequence[str],
    folder: Path,
    strikes: Sequence[Strike] = (),
    before: Callable[[], object] = lambda: None,
) -> Ended:
    """Run a command in a folder, struck on the way. before: what its process does first, such as to set a limit."""
    log = folder / "words.txt"
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # as long as the child is not yet the command
    child = os.fork()
    if child == 0:
        _become(arguments, folder, log, before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    began, left, struck, hung = time.monotonic(), list(strikes), None, False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        now = time.monotonic()
        if ended:
            break
        if left and now - began >= left[0].after and _strike(child, left[0]):
            left.pop(0)
            struck = _processor_seconds(child)
        if now - began > LIMIT:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    lived = None if struck is None else usage.ru_utime + usage.ru_stime - struck
    return Ended(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"), now - began, lived, hung)


def _strike(child: int, strike: Strike) -> bool:
    """Send a signal; False if it is for a worker and none is there yet."""
    told = [child] if not strike.worker else _started_by(child)
    for process in told:
        with suppress(ProcessLookupError):
            os.kill(process, strike.number)
    return bool(told)


def _processor_seconds(child: int) -> float:
    """What a child that was not waited for took so far."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _started_by(parent: int) -> list[int]:
    """Processes that one started and that are still at work."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, above = entry.read_text().rpartition(")")[2].split()[:2]
            if int(above) == parent and state != "Z":
                found.append(int(entry.parent.name))
    return found


def _await_signals() -> None:
    """Take signals as a command does that was just started; one that came before ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _become(arguments: Sequence[str], folder: Path, log: Path, before: Callable[[], object]) -> None:
    """Be the command, in a child, and end as it does."""
    code = 1
    try:
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, 1)
        os.dup2(opened, 2)
        os.chdir(folder)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        from jepa_core.cli import main

        before()
        _await_signals()
        code = main(list(arguments))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
