"""Who listens to a run belongs to it: nothing of one run is left in the next of the same process."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE, REPOSITORY, install
from jepa_core import plugin
from jepa_core.cli import main
from jepa_core.contracts import Listener
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import load_recipe
from jepa_core.results.findings import Findings
from jepa_core.runs.interrupt import Interrupt
from jepa_core.runs.listeners import RunDisplay, listeners_of
from jepa_core.runs.pipeline import execute
from jepa_core.runs.reevaluation import evaluate_again
from jepa_core.runs.run import Run
from jepa_core.training.curriculum import Progress

Jepa = Callable[..., subprocess.CompletedProcess[str]]
CLOCK = ("seconds", "steps_per_second", "peak_bytes")


def without_clock(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key not in CLOCK}


def results(run: Path) -> dict[str, object]:
    """What a run leaves that depends on neither clock nor machine."""
    files = sorted([*(run / "findings").iterdir(), run / "model.safetensors", *run.glob("checkpoints/*/*.safetensors")])
    lines = (run / "metrics.jsonl").read_text().splitlines()
    costs = json.loads((run / "costs.json").read_text())
    return {
        **{path.relative_to(run).as_posix(): path.read_bytes() for path in files},
        "metrics": [without_clock(json.loads(line)) for line in lines],
        "costs": {phase: without_clock(cost) for phase, cost in costs.items()},
    }


def test_two_runs_in_one_process_equal_two_processes(
    jepa: Jepa, registry: Registry, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = jepa("run", recipe_file, "--out", tmp_path / "apart", "--quiet")
    assert apart.returncode == 0, apart.stderr
    monkeypatch.setattr(plugin, "shared_registry", lambda: registry)
    for name in ("first", "second"):
        assert main(["run", str(recipe_file), "--out", str(tmp_path / name), "--quiet"]) == 0
    first, second = results(tmp_path / "first"), results(tmp_path / "second")
    assert first == second == results(tmp_path / "apart")
    assert len(second["metrics"]) == 6 + 12 + 8  # every step of a phase this short is written down, once
    steps = {phase: cost["steps"] for phase, cost in second["costs"].items()}
    assert steps == {"warm": 6, "joint": 12, "sync": 0, "last": 8}


class Told(Listener):
    """Keeps what it was told, in order."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def run_started(self) -> None:
        self.told.append("run started")

    def phase_started(self, progress: Progress) -> None:
        self.told.append(f"{progress.current.name} started at {progress.step}")

    def step_ended(self, progress: Progress) -> None:
        self.told.append(f"{progress.current.name} {progress.step}")

    def phase_ended(self, progress: Progress) -> None:
        self.told.append(f"{progress.current.name} ended")

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        self.told.append(f"{name} found {len(findings.headlines)}")

    def run_ended(self) -> None:
        self.told.append("run ended")


WHOLE = [
    "run started", "warm started at 0", "warm 1", "warm 2", "warm ended", "sync started at 0", "sync ended",
    "toy found 1", "run ended",
]  # fmt: skip


@pytest.fixture
def run(registry: Registry, recipe_file: Path, tmp_path: Path) -> Run:
    """A run of two phases that has not begun."""
    overrides = ["curriculum.joint=null", "curriculum.last=null", "curriculum.warm.steps=2"]
    return Run.create(tmp_path / "run", load_recipe(recipe_file, overrides, registry), registry, RECIPE)


def test_a_listener_is_told_of_everything_in_order(run: Run) -> None:
    told: list[str] = []
    execute(run, [Told(told)])
    assert told == WHOLE


def test_a_run_without_listeners_writes_neither_metrics_nor_checkpoints(run: Run) -> None:
    execute(run)
    assert (run.folder / "report.html").is_file()
    assert not (run.folder / "metrics.jsonl").exists() and not run.checkpoints.exists()


def test_an_evaluation_again_is_told_of_and_nothing_else(run: Run) -> None:
    execute(run)
    told: list[str] = []
    evaluate_again(run, [Told(told)])
    assert told == ["toy found 1"]


def test_a_step_that_one_listener_ends_is_not_told_to_those_after_it(run: Run) -> None:
    class Stop(Listener):
        def step_ended(self, progress: Progress) -> None:
            raise InterruptedError

    before: list[str] = []
    after: list[str] = []
    with pytest.raises(InterruptedError):
        execute(run, [Told(before), Stop(), Told(after)])
    assert before == WHOLE[:3] and after == WHOLE[:2]


# --- listeners that plugins bring -------------------------------------------------------------------------------------

PAGE = (REPOSITORY / "docs" / "plugins.md").read_text()


def block(name: str) -> str:
    """The file that the page on plugins shows under its name."""
    shown = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    return shown[1]


@pytest.fixture
def tally(tmp_path: Path) -> Path:
    folder = install(tmp_path / "tally", "jepa-tally", "tally = tally")
    for name in ("tally.py", "tally_listener.py"):
        (folder / name).write_text(block(name))
    return folder


def test_a_plugin_listens_to_every_run_with_a_listener_made_for_it(
    jepa: Jepa, tally: Path, recipe_file: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        done = jepa("run", recipe_file, "--out", tmp_path / name, "--quiet", packages=(tally,))
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / name / "tally.csv").read_text().splitlines()
        assert [line.split(",")[:2] for line in lines] == [["warm", "6"], ["joint", "12"], ["sync", "0"], ["last", "8"]]
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert "jepa-tally" in {one["package"] for one in manifest["plugins"]}


def test_what_plugins_bring_is_told_before_the_checkpoints(
    run: Run, registry: Registry, tally: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tally)
    run.registry = discover([importlib.metadata.EntryPoint(name, name, "jepa") for name in ("tally", "toy")])
    names = [type(listener).__name__ for listener in listeners_of(run, RunDisplay(), Interrupt())]
    assert names == ["Metrics", "RunDisplay", "Tally", "Checkpointer"]
