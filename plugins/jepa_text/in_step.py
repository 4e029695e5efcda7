"""As many passes over the weights as other processes make, where the weights are divided among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from jepa_core.contracts import Encoder

PassT = TypeVar("PassT")


def in_passes(
    encoder: Encoder, compute: Callable[[PassT], Tensor], passes: Sequence[PassT], other: PassT
) -> list[Tensor]:
    """What is computed of each pass; then of another one as often as other processes make more (`passes_of_all`).

    Those count nothing, and their gradient, which is 0, flows, so that passes backward are as many too.
    """
    further = 0 if encoder.passes_of_all is None else encoder.passes_of_all(len(passes)) - len(passes)
    computed = [compute(part) for part in passes]
    nothing = [0.0 * compute(other).sum() for _ in range(further)]
    if not nothing:
        return computed
    zero = sum(nothing[1:], nothing[0])
    return [*computed[:-1], computed[-1] + zero] if computed else [zero]
