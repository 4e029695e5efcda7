from __future__ import annotations

import random

import torch

from jepa_core.config import OptimizerConfig
from jepa_core.contracts import Optimizer
from wrong import fails


class DescentConfig(OptimizerConfig):
    """Descends."""

    @property
    def state_bytes(self):
        return 4


class Descent(torch.optim.Optimizer):
    def __init__(self, groups):
        super().__init__(groups, {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.move(parameter, parameter.grad, group)

    def move(self, parameter, gradient, group):
        if gradient is not None:
            parameter.sub_(group["lr"] * gradient)


def over(torchs):
    """An optimizer that hands its groups to one of torch's kind."""

    class Wrong(Optimizer[DescentConfig]):
        def over(self, groups):
            return torchs(groups)

    return Wrong


class _Moves(Descent):
    def move(self, parameter, gradient, group):
        parameter.sub_(group["lr"] * (torch.ones_like(parameter) if gradient is None else gradient))


@fails("check_moves_what_has_a_gradient", "optimizer", DescentConfig)
class MovesEverything(over(_Moves)):
    pass


class _OwnPace(Descent):
    def move(self, parameter, gradient, group):
        if gradient is not None:
            parameter.sub_(1e-3 * gradient)


@fails("check_rate_followed", "optimizer", DescentConfig)
class HasAPaceOfItsOwn(over(_OwnPace)):
    pass


@fails("check_groups_kept", "optimizer", DescentConfig)
class TakesGroupsApart(Optimizer[DescentConfig]):
    def over(self, groups):
        return Descent([{"params": group["params"]} for group in groups])


class _Counts(Descent):
    def move(self, parameter, gradient, group):
        super().move(parameter, gradient, group)
        self.state[parameter]["count"] = 1


@fails("check_state_is_pickle_free", "optimizer", DescentConfig)
class KeepsANumber(over(_Counts)):
    pass


class _TwoMoments(Descent):
    def move(self, parameter, gradient, group):
        super().move(parameter, gradient, group)
        self.state[parameter] |= {name: torch.zeros_like(parameter) for name in ("first", "second")}


@fails("check_state_reported", "optimizer", DescentConfig)
class KeepsMoreThanItSays(over(_TwoMoments)):
    pass


class _Forgets(Descent):
    def __init__(self, groups):
        super().__init__(groups)
        self.memory = {}

    def move(self, parameter, gradient, group):
        if gradient is not None:
            moment = self.memory.get(id(parameter), 0) + gradient
            self.memory[id(parameter)] = moment
            parameter.sub_(group["lr"] * moment)


@fails("check_resume_bitwise", "optimizer", DescentConfig)
class KeepsMomentsToItself(over(_Forgets)):
    pass


class _Draws(Descent):
    def move(self, parameter, gradient, group):
        if gradient is not None:
            parameter.sub_(group["lr"] * gradient * random.random())


@fails("check_rng_isolation", "optimizer", DescentConfig)
class DrawsItsSteps(over(_Draws)):
    pass


class _Prints(Descent):
    def move(self, parameter, gradient, group):
        print(group["lr"])


@fails("check_no_prints", "optimizer", DescentConfig)
class Prints(over(_Prints)):
    pass
