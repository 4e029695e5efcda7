"""Products of rows and a weight matrix on a processor, at the rate of its widest instructions.

torch hands them to MKL, which uses these on Intel's processors alone: a core of an AMD EPYC (Zen 5) reaches 110 GFLOP/s
with it, and 250 with oneDNN, which torch brings along and uses for other types of numbers.

Without a gradient, which of the two is asked depends on the weight and not on the number of rows, and oneDNN adds up a
row in one order, however many lie beside it, from two on. So the bits of what a trained model says of a row do not
depend on what it is computed with. With a gradient, products of few rows are left to torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

LARGE = 2**13
"""Entries of a weight from which oneDNN takes less time, for as many rows as the windows of a batch have."""
ALIKE = 8
"""Rows are filled up to a multiple of this: for each number of them a kernel is made, in the time of a small product,
and kept."""
WORTH = 2**20
"""Multiplications of a gradient from which oneDNN takes less time."""


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `F.linear`, beyond rounding: rows (..., I), a weight (O, I) and a bias (O,) to rows (..., O)."""
    if not _is_for_onednn(rows, weight):
        return F.linear(rows, weight, bias)
    flat = rows.reshape(-1, rows.shape[-1])
    if not torch.is_grad_enabled():
        product = _filled_product(flat, weight, bias)
    elif flat.shape[0] * weight.numel() >= WORTH:
        product = _Product.apply(flat, weight, bias)
    else:
        return F.linear(rows, weight, bias)
    return product.view(*rows.shape[:-1], weight.shape[0])


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., I) to (..., O); the name is torch's own."""
        return linear(input, self.weight, self.bias)


def _is_for_onednn(rows: Tensor, weight: Tensor) -> bool:
    """Programs that are exported keep the operations that torch documents; they are asked for first, since to compare a
    size would hold the program to sizes that compare alike."""
    return (
        not torch.compiler.is_compiling()
        and rows.device.type == "cpu"
        and rows.dtype == weight.dtype == torch.float32
        and weight.numel() >= LARGE
        and rows.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and _is_offered()
    )


@cache
def _is_offered() -> bool:
    """Whether this build of torch has oneDNN, and the product of it, which torch does not document."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _filled_product(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Rows (N, I) and a weight (O, I): (N, O)."""
    return _product(_filled(rows), weight, bias)[: rows.shape[0]]


def _filled(rows: Tensor) -> Tensor:
    """Rows (N, I), with rows of zeros behind them."""
    return F.pad(rows, (0, 0, 0, -rows.shape[0] % ALIKE)) if rows.shape[0] % ALIKE else rows


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows (N, I) and a weight (O, I), laid out in memory as they may be: (N, O)."""
    return torch.ops.mkldnn._linear_pointwise.default(rows, weight, bias, "none", [], "")


class _Product(Function):
    @staticmethod
    def forward(context: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(rows, weight)
        return _filled_product(rows, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = context.saved_tensors
        of_rows, of_weight, of_bias = context.needs_input_grad
        # A gradient that is itself differentiated goes through torch's own products.
        own = rows.shape[0] * weight.numel() >= WORTH and not torch.is_grad_enabled()
        multiply: Callable[[Tensor, Tensor], Tensor] = _product if own else F.linear
        filled_gradient, filled_rows = (_filled(gradient), _filled(rows)) if own else (gradient, rows)
        return (
            multiply(filled_gradient, weight.t())[: rows.shape[0]] if of_rows else None,
            multiply(filled_gradient.t(), filled_rows.t()) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )
