"""A trained model to take along: a folder that needs neither this machine nor the training data.

README.md          the model card
model/             what `jepa_core.load` takes
encoder.pt2        the encoder as a program that torch alone runs; only where it reads numbers
predictor.pt2      the predictor as such a program
*.onnx             the same programs in ONNX, where that is asked for and torch's exporter takes them
encoder/           the encoder's weights in the form that other tools read, where it has one
export.json        how far the programs' answers are from the model's, and how many steps they take

The programs are loaded by `torch.export.load(FILE).module()`. Nothing of a record is in any of these files.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from jepa_core.contracts import Channels, Latents
from jepa_core.errors import RecipeError, RunError
from jepa_core.io.files import disk_errors, write_atomically, write_json
from jepa_core.libraries import errors_alone
from jepa_core.model.card import model_card
from jepa_core.model.folder import RECORD, read_part
from jepa_core.model.onnx_files import require_onnx, write_onnx

if TYPE_CHECKING:
    from jepa_core.model.model import Model

CLOSE = 1e-5
"""Largest difference between a program's answer and the model's, in units of a latent."""
_TRACED, _TRIED = 3, 7
"""Items or windows that a program is traced with, and that it is tried with."""
_OWN_WEIGHTS = r"The tensor attributes? ([\w.]+\._flat_weights\[\d+\](, )?)+ (was|were) assigned during export"
"""What torch says of each of its recurrent networks: their list of weights is put together anew while one is traced,
and the program has the weights themselves."""


def export_model(model: Model, folder: Path, onnx: bool = False) -> None:
    """Write the model into a new folder, and try every program on made-up inputs of another size. onnx: write the
    programs in ONNX beside; the card says which of them torch's exporter does not take.

    Raises PluginError if the libraries of ONNX are not there, RecipeError if the folder is there, RunError if a
    program's answers differ from the model's by more than 1e-5, or if the disk is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder} is there already; name a new folder with --to")
    if onnx:
        require_onnx()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _copy_model(model, folder / "model")
        if (model.folder / "encoder").is_dir():
            shutil.copytree(model.folder / "encoder", folder / "encoder")
        window = model.reach.window
        programs: dict[str, dict[str, Any]] = {}
        for program in _programs(model):
            programs |= _write_program(program, window, folder, onnx)
        write_json(folder / "export.json", {"versions": {"torch": torch.__version__}, "programs": programs})
        write_atomically(folder / "README.md", model_card(model, programs).encode())


def _copy_model(model: Model, into: Path) -> None:
    """The files that the model's record names, and the record."""
    into.mkdir(mode=0o700)
    names = [RECORD, *read_part(model.folder / RECORD)["files"]]
    for name in names:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.folder / name, into / name)


class _Encoding(nn.Module):
    """An encoder of numbers as a function of tensors: values, observed (N, C, P) to latents (N, D)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, values: Tensor, observed: Tensor) -> Tensor:
        return self.encoder(Channels(values, observed))


class _Predicting(nn.Module):
    """A predictor as a function of tensors: static (B, D), states and actions (B, T, D), mask (B, T) to the states at
    t + 1 (B, T, D) and the beliefs (B, T, W)."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, static: Tensor, states: Tensor, actions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.predictor(Latents(static, states, actions, mask))
        return prediction.next_states, prediction.belief


@dataclass(frozen=True)
class _Program:
    """A function of tensors to be written. outputs: their names. inputs: made up, for a number of items or windows
    and, of a predictor, of steps. varying: which dimensions of the inputs may have another size, by name."""

    file: str
    function: nn.Module
    outputs: tuple[str, ...]
    inputs: Callable[[int, int], tuple[Tensor, ...]]
    varying: Mapping[str, Mapping[int, Any]]


def _programs(model: Model) -> Iterator[_Program]:
    frozen, random = model.frozen, torch.Generator().manual_seed(0)
    dim = frozen.encoder.latent_dim
    if model.record["item_shape"] is not None:
        shape = (model.record["item_shape"]["channels"], model.record["item_shape"]["samples"])
        items = {0: Dim("items", min=1)}

        def channels(count: int, _: int) -> tuple[Tensor, ...]:
            observed = torch.rand(count, *shape, generator=random) < 0.7
            return torch.randn(count, *shape, generator=random) * observed, observed

        yield _Program(
            "encoder.pt2", _Encoding(frozen.encoder), ("latents",), channels, {"values": items, "observed": items}
        )
    windows = Dim("windows", min=1)

    def latents(count: int, length: int) -> tuple[Tensor, ...]:
        tensors = (torch.randn(count, *size, dim, generator=random) for size in ((), (length,), (length,)))
        return *tensors, torch.ones(count, length, dtype=torch.bool)

    by_step = {0: windows, 1: Dim.AUTO}  # a recurrent network is unrolled over the steps that it was traced with
    varying = {"static": {0: windows}, "states": by_step, "actions": by_step, "mask": by_step}
    outputs = ("next_states", "belief")
    yield _Program("predictor.pt2", _Predicting(frozen.predictor), outputs, latents, varying)


def _write_program(program: _Program, window: int, folder: Path, onnx: bool) -> dict[str, dict[str, Any]]:
    """Trace a function on a window of training, write the program, load it again and try it: its largest difference,
    and the numbers of steps that it takes, by file."""
    function, path = program.function.cpu().eval(), folder / program.file
    with torch.no_grad():
        traced = _traced(program, window)
        torch.export.save(traced, path)
        with errors_alone("torch.export"):  # a stop that it catches it logs with a traceback, and then goes on
            loaded = torch.export.load(path).module()
        tried = program.inputs(_TRIED, window)
        expected = _all(function(*tried))
        difference = _largest_difference(expected, _all(loaded(*tried)))
        steps = "any" if _takes(loaded, program.inputs(_TRIED, max(2, window - 1))) else window
    programs: dict[str, dict[str, Any]] = {path.name: {"largest_difference": difference, "steps": steps}}
    if onnx:
        other = path.with_suffix(".onnx")
        programs[other.name] = write_onnx(traced, other, program.outputs, tried, expected) | {"steps": steps}
    for name, told in programs.items():
        off = told.get("largest_difference", 0.0)
        if off > CLOSE:
            raise RunError(f"{name} differs from the model by {off:.1e} on made-up inputs; it was not exported")
    return programs


def _traced(program: _Program, window: int) -> ExportedProgram:
    """A function as a program, without the paths of source files, which tell about this machine."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _OWN_WEIGHTS, UserWarning)
        traced = torch.export.export(
            program.function, program.inputs(_TRACED, window), dynamic_shapes=dict(program.varying)
        )
    for module in traced.graph_module.modules():
        for node in module.graph.nodes if hasattr(module, "graph") else ():
            node.meta.pop("stack_trace", None)
    return traced


def _takes(loaded: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether a program takes inputs of this size: it checks them before it computes."""
    try:
        loaded(*inputs)
    except (AssertionError, RuntimeError):
        return False
    return True


def _all(answer: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _largest_difference(expected: tuple[Tensor, ...], computed: tuple[Tensor, ...]) -> float:
    return max(float((value - other).abs().max()) for value, other in zip(expected, computed, strict=True))
