"""Whether what a recipe plans fits into the memory and onto the disk that are free here."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch

from jepa_core.errors import RunError
from jepa_core.results.text import memory
from jepa_core.runs.plan import WAYS_OUT, Plan, crowded, free_memory, refusal
from jepa_core.training.memory import SAVE_MEMORY

log = logging.getLogger("jepa")


def check_memory(plan: Plan, device: torch.device, sharing: int = 1) -> None:
    """Compare a plan with what is free, before anything is loaded. sharing: processes that share the device's memory.

    A log line warns where the estimate of a phase or of an evaluator is more, for it is an upper bound; weights alone
    are counted exactly.

    Raises RunError if not even the weights fit.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    if free is None or plan.weight_bytes is None:
        return
    if reason := refusal(plan, free, sharing):
        raise RunError(f"{reason} on the {device.type}; {WAYS_OUT}")
    over = crowded(plan, free, sharing)
    if over:
        worst = max(over, key=lambda name: over[name])
        log.warning(
            "memory: %s may take up to %s%s, %s are free on the %s; should it stop there, this takes less: %s",
            worst, memory(over[worst]), f" in each of {sharing} processes" if sharing > 1 else "", memory(free),
            device.type, SAVE_MEMORY,
        )  # fmt: skip


def check_disk(plan: Plan, folder: Path) -> None:
    """Compare what checkpoints will take with what is free on the disk of a folder, or of the nearest above it.

    Raises RunError if they do not fit.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if plan.disk_bytes is not None and plan.disk_bytes > free:
        raise RunError(
            f"checkpoints and the model take {memory(plan.disk_bytes)}, and {memory(free)} are free on the disk of "
            f"{folder}; make room, or run where there is more"
        )
