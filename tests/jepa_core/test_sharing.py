"""What runs share: the same bits as without, nothing done twice, and nothing taken that is not equal or not whole."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from commands import RECIPE, environment
from jepa_core.io import tensor_files
from jepa_core.io.tensor_files import TensorFolder, read_tensors, write_tensors
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.runs.learners import build_learner
from jepa_core.runs.pipeline import dataset_of, execute
from jepa_core.runs.reevaluation import evaluate_again
from jepa_core.runs.run import Run
from jepa_core.runs.sharing import shared_folder
from jepa_core.study.folder import StudyFolder
from jepa_core.study.reading import load_study
from toy.parts import ToyEncoder
from warm import WarmProcess

Jepa = Callable[..., subprocess.CompletedProcess[str]]

CONTROLLED = RECIPE.replace("  - use: toy\n", "  - use: toy\n  - use: toy_control\n")


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is nearly full shares nothing; how full this one is shall not matter."""
    monkeypatch.setattr(tensor_files, "KEPT_FREE", 0.0)


@pytest.fixture(autouse=True)
def algorithms() -> Iterator[None]:
    """A run asks torch for deterministic algorithms; other tests are to find what they left."""
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def begin(registry: Registry, tmp_path: Path) -> Callable[..., Run]:
    """A new run of the toy recipe in a folder of runs that share, or in one that does not."""
    (tmp_path / "sharing" / "shared").mkdir(parents=True)
    (tmp_path / "toy.yaml").write_text(CONTROLLED)

    def make(name: str, *overrides: str, shares: bool = True) -> Run:
        recipe = load_recipe(tmp_path / "toy.yaml", overrides, registry)
        return Run.create(tmp_path / ("sharing" if shares else "alone") / name, recipe, registry, CONTROLLED)

    return make


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of items of each call of an encoder."""
    calls: list[int] = []
    forward = ToyEncoder.forward

    def counting(self: ToyEncoder, items: object) -> torch.Tensor:
        latents = forward(self, items)
        calls.append(len(latents))
        return latents

    monkeypatch.setattr(ToyEncoder, "forward", counting)
    return calls


def results(run: Run) -> dict[str, bytes]:
    files = [run.folder / "model.safetensors", run.folder / "control.safetensors", *run.findings.iterdir()]
    return {path.name: path.read_bytes() for path in files}


def shared_names(run: Run) -> list[str]:
    return sorted(path.name.split("-")[0] for path in run.shared.rglob("*.safetensors"))


def key(run: Run) -> str:
    """Name of the folder that the run shares under."""
    learner, untrained = build_learner(run, dataset_of(run))
    found = shared_folder(run, learner.encoder, untrained.weights(), learner.dataset, learner.device)
    return found.path.name


# --- equal bits -------------------------------------------------------------------------------------------------------


def test_a_run_ends_in_the_same_bits_alone_as_the_first_and_as_a_later_one(begin: Callable[..., Run]) -> None:
    alone, first, second = begin("run", shares=False), begin("first"), begin("second")
    for run in (alone, first, second):
        execute(run)
    assert results(first) == results(alone) and results(second) == results(alone)
    assert {"control.safetensors", "model.safetensors", "toy.json", "toy_control.json"} == set(results(alone))
    assert alone.shared is None and {"latents", "control"} == set(shared_names(first))


def test_a_frozen_phase_and_the_control_of_a_second_run_encode_nothing(
    begin: Callable[..., Run], encoded: list[int]
) -> None:
    frozen = ("curriculum.joint=null", "curriculum.last=null")
    execute(begin("first", *frozen))
    assert encoded
    encoded.clear()
    execute(begin("second", *frozen, "curriculum.warm.steps=4"))
    assert encoded == []


def test_trained_encoders_are_not_shared(begin: Callable[..., Run]) -> None:
    run = begin("first")
    execute(run)
    items = dataset_of(run).rendering.count
    assert len(list(run.shared.iterdir())) == 1
    assert shared_names(run).count("latents") <= -(-items // 256)
    blocks = {path: path.read_bytes() for path in run.shared.rglob("latents-*")}
    learner, untrained = build_learner(run, dataset_of(run))
    learner.load_weights({name: value + 1 for name, value in learner.weights()})
    learner.freeze()
    dataset = learner.dataset
    learner.latents(dataset.batch(dataset.windows("train", 12, 4, 3), torch.arange(4).numpy()))
    assert blocks == {path: path.read_bytes() for path in run.shared.rglob("latents-*")}


def test_two_runs_at_once_end_in_the_same_bits(
    begin: Callable[..., Run], warm: WarmProcess, toy_package: Path, tmp_path: Path
) -> None:
    alone = begin("run", shares=False)
    execute(alone)
    execute(begin("prepared", "evaluators=null"))
    for path in (tmp_path / "sharing" / "shared").rglob("*.safetensors"):
        path.unlink()
    words = ("run", "toy.yaml", "--quiet", "--out")
    errors = {name: tmp_path / f"{name}.txt" for name in ("one", "two")}
    together = {
        name: warm.start([*words, f"sharing/{name}"], environment(toy_package), tmp_path, stderr=str(path))
        for name, path in errors.items()
    }
    for name, process in together.items():
        assert process.wait(100) == 0, errors[name].read_text()
    for name in ("one", "two"):
        assert results(Run(tmp_path / "sharing" / name, alone.recipe, alone.registry)) == results(alone)


# --- other keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["seed=2", "encoder.width=6", "source.trajectories=30", "runtime.precision=bf16"])
def test_other_weights_configs_data_and_precisions_have_other_keys(begin: Callable[..., Run], change: str) -> None:
    assert key(begin("other", change)) != key(begin("one"))


def test_other_curricula_predictors_and_evaluators_have_the_same_key(begin: Callable[..., Run]) -> None:
    other = begin("other", "curriculum.joint=null", "evaluators.toy.split=train", "windows.stride=6", "name=another")
    assert key(other) == key(begin("one"))


def test_what_an_encoder_fitted_and_its_frozen_weights_are_part_of_the_key(begin: Callable[..., Run]) -> None:
    run = begin("run")
    learner, untrained = build_learner(run, dataset_of(run))
    some = dict(list(untrained.weights().items())[1:])  # the first parameter counts as frozen

    def name() -> str:
        return shared_folder(run, learner.encoder, some, learner.dataset, learner.device).path.name

    before = name()
    with torch.no_grad():
        next(learner.encoder.parameters()).add_(1e-6)
    after = name()
    learner.encoder.load_fitted(
        {one: [2 * value for value in found] for one, found in learner.encoder.fitted().items()}
    )
    assert len({before, after, name()}) == 3


@pytest.mark.parametrize(
    "change", ["windows.stride=6", "curriculum.last.steps=9", "curriculum.last.optimizer.predictor_lr=0.1"]
)
def test_a_control_that_is_trained_otherwise_is_not_taken(begin: Callable[..., Run], change: str) -> None:
    execute(begin("first"))
    other = begin("other", change)
    execute(other)
    alone = begin("alone", change, shares=False)
    execute(alone)
    assert results(other) == results(alone)
    assert shared_names(other).count("control") == 2


# --- damage -----------------------------------------------------------------------------------------------------------


def test_damaged_blocks_and_controls_are_made_again(begin: Callable[..., Run]) -> None:
    first = begin("first")
    execute(first)
    wanted = {path: path.read_bytes() for path in first.shared.rglob("*.safetensors")}
    for number, (path, content) in enumerate(wanted.items()):
        damaged = [content[:-1] + bytes([content[-1] ^ 1]), content[:100], b"", b"\x80\x04." + content]
        path.write_bytes(damaged[number % 4])
    second = begin("second")
    execute(second)
    assert results(second) == results(first)
    assert wanted == {path: path.read_bytes() for path in second.shared.rglob("*.safetensors")}


def test_an_evaluation_takes_the_control_of_its_run_and_makes_a_damaged_one_again(
    begin: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    run = begin("run", shares=False)
    execute(run)
    before, control = results(run), run.folder / "control.safetensors"
    caplog.set_level("INFO", "jepa")
    caplog.clear()
    evaluate_again(run)
    assert "training a predictor" not in caplog.text and results(run) == before
    control.write_bytes(control.read_bytes()[:-4] + bytes(4))
    evaluate_again(run)
    assert "training a predictor" in caplog.text and results(run) == before


def test_tensors_come_back_as_they_were_and_never_in_part(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    tensors = {
        "a": torch.randn(3, 5),
        "b": torch.randn(4).bfloat16(),
        "none": torch.empty(0, 2),
        "one": torch.tensor(7),
    }
    write_tensors(path, tensors)
    found = read_tensors(path)
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in tensors.items())
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_tensors(path) is None
    assert [one.name for one in tmp_path.iterdir()] == ["some.safetensors"]


def test_readers_never_see_half_of_what_writers_write(tmp_path: Path) -> None:
    folder, done = TensorFolder(tmp_path / "folder"), threading.Event()
    versions = [{"x": torch.full((256, 64), float(number))} for number in (1, 2)]
    folder.write("x", versions[0])

    def write(tensors: dict[str, torch.Tensor]) -> None:
        while not done.is_set():
            folder.write("x", tensors)

    writers = [threading.Thread(target=write, args=(one,)) for one in versions]
    for writer in writers:
        writer.start()
    seen = [folder.read("x") for _ in range(200)]
    done.set()
    for writer in writers:
        writer.join()
    assert all(one is not None and any(torch.equal(one["x"], each["x"]) for each in versions) for one in seen)


@pytest.mark.parametrize("trouble", ["gone", "full"])
def test_a_folder_that_takes_nothing_ends_the_sharing_and_not_the_run(
    begin: Callable[..., Run], trouble: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alone, run = begin("alone", shares=False), begin("run")
    execute(alone)
    if trouble == "full":
        monkeypatch.setattr(tensor_files, "KEPT_FREE", 1.1)
        execute(run)
    else:
        learner, _ = build_learner(run, dataset_of(run))
        run.shared.rmdir()
        learner.freeze()
        learner.latents(learner.dataset.batch(learner.dataset.windows("train", 12, 4, 3), torch.arange(4).numpy()))
        assert run.shared is None
        execute(run)
    assert results(run) == results(alone)
    assert caplog.text.count("nothing more is added") >= 1


# --- studies ----------------------------------------------------------------------------------------------------------

STUDY = """\
base: toy.yaml
seeds: [3]
variants:
  full: {}
  without_joint: {change: {curriculum: {joint: null}}, steps: as_reference}
"""


def test_runs_of_a_study_share_and_nothing_of_it_is_left(jepa: Jepa, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(CONTROLLED)
    (tmp_path / "phases.yaml").write_text(STUDY)
    done = jepa("study", "phases.yaml", "--out", "out", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    said = [(tmp_path / "out" / "logs" / f"{name}-3.txt").read_text() for name in ("full", "without_joint")]
    assert "control: training" in said[0] and "control: taking" in said[1]
    assert not (tmp_path / "out" / "runs" / "shared").exists()


def test_a_study_that_is_not_done_keeps_what_its_runs_share(
    jepa: Jepa, warm: WarmProcess, registry: Registry, toy_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "toy.yaml").write_text(CONTROLLED.replace("steps: 12", "steps: 4000"))
    (tmp_path / "phases.yaml").write_text(STUDY)
    words = ["study", "phases.yaml", "--out", "out", "--jobs", "1"]
    process = warm.start(words, environment(toy_package), tmp_path)
    folder = StudyFolder(tmp_path / "out")
    while not list(folder.shared.rglob("latents-*")):
        assert process.poll() is None
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
    study = load_study(tmp_path / "phases.yaml", [], registry, {})
    assert [folder.state(cell) for cell in study.cells] == ["begun", "waiting"]
    assert list(folder.shared.rglob("latents-*"))
