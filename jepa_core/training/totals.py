"""Sums over a step, wherever its windows are.

The loss of a step is that of its whole batch. The windows of the batch may be divided: among processes, and into parts
that a process computes one after another. So whatever a loss makes of a batch it makes of sums over it:

    total(error.sum()) / total(count)

is the mean over the batch, however it is divided; the mean of the parts' means would be another number. Where nothing
is divided `total` gives back what it is given. It passes gradients on as they are: each part has that of its own share
of a sum, and the gradients of the parts add up to that of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor

from jepa_core.errors import LastingRunError


class Adder(Protocol):
    """Knows the sum over a step of what a part of it adds."""

    def total(self, part: Tensor) -> Tensor:
        """The sum over the step, in which the part has its gradient."""
        ...


_ADDER: ContextVar[Adder | None] = ContextVar("adder", default=None)


def total(part: Tensor) -> Tensor:
    """The sum over the windows of a step, from the sum over the windows at hand; any shape.

    What is added up must not be made of another total where a batch is computed in parts (`accumulate`).
    """
    adder = _ADDER.get()
    return part if adder is None else adder.total(part)


@contextmanager
def adding(adder: Adder) -> Iterator[None]:
    """In the block, totals are those that `adder` knows."""
    token = _ADDER.set(adder)
    try:
        yield
    finally:
        _ADDER.reset(token)


def in_place_of(part: Tensor, whole: Tensor) -> Tensor:
    """The value of a whole, with the gradient of a part of it."""
    return _InPlaceOf.apply(part, whole) if part.requires_grad else whole


class _InPlaceOf(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, part: Tensor, whole: Tensor) -> Tensor:
        return whole.clone()

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return gradients[0], None


class FirstPass:
    """Adds up the totals of parts that are computed for them alone. `total` gives no total yet: the loss that is made
    of it is thrown away."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        self._next = 0

    def begin_part(self) -> None:
        """The totals that follow are those of another part, in the same order."""
        self._next = 0

    def total(self, part: Tensor) -> Tensor:
        if self._next == len(self.sums):
            self.sums.append(part.detach().clone())
        else:
            self.sums[self._next] += part.detach()
        self._next += 1
        return part


class SecondPass:
    """Gives the totals that a first pass added up, in their order."""

    def __init__(self, sums: list[Tensor]) -> None:
        self._sums = sums
        self._next = 0

    def total(self, part: Tensor) -> Tensor:
        self._next += 1
        return in_place_of(part, self._sums[self._next - 1])


class Poison:
    """Gives numbers that are none, and counts which totals are made of them."""

    def __init__(self) -> None:
        self.poisoned: list[bool] = []

    def total(self, part: Tensor) -> Tensor:
        self.poisoned.append(bool(part.isnan().any()))
        return torch.full_like(part, torch.nan, dtype=part.dtype if part.is_floating_point() else torch.float32)


def refuse_totals_of_totals(poison: Poison, clean: list[Tensor]) -> None:
    """Refuse a loss with a total that is made of another: adding it up in parts would take one pass more for each.

    poison: of the same part as the totals `clean`. Raises RunError.
    """
    if any(bad and not bool(value.isnan().any()) for bad, value in zip(poison.poisoned, clean, strict=False)):
        raise LastingRunError(
            "the loss has a total that is made of another total, which a batch in parts cannot have; set accumulate to "
            "1, or have the loss add up moments that are not centred (jepa_core.training.totals)"
        )
