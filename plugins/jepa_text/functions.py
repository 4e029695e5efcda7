"""The root mean square norm, the rotary embedding and the way into rows and back, with gradients that take few passes
over memory.

Left to autograd, each is a chain of small operations whose results are all kept; on a small model these chains cost as
much as the matrix products between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from jepa_text.packing import TextRows


@dataclass(frozen=True)
class Turns:
    """What turns the heads of S tokens by their positions; none of it gets a gradient.

    cosines, sines: (S, A Z), the same for each of A heads side by side; the sines of a head's first half are negative.
    """

    cosines: Tensor
    sines: Tensor

    @classmethod
    def of(cls, cosines: Tensor, sines: Tensor, heads: int) -> Turns:
        """Of cosines and sines (S, Z) that are the same in both halves, for up to so many heads."""
        first, second = sines.chunk(2, dim=-1)
        return cls(cosines.repeat(1, heads), torch.cat((-first, second), dim=-1).repeat(1, heads))

    def at(self, places: Tensor) -> Turns:
        """Those of the tokens at some places (N,)."""
        return Turns(self.cosines.index_select(0, places), self.sines.index_select(0, places))


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """`hidden` (..., D) over its root mean square, times `weight` (D,) (Zhang and Sennrich, arXiv 1910.07467).

    Computed in fp32 at least; of the type that `hidden` and `weight` have together.
    """
    return _RmsNorm.apply(hidden, weight, epsilon)


def rotate(heads: Tensor, turns: Turns) -> Tensor:
    """Queries or keys (S, H, Z) turned by their positions (Su et al., arXiv 2104.09864), dimension i with i + Z / 2."""
    return _Rotation.apply(heads, turns.cosines, turns.sines)


def into_rows(packed: Tensor, rows: TextRows) -> Tensor:
    """Tokens (S, H, Z) at their places in rows: (R, H, Z). Where no token lies, any does, and no gradient may come."""
    return _IntoRows.apply(packed, rows.tokens, rows.places)


def out_of_rows(laid_out: Tensor, rows: TextRows) -> Tensor:
    """The tokens (S, H, Z) that lie in rows (R, H, Z)."""
    return _OutOfRows.apply(laid_out, rows.places)


class _OutOfRows(Function):
    """A selection of what stands at different places, so that its gradient is a copy."""

    @staticmethod
    def forward(context: Any, laid_out: Tensor, places: Tensor) -> Tensor:
        context.save_for_backward(places)
        context.places = len(laid_out)
        return laid_out.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = context.saved_tensors
        return gradient.new_zeros(context.places, *gradient.shape[1:]).index_copy_(0, places, gradient), None


class _IntoRows(Function):
    """A selection whose gradient is one too: of a token that was selected more than once, one place gets a gradient."""

    @staticmethod
    def forward(context: Any, packed: Tensor, tokens: Tensor, places: Tensor) -> Tensor:
        context.save_for_backward(places)
        return packed.index_select(0, tokens)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = context.saved_tensors
        return gradient.index_select(0, places), None, None


class _RmsNorm(Function):
    @staticmethod
    def forward(context: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        size = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = size.square_().div_(wide.shape[-1]).add_(epsilon).rsqrt_()
        normed = wide * scale
        context.save_for_backward(normed, scale, weight)
        context.type = hidden.dtype
        return (normed * weight).to(torch.promote_types(hidden.dtype, weight.dtype))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        normed, scale, weight = context.saved_tensors
        gradient = gradient.to(normed.dtype)
        times_normed = gradient * normed
        of_weight = None
        if context.needs_input_grad[1]:
            of_weight = times_normed.flatten(0, -2).sum(0).to(weight.dtype)
        weight = weight.to(normed.dtype)
        along = (times_normed @ weight).unsqueeze(-1) / normed.shape[-1]
        of_hidden = torch.addcmul(gradient * weight, normed, along, value=-1).mul_(scale)
        return of_hidden.to(context.type), of_weight, None


class _Rotation(Function):
    """Heads are laid side by side: a processor is slow at products of short rows that repeat another's factor."""

    @staticmethod
    def forward(context: Any, heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        context.save_for_backward(cosines, sines)
        return _turned(heads, cosines, sines, 1.0)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cosines, sines = context.saved_tensors
        return _turned(gradient, cosines, sines, -1.0), None, None


def _turned(heads: Tensor, cosines: Tensor, sines: Tensor, way: float) -> Tensor:
    """Heads (S, H, Z) turned one way, or the other with -1."""
    first, second = heads.chunk(2, dim=-1)
    swapped, width = torch.cat((second, first), dim=-1).flatten(1), heads.shape[1] * heads.shape[2]
    along = heads.flatten(1) * cosines[:, :width]
    return along.addcmul_(swapped, sines[:, :width], value=way).view_as(heads)
