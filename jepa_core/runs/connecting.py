"""Finding the other processes of a run, where this one was started as one of several: by torchrun, or by `jepa run
--processes`, which leaves the same variables in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from jepa_core.errors import RunError

if TYPE_CHECKING:
    from jepa_core.training.processes import Peers

MEETING = timedelta(minutes=15)
"""How long processes wait for one another to start."""
WORKING = timedelta(days=30)
"""How long they wait for one that prepares data or evaluates; that one has ended is known at once."""


def started_among() -> int:
    """The number of processes that this one was started among; 1 if it is alone."""
    count = os.environ.get("WORLD_SIZE", "1")
    return int(count) if "RANK" in os.environ and count.isdecimal() else 1


@contextmanager
def connected() -> Iterator[Peers]:
    """The processes of the run, for as long as the block runs: NCCL adds up on GPUs, gloo on processors.

    On a machine with several GPUs each process has the one of its number on that machine. To be entered when the
    environment is as a run needs it, since torch is imported. Raises RunError if they do not find one another.
    """
    from jepa_core.training.processes import ALONE, ConnectedPeers

    if started_among() == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    try:
        store, number, count = next(iter(dist.rendezvous("env://", timeout=MEETING)))
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=WORKING)
        control = dist.new_group(backend="gloo", timeout=WORKING) if gpus else dist.group.WORLD
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"the {started_among()} processes of this run did not find one another ({_first_line(error)}); see "
            "whether all of them were started, and whether MASTER_ADDR and MASTER_PORT name a place that all reach"
        ) from error
    assert control is not None
    yield ConnectedPeers(control)
    dist.destroy_process_group()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
