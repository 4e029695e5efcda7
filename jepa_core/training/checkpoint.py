"""Checkpoints: everything that lives long, written atomically, safe to load.

A checkpoint is a folder `checkpoints/<total step>-<phase index>` with two files: `state.safetensors` (weights of
encoder, target, predictor and the modules of objectives; the optimizer's moments; a phase's own tensors and module; how
its validations have gone, with the best weights where these are kept) and `position.json` (where in the curriculum, and
the digest of the tensors). It is written under another name, flushed, and renamed, so it is whole or it is not there;
the one before it is removed only afterwards. Random states need no place in it: see `Phase.loss`.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from jepa_core.errors import DataError, LastingDataError, LastingRunError, RunError, UnsafeArtefactError
from jepa_core.io.files import digest_of_file, disk_errors, remove_folder, sync_folder
from jepa_core.io.records import Shape, read_sealed, read_shaped, write_sealed
from jepa_core.io.tensor_files import savable
from jepa_core.training.curriculum import BuiltPhase, Progress, begin_phase, build_modules
from jepa_core.training.learner import Learner
from jepa_core.training.validation import Standing

FORMAT_VERSION = 2
KEPT = 2
"""Checkpoints kept: the newest, and the one before it should the newest be damaged."""

log = logging.getLogger("jepa")


class _FormatShape(Shape):
    format_version: int | None = None


class _PositionShape(Shape):
    """`position.json`. state: digest of the tensors."""

    format_version: int
    index: int
    step: int
    state: str


def save_checkpoint(folder: Path, progress: Progress, phase_done: bool) -> None:
    """Write a checkpoint of the progress into `folder`; with `phase_done`, one that goes on with the next phase.

    Raises RunError if the disk is full; the earlier checkpoints are kept.
    """
    index, step = (progress.index + 1, 0) if phase_done else (progress.index, progress.step)
    final = folder / f"{progress.total_step:08d}-{index:02d}"
    partial = folder / f"{final.name}.partial"
    with disk_errors(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            save_file(savable(_tensors(progress, phase_done)), partial / "state.safetensors")
        except SafetensorError as error:
            raise RunError(f"checkpoint {final} could not be written ({error}); the one before it is kept") from error
        position = {
            "format_version": FORMAT_VERSION,
            "index": index,
            "step": step,
            "state": digest_of_file(partial / "state.safetensors"),
        }
        write_sealed(partial / "position.json", position)
        _sync_file(partial / "state.safetensors")
        remove_folder(final)
        partial.rename(final)
        sync_folder(folder)
    for old in _checkpoints(folder)[KEPT:]:
        remove_folder(old)


def restore_checkpoint(folder: Path, progress: Progress) -> Path | None:
    """Set the progress to the newest whole checkpoint in `folder`; None if there is none.

    A damaged one is passed over with a warning. Raises UnsafeArtefactError if a checkpoint holds a file that could
    execute code.
    """
    for checkpoint in _checkpoints(folder):
        refuse_unsafe(checkpoint)
        position = _position(checkpoint)
        if position is None:
            log.warning("checkpoint %s is damaged; going back to the one before it", checkpoint.name)
            continue
        _load(progress, load_file(checkpoint / "state.safetensors"), position)
        return checkpoint
    return None


def refuse_unsafe(folder: Path) -> None:
    """Refuse a checkpoint with anything in it but safetensors and JSON.

    Raises UnsafeArtefactError naming the file.
    """
    for path in sorted(folder.rglob("*")):
        with path.open("rb") as file:
            head = file.read(4)
        pickled = head[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
        if pickled or path.suffix not in (".safetensors", ".json"):
            raise UnsafeArtefactError(
                f"{path} is not safetensors or JSON and could execute code when loaded; it was not opened. "
                "Remove it to go on"
            )


def _tensors(progress: Progress, phase_done: bool) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"weights.{name}", value) for name, value in progress.learner.weights())
    if phase_done:
        return
    phase = progress.current.phase
    yield from ((f"phase.{name}", value) for name, value in phase.state_dict().items())
    if phase.module is not None:
        yield from ((f"module.{name}", value) for name, value in phase.module.state_dict().items())
    yield from ((f"standing.{name}", value) for name, value in progress.standing.state())
    for number, state in (progress.optimizer.state_dict()["state"] if progress.optimizer else {}).items():
        yield from ((f"optimizer.{number}.{name}", value) for name, value in state.items())


def _load(progress: Progress, tensors: dict[str, Tensor], position: dict[str, int]) -> None:
    progress.index, progress.step = position["index"], position["step"]
    try:
        load_trained(progress.learner, progress.phases, progress.seed, _part(tensors, "weights"))
        if progress.step:
            begin_phase(progress)
            phase = progress.current.phase
            phase.load_state_dict(_part(tensors, "phase"))
            if phase.module is not None:
                phase.module.load_state_dict(_part(tensors, "module"))
            assert progress.optimizer is not None  # `begin_phase` has just made it
            _load_optimizer(progress.optimizer, _part(tensors, "optimizer"))
            progress.standing = Standing.of_state(_part(tensors, "standing"))
    except (KeyError, RuntimeError) as error:
        raise LastingDataError(
            f"the checkpoint does not fit the model ({error}); it was written by another recipe or version: "
            "start a new run"
        ) from error


def load_trained(learner: Learner, phases: Sequence[BuiltPhase], seed: int, weights: dict[str, Tensor]) -> None:
    """Set a learner to trained weights, the modules of objectives with it, which are built first.

    Raises KeyError if a weight is missing, or is of an objective that no phase has.
    """
    names = sorted({name.split(".")[1] for name in weights if name.startswith("objective.")})
    build_modules(phases, learner, seed, names)
    learner.load_weights(weights)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, field = name.partition(".")
        state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def _checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, newest first."""
    return sorted((path for path in folder.glob("*-*") if path.suffix != ".partial"), reverse=True)


def _position(checkpoint: Path) -> dict[str, int] | None:
    path = checkpoint / "position.json"
    try:
        version = read_shaped(path, _FormatShape, "").get("format_version")
        if version != FORMAT_VERSION:
            raise LastingRunError(
                f"{checkpoint} has checkpoint format {version}, and this version reads {FORMAT_VERSION}; go on with "
                "the version that wrote it, or run the recipe again"
            )
        position = read_sealed(path, _PositionShape, "")
        whole = digest_of_file(checkpoint / "state.safetensors") == position["state"]
    except (OSError, DataError):
        return None
    return position if whole else None


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
