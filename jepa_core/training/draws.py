"""Random numbers of a part of a batch: those that its windows would have in the whole.

Modules draw from torch's global state, as dropout does, in the shape of what they are given, whose first dimension are
the windows. In a part of a batch the numbers are drawn for the whole, and the part has the rows of its windows; so they
belong to a window, and not to how its batch is divided. Draws that cannot be divided so are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from jepa_core.errors import LastingRunError

_IN_PLACE = frozenset({"exponential_", "uniform_", "normal_", "bernoulli_", "cauchy_", "geometric_", "log_normal_"})
_LIKE = {"rand_like": torch.rand, "randn_like": torch.randn}
_NEW = frozenset({"rand", "randn"})
_REFUSED = frozenset({
    "bernoulli", "multinomial", "normal", "poisson", "randint", "randint_like", "randperm", "random_",
    "gumbel_softmax", "dropout_", "feature_dropout_",
})  # fmt: skip
_REFUSED_IN_TRAINING = frozenset({
    "alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "rrelu",
})  # fmt: skip
_RECURRENT = frozenset({"gru", "lstm", "rnn_relu", "rnn_tanh"})

_DRAWS: ContextVar[WindowDraws | None] = ContextVar("draws", default=None)


class WindowDraws(TorchFunctionMode):
    """In the block, what is drawn from torch's global state is drawn for all windows of a step.

    rows: (B,) places of the windows at hand. windows: number of all.
    """

    def __init__(self, rows: Tensor, windows: int) -> None:
        super().__init__()
        self._rows, self._windows = rows, windows
        self._drawing = False
        self.items = False
        """Whether what is computed now is of items, which several windows may share."""

    def __enter__(self) -> WindowDraws:
        self._token = _DRAWS.set(self)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _DRAWS.reset(self._token)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, given: Sequence[Any] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        name = "" if self._drawing else getattr(function, "__name__", "")
        if name == "dropout":
            return self._dropout(*given, **named)
        if name == "scaled_dot_product_attention":
            return self._attention(function, given, named)
        if name in _REFUSED_IN_TRAINING and _trains(given, named):
            self._refuse(name)
        if name in _RECURRENT and len(given) > 6 and given[5] and given[6]:
            self._refuse(f"dropout between the layers of {name}")
        if named.get("generator") is not None:
            return function(*given, **named)
        if name in _REFUSED:
            self._refuse(name)
        if name in _IN_PLACE:
            return given[0].copy_(self._own(given[0], lambda whole: getattr(whole, name)(*given[1:], **named)))
        if name in _LIKE:
            return self._own(given[0], lambda whole: _LIKE[name](whole.shape, dtype=whole.dtype, device=whole.device))
        if name in _NEW:
            return self._own(torch.empty(*given, **named, requires_grad=False), lambda whole: function(
                whole.shape, dtype=whole.dtype, device=whole.device
            ))  # fmt: skip
        return function(*given, **named)

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """The computation of `torch.nn.functional.dropout`; the names are its own."""
        if not training or p == 0:
            return input
        kept = self._own(input.detach(), lambda whole: whole.bernoulli_(1 - p)).div_(1 - p) if p < 1 else 0.0
        return input.mul_(kept) if inplace else input * kept

    def _attention(self, function: Callable[..., Any], given: Sequence[Any], named: dict[str, Any]) -> Tensor:
        """Attention whose weights are dropped by window; without dropout, as it is."""
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        all_given = dict(zip(names, given, strict=False)) | named
        share = all_given.get("dropout_p", 0.0)
        if not share:
            return function(*given, **named)
        if all_given.get("enable_gqa") or all_given.get("is_causal"):
            self._refuse("dropout in attention that is causal or grouped")
        query, key, value = (all_given[name] for name in names[:3])
        mask = all_given.get("attn_mask")
        scale = all_given.get("scale") or query.shape[-1] ** -0.5
        scores = query @ key.transpose(-2, -1) * scale
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return self._dropout(scores.softmax(-1), share) @ value

    def _own(self, like: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """What is drawn for all windows, at those at hand; the first dimension of `like` are the latter, once or
        several times each in a row."""
        if self.items or like.dim() == 0 or like.shape[0] % len(self._rows):
            self._refuse("numbers that are none of a window")
        times = like.shape[0] // len(self._rows)
        whole = draw(torch.empty(self._windows * times, *like.shape[1:], dtype=like.dtype, device=like.device))
        rows = self._rows.to(like.device)
        return whole.unflatten(0, (self._windows, times))[rows].flatten(0, 1)

    def by_window(self, like: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """See `drawn_by_window`."""
        self._drawing = True
        try:
            return self._own(like, draw)
        finally:
            self._drawing = False

    def _refuse(self, draw: str) -> None:
        where = "the encoder draws random numbers for items, which" if self.items else f"a module draws {draw}, which"
        raise LastingRunError(
            f"{where} cannot be divided with the windows of a batch; set its dropout to 0, or compute batches whole: "
            "one process, accumulate 1"
        )


def _trains(given: Sequence[Any], named: dict[str, Any]) -> bool:
    return bool(named.get("training", given[2] if len(given) > 2 and isinstance(given[2], bool) else False))


def drawn_by_window(like: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
    """What a module draws for a tensor whose first dimension are windows, in its own way: that of its windows, where
    the step is divided. draw: draws from torch's global state, in the shape of the tensor that it is given."""
    draws = _DRAWS.get()
    return draw(like) if draws is None else draws.by_window(like, draw)


@contextmanager
def of_items() -> Iterator[None]:
    """What is computed in the block is of items: each may belong to several windows, and none can be drawn for."""
    draws = _DRAWS.get()
    if draws is None:
        yield
        return
    draws.items = True
    try:
        yield
    finally:
        draws.items = False
