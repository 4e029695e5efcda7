"""Runs the command `jepa` in processes that begin with its libraries imported.

A process that is started from nothing spends most of a small run's time on imports. Here one process imports them once,
and forks a child for each command. A child has the environment, the folder and the search path that it is given, dies
of the signals that it gets, and ends as `python -m jepa_core` does. All children have the seed of hashes of the process
they are forked from, so a test of the same bits from other processes starts one of them with `commands.command`.

A command that starts others, as a run of several processes does, forks them in its turn.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import logging
import os
import pkgutil
import runpy
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import thread as pools
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any

LIBRARIES = ("torch._dynamo", "zarr", "matplotlib.figure", "matplotlib.backends.backend_svg", "rich.console")
"""What a run imports besides the core's own modules, wherever in its course."""


class WarmProcess:
    """The process that forks, for as long as a block runs. further: libraries that it imports besides."""

    def __init__(self, further: Sequence[str] = ()) -> None:
        self._further = further

    def __enter__(self) -> WarmProcess:
        from commands import environment

        # One thread, so that a fork has all of them.
        held = environment(OPENBLAS_NUM_THREADS="1")
        arguments = [sys.executable, __file__, *self._further]
        self._process = subprocess.Popen(arguments, env=held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask({})  # answered when it has imported all: who measures the time of a command does not measure that
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(
        self, arguments: list[str], env: dict[str, str], cwd: Path, module: str = "jepa_core"
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` gives of `python -m MODULE ARGUMENTS`, with its output captured."""
        with tempfile.TemporaryDirectory() as folder:
            outputs = [Path(folder) / name for name in ("stdout", "stderr")]
            code = self._begun(module, arguments, env, cwd, *map(str, outputs)).wait()
            return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in outputs))

    def start(
        self, arguments: list[str], env: dict[str, str], cwd: Path, stdout: str = os.devnull, stderr: str = os.devnull
    ) -> Started:
        """`python -m jepa_core ARGUMENTS` at work. stdout, stderr: files that it writes to."""
        return self._begun("jepa_core", arguments, env, cwd, stdout, stderr)

    def _begun(self, module: str, arguments: list[str], env: dict[str, str], cwd: Path, *outputs: str) -> Started:
        asked = {"module": module, "arguments": arguments, "environment": env, "folder": str(cwd), "outputs": outputs}
        return Started(self, self.ask(asked))

    def ask(self, what: dict[str, Any]) -> Any:
        """What the process answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


class Started:
    """A command at work, as a `subprocess.Popen` is."""

    def __init__(self, warm: WarmProcess, pid: int) -> None:
        self._warm, self.pid = warm, pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Exit code, or None while it is at work."""
        if self._code is None:
            self._code = self._warm.ask({"of": self.pid, "wait": False})
        return self._code

    def wait(self, seconds: float | None = None) -> int:
        """Exit code, once it has ended. Raises TimeoutError after some seconds."""
        if seconds is None and self._code is None:
            self._code = self._warm.ask({"of": self.pid, "wait": True})
        end = time.monotonic() + (seconds or 0.0)
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"the command has not ended after {seconds} seconds")
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def main() -> str:
    """Fork a child for a line of the standard input and tell its number, or how the child of a number ended. A child
    comes back from here, with the name of the module that it is to run."""
    given = [os.path.abspath(path) for path in os.environ["PYTHONPATH"].split(os.pathsep)]
    own = [path for path in sys.path[1:] if path not in given]
    _import_everything(sys.argv[1:])
    gc.freeze()  # what is never collected is never copied into a child
    while line := sys.stdin.readline():
        asked = json.loads(line)
        answer: int | None = None
        if "of" in asked:
            answer = _ended(asked["of"], asked["wait"])
        elif asked and (answer := os.fork()) == 0:
            _become(asked, own)
            return str(asked["module"])
        print(json.dumps(answer), flush=True)
    sys.exit()


def _ended(child: int, wait: bool) -> int | None:
    """The exit code of a child; None where it is at work and is not to be waited for."""
    ended, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _import_everything(further: Sequence[str]) -> None:
    import jepa_core

    gc.disable()  # nothing of it is given up
    for name in (*LIBRARIES, *further):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(jepa_core.__path__, "jepa_core."):
        if not module.name.startswith(("jepa_core.testing", "jepa_core.scaffold.", "jepa_core.__main__")):
            importlib.import_module(module.name)
    for declared in entry_points(group="jepa"):
        importlib.import_module(declared.module)
    gc.enable()


def _become(asked: dict[str, Any], own: list[str]) -> None:
    """Make of this process what it were if it had been started as it is asked."""
    for number, path in ((0, os.devnull), *enumerate(asked["outputs"], start=1)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    tempfile.tempdir = None
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [asked["folder"], *given, *own]
    for path in given:
        if path.endswith("site-packages"):  # an environment that a test made: pip may have installed in place there
            site.addsitedir(path)
    importlib.invalidate_caches()
    sys.modules.pop("sitecustomize", None)
    with contextlib.suppress(ModuleNotFoundError):  # as every process does that begins
        importlib.import_module("sitecustomize")
    sys.argv = [asked["module"], *asked["arguments"]]
    subprocess.Popen = _Forking  # type: ignore[misc]


class _Forking(subprocess.Popen):
    """What a command starts: a program, or where its main thread starts the command again, a fork that never comes to
    one. What another thread holds is held for ever in a fork, so the runs of a study are started as programs."""

    def __init__(self, words: Sequence[str], *further: Any, env: dict[str, str] | None = None, **others: Any) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and list(words[:3]) == [sys.executable, "-m", "jepa_core"]:
            others["preexec_fn"] = partial(_begin_again, words[2:], env or dict(os.environ))
        super().__init__(words, *further, env=env, **others)


def _begin_again(words: Sequence[str], environment: dict[str, str]) -> None:
    """Make of a fork what it were if it had been started, and carry out the command. It has its own streams, folder and
    session already, and gives up what else it had of the process that it was forked from."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    pools._threads_queues.clear()  # type: ignore[attr-defined]
    logging.getLogger().handlers.clear()
    _renew_streams()
    sys.unraisablehook = sys.__unraisablehook__
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [*words]
    try:
        _carry_out("jepa_core")
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(1)


def _renew_streams() -> None:
    """Write to standard output and error by objects of this process alone: when it was forked, another thread may have
    been writing by those that it had, and would hold them for ever."""
    before = (sys.__stdout__, sys.__stderr__)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, None, "backslashreplace", closefd=False)
    for reference in logging._handlerList:  # type: ignore[attr-defined]  # all are flushed when the process ends
        handler = reference()
        for old, new in zip(before, (sys.stdout, sys.stderr), strict=True):
            if getattr(handler, "stream", None) is old:
                handler.stream = new
    _given_up.extend(before)


_given_up: list[Any] = []
"""Streams that are never written to again, and never closed, for that would flush them."""


def _carry_out(module: str) -> None:
    """Run a module, and end as the interpreter would, but for the modules, which it would take apart one by one."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as multiprocessing ends a fork
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code)


if __name__ == "__main__":
    _carry_out(main())
