"""A model to take along: it answers as the run's, says what was measured, and tells nothing of a record."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from commands import RECIPE, environment
from jepa_core.errors import PluginError, Preempted
from jepa_core.model.card import _no_program, _tried
from jepa_core.model.export import _Program, _traced, _write_program
from jepa_core.model.onnx_files import require_onnx
from warm import WarmProcess

Jepa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def exported(toy_package: Path, warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "toy.yaml").write_text(RECIPE)
    for arguments in (["run", "toy.yaml", "--out", "run"], ["export", "run", "--to", "taken"]):
        done = warm.run(arguments, environment(toy_package), folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_programs_run_with_torch_alone_and_answer_as_the_model_does(exported: Path) -> None:
    script = (
        "import sys, torch\n"
        "torch.manual_seed(0)\n"
        "encode, predict = (torch.export.load(f'{n}.pt2').module() for n in ('encoder', 'predictor'))\n"
        "values, observed = torch.randn(12, 4, 1), torch.ones(12, 4, 1, dtype=torch.bool)\n"
        "latents = encode(values, observed)\n"
        "ones = torch.ones(1, 12, dtype=torch.bool)\n"
        "states, belief = predict(latents[:1], latents[None], latents[None], ones)\n"
        "assert states.shape == (1, 12, latents.shape[1]) and not any(n.startswith('jepa') for n in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=exported / "taken", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((exported / "taken/export.json").read_text())["programs"]
    assert set(told) == {"encoder.pt2", "predictor.pt2"}
    assert max(one["largest_difference"] for one in told.values()) <= 1e-5


def test_a_stop_while_a_program_is_read_is_not_told_as_a_fault_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """torch takes a stop for a program that it cannot read, logs it with a traceback, and reads on."""

    def stopped(**_: object) -> None:
        raise RuntimeError("not to be read") from Preempted("interrupted")

    told: list[logging.LogRecord] = []
    monkeypatch.setattr("torch.export.pt2_archive._package.load_pt2", lambda *_, **asked: stopped(**asked))
    monkeypatch.setattr(logging.getLogger("torch.export"), "handle", told.append)
    program = _Program("x.pt2", torch.nn.Linear(4, 4), ("y",), lambda count, steps: (torch.randn(count, steps, 4),), {})
    with pytest.raises(RuntimeError, match="deserializing"):
        _write_program(program, 5, tmp_path, onnx=False)
    assert told == []


class Assigning(torch.nn.Module):
    """A network that keeps a tensor of its last call."""

    kept = torch.zeros(1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.kept = values.mean(0)
        return values + 1


def test_torch_says_nothing_of_the_weights_of_its_own_recurrent_networks_and_all_else_of_others() -> None:
    def program(function: torch.nn.Module) -> _Program:
        return _Program("x", function, ("y",), lambda count, steps: (torch.randn(count, steps, 4),), {})

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _traced(program(torch.nn.GRU(4, 4, batch_first=True)), 5)
        assert [str(warning.message) for warning in told if "assigned during export" in str(warning.message)] == []
        _traced(program(Assigning()), 5)
    assert any("kept was assigned during export" in str(warning.message) for warning in told)


def test_the_exported_folder_loads_where_nothing_else_of_the_run_is(exported: Path, toy_package: Path) -> None:
    elsewhere = exported / "elsewhere"
    shutil.copytree(exported / "taken/model", elsewhere / "model")
    script = "import jepa_core; print(jepa_core.load('model', 'cpu'))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, env=environment(toy_package), capture_output=True, text=True
    )
    assert done.returncode == 0 and "Model('toy'" in done.stdout, done.stderr


def test_the_card_says_what_was_measured_and_how_many_stand_behind_it(exported: Path) -> None:
    card = (exported / "taken/README.md").read_text()
    findings = sorted((exported / "run/findings").glob("*.json"))
    headlines = [one for path in findings for one in json.loads(path.read_text())["headlines"]]
    assert headlines and all(one["label"] in card for one in headlines)
    assert "| held_out |" in card and "do not identify" in card and "licence" in card
    assert "hold nothing that fewer than 5 subjects of the training data share" in card


def test_nothing_that_is_exported_tells_an_identifier_or_a_place_on_this_machine(exported: Path) -> None:
    identifiers = [str(7_300_001 + number).encode() for number in range(24)]
    for path in (exported / "taken").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(identifier in content for identifier in identifiers)
        assert str(exported).encode() not in content and str(Path(__file__).parents[2]).encode() not in content


def test_a_folder_that_is_there_is_left_as_it_is(exported: Path, toy_package: Path, warm: WarmProcess) -> None:
    kept = exported / "kept"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    done = warm.run(["export", "run", "--to", "kept"], environment(toy_package), exported)
    assert done.returncode == 2 and "there already" in done.stderr
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]


# --- ONNX -------------------------------------------------------------------------------------------------------------


def test_programs_in_onnx_answer_as_the_model_does(exported: Path, toy_package: Path, warm: WarmProcess) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    done = warm.run(["export", "run", "--to", "open", "--onnx"], environment(toy_package), exported)
    assert done.returncode == 0, done.stderr
    told = json.loads((exported / "open/export.json").read_text())["programs"]
    assert set(told) == {f"{name}.{form}" for name in ("encoder", "predictor") for form in ("pt2", "onnx")}
    assert max(one["largest_difference"] for one in told.values()) <= 1e-5
    for path in (exported / "open").glob("*.onnx"):
        content = path.read_bytes()
        assert str(exported).encode() not in content and str(Path(__file__).parents[2]).encode() not in content


def test_onnx_without_its_libraries_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PluginError, match="the library onnx is not installed; install it with: pip install"):
        require_onnx()


def test_the_card_says_what_the_exporter_does_not_take() -> None:
    told = {"refused": "torch's exporter does not take it (ConversionError)", "steps": "any"}
    assert _tried("encoder.onnx", told) == (
        "* `encoder.onnx` was not written: torch's exporter does not take it (ConversionError)."
    )


def test_the_card_says_that_an_encoder_of_texts_has_no_program() -> None:
    (line,) = _no_program({"item_shape": None})
    assert "no program" in line and "`model/`" in line
    assert list(_no_program({"item_shape": {"channels": 3, "samples": 1}})) == []
