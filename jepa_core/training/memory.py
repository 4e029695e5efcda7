"""Running out of memory: what to say, and what takes less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from jepa_core.errors import RunError

SAVE_MEMORY = (
    "fewer windows a batch (batch_size), shorter windows (windows.length), and where an encoder has these keys, "
    "gradient_checkpointing: true and precision: bf16; in an evaluator, fewer of the rows or steps that it fits to"
)
_CPU_ALLOCATOR = "can't allocate memory"


@contextmanager
def memory_errors(doing: str) -> Iterator[None]:
    """Turn running out of memory into a RunError that says during what, and what takes less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and _CPU_ALLOCATOR not in str(error):
            raise
        raise RunError(
            f"out of memory during {doing}; go on where more memory is free, or start a new run with what takes less: "
            f"{SAVE_MEMORY}"
        ) from error
