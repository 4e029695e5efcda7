"""Processes in which the runs of a study work, and how all of them are stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from jepa_core.errors import Busy, Preempted, RunError
from jepa_core.io.files import disk_errors, require_replaceable
from jepa_core.runs.interrupt import stopping_signals

log = logging.getLogger("jepa")

STOPPED = (Preempted.exit_code, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)
"""Exit codes of a process that was stopped, rather than failed: the run goes on another time."""
BUSY_SECONDS = 2


@dataclass(frozen=True)
class Command:
    """What a process is asked to do: `jepa` with arguments, its words into a log, under some further environment."""

    arguments: tuple[str, ...]
    log: str
    environment: tuple[tuple[str, str], ...] = ()


@dataclass
class Processes:
    """Processes that are at work, so that they can all be told to stop."""

    _alive: set[subprocess.Popen[bytes]] = field(default_factory=set)
    # Reentrant: a signal may come while the main thread itself holds it, and `stop` runs on that thread.
    _lock: threading.RLock = field(default_factory=threading.RLock)
    stopping: bool = False

    def run(self, command: Callable[[], Command]) -> int:
        """Run a command to its end and return its exit code; 75 at once when all are told to stop.

        A study that was killed leaves its runs at work: a command that finds its run busy is given again until that one
        has ended, and made anew each time, since a run that has begun is to be gone on with. One that cannot be started
        at all has the exit code of a run that failed, and its log says why.
        Raises RunError if the log cannot be written: because of the disk, or of what lies there.
        """
        while (code := self._once(command())) == Busy.exit_code:
            time.sleep(BUSY_SECONDS)
        return code

    def _once(self, command: Command) -> int:
        path = Path(command.log)
        require_replaceable(path)
        with disk_errors(path.parent), path.open("ab") as words:
            with self._lock:
                if self.stopping:
                    return Preempted.exit_code
                try:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "jepa_core", *command.arguments],
                        stdout=words,
                        stderr=words,
                        stdin=subprocess.DEVNULL,
                        env=os.environ | dict(command.environment),
                        start_new_session=True,  # Ctrl-C reaches this process alone, which then tells the others
                    )
                except OSError as error:
                    words.write(f"error: no process starts with {sys.executable}: {error.strerror}\n".encode())
                    return RunError.exit_code
                self._alive.add(process)
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._alive.discard(process)

    def stop(self, asked_by: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Tell every process to save what it has and end; asked once more, end them as they are. The end of a terminal
        is told more than once, and counts once."""
        with self._lock:
            if asked_by == signal.SIGHUP and self.stopping:
                return
            number = signal.SIGKILL if self.stopping else signal.SIGTERM
            self.stopping = True
            for process in self._alive:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
            # In a thread: the main one may have been interrupted while it was writing.
            threading.Thread(target=_say_stopping, args=(len(self._alive), number)).start()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Stop all of them when this process is asked to end."""
        before = {number: signal.signal(number, self.stop) for number in stopping_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _say_stopping(count: int, number: signal.Signals) -> None:
    if number == signal.SIGKILL:
        log.warning("ended %d at work as they are; each goes on from its last checkpoint", count)
    elif count:
        log.warning("stopping: %d at work save what they have; ask once more to end them as they are", count)
