"""Starting the processes of one run on this machine, and watching over them: a signal reaches all, and when one fails
the others end. torch.distributed does what they have to do with one another; on several machines torchrun starts them.

Each process also watches over the one that started it, by a pipe which the system closes when that one ends, be it
killed: then it stops as if it had been asked to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from jepa_core.errors import Preempted, RunError
from jepa_core.io.cores import cores
from jepa_core.runs.interrupt import stopping_signals

POLL_SECONDS = 0.05
ENDING_SECONDS = 10.0
"""How long the others have to end by themselves when one has failed, and again when they are told to."""
STARTED = "JEPA_STARTED"
"""Variable that tells a process that its standard input is the pipe of the one that started it."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}

log = logging.getLogger("jepa")


class Launched:
    """Processes that carry out one run together, of which the first has the number 0."""

    def __init__(self, arguments: Sequence[str], count: int) -> None:
        """arguments: of the command `jepa`, the same for each."""
        self._arguments = arguments
        self._count = count
        self._asked = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._own_codes: list[int] = []

    def run(self) -> int:
        """Start them, and give the exit code of the run when all have ended: 0, 75 if it was stopped, or that of a
        process which failed by itself.

        Raises RunError if one cannot be started, or was killed.
        """
        with self._listening():
            self._start()
            while not any(self._codes()) and self._alive():
                time.sleep(POLL_SECONDS)
            if any(self._codes()):
                self._end()
        for process in self._processes:
            process.wait()
        return self._verdict() if self._own_codes else 0

    def _start(self) -> None:
        port = _free_port()
        for number in range(self._count):
            try:
                self._processes.append(subprocess.Popen(
                    [sys.executable, "-m", "jepa_core", *self._arguments],
                    stdin=subprocess.PIPE,
                    env=os.environ | _variables(number, self._count, port),
                    start_new_session=True,  # Ctrl-C reaches this process alone, which then tells the others
                ))  # fmt: skip
            except OSError as error:
                self._send(signal.SIGKILL)
                raise RunError(f"process {number} of {self._count} does not start: {error.strerror}") from error

    def _verdict(self) -> int:
        """What the run ends with, by those alone that ended before any was told to."""
        if self._asked:
            return Preempted.exit_code
        killed = [code for code in self._own_codes if code < 0]
        if killed:
            number = self._codes().index(killed[0])
            raise RunError(
                f"process {number} of {self._count} was ended by signal {-killed[0]}, by hand or because "
                "memory ran out, and the others with it; the last checkpoint is kept"
            )
        return max(self._own_codes, key=lambda code: code > 1)  # 1 is also that of those who only lost another

    def _codes(self) -> list[int | None]:
        return [process.poll() for process in self._processes]

    def _alive(self) -> bool:
        return any(process.poll() is None for process in self._processes)

    def _end(self) -> None:
        """Let the others end by themselves, tell them to, end them as they are."""
        self._give_time()
        self._own_codes = [code for code in self._codes() if code]
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._send(number)
            self._give_time()

    def _give_time(self) -> None:
        until = time.monotonic() + ENDING_SECONDS
        while self._alive() and time.monotonic() < until:
            time.sleep(POLL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Hand on Ctrl-C, TERM and the end of the terminal while the block runs, each to all; the third ends them as
        they are."""
        before = {number: signal.signal(number, self._hand_on) for number in stopping_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        self._asked += 1
        self._send(signal.Signals(number) if self._asked < 3 else signal.SIGKILL)


def end_with_starter() -> None:
    """Stop this process in order when the one that started it has ended, if it was started by `Launched`."""
    if os.environ.pop(STARTED, None):
        threading.Thread(target=_outlive_starter, daemon=True).start()


def _outlive_starter() -> None:
    while os.read(0, 1):  # nothing is ever written
        pass
    log.warning("the command that started the processes of this run has ended, and they stop")
    os.kill(os.getpid(), signal.SIGTERM)


def _variables(number: int, count: int, port: int) -> dict[str, str]:
    """What torchrun sets, too; and the cores of this machine, divided."""
    variables = {
        "RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, STARTED: 1,
    }  # fmt: skip
    unset = {"OMP_NUM_THREADS": max(1, cores() // count), "GLOO_SOCKET_IFNAME": LOOPBACK.get(sys.platform, "")}
    variables |= {name: value for name, value in unset.items() if value and name not in os.environ}
    return {name: str(value) for name, value in variables.items()}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
