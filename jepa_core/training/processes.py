"""The processes that train one model together, and what they tell one another.

Each holds all weights and takes the same steps with the same gradients; only a step's windows are divided. Sums are
made by torch.distributed, NCCL between GPUs and gloo between processors; what is said beside them (a wish to stop, that
something is ready) goes by gloo, so that no accelerator is waited for.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from safetensors.numpy import load, save
from torch import Tensor, nn

from jepa_core.errors import RunError

BUCKET = 1 << 24
"""Numbers that are added up at once: few enough that no second copy of all gradients is made."""
PAUSES = (0.0002, 0.02)
"""Seconds between two looks at whether the others are here: at first, and after a while."""
SIGNS_OF_LOSS = ("closed", "reset", "refused", "broken pipe", "timed out", "timeout", "abort", "remote", "unreachable")
"""Words of gloo and NCCL for a connection to a process that is no more."""
KERNEL = Path("/proc/sys/kernel/random/boot_id")
"""What no other machine has, where there is such a file; names of machines may be given twice."""

Arrays: TypeAlias = Mapping[str, np.ndarray]
"""Arrays by name: what one process makes of its share of some work."""


class Peers:
    """One process, alone: the others are none.

    machines: on which the processes run. machine: the number of this one's, from 0. of_machine: how many are on it.
    local_number: of the process among them. apart: whether this one does work of its own at the moment, in which
    nothing may be asked of the others. in_lockstep: whether the encoder's weights are divided among them, so that one
    encodes when all do.
    """

    number = 0
    count = 1
    of_machine = 1
    machines = 1
    machine = 0
    local_number = 0
    apart = False
    in_lockstep = False

    @property
    def first(self) -> bool:
        """Whether this is the process that prepares and writes."""
        return self.number == 0

    @contextmanager
    def being_apart(self) -> Iterator[None]:
        """Work of this process's own, for as long as the block runs."""
        before, self.apart = self.apart, True
        try:
            yield
        finally:
            self.apart = before

    def sum(self, values: Tensor) -> Tensor:
        """The sum of what every process has, a new tensor or the same; in the same bits on each."""
        return values

    def sums(self, numbers: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The sum of what every process has under a name, scalars on a device; of the names that the first has."""
        return dict(numbers)

    def largest(self, values: Tensor) -> Tensor:
        """The largest of what every process has, value by value."""
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is true on one of them."""
        return flag

    def wait(self) -> None:
        """Wait until every process is here."""

    def tell(self, text: str) -> str:
        """The text that the first process has."""
        return text

    def hand_round(self, arrays: Arrays | None, giver: int) -> Arrays:
        """The arrays that one process has, on each; what the others bring is not looked at."""
        assert arrays is not None
        return arrays

    def outlive_first(self) -> None:
        """Wait until the first process has ended, on every other: what it has to say at its end is said first."""

    def give(self, values: Tensor, giver: int) -> None:
        """Put the values that one process has in the place of everybody's, in the same bits."""

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Put the sum of the processes' gradients in the place of each one's own. A parameter without one on all of
        them has none afterwards."""


ALONE = Peers()


class ConnectedPeers(Peers):
    """Several processes, after `torch.distributed.init_process_group`.

    Every method is called by all of them, in the same order. Raises RunError if another one ends meanwhile.
    """

    def __init__(self, control: dist.ProcessGroup) -> None:
        """control: a group of all processes that needs no accelerator."""
        self.number, self.count = dist.get_rank(), dist.get_world_size()
        self._control = control
        places = self._machines()
        distinct = list(dict.fromkeys(places))
        self.machines, self.machine = len(distinct), distinct.index(places[self.number])
        self.of_machine = places.count(places[self.number])
        self.local_number = places[: self.number].count(places[self.number])

    def sum(self, values: Tensor) -> Tensor:
        return self._reduced(values, dist.ReduceOp.SUM)

    def sums(self, numbers: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        names = json.loads(self.tell(json.dumps(list(numbers))))
        if not names:
            return {}
        none = torch.zeros((), device=device)
        return dict(zip(names, self.sum(torch.stack([numbers.get(name, none) for name in names])), strict=True))

    def largest(self, values: Tensor) -> Tensor:
        return self._reduced(values, dist.ReduceOp.MAX)

    def any(self, flag: bool) -> bool:
        said = torch.tensor([int(flag)])
        with _lost():
            work = dist.all_reduce(said, dist.ReduceOp.MAX, group=self._control, async_op=True)
            assert work is not None
            pause, longest = PAUSES
            while not work.is_completed():  # signals are heard, for as long as it takes
                time.sleep(pause)
                pause = min(pause * 1.2, longest)
            work.wait()
        return bool(said)

    def wait(self) -> None:
        self.any(False)

    def tell(self, text: str) -> str:
        self.wait()
        return self._said(text.encode(), 0).decode()

    def hand_round(self, arrays: Arrays | None, giver: int) -> Arrays:
        self.wait()
        if giver != self.number:
            return unpacked(self._said(b"", giver))
        assert arrays is not None
        self._said(packed(arrays), giver)
        return arrays

    def outlive_first(self) -> None:
        if not self.first:
            with suppress(LostProcess):
                self.wait()

    def give(self, values: Tensor, giver: int) -> None:
        with _lost():
            dist.broadcast(values.view(torch.uint8), src=giver)  # which types of numbers gloo knows differs by version

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        with _lost():
            there = torch.tensor([int(parameter.grad is not None) for parameter in parameters])
            dist.all_reduce(there, group=self._control)
            reached = [parameter for parameter, count in zip(parameters, there.tolist(), strict=True) if count]
            for bucket in _buckets(reached):
                self._add(bucket)

    def _said(self, content: bytes, giver: int) -> bytes:
        """The bytes that one process has. Nothing of torch's own for objects: it would load what can execute."""
        own = giver == self.number
        with _lost():
            size = torch.tensor([len(content)])
            dist.broadcast(size, src=giver, group=self._control)
            if not int(size):
                return b""
            said = torch.frombuffer(bytearray(content), dtype=torch.uint8) if own else _bytes(int(size))
            dist.broadcast(said, src=giver, group=self._control)
        return content if own else said.numpy().tobytes()

    def _machines(self) -> list[int]:
        """A number for the machine of each process, the same for those of one."""
        name = platform.node() + (KERNEL.read_text() if KERNEL.is_file() else "")
        own = torch.tensor([int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")])
        every = [torch.zeros_like(own) for _ in range(self.count)]
        with _lost():
            dist.all_gather(every, own, group=self._control)
        return [int(each) for each in every]

    def _add(self, parameters: Sequence[nn.Parameter]) -> None:
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        for parameter, part in zip(parameters, flat.split([each.numel() for each in parameters]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def _reduced(self, values: Tensor, how: dist.ReduceOp.RedOpType) -> Tensor:
        with _lost():
            whole = values.detach().clone()
            dist.all_reduce(whole, how)
        return whole


def packed(arrays: Arrays) -> bytes:
    """Arrays as safetensors, which holds them row by row, in an order of its own; see `unpacked`."""
    return save({f"{at:06d}{name}": np.ascontiguousarray(values) for at, (name, values) in enumerate(arrays.items())})


def unpacked(content: bytes) -> Arrays:
    """What `packed` was given, in the same order."""
    return {name[6:]: values for name, values in sorted(load(content).items())}


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Parameters of one type and device in a row, as many as are added up at once."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        full = bucket and sum(other.numel() for other in bucket) + parameter.numel() > BUCKET
        if full or (bucket and (bucket[0].dtype, bucket[0].device) != (parameter.dtype, parameter.device)):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


def _bytes(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.uint8)


@contextmanager
def _lost() -> Iterator[None]:
    """Turn what torch says of a process that ended into a LostProcess, and anything else that it says into a RunError;
    that memory ran out is told by whoever asked for it."""
    try:
        yield
    except (RuntimeError, dist.DistBackendError) as error:
        told = str(error).strip().partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in told:
            raise
        if any(sign in str(error).lower() for sign in SIGNS_OF_LOSS):
            raise LostProcess("another process of this run ended, and its own message says why") from error
        raise RunError(
            f"the processes of this run could not exchange what they have ({told}); resume it, or run it in one process"
        ) from error


class LostProcess(RunError):
    """Another process of the same run ended before its work was done."""
