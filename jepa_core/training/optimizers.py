"""The optimizers that come with the framework; jepa_core.rates has their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from jepa_core.contracts import Optimizer
from jepa_core.rates import AdamwConfig, MuonConfig, SgdConfig

Groups = Sequence[dict[str, Any]]


class Adamw(Optimizer[AdamwConfig]):
    """AdamW as torch has it."""

    def over(self, groups: Groups) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, lr=0.0, betas=self.config.betas)


class _DecoupledSgd(torch.optim.SGD):
    """SGD whose weight decay shrinks the weights by themselves, not by way of the gradient and its momentum."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * decay)
            group["weight_decay"] = 0.0
        try:
            return super().step(closure)
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay


class Sgd(Optimizer[SgdConfig]):
    """Momentum as torch has it, with decoupled weight decay."""

    def over(self, groups: Groups) -> torch.optim.Optimizer:
        return _DecoupledSgd(groups, lr=0.0, momentum=self.config.momentum, nesterov=self.config.nesterov)


class Muon(Optimizer[MuonConfig]):
    """Muon as torch has it for matrices of two dimensions, AdamW for everything else."""

    def over(self, groups: Groups) -> torch.optim.Optimizer:
        flat: list[dict[str, Any]] = []
        rest: list[dict[str, Any]] = []
        for group in groups:
            for chosen in (True, False):
                parameters = [
                    parameter for parameter in group["params"] if (group["matrices"] and parameter.dim() == 2) is chosen
                ]
                (flat if chosen else rest).extend([{**group, "params": parameters}] if parameters else [])
        parts: list[torch.optim.Optimizer] = []
        if flat:
            parts.append(self._muon(flat))
        if rest:
            parts.append(torch.optim.AdamW(rest, lr=0.0, betas=self.config.betas))
        return _Together(parts)

    def _muon(self, groups: Groups) -> torch.optim.Optimizer:
        config = self.config
        return torch.optim.Muon(
            groups, lr=0.0, momentum=config.momentum, nesterov=config.nesterov, adjust_lr_fn="match_rms_adamw"
        )


class _Together(torch.optim.Optimizer):
    """Several optimizers of different parameters as one: each has a stretch of the groups, and all one state."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for part in self._parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        first = 0
        for part in self._parts:
            part.param_groups = self.param_groups[first : first + len(part.param_groups)]
            part.state = self.state
            first += len(part.param_groups)
