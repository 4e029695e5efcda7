"""How a command is asked to stop: by Ctrl-C, TERM or the end of its terminal, and it never forgets it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from jepa_core.errors import JepaError, Preempted
from jepa_core.io.terminal import ErrorOutput

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_SECONDS = 0.25
"""After which a stop that led to nothing is raised again."""


def stopping_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a command to stop: Ctrl-C, TERM, and the end of its terminal, unless that is ignored, as
    under nohup."""
    hung_up = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hung_up)


class Interrupt:
    """Turns the first Ctrl-C or TERM into a stop at the next step's end, and the second into a stop at once. The end of
    a terminal is told more than once, and counts once.

    What a handler raises is lost where Python calls code that may not raise: a finalizer, the callback of a weak
    reference, a function that a library calls. So a stop at once is raised again and again, until the block that
    listens is left, except while it is on its way, so that what cleans up is not disturbed.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        """output: where it is said that a stop was heard; standard error, if not given."""
        self.requested = False
        self._output = output
        self._training = False
        self._stop: Preempted | None = None
        self._tell = sys.unraisablehook

    @contextmanager
    def listening(self) -> Iterator[Interrupt]:
        """Handle these signals while the block runs; outside the main thread, where none arrive, nothing is done.

        Raises Preempted, also where a library, or what words the errors of one, made another error of it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        handlers = {**dict.fromkeys(stopping_signals(), self._handle), signal.SIGALRM: self._raise_again}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._tell, sys.unraisablehook = sys.unraisablehook, self._tell_unless_stop
        try:
            yield self
        except Exception as error:
            own = isinstance(error, JepaError) and not self._on_its_way(error)  # a clear error of the work itself
            if self._stop is None or error is self._stop or own:
                raise
            raise self._stop from error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = self._tell
            for number, handler in before.items():
                signal.signal(number, handler)

    def training(self, training: bool) -> None:
        """While training, the loop stops by itself at a checkpoint; elsewhere there is nothing to wait for."""
        self._training = training

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and (self.requested or self._stop):
            return
        if self._training and not self.requested:
            self.requested = True
            print("stopping after this step; once more stops at once", file=self._output or ErrorOutput(), flush=True)
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        self._stop = Preempted("interrupted")
        raise self._stop

    def _raise_again(self, number: int, frame: FrameType | None) -> None:
        if self._stop is not None and not self._on_its_way(sys.exception()):
            raise self._stop

    def _tell_unless_stop(self, lost: UnraisableHookArgs) -> None:
        """Nobody needs to read of a stop that is lost: it comes again."""
        if lost.exc_value is None or not self._on_its_way(lost.exc_value):
            self._tell(lost)

    def _on_its_way(self, handled: BaseException | None) -> bool:
        """Whether what is being handled is the stop, or came up while it was handled."""
        while handled is not None:
            if handled is self._stop:
                return True
            handled = handled.__context__
        return False
