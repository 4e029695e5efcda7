"""A run of several processes ends where that of one does: started by `jepa` or by torchrun, stopped by a signal, or by
the death of a process, and gone on with by another number of them."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from commands import command, environment, install
from jepa_core.io import tensor_files
from jepa_core.plugin import shared_registry
from jepa_core.recipe import load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run
from jepa_core.training.processes import ConnectedPeers
from warm import WarmProcess

RECIPE = """\
name: together
seed: 1
source: {use: oscillators}
windows: {length: 12, stride: 4, min_length: 3}
encoder: {use: tiny_channels, dropout: 0.0}
predictor:
  {use: action_transformer, width: 16, layers: 1, heads: 2, feedforward: 16, max_steps: 12, dropout: 0.1}
curriculum:
  - use: predictor_warmup
    steps: 4
    batch_size: 6
    rollout_horizon: 3
    validation: {every: 2, windows: 12}
  - use: joint_refinement
    steps: 8
    batch_size: 6
    rollout_horizon: 3
    objectives: [{use: variance_covariance}, {use: strike}]
  - {use: hard_sync}
evaluators:
  - use: latent_collapse
  - {use: rollout_drift, horizon: 4}
runtime: {checkpoint_every: 2, threads: 1}
"""

# An objective of no weight that sends a signal to its own process, or to the one that started it, at a given step.
STRIKER = """
import os, signal
from collections.abc import Iterator
from jepa_core.config import ObjectiveConfig
from jepa_core.contracts import Objective
from jepa_core.plugin import Component, hookimpl
from jepa_core.training.totals import total

class StrikeConfig(ObjectiveConfig):
    '''Nothing.'''

class Strike(Objective):
    step = 0

    def terms(self, learner, batch, generator):
        self.step += 1
        kind, number, step = os.environ.get("STRIKE", "TERM 0 0").split()
        own = os.environ.get("RANK")
        struck = {own: os.getpid()} | ({"starter": os.getppid()} if own == "0" else {})
        if number in struck and self.step == int(step):
            os.kill(struck[number], getattr(signal, "SIG" + kind))
        return {"nothing": total(learner.latents(batch).states.sum()) * 0}

@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("objective", "strike", StrikeConfig, "striker:Strike")
"""


class Runs:
    """Runs of the recipe in one folder. warm: runs the command that starts the processes of a run."""

    def __init__(self, folder: Path, warm: WarmProcess) -> None:
        self.folder, self._warm = folder, warm
        self._package = install(folder / "package", "striker", "striker = striker")
        (self._package / "striker.py").write_text(STRIKER)
        (folder / "together.yaml").write_text(RECIPE)

    def start(self, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """A process from nothing, and whatever it starts: to the end of the last that could write."""
        return subprocess.run(
            words, env=environment(self._package, **variables), cwd=self.folder, capture_output=True, text=True,
            timeout=900,
        )  # fmt: skip

    def jepa(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The command, to its own end."""
        return self._warm.run([*arguments], environment(self._package, **variables), self.folder)

    def losses(self, name: str) -> dict[tuple[str, int], dict[str, float]]:
        """Terms of every step that was written down, those of a validation with them."""
        lines = map(json.loads, (self.folder / name / "metrics.jsonl").read_text().splitlines())
        return {
            (line["phase"], line["step"]): line["terms"] | {"validated": line.get("validation", {}).get("loss", 0.0)}
            for line in lines
        }

    def manifest(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / name / "manifest.json").read_text()))

    def findings(self, name: str) -> dict[str, Any]:
        return {
            path.name: dict(numbers(json.loads(path.read_text())))
            for path in sorted((self.folder / name / "findings").iterdir())
        }


def numbers(content: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number in what JSON holds, by where it stands."""
    if isinstance(content, (dict, list)):
        inner = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in inner:
            yield from numbers(value, f"{place}.{key}")
    elif isinstance(content, (int, float)):
        yield place, content


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess) -> Runs:
    runs = Runs(tmp_path_factory.mktemp("together"), warm)
    alone = runs.jepa("run", "together.yaml", "--out", "alone", "--quiet")
    assert alone.returncode == 0, alone.stderr
    return runs


def require_as_alone(runs: Runs, name: str) -> None:
    losses, alone = runs.losses(name), runs.losses("alone")
    assert losses.keys() == alone.keys()
    for step, terms in alone.items():
        assert losses[step] == pytest.approx(terms, rel=1e-4, abs=1e-6), step
    for evaluator, values in runs.findings("alone").items():
        assert runs.findings(name)[evaluator] == pytest.approx(values, rel=1e-2, abs=1e-3), evaluator


def test_two_processes_train_and_find_what_one_does(runs: Runs) -> None:
    done = runs.jepa("run", "together.yaml", "--out", "two", "--processes", "2")
    assert done.returncode == 0, done.stderr
    assert "process 1 of 2 waits for process 0" in done.stderr
    assert done.stdout.count("report.html") == 1 and done.stderr.count("phase 1/3") == 1
    require_as_alone(runs, "two")


def test_a_run_ends_alike_whatever_stops_it_and_however_many_go_on(runs: Runs) -> None:
    died = runs.jepa("run", "together.yaml", "--out", "died", "--processes", "2", "--quiet", STRIKE="KILL 1 6")
    assert died.returncode == 1
    assert "process 1 of 2 was ended by signal 9" in died.stderr
    assert "go on with: jepa resume" in died.stderr and "Traceback" not in died.stderr
    assert [path.name for path in sorted((runs.folder / "died" / "checkpoints").iterdir())][-1] == "00000008-01"
    stopped = runs.jepa("resume", "died", "--processes", "3", STRIKE="INT 2 2")
    assert stopped.returncode == 75, stopped.stderr
    assert stopped.stderr.count("stopped in phase 'joint_refinement' after step 6; everything so far is kept") == 1
    left = runs.start(command("resume", "died", "--processes", "2"), STRIKE="KILL starter 1")
    assert left.returncode == -9, left.stderr
    assert "the command that started the processes of this run has ended" in left.stderr
    assert "everything so far is kept" in left.stderr or "interrupted" in left.stderr, left.stderr
    resumed = runs.jepa("resume", "died", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    require_as_alone(runs, "died")


def test_two_processes_evaluate_a_finished_run_to_the_bytes_that_one_finds(runs: Runs) -> None:
    before = {path.name: path.read_bytes() for path in (runs.folder / "alone" / "findings").iterdir()}
    done = runs.jepa("evaluate", "alone", "--processes", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report.html") == 1 and "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in (runs.folder / "alone" / "findings").iterdir()} == before
    assert set(runs.manifest("alone")["evaluated"]) == {"latent_collapse", "rollout_drift"}


def test_a_stop_of_one_process_of_torchrun_stops_all_at_a_checkpoint(runs: Runs) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    words = [*torchrun, "--nproc-per-node", "2", *command("run", "together.yaml", "--out", "stopped")[1:]]
    stopped = runs.start(words, STRIKE="TERM 1 5")
    assert stopped.returncode != 0
    assert "stopped in phase 'joint_refinement' after step 5; everything so far is kept" in stopped.stderr
    assert [path.name for path in sorted((runs.folder / "stopped" / "checkpoints").iterdir())][-1] == "00000009-01"


def carried_out(number: int, runs: list[Run], folder: Path) -> None:
    torch.set_num_threads(1)
    for run in runs:
        store = dist.FileStore(str(folder / f"{run.folder.name}.store"), 2)
        dist.init_process_group("gloo", store=store, rank=number, world_size=2, timeout=timedelta(minutes=5))
        execute(run, [], ConnectedPeers(dist.group.WORLD))
        dist.destroy_process_group()


def test_runs_of_as_many_processes_share_a_control_and_one_alone_trains_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_files, "KEPT_FREE", 0.0)  # a disk that is nearly full shares nothing
    (tmp_path / "shared").mkdir()
    text = RECIPE.replace(", {use: strike}", "")
    (tmp_path / "together.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "together.yaml", (), shared_registry())
    first, second, alone = (Run.create(tmp_path / name, recipe, recipe.registry, text) for name in ("a", "b", "c"))
    context = multiprocessing.get_context("fork")
    together = [context.Process(target=carried_out, args=(number, [first, second], tmp_path)) for number in range(2)]
    for workers, controls in ((together, 1), ([context.Process(target=execute, args=(alone,))], 2)):
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=300)
            assert worker.exitcode == 0
        assert len([*(tmp_path / "shared").rglob("control-*")]) == controls
    own = [(run.folder / "control.safetensors").read_bytes() for run in (first, second)]
    assert own[0] == own[1]
