"""A run that was stopped, in whatever way and wherever, ends in the bits of the one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from commands import RECIPE, command, environment, install
from jepa_core.errors import UnsafeArtefactError
from jepa_core.io.records import write_sealed
from jepa_core.training.checkpoint import restore_checkpoint
from jepa_core.training.curriculum import Progress
from warm import WarmProcess

Jepa = Callable[..., subprocess.CompletedProcess[str]]

# A plugin that stops the process at a given step of a given phase, by a signal to itself.
STOPPER = """
import os, signal
from jepa_core.contracts import Listener
from jepa_core.plugin import hookimpl

def stop(progress, border):
    phase, step, kind = os.environ.get("STOP", "none 0 TERM").split()
    if progress.current.name == phase and (step == "end") == border and (border or progress.step == int(step)):
        os.kill(os.getpid(), getattr(signal, "SIG" + kind))

class Stopper(Listener):
    def step_ended(self, progress):
        stop(progress, False)

    def phase_ended(self, progress):
        stop(progress, True)

@hookimpl
def jepa_listeners(run):
    yield Stopper()
"""


@pytest.fixture(scope="module")
def stopper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = install(tmp_path_factory.mktemp("stopper"), "stopper", "stopper = stopper")
    (folder / "stopper.py").write_text(STOPPER)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(toy_package: Path, stopper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "toy.yaml").write_text(RECIPE)
    done = subprocess.run(
        command("run", "toy.yaml", "--out", "run"),
        env=environment(toy_package, stopper),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def results(run: Path) -> dict[str, bytes]:
    """Everything that must be equal: weights (optimizer state shapes every later step), findings, metrics without the
    clock."""
    files = {path.name: path.read_bytes() for path in sorted((run / "findings").iterdir())}
    files["model"] = (run / "model.safetensors").read_bytes()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "steps_per_second")
    files["metrics"] = json.dumps(
        [{key: value for key, value in line.items() if key not in clock} for line in lines]
    ).encode()
    return files


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("warm 3", "KILL"), ("warm 4", "INT"), ("joint 1", "TERM"), ("joint 7", "KILL"), ("joint end", "KILL"),
        ("joint end", "INT"), ("sync end", "KILL"), ("last 5", "TERM"), ("last end", "KILL"),
    ],
)  # fmt: skip
def test_a_stopped_run_resumes_to_the_same_bits(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path, uninterrupted: Path, place: str, kind: str
) -> None:
    stopped = jepa("run", recipe_file, "--out", tmp_path / "run", packages=(stopper,), STOP=f"{place} {kind}")
    assert stopped.returncode == (-signal.SIGKILL if kind == "KILL" else 75), stopped.stderr
    if kind != "KILL":
        assert f"jepa resume {tmp_path / 'run'}" in stopped.stderr
    resumed = jepa("resume", tmp_path / "run", packages=(stopper,))
    assert resumed.returncode == 0, resumed.stderr
    assert results(tmp_path / "run") == results(uninterrupted)


WITH_MODULE = RECIPE.replace(
    "  - {use: toy_train", "  - {use: toy_disposable, name: refine, steps: 9, batch_size: 4}\n  - {use: toy_train"
)


def test_a_phases_own_module_resumes_to_the_same_bits_and_leaves_nothing_behind(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path
) -> None:
    recipe_file.write_text(WITH_MODULE)
    assert jepa("run", recipe_file, "--out", tmp_path / "whole").returncode == 0
    for number, stop in enumerate(("refine 7 KILL", "refine 5 TERM")):
        run = tmp_path / f"run{number}"
        jepa("run", recipe_file, "--out", run, packages=(stopper,), STOP=stop)
        assert {"module.0.weight", "module.1.running_mean"} <= set(newest_tensors(run))
        resumed = jepa("resume", run, packages=(stopper,))
        assert resumed.returncode == 0, resumed.stderr
        assert results(run) == results(tmp_path / "whole")
        assert not any(name.startswith("module.") for name in newest_tensors(run))
    model = load_file(tmp_path / "whole" / "model.safetensors")
    assert {name.split(".")[0] for name in model} == {"encoder", "target", "predictor"}


WITH_OBJECTIVES = """
  - use: toy_fit
    name: warm
    steps: 6
    batch_size: 4
    objectives: [{use: toy_reading, name: reading}]
  - use: toy_train
    name: joint
    steps: 12
    batch_size: 4
    objectives: [{use: toy_reading, name: passing, keep: false, weight: 2}, {use: toy_reading, name: reading}]
  - {use: toy_fit, name: between, steps: 2, batch_size: 4}
  - use: toy_fit
    name: last
    steps: 8
    batch_size: 4
    objectives: [{use: toy_reading, name: reading, weight: 0.5}]
evaluators: [{use: toy}, {use: toy_control}]
"""


def test_the_modules_of_objectives_resume_to_the_same_bits_and_are_kept_or_dropped(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path
) -> None:
    head, _, _ = RECIPE.partition("\n  - ")
    recipe_file.write_text(head + WITH_OBJECTIVES + "runtime: {checkpoint_every: 4, threads: 1}\n")
    whole = jepa("run", recipe_file, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    weights = load_file(tmp_path / "whole" / "model.safetensors")
    assert {name for name in weights if "objective" in name} == {
        "objective.reading.weight", "objective.reading.bias"
    }  # fmt: skip
    assert "objective.passing.weight" not in newest_tensors(tmp_path / "whole")
    stops = {"warm 5 KILL": {"reading"}, "joint 7 TERM": {"reading", "passing"}, "between 1 TERM": {"reading"},
             "last 5 KILL": {"reading"}, "last end KILL": {"reading"}}  # fmt: skip
    for number, (stop, modules) in enumerate(stops.items()):
        run = tmp_path / f"run{number}"
        jepa("run", recipe_file, "--out", run, packages=(stopper,), STOP=stop)
        held = {name.split(".")[2] for name in newest_tensors(run) if name.startswith("weights.objective.")}
        assert held == modules
        resumed = jepa("resume", run, packages=(stopper,))
        assert resumed.returncode == 0, resumed.stderr
        assert results(run) == results(tmp_path / "whole")
        assert (run / "control.safetensors").read_bytes() == (tmp_path / "whole/control.safetensors").read_bytes()


def newest_tensors(run: Path) -> dict[str, Tensor]:
    return load_file(max((run / "checkpoints").iterdir()) / "state.safetensors")


def test_the_optimizer_state_in_the_middle_of_a_phase_is_the_uninterrupted_one(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path
) -> None:
    """Stop one run at step 10 of a phase; stop another at steps 3 and 10: the two last checkpoints hold the same
    bits."""
    jepa("run", recipe_file, "--out", tmp_path / "once", packages=(stopper,), STOP="joint 10 TERM")
    jepa("run", recipe_file, "--out", tmp_path / "twice", packages=(stopper,), STOP="joint 3 KILL")
    jepa("resume", tmp_path / "twice", packages=(stopper,), STOP="joint 10 TERM")
    once, twice = (newest_tensors(tmp_path / one) for one in ("once", "twice"))
    assert any(name.startswith("optimizer.") for name in once)
    assert once.keys() == twice.keys()
    assert [name for name in once if once[name].numpy().tobytes() != twice[name].numpy().tobytes()] == []  # NaN too


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before_it(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    run = tmp_path / "run"
    jepa("run", recipe_file, "--out", run, packages=(stopper,), STOP="joint 11 KILL")
    newest = max((run / "checkpoints").iterdir())
    half = newest.with_name("99999999-01.partial")
    shutil.copytree(newest, half)
    os.truncate(half / "state.safetensors", 100)
    os.truncate(newest / "state.safetensors", 100)  # and the newest whole one is damaged on the disk
    resumed = jepa("resume", run, packages=(stopper,))
    assert resumed.returncode == 0, resumed.stderr
    assert "damaged" in resumed.stderr
    assert results(run) == results(uninterrupted)


def test_findings_that_were_done_are_not_done_again(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    jepa("run", recipe_file, "--out", tmp_path / "run")
    findings = tmp_path / "run" / "findings" / "toy.json"
    before = findings.stat().st_mtime_ns
    (tmp_path / "run" / "report.html").unlink()
    assert jepa("resume", tmp_path / "run").returncode == 0
    assert findings.stat().st_mtime_ns == before
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_pickled_checkpoint_is_refused_and_not_opened(
    jepa: Jepa, stopper: Path, recipe_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    jepa("run", recipe_file, "--out", run, packages=(stopper,), STOP="joint 3 TERM")
    marker = tmp_path / "executed"
    payload = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    newest = max((run / "checkpoints").iterdir())
    (newest / "state.pt").write_bytes(payload)
    refused = jepa("resume", run)
    assert refused.returncode == 5, refused.stderr
    assert "state.pt" in refused.stderr and "Traceback" not in refused.stderr
    (newest / "state.pt").unlink()
    (newest / "state.safetensors").write_bytes(b"\x80\x04" + payload)
    assert jepa("resume", run).returncode == 5
    assert not marker.exists()


def test_a_recipe_changed_after_the_start_is_refused(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    jepa("run", recipe_file, "--out", tmp_path / "run")
    resolved = tmp_path / "run" / "recipe.resolved.yaml"
    resolved.write_text(resolved.read_text().replace("seed: 1", "seed: 2"))
    refused = jepa("resume", tmp_path / "run")
    assert refused.returncode == 2 and "was changed" in refused.stderr


def test_a_run_on_other_data_is_refused(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    jepa("run", recipe_file, "--out", run)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["dataset"]["content"] = "0" * 64
    write_sealed(run / "manifest.json", manifest)
    refused = jepa("resume", run)
    assert refused.returncode == 3 and "not those that this run began on" in refused.stderr


def test_two_commands_on_one_run_do_not_meet(
    toy_package: Path, stopper: Path, recipe_file: Path, tmp_path: Path, jepa: Jepa, warm: WarmProcess
) -> None:
    run = tmp_path / "run"
    striker = environment(toy_package, stopper, STOP="joint 3 STOP")
    first = warm.start(["run", str(recipe_file), "--out", str(run)], striker, tmp_path)
    try:
        while not (run / "metrics.jsonl").is_file() or "joint" not in (run / "metrics.jsonl").read_text():
            assert first.poll() is None
            time.sleep(0.05)
        second = jepa("resume", run)
        assert second.returncode == 6 and "another jepa command" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_an_empty_folder_restores_nothing(tmp_path: Path) -> None:
    progress = Progress([], learner=None)
    assert restore_checkpoint(tmp_path, progress) is None
    (tmp_path / "00000001-00").mkdir()
    (tmp_path / "00000001-00" / "state.bin").write_bytes(b"")
    with pytest.raises(UnsafeArtefactError, match="state.bin"):
        restore_checkpoint(tmp_path, progress)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs the rights of root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_when_there_is_room(
    jepa: Jepa, recipe_file: Path, small_disk: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    run, stores = small_disk / "run", tmp_path / "stores"
    (small_disk / "others").write_bytes(bytes(950_000))
    full = jepa("run", recipe_file, "--out", run, JEPA_STORES=str(stores))
    assert full.returncode == 1, full.stderr
    assert "the disk is full" in full.stderr and "Traceback" not in full.stderr
    (small_disk / "others").unlink()
    resumed = jepa("resume", run, JEPA_STORES=str(stores))
    assert resumed.returncode == 0, resumed.stderr
    assert results(run) == results(uninterrupted)
