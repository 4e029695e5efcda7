"""A run sets what it needs of its process, and puts all of it back, however it ends."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info

from commands import RECIPE
from commands import environment as environment_of
from jepa_core.contracts import Listener
from jepa_core.errors import Preempted, RunError
from jepa_core.plugin import Registry
from jepa_core.recipe import RuntimeConfig, load_recipe
from jepa_core.results.findings import Findings
from jepa_core.runs import launching
from jepa_core.runs.pipeline import execute
from jepa_core.runs.process import environment, process_state, seldom_collected
from jepa_core.runs.reevaluation import evaluate_again
from jepa_core.runs.run import Run
from jepa_core.runs.starting import carry_out
from jepa_core.training.processes import LostProcess

VARIABLES = ("HF_HUB_OFFLINE", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def mask() -> int:
    """The process's umask; reading it means setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def state() -> dict[str, Any]:
    """All of a process that a run sets."""
    return {
        "umask": mask(),
        "environment": {name: os.environ.get(name) for name in VARIABLES},
        "torch threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "filling": torch.utils.deterministic.fill_uninitialized_memory,
        "random": torch.get_rng_state().tolist(),
        "pools": {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()},
    }


class Look(Listener):
    """Keeps the state that the process had when an evaluator was done."""

    seen: dict[str, Any]

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        self.seen = state()


@pytest.fixture
def run(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with 3 threads that has not begun, in a process that has another umask and other threads."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    (tmp_path / "toy.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "toy.yaml", ["runtime.threads=3", "curriculum.joint=null"], registry)
    before = os.umask(0o022)
    created = Run.create(tmp_path / "run", recipe, registry, RECIPE)
    yield created
    os.umask(before)


def test_a_run_and_its_evaluation_leave_the_process_as_it_was(run: Run) -> None:
    before = state()
    for work in (execute, evaluate_again):
        look = Look()
        work(run, [look])
        assert state() == before
        assert look.seen["umask"] == 0o077
        assert look.seen["environment"] == dict(zip(VARIABLES, ("1", ":4096:8", "3", "3"), strict=True))
        assert look.seen["torch threads"] == 3 and set(look.seen["pools"].values()) == {3}
        assert look.seen["deterministic"] is True and look.seen["filling"] is False


def test_a_run_that_fails_leaves_the_process_as_it_was(run: Run) -> None:
    class Fail(Listener):
        def run_started(self) -> None:
            raise InterruptedError

    before = state()
    with pytest.raises(InterruptedError):
        execute(run, [Fail()])
    assert state() == before


def test_whatever_a_run_writes_is_for_its_owner_alone(run: Run) -> None:
    execute(run)
    paths = [run.folder, *run.folder.rglob("*"), *run.stores.rglob("*")]
    assert len(paths) > 20
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_the_collector_of_a_command_rests_and_is_put_back_whatever_happens() -> None:
    before = gc.get_threshold()
    with pytest.raises(InterruptedError), seldom_collected():
        assert gc.get_threshold() == (10_000, *before[1:])
        raise InterruptedError
    assert gc.get_threshold() == before


def test_what_the_user_has_set_is_left_and_the_network_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with environment():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8" and os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["HF_HUB_OFFLINE"] == "0"


def test_threads_left_to_the_libraries_are_left_to_them() -> None:
    before = state()["pools"]
    with process_state(RuntimeConfig()):
        assert state()["pools"] == before


SHOW = "print(*(pool['num_threads'] for pool in threadpool_info()));"
LOAD = "import sklearn.linear_model, torch; from threadpoolctl import threadpool_info;"


def threads(script: str, **variables: str) -> list[list[str]]:
    """What a new process prints whose environment has these variables."""
    variables = environment_of(**variables)
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("variables", [("OMP",), ("OMP", "OPENBLAS"), ("OPENBLAS", "MKL")], ids="+".join)
def test_a_library_that_is_loaded_in_a_run_has_its_threads_and_is_free_of_them_afterwards(variables: tuple) -> None:
    said = {f"{name}_NUM_THREADS": str(2 - at) for at, name in enumerate(variables)}
    (ordinary,) = threads(LOAD + SHOW, **said)
    within, afterwards = threads(
        "from jepa_core.recipe import RuntimeConfig; from jepa_core.runs.process import process_state\n"
        f"with process_state(RuntimeConfig(threads=1)): {LOAD}{SHOW}\n{SHOW}",
        **said,
    )
    assert len(within) >= 4, "NumPy, torch, SciPy and scikit-learn have one each"
    assert set(within) == {"1"} and sorted(afterwards) == sorted(ordinary)


def test_a_gpu_that_is_not_there_is_refused_and_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = state()
    with pytest.raises(RunError, match="there is no GPU here"), process_state(RuntimeConfig(device="cuda")):
        pass
    assert state() == before


def test_a_stop_that_reached_another_process_first_is_a_stop(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped_elsewhere(run: Run, listeners: list[Listener], *_: object) -> None:
        listeners[-1].phase_started(None)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)
        raise LostProcess("another process ended")

    monkeypatch.setattr("jepa_core.runs.pipeline.execute", stopped_elsewhere)
    with pytest.raises(Preempted, match="interrupted; what was kept"):
        carry_out(run)


@pytest.mark.parametrize(("end", "code"), [("exit 5", 5), ("kill -9 $$", None)])
def test_a_run_of_several_processes_ends_as_the_one_that_failed_whatever_the_others_do_when_told_to_stop(
    end: str, code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    waits = "trap 'exit 75' TERM; while true; do sleep 0.05; done"
    program.write_text(f'#!/bin/sh\nif [ "$RANK" = 1 ]; then {end}; fi\n{waits}\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(launching, "ENDING_SECONDS", 0.5)
    if code is None:
        with pytest.raises(RunError, match="process 1 of 2 was ended by signal 9"):
            launching.Launched([], 2).run()
    else:
        assert launching.Launched([], 2).run() == code
