"""Ctrl-C and TERM: what they stop, and when."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from jepa_core.errors import Preempted
from jepa_core.io.terminal import ErrorOutput


class Interrupt:
    """Turns the first Ctrl-C or TERM into a stop at the next step's end, and the second into a stop at once."""

    def __init__(self) -> None:
        self.requested = False
        self._training = False

    @contextmanager
    def listening(self) -> Iterator[Interrupt]:
        """Handle the two signals while the block runs; outside the main thread, where none arrive, nothing is done."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def training(self, training: bool) -> None:
        """While training, the loop stops by itself at a checkpoint; elsewhere there is nothing to wait for."""
        self._training = training

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._training and not self.requested:
            self.requested = True
            print("stopping after this step; once more stops at once", file=ErrorOutput(), flush=True)
            return
        raise Preempted("interrupted")
