"""Checks of optimizers: each moves the parameters of a tiny learner along drawn gradients, or trains it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from jepa_core.config import OptimizerConfig
from jepa_core.contracts import Listener, Phase
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    differing,
    oscillators,
    require,
    require_no_global_draws,
    require_silent,
    scratch,
    snapshot,
    tiny_learner,
)
from jepa_core.testing.tiny_runs import STEPS, Heard, HeardConfig, StopAfter, Stopped, training_windows
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner

RATE = 1e-2


class OptimizerBench(base.Bench):
    """An optimizer over a matrix and a bias, or in the training of a tiny predictor."""

    def moved(self, rate: float = RATE, steps: int = STEPS) -> tuple[nn.Linear, torch.optim.Optimizer]:
        """A layer and its optimizer after some steps along drawn gradients. The bias got none."""
        drawn = torch.Generator().manual_seed(0)
        layer = _layer(drawn)
        optimizer = self.over(layer)
        for _ in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate
            layer.weight.grad = torch.randn(layer.weight.shape, generator=drawn)
            optimizer.step()
            optimizer.zero_grad()
        return layer, optimizer

    def over(self, layer: nn.Linear) -> torch.optim.Optimizer:
        """The optimizer over the parameters of a layer."""
        shared: dict[str, Any] = {"peak_lr": RATE, "lr": 0.0}
        return self.component.load()(self.config).over([
            {"params": [layer.weight], "weight_decay": 0.1, "matrices": True, **shared},
            {"params": [layer.bias], "weight_decay": 0.0, "matrices": False, **shared},
        ])  # fmt: skip

    def phases(self) -> list[BuiltPhase]:
        """A curriculum of one phase that trains the predictor with it."""
        phase: Phase = Heard(HeardConfig(steps=STEPS))
        return [BuiltPhase("moved", phase, {}, self.make())]

    def train(
        self,
        learner: Learner,
        *listeners: Listener,
        restore: Callable[[Progress], object] = lambda progress: None,
    ) -> None:
        """Train a learner's predictor, from a checkpoint on if one is restored."""
        run_curriculum(self.phases(), learner, training_windows(learner), 0, listeners, restore)


def _layer(drawn: torch.Generator) -> nn.Linear:
    layer = nn.Linear(4, 6)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=drawn))
    return layer


def _fresh() -> dict[str, Tensor]:
    """The layer's parameters before a step."""
    return snapshot(dict(_layer(torch.Generator().manual_seed(0)).named_parameters()))


def check_moves_what_has_a_gradient(bench: OptimizerBench) -> None:
    """A parameter with a gradient moves, one without does not: what a phase's loss does not reach is not its to
    change."""
    layer, _ = bench.moved()
    moved = differing(_fresh(), dict(layer.named_parameters()))
    require("weight" in moved, "a matrix with a gradient did not move")
    require("bias" not in moved, "a bias without a gradient moved; leave out parameters whose `grad` is None")


def check_rate_followed(bench: OptimizerBench) -> None:
    """With a rate of 0 nothing moves: rates are set before every step, and no other pace is kept beside them."""
    layer, _ = bench.moved(rate=0.0)
    moved = differing(_fresh(), dict(layer.named_parameters()))
    require(not moved, "a parameter moved at a rate of 0; multiply every change by the group's `lr`, decay's too")


def check_groups_kept(bench: OptimizerBench) -> None:
    """Every parameter stands in one group of the optimizer, which still has its `peak_lr`: the loop sets `lr` by it."""
    layer = nn.Linear(4, 6)
    groups = bench.over(layer).param_groups
    held = sorted(id(parameter) for group in groups for parameter in group["params"])
    require(held == sorted(map(id, layer.parameters())), "parameters are missing from the groups, or stand in two")
    require(all(group.get("peak_lr") == RATE for group in groups), "a group has lost its `peak_lr`; pass on all keys")


def check_state_is_pickle_free(bench: OptimizerBench) -> None:
    """What is kept of a parameter are tensors by name, which a checkpoint can hold."""
    _, optimizer = bench.moved()
    for state in optimizer.state_dict()["state"].values():
        for name, value in state.items():
            require(isinstance(value, Tensor), f"the state '{name}' is {type(value).__name__}; keep a tensor")


def check_state_reported(bench: OptimizerBench) -> None:
    """The config's `state_bytes` covers what is kept of a parameter: `jepa plan` counts memory by it. Single numbers,
    such as a count of steps, are left out."""
    layer, optimizer = bench.moved()
    kept = [value for value in optimizer.state[layer.weight].values() if isinstance(value, Tensor)]
    each = sum(value.numel() * value.element_size() for value in kept if value.numel() > 1) / layer.weight.numel()
    stated = cast(OptimizerConfig, bench.config).state_bytes
    require(each <= stated, f"it keeps {each:g} bytes a parameter, and state_bytes says {stated}; raise it")


def check_resume_bitwise(bench: OptimizerBench) -> None:
    """Training that was stopped and goes on from its checkpoint ends in the same bits as training that was not."""
    folder = scratch() / f"moved-{bench.component.name}"
    whole, first, again = (tiny_learner(oscillators("channels")) for _ in range(3))
    bench.train(whole)
    with suppress(Stopped):
        bench.train(first, StopAfter(STEPS // 2, lambda progress: save_checkpoint(folder, progress, False)))
    bench.train(again, restore=lambda progress: restore_checkpoint(folder, progress))
    shutil.rmtree(folder)
    changed = differing(snapshot(dict(whole.weights())), snapshot(dict(again.weights())))
    require(
        not changed,
        f"after a resume {', '.join(changed[:3])} ended elsewhere; keep what later steps need in the optimizer's state",
    )


def check_rng_isolation(bench: OptimizerBench) -> None:
    """A step draws nothing from the global states of python and numpy, and the same gradients give the same bits."""
    first: dict[str, Tensor] = {}
    require_no_global_draws(lambda: first.update(load(save(snapshot(dict(bench.moved()[0].named_parameters()))))))
    second = snapshot(dict(bench.moved()[0].named_parameters()))
    require(not differing(first, second), "the same gradients moved the parameters elsewhere when they came again")


def check_no_prints(bench: OptimizerBench) -> None:
    """The optimizer prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(bench.moved)
