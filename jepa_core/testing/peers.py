"""Processes of a run, played by threads of one process: for checks that need no more than that they exchange."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from jepa_core.training.processes import Arrays, LostProcess, Peers, packed, unpacked

ResultT = TypeVar("ResultT")

PATIENCE = 120.0
"""Seconds that one waits for another."""


class _Table:
    """Where each puts what it has, for all to see."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count, timeout=PATIENCE)
        self.said: list[Any] = [None] * count

    def all_say(self, number: int, said: Any) -> list[Any]:
        """What each has said, once all have. Raises LostProcess if one does not come."""
        try:
            self.said[number] = said
            self.barrier.wait()
            every = list(self.said)
            self.barrier.wait()
        except threading.BrokenBarrierError as error:
            raise LostProcess("another thread ended before its work was done") from error
        return every


class ThreadPeers(Peers):
    """One of several threads that do the same on learners of their own. own_machines: whether each thinks itself on a
    machine of its own, or all on one."""

    def __init__(self, number: int, table: _Table, own_machines: bool) -> None:
        self.number, self.count = number, table.count
        self.machines, self.machine = (table.count, number) if own_machines else (1, 0)
        self.of_machine = 1 if own_machines else table.count
        self.local_number = 0 if own_machines else number
        self._table = table

    def sum(self, values: Tensor) -> Tensor:
        return torch.stack(self._table.all_say(self.number, values.detach().clone())).sum(dim=0)

    def sums(self, numbers: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        every = self._table.all_say(self.number, dict(numbers))
        none = torch.zeros((), device=device)
        return {name: torch.stack([each.get(name, none) for each in every]).sum(dim=0) for name in every[0]}

    def largest(self, values: Tensor) -> Tensor:
        return torch.stack(self._table.all_say(self.number, values.clone())).amax(dim=0)

    def any(self, flag: bool) -> bool:
        return any(self._table.all_say(self.number, flag))

    def wait(self) -> None:
        self.any(False)

    def tell(self, text: str) -> str:
        return str(self._table.all_say(self.number, text)[0])

    def hand_round(self, arrays: Arrays | None, giver: int) -> Arrays:
        said = packed(arrays) if self.number == giver and arrays is not None else b""
        return unpacked(self._table.all_say(self.number, said)[giver])

    def give(self, values: Tensor, giver: int) -> None:
        given = self._table.all_say(self.number, values.clone() if self.number == giver else None)[giver]
        values.copy_(given)


def in_step(count: int, work: Callable[[Peers], ResultT], own_machines: bool = False) -> list[ResultT]:
    """What each of some threads makes, which exchange what processes of a run would.

    Raises what the first of them raised that did not only lose another.
    """
    table = _Table(count)
    results: list[Any] = [None] * count
    raised: list[BaseException] = []

    def turn(number: int) -> None:
        try:
            results[number] = work(ThreadPeers(number, table, own_machines))
        except BaseException as error:
            raised.append(error)
            table.barrier.abort()

    threads = [threading.Thread(target=turn, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in sorted(raised, key=lambda error: isinstance(error, LostProcess)):
        raise error
    return results
