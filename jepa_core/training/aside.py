"""Arrays with a number for every row, laid aside in files without a name, so that memory does not grow with them.

What is read of such a file is dropped by the system when it needs room. Small arrays are left in memory.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from tempfile import mkstemp

import numpy as np
import torch

from jepa_core.training.processes import ALONE
from jepa_core.training.shares import rows_on_disk

SMALL = 2**20
"""Bytes up to which an array is left in memory."""


def laid_aside(values: np.ndarray, folder: Path | None) -> np.ndarray:
    """The same values, mapped from a file of `folder` that is gone with this process, whatever happens to it.

    What is written to them is seen by this process alone. folder: None for the system's own.
    """
    if values.nbytes <= SMALL:
        return values
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    number, name = mkstemp(dir=folder)
    try:
        with open(number, "wb") as file:
            file.write(np.ascontiguousarray(values).data)
        mapped = torch.from_file(name, shared=False, size=values.nbytes, dtype=torch.uint8)
    finally:
        os.unlink(name)  # the mapping keeps the space, and no descriptor of the file
    return mapped.numpy().view(values.dtype).reshape(values.shape)


def room_aside(shape: tuple[int, int], folder: Path | None) -> np.ndarray:
    """Room for (rows, columns) float32, in a file as those of `laid_aside` unless it is small."""
    if 4 * math.prod(shape) <= SMALL:
        return np.empty(shape, dtype=np.float32)
    return np.asarray(rows_on_disk(ALONE, shape, folder))
