"""Exported programs in ONNX, where torch's exporter takes them, tried in onnxruntime."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.onnx import OnnxExporterError

from jepa_core.libraries import errors_alone, library


def require_onnx() -> None:
    """Raises PluginError with the command that installs them, if the libraries behind ONNX are not there."""
    with library("onnx"):
        import onnx  # noqa: F401
    with library("onnxscript"):
        import onnxscript  # noqa: F401
    with library("onnxruntime"):
        import onnxruntime  # noqa: F401


def write_onnx(
    traced: ExportedProgram, path: Path, outputs: Sequence[str], tried: Sequence[Tensor], expected: Sequence[Tensor]
) -> dict[str, Any]:
    """Write a program and try it. outputs: their names. expected: the model's answers to the inputs `tried`.

    Gives the `largest_difference` of the answers, or why the program is `refused`, and then leaves no file.
    """
    try:
        with _quiet():
            program = torch.onnx.export(traced, output_names=list(outputs), dynamo=True, verbose=False)
            assert program is not None  # as it is for a program
            program.save(path)
    except OnnxExporterError as error:
        path.unlink(missing_ok=True)
        return {"refused": f"torch's exporter does not take it ({type(error).__name__})"}
    return {"largest_difference": _difference(path, tried, expected)}


def _difference(path: Path, tried: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference of what onnxruntime computes from what is expected."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {node.name: value.numpy() for node, value in zip(session.get_inputs(), tried, strict=True)}
    computed = (torch.from_numpy(values) for values in session.run(None, given))
    return max(float((value - other).abs().max()) for value, other in zip(expected, computed, strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of libraries that are not there, and of its own parts."""
    with errors_alone("torch.onnx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
