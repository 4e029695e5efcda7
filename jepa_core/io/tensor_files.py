"""Tensors in files that are whole or as good as not there: safetensors, with a digest of their content.

They hold what can be made again. So a file that is missing, damaged or anything else than safetensors is no error: it
is read as None, and whoever wanted it makes it anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

KEPT_FREE = 0.1
"""Share of a disk that a `TensorFolder` leaves free."""

log = logging.getLogger("jepa")


class TensorFolder:
    """Tensors by name, in a folder that several processes read and add to at once.

    It makes nothing fail: once the disk is nearly full, or the folder is gone, nothing more is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = True

    def read(self, name: str) -> dict[str, Tensor] | None:
        """The tensors of that name, on the CPU; None if there are none or they are damaged."""
        return read_tensors(self._file(name))

    def write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Add tensors under a name, in place of any that are there."""
        if not self._open:
            return
        try:
            disk = shutil.disk_usage(self.path.parent)
            if disk.free < KEPT_FREE * disk.total:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.path.mkdir(exist_ok=True, mode=0o700)
            write_tensors(self._file(name), tensors)
        except OSError as error:
            self._open = False
            log.warning("nothing more is added to %s (%s); the run goes on without", self.path, error.strerror)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"


def savable(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them: on the CPU, laid out row by row, none sharing memory with another.

    Tied weights and buffers that are views of one another are written under each of their names, so that a file is
    read back by names alone.
    """
    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors:
        value = tensor.detach().cpu().contiguous()
        pointer = value.untyped_storage().data_ptr()
        plain[name] = value.clone() if pointer in taken else value
        taken.add(pointer)
    return plain


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Replace `path` by a file of the tensors, at once; of two processes that do so, one wins.

    Nothing waits for the disk: what a power loss tears is found by its digest.
    """
    plain = savable(tensors.items())
    content = save(plain, {"sha256": tensors_digest(plain)})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def read_tensors(path: Path) -> dict[str, Tensor] | None:
    """What `write_tensors` wrote; None if the file is missing or damaged."""
    if not path.is_file():  # to open a pipe may wait for ever
        return None
    try:
        content = path.read_bytes()  # opened once, so that a writer who replaces the file is not met halfway
        tensors = load(content)
    except (OSError, SafetensorError):
        return None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors if tensors_digest(tensors) == header.get("__metadata__", {}).get("sha256") else None


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Hex digest of names, types, shapes and every bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def same_layout(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether both have the same names, with tensors of the same types and shapes."""
    return {name: (value.dtype, value.shape) for name, value in one.items()} == {
        name: (value.dtype, value.shape) for name, value in other.items()
    }
