"""A stop is never lost, whatever Python or a library does with what a signal's handler raises."""

from __future__ import annotations

import os
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from jepa_core.errors import Preempted, RunError
from jepa_core.libraries import library
from jepa_core.plugin import discover
from jepa_core.runs.interrupt import AGAIN_SECONDS, Interrupt


def strike(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def work(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


class Thing:
    pass


def test_a_stop_that_python_swallows_is_raised_again() -> None:
    with pytest.raises(Preempted), Interrupt().listening():
        thing = Thing()
        reference = weakref.ref(thing, strike)
        del thing  # the callback of the reference is struck, and what it raises is printed and forgotten
        assert reference() is None
        work(20)
        raise AssertionError("it went on to its end")


@pytest.fixture
def end_ignored() -> Iterator[Callable[[bool], object]]:
    """Tells this process to ignore the end of a terminal, or not; tests may run under nohup themselves."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda ignored: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    signal.signal(signal.SIGHUP, before)


def test_the_end_of_a_terminal_is_one_stop_however_often_it_is_told_and_none_where_it_is_ignored(
    end_ignored: Callable[[bool], object],
) -> None:
    end_ignored(False)
    with Interrupt().listening() as interrupt:
        interrupt.training(True)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.requested
    end_ignored(True)
    with Interrupt().listening() as interrupt:
        interrupt.training(True)
        os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupt.requested


def test_what_cleans_up_is_not_disturbed() -> None:
    cleaned = []
    with pytest.raises(Preempted), Interrupt().listening():
        try:
            strike()
            work(20)
        finally:
            try:
                raise ValueError("a fault that is dealt with while cleaning up")
            except ValueError:
                work(3 * AGAIN_SECONDS)
            cleaned.append(True)
    assert cleaned


def test_a_stop_of_which_a_library_makes_an_error_of_its_own_is_a_stop() -> None:
    with pytest.raises(Preempted), Interrupt().listening():
        try:
            strike()
            work(20)
        except Preempted:
            raise RuntimeError("the query was interrupted") from None


def test_a_stop_while_a_library_is_imported_is_not_taken_for_a_broken_library() -> None:
    with pytest.raises(Preempted), Interrupt().listening(), library("matplotlib"):
        strike()
        work(20)


def test_a_stop_while_a_plugin_is_loaded_is_not_taken_for_a_broken_plugin() -> None:
    class Struck(EntryPoint):
        def load(self) -> None:
            strike()
            work(20)

    with pytest.raises(Preempted), Interrupt().listening():
        discover([Struck("struck", "nowhere", "jepa_core.plugins")])


def test_a_fault_of_the_work_itself_is_no_stop() -> None:
    with pytest.raises(RunError, match="of its own"), Interrupt().listening():
        raise RunError("of its own")


def test_while_training_the_first_stop_is_noted_and_the_second_is_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    interrupt = Interrupt()
    with pytest.raises(Preempted), interrupt.listening():
        interrupt.training(True)
        strike()
        work(0.05)
        assert interrupt.requested and "stopping after this step" in capsys.readouterr().err
        strike()
        work(20)


def test_signals_are_as_they_were_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(Preempted), Interrupt().listening():
        strike()
        work(20)
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
