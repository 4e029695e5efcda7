"""A study never waits for nothing: terminals, processes that do not start, stops, clusters that are not there."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import command, environment
from jepa_core.errors import RunError
from jepa_core.io import cluster
from jepa_core.plugin import Registry
from jepa_core.study import display
from jepa_core.study.definition import Cell
from jepa_core.study.display import StudyBars, StudyDisplay, StudyLines
from jepa_core.study.folder import StudyFolder
from jepa_core.study.processes import Command, Processes
from jepa_core.study.reading import load_study
from jepa_core.study.running import run_study

Jepa = Callable[..., subprocess.CompletedProcess[str]]

STUDY = "base: toy.yaml\nseeds: [0, 1]\nvariants:\n  full: {}\n  other: {change: {curriculum: {joint: null}}}\n"


@pytest.fixture
def study_file(recipe_file: Path) -> Path:
    path = recipe_file.with_name("stops.yaml")
    path.write_text(STUDY)
    return path


@pytest.fixture
def folder(study_file: Path, registry: Registry, tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "out")
    folder.open(load_study(study_file, [], registry, {}), STUDY)
    return folder


class Broken(StudyDisplay):
    def begun(self, cell: Cell) -> None:
        raise ValueError("a display with a fault")


def test_a_display_that_fails_ends_the_study_and_leaves_no_worker_waiting(
    study_file: Path, registry: Registry, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "run", lambda self, command: 0)
    with pytest.raises(ValueError, match="a display with a fault"):
        run_study(load_study(study_file, [], registry, {}), folder, Broken(), jobs=2)


def test_bars_go_on_where_the_terminal_takes_no_words(
    study_file: Path, registry: Registry, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise BlockingIOError(11, "write could not complete without blocking")

        flush = isatty = fileno = lambda self, *_: True

    cells = load_study(study_file, [], registry, {}).cells
    monkeypatch.setattr(sys, "stderr", Full())
    bars = StudyBars()
    with bars.showing(cells, folder):
        for cell in cells:
            bars.begun(cell)
            bars.ended(cell, "is done")


def test_a_process_that_does_not_start_is_a_run_that_failed_and_its_log_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no" / "python"))
    assert Processes().run(lambda: Command(("ls",), str(tmp_path / "log.txt"))) == 1
    assert re.match(r"error: no process starts with .*/no/python: No such file", (tmp_path / "log.txt").read_text())


def test_a_run_that_began_and_then_found_something_busy_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processes, given = Processes(), []

    def once(command: Command) -> int:
        given.append(command.arguments)
        return 6 if len(given) == 1 else 0

    monkeypatch.setattr(processes, "_once", once)
    monkeypatch.setattr("jepa_core.study.processes.BUSY_SECONDS", 0)
    commands = iter((("run", "recipe.yaml"), ("resume", "runs/one")))
    assert processes.run(lambda: Command(next(commands), str(tmp_path / "log.txt"))) == 0
    assert given == [("run", "recipe.yaml"), ("resume", "runs/one")]


def test_lines_show_now_and_then_that_runs_live(
    study_file: Path,
    registry: Registry,
    folder: StudyFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "jepa")
    monkeypatch.setattr(display, "BEAT_SECONDS", 0.02)
    cells, lines = load_study(study_file, [], registry, {}).cells, StudyLines()
    with lines.showing(cells, folder):
        lines.begun(cells[0])
        folder.run(cells[0]).mkdir()
        (folder.run(cells[0]) / "metrics.jsonl").write_text('{"phase": "warm", "total_step": 3}\n{"half')
        until(lambda: "at work: full-0 3/26 warm" in caplog.messages)


def test_preparing_data_shows_that_it_lives_and_what_it_said_last(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO", "jepa")
    monkeypatch.setattr(display, "BEAT_SECONDS", 0.02)
    (tmp_path / "log.txt").write_text("begins\nstaged [labs]: 120 rows\n")
    with StudyLines().preparing(tmp_path / "log.txt"):
        until(lambda: "preparing data: staged [labs]: 120 rows" in caplog.messages)
    with StudyBars().preparing(tmp_path / "log.txt"):
        pass
    assert re.search(r"preparing data +0:00:0\d +staged \[labs\]: 120 rows", capsys.readouterr().err)


def test_a_run_that_fails_says_why_where_it_is_named_unless_its_last_try_said_nothing(
    study_file: Path,
    registry: Registry,
    folder: StudyFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = {"full-0": "error: before\n" + "x\n" * 9, "full-1": "error: no channel\nfor help: ...\n"}

    def fail(self: Processes, command: Callable[[], Command]) -> int:
        path = Path(command().log)
        path.write_text(words.get(path.stem, ""))
        return 3

    monkeypatch.setattr(Processes, "run", fail)
    run_study(load_study(study_file, [], registry, {}), folder, StudyLines(), jobs=1)
    told = "\n".join(caplog.messages)
    assert re.search(r"full-0 failed \(exit code 3\): see ", told)
    assert re.search(r"full-1 failed \(exit code 3\): no channel; see ", told)


def test_a_run_that_never_began_is_not_said_to_be_stopped(
    study_file: Path, registry: Registry, folder: StudyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jepa")
    cells, lines = load_study(study_file, [], registry, {}).cells, StudyLines()
    with lines.showing(cells, folder):
        lines.begun(cells[0])
        lines.stopped(cells[0], "was stopped")
        lines.stopped(cells[1], "was stopped")
    assert caplog.messages == ["full-0 begins", "full-0 was stopped"]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_cluster_that_does_not_answer_is_one_message(
    address: str, study_file: Path, registry: Registry, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "ANSWER", "1s")
    monkeypatch.setattr(Processes, "run", lambda self, command: 0)
    with pytest.raises(RunError, match="no dask scheduler answers"):
        run_study(load_study(study_file, [], registry, {}), folder, StudyLines(), jobs=1, cluster=address)


def until(happened: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_a_study_on_a_terminal_is_interrupted_and_gone_on_with(
    jepa: Jepa, toy_package: Path, study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(STUDY.replace("seeds: [0, 1]", "seeds: [0]"))
    ours, theirs = pty.openpty()
    os.set_blocking(theirs, False)  # as terminals behind an event loop are: nobody reads yet, and it fills
    process = subprocess.Popen(
        command("study", "stops.yaml", "--out", "out", "--jobs", "2"),
        env=environment(toy_package), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    until(lambda: any((tmp_path / "out" / "runs").glob("*/metrics.jsonl")))
    process.send_signal(signal.SIGINT)
    assert process.wait(240) in (75, 0)
    os.close(ours)
    again = jepa("study", "stops.yaml", "--out", "out")
    assert again.returncode == 0, again.stderr
    assert "2 runs" in again.stderr
