"""As many passes over the weights as other processes make, where the weights are divided among them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from jepa_core.contracts import Encoder


def with_passes_of_all(encoder: Encoder, computed: list[Tensor], further: Callable[[], Tensor]) -> list[Tensor]:
    """What was computed in passes, after as many further ones as other processes make (`Encoder.passes_of_all`). These
    count nothing, and their gradient, which is 0, flows, so that passes backward are as many too."""
    if encoder.passes_of_all is None:
        return computed
    nothing = [0.0 * further().sum() for _ in range(encoder.passes_of_all(len(computed)) - len(computed))]
    if not nothing:
        return computed
    zero = sum(nothing[1:], nothing[0])
    return [*computed[:-1], computed[-1] + zero] if computed else [zero]
