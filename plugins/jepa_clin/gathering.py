"""Gradients of a rollout that are gathered over its steps.

Every step of a rollout multiplies by the same matrices, and attends to the same real tokens. Left to autograd, each
step adds to the gradients of all of these, which takes longer than the step itself. Here a step leaves behind what they
take (`_Left`), and when the last one has, they are made at once (`_Gathered`).

Symbols: B windows, A heads, Q tokens that ask, S real tokens, G generated ones, Z size of a head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PartT = TypeVar("PartT")


class _Left(ABC, Generic[PartT]):
    """What the steps of a rollout have left behind in the backward pass that is under way."""

    def __init__(self) -> None:
        self._pass, self._parts = -1, list[PartT]()

    def leave(self, part: PartT) -> None:
        """Keep the part of a step. What an earlier pass left and did not ask for is forgotten."""
        now = torch._C._current_graph_task_id()
        if now != self._pass:
            self._pass = now
            self._parts.clear()
        self._parts.append(part)

    def take(self) -> list[PartT]:
        """All parts, which are gone here then."""
        parts, self._parts = self._parts, []
        return parts

    @abstractmethod
    def gradients(self) -> tuple[Tensor, Tensor]:
        """The gradients of the two tensors that all steps read; what was left is used up."""


class _Gathered(Function):
    """A number, 0, that stands for two tensors: whoever reads them takes it, so its gradient comes after all have left
    their part."""

    @staticmethod
    def forward(context: Any, left: _Left[Any], first: Tensor, second: Tensor) -> Tensor:
        context.left = left
        return first.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        return None, *context.left.gradients()


def gathers(values: Tensor) -> bool:
    """Whether gradients of steps on these values are gathered: on a processor, where a step is short, and in the type
    of the values themselves."""
    on_processor = values.device.type == "cpu"
    return on_processor and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


class GatheredProducts:
    """`F.linear`, whose matrices have their gradients from all products with them at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, torch.Size], tuple[_Products, Tensor]] = {}

    def __call__(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Rows (..., I), a weight (O, I) and a bias (O,) to rows (..., O). A weight is known by where it lies."""
        key = (weight.data_ptr(), weight.shape)
        if key not in self._known:
            products = _Products(weight.detach(), bias.detach())
            self._known[key] = products, _Gathered.apply(products, weight, bias)
        products, whole = self._known[key]
        return _Product.apply(rows, whole, products)


class _Products(_Left[tuple[Tensor, Tensor]]):
    """Rows that were multiplied by a matrix, and the gradients of what came of them."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def gradients(self) -> tuple[Tensor, Tensor]:
        rows, gradients = (torch.cat(parts).flatten(0, -2) for parts in zip(*self.take(), strict=True))
        return gradients.t() @ rows, gradients.sum(0)


class _Product(Function):
    @staticmethod
    def forward(context: Any, rows: Tensor, whole: Tensor, products: _Products) -> Tensor:
        context.save_for_backward(rows)
        context.products = products
        return F.linear(rows, products.weight, products.bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (rows,) = context.saved_tensors
        products: _Products = context.products
        if context.needs_input_grad[1]:
            products.leave((rows, gradient))
        of_rows = gradient @ products.weight if context.needs_input_grad[0] else None
        return of_rows, gradient.new_zeros(()), None


class GatheredKeysValues:
    """Keys and values (B, A, S, Z) of real tokens, and those of generated ones behind them. What attends to them all
    leaves the gradients of the real ones behind."""

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        """room: for so many generated tokens."""
        self._reads = _Reads(_with_room(keys, room), _with_room(values, room), keys.shape)
        self._whole = _Gathered.apply(self._reads, keys, values)
        self._grown: list[Tensor] = []

    def append(self, keys: Tensor, values: Tensor) -> GatheredKeysValues:
        """The same, which holds the new ones too, each (B, A, n, Z)."""
        self._grown += (keys, values)
        return self

    def attended(self, queries: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        """What queries (B, A, Q, Z) gather where `mask` (B, 1, Q, S + G) is true; there is no dropout."""
        assert not dropout, "weights are dropped by torch's attention alone"
        return _Attention.apply(self._reads, mask, self._whole, queries, *self._grown)


def _with_room(real: Tensor, room: int) -> Tensor:
    """What real tokens have, heads of all windows one after another, with room behind it: (B A, S + room, Z)."""
    windows, heads, count, size = real.shape
    filled = real.new_empty(windows, heads, count + room, size)
    filled[:, :, :count] = real.detach()
    return filled.flatten(0, 1)


_Read: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Queries (B A, Q, Z), the gradients of their scores and their weights on real tokens (B A, Q, S), and the gradients of
what they gathered."""


class _Reads(_Left[_Read]):
    """Keys and values (B A, S + room, Z) that are filled as tokens are generated, and what was read of the real ones.
    shape: of the latter, (B, A, S, Z)."""

    def __init__(self, keys: Tensor, values: Tensor, shape: torch.Size) -> None:
        super().__init__()
        self.keys, self.values, self.shape = keys, values, shape

    def fill(self, grown: tuple[Tensor, ...]) -> int:
        """Put the latest keys and values behind all others; how many tokens there are then."""
        filled = self.shape[2] + sum(part.shape[2] for part in grown[::2])
        for held, latest in ((self.keys, grown[-2]), (self.values, grown[-1])):
            held.unflatten(0, self.shape[:2])[:, :, filled - latest.shape[2] : filled] = latest
        return filled

    def gradients(self) -> tuple[Tensor, Tensor]:
        queries, scores, weights, gradients = (torch.cat(parts, dim=1) for parts in zip(*self.take(), strict=True))
        return torch.bmm(scores.mT, queries).view(self.shape), torch.bmm(weights.mT, gradients).view(self.shape)


class _Attention(Function):
    """Softmax attention of few queries: what torch's own keeps from being written to memory is small here."""

    @staticmethod
    def forward(context: Any, reads: _Reads, mask: Tensor, whole: Tensor, queries: Tensor, *grown: Tensor) -> Tensor:
        filled = reads.fill(grown)
        asking = queries.flatten(0, 1) * queries.shape[-1] ** -0.5
        scores = torch.bmm(asking, reads.keys[:, :filled].mT)
        scores.view(*queries.shape[:-1], filled).masked_fill_(~mask, -torch.inf)
        weights = scores.softmax(dim=-1)
        context.save_for_backward(asking, weights)
        context.reads, context.shapes = reads, [part.shape for part in grown]
        return torch.bmm(weights, reads.values[:, :filled]).view(queries.shape)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        asking, weights = context.saved_tensors
        reads: _Reads = context.reads
        shape, gradient, filled = gradient.shape, gradient.flatten(0, 1), weights.shape[-1]
        of_weights = torch.bmm(gradient, reads.values[:, :filled].mT)
        of_scores = of_weights.sub_((weights * of_weights).sum(dim=-1, keepdim=True)).mul_(weights)
        of_queries = torch.bmm(of_scores, reads.keys[:, :filled]).mul_(shape[-1] ** -0.5).view(shape)
        real = reads.shape[2]
        if context.needs_input_grad[2]:
            reads.leave((asking, of_scores[..., :real], weights[..., :real], gradient))
        of_keys = torch.bmm(of_scores[..., real:].mT, asking).unflatten(0, shape[:2])
        of_values = torch.bmm(weights[..., real:].mT, gradient).unflatten(0, shape[:2])
        counts = [part[2] for part in context.shapes[::2]]
        of_grown = [
            part for pair in zip(of_keys.split(counts, 2), of_values.split(counts, 2), strict=True) for part in pair
        ]
        return None, None, gradient.new_zeros(()), of_queries, *of_grown
