"""What a run needs of its process, set for as long as it takes and put back afterwards.

Nothing here is the run's own: the umask, variables of the environment, numbers of threads, and whether torch must give
the same bits again belong to everything in the process. This module imports no torch before it has set what torch reads
when it is loaded.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jepa_core.errors import RunError
from jepa_core.io.cores import cores, require_threads

if TYPE_CHECKING:
    import torch

    from jepa_core.recipe import RuntimeConfig

OFFLINE = {"HF_HUB_OFFLINE": "1"}
DEFAULTS = {
    "OMP_WAIT_POLICY": "passive",  # spinning threads starve each other on machines with few cores
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what deterministic algorithms ask for on a GPU
}
"""What is set unless the user has set it."""
POOLS = {
    "openmp": ("OMP_NUM_THREADS",),
    "openblas": ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
}
"""Where libraries of a kind find how many threads to begin with, once, when they are loaded; the first that is set."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """In the block Python looks a fourteenth as often for unused objects that hold one another: in imports, which leave
    none, that takes a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(10_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def owner_only() -> Iterator[None]:
    """What is made from records is for its owner alone: files written in the block are not readable by others."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def environment() -> Iterator[None]:
    """Keep libraries off the network, and set what torch and OpenMP read when they are loaded."""
    unset = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    with _variables(OFFLINE | unset):
        yield


@contextmanager
def process_state(runtime: RuntimeConfig) -> Iterator[None]:
    """The process as a run needs it, while the block runs: private files, no network, the same bits every time, as many
    threads as the recipe says. All of it is put back, torch's random state on the CPU with it.

    Raises RunError if the recipe asks for a GPU and there is none, or for more threads than can be started.
    """
    with owner_only(), environment():
        import torch

        if isinstance(runtime.threads, int):
            require_threads(runtime.threads)

        with torch.random.fork_rng(devices=()), _deterministic(device_of(runtime)), _threads(runtime.threads):
            yield


def device_of(runtime: RuntimeConfig) -> torch.device:
    """The device that a run computes on.

    Raises RunError if the recipe asks for a GPU and there is none.
    """
    import torch

    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise RunError("the recipe asks for device 'cuda' and there is no GPU here; set runtime.device=auto")
    return torch.device("cuda" if runtime.device != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Have torch compute the same bits every time, or, where a GPU has no such algorithm, warn.

    torch would also fill every tensor that it makes empty, so that reading one by mistake is reproducible: 8 to 17 % of
    a run's time. Nothing here reads one; tests hold that.
    """
    import torch

    fill: Any = torch.utils.deterministic  # a module that makes its one attribute itself
    before = torch.get_deterministic_debug_mode()
    filled = fill.fill_uninitialized_memory
    # `use_deterministic_algorithms` does the same and imports torch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    fill.fill_uninitialized_memory = False
    try:
        yield
    finally:
        fill.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(before)


@contextmanager
def _threads(threads: int | str) -> Iterator[None]:
    """Give torch, NumPy, SciPy and scikit-learn so many threads each; `auto` leaves them as they are.

    Those that a component loads in the block read the environment; afterwards they get what it says without the run.
    """
    if not isinstance(threads, int):
        yield
        return
    import torch
    from threadpoolctl import ThreadpoolController, threadpool_limits

    before, loaded = torch.get_num_threads(), {pool.filepath for pool in ThreadpoolController().lib_controllers}
    held = {name: str(threads) for names in POOLS.values() for name in names}
    with _variables(held), threadpool_limits(threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
    for pool in ThreadpoolController().lib_controllers:
        if pool.filepath not in loaded:
            pool.set_num_threads(_threads_unheld(pool.internal_api))


def _threads_unheld(kind: str) -> int:
    """How many threads a library of this kind begins with: what the user has set, else one a core.

    OpenBLAS never takes more than there are cores; OpenMP does.
    """
    said = (os.environ.get(name, "").split(",")[0].strip() for name in POOLS.get(kind, ()))
    threads = next((int(number) for number in said if number.isdecimal() and int(number)), cores())
    return min(threads, cores()) if kind == "openblas" else threads
