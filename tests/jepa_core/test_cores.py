"""Threads that a recipe asks for, held against the machine and the limits of the process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from commands import RECIPE
from jepa_core.errors import RunError
from jepa_core.io import cores
from jepa_core.io.cores import require_threads, too_many_threads
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.recipe.settings import RuntimeConfig
from jepa_core.recipe.threads import threads_asked
from jepa_core.runs.plan import make_plan
from jepa_core.runs.process import process_state


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of three cores, and a process that may start four threads."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(started) == 4:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(cores, "cores", lambda: 3)


def test_more_threads_than_a_machine_has_work_for_are_told_by_key_and_before_anything_is_done(
    few: None, tmp_path: Path, registry: Registry
) -> None:
    (tmp_path / "toy.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "toy.yaml", ["runtime.threads=65"], registry)

    assert threads_asked(recipe) == {"runtime.threads": 65}
    told = "runtime.threads asks for 65 threads, and this machine has 3 cores; set it to 64 at the most"
    assert told in make_plan(recipe).missing and too_many_threads({"source.threads": 64}) == []


def test_threads_that_cannot_be_started_are_one_sentence_and_those_that_were_have_ended(few: None) -> None:
    before = threading.active_count()
    with pytest.raises(RunError, match="5 threads are asked for, and this process can start 4 under the limits"):
        require_threads(5)
    assert threading.active_count() == before


def test_a_run_does_not_begin_under_limits_that_forbid_its_threads(few: None) -> None:
    with pytest.raises(RunError, match="this process can start 4"), process_state(RuntimeConfig(threads=6)):
        pytest.fail("it began")
