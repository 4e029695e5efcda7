"""Products of rows and a weight matrix on a processor, at the rate of its widest instructions.

torch hands them to MKL, which uses these on Intel's processors alone: a core of an AMD EPYC (Zen 5) reaches 110 GFLOP/s
with it, and 250 with oneDNN, which torch brings along and uses for other types of numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LEAST = 2**21
"""Multiplications of a product from which oneDNN takes less time, with what it takes to ask for it."""
ALIKE = 8
"""Rows must be a multiple of this: for each number of them a kernel is made, in the time of a small product."""


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `F.linear`, beyond rounding: rows (..., I), a weight (O, I) and a bias (O,) to rows (..., O)."""
    if not _is_for_onednn(rows, weight):
        return F.linear(rows, weight, bias)
    flat = rows.reshape(-1, rows.shape[-1])
    product = _Product.apply(flat, weight, bias) if torch.is_grad_enabled() else _product(flat, weight, bias)
    return product.view(*rows.shape[:-1], len(weight))


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., I) to (..., O); the name is torch's own."""
        return linear(input, self.weight, self.bias)


def _is_for_onednn(rows: Tensor, weight: Tensor) -> bool:
    """Programs that are exported keep the operations that torch documents; they are asked for first, since to compare a
    size would hold the program to sizes that compare alike."""
    on_processor = rows.device.type == "cpu" and rows.dtype == weight.dtype == torch.float32
    return (
        not torch.compiler.is_compiling()
        and on_processor
        and rows.numel() * len(weight) >= LEAST
        and rows.numel() // rows.shape[-1] % ALIKE == 0
        and not torch.is_autocast_enabled("cpu")
        and _is_offered()
    )


@cache
def _is_offered() -> bool:
    """Whether this build of torch has oneDNN, and the product of it, which torch does not document."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows (N, I) and a weight (O, I), laid out in memory as they may be: (N, O)."""
    return torch.ops.mkldnn._linear_pointwise.default(rows, weight, bias, "none", [], "")


class _Product(Function):
    @staticmethod
    def forward(context: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(rows, weight)
        return _product(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = context.saved_tensors
        of_rows, of_weight, of_bias = context.needs_input_grad
        return (
            _product(gradient, weight.t()) if of_rows else None,
            _product(gradient.t(), rows.t()) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )
