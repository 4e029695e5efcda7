"""The optimizer my_component."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from jepa_core.contracts import Optimizer
from jepa_my_component.config import MyComponentConfig


class MyComponent(Optimizer[MyComponentConfig]):
    """Signs of a mean of gradients, with decoupled weight decay."""

    def over(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        return _Signs(groups, {"lr": 0.0, "betas": self.config.betas})


class _Signs(torch.optim.Optimizer):
    """Keeps one mean of gradients for each parameter."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        kept = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
        now, later = group["betas"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(group["lr"] * torch.lerp(parameter.grad, kept, now).sign())
        kept.lerp_(parameter.grad, 1 - later)
