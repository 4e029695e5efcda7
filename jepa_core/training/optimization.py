"""How parameters move: the optimizer over what a phase trains, the clipping of gradients, the course of the rates."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from jepa_core.config import PhaseConfig
from jepa_core.ensemble import members_of
from jepa_core.errors import RecipeError
from jepa_core.training.learner import Learner, name_matches

if TYPE_CHECKING:
    from jepa_core.training.curriculum import BuiltPhase


def clip_gradients(learner: Learner, built: BuiltPhase) -> None:
    config = built.optimizer.config
    nn.utils.clip_grad_norm_(learner.encoder_parameters().values(), config.encoder_clip)
    members = members_of(learner.predictor)
    for member in members:  # the loss is their mean, so each is clipped as it would be alone
        nn.utils.clip_grad_norm_(member.parameters(), config.predictor_clip / len(members))
    for module in own_modules(built):
        nn.utils.clip_grad_norm_(module.parameters(), config.predictor_clip)


def refuse_idle_patterns(learner: Learner, built: BuiltPhase) -> None:
    """Refuse what `refuse_idle_among` refuses, of the parameters that the phase trains in this learner."""
    refuse_idle_among(list(learner.chosen(built.config.trains, ["*"])), built.name, built.config)


def refuse_idle_among(names: Collection[str], phase: str, config: PhaseConfig) -> None:
    """Refuse a pattern of `only` that fits none of these names of parameters, those that the phase trains.

    Raises RecipeError naming the pattern, with names that there are.
    """
    for pattern in config.only if config.steps and config.trains else ():
        if any(name_matches(name, [pattern]) for name in names):
            continue
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0) or ["none"]
        raise RecipeError(
            f"phase '{phase}': no parameter that it trains is called '{pattern}' (curriculum.{phase}.only); "
            f"names that come near are {', '.join(near)}"
        )


def own_modules(built: BuiltPhase) -> list[nn.Module]:
    """The module of the phase and those of its objectives."""
    modules = [built.phase.module, *(objective.module for objective in built.objectives.values())]
    return [module for module in modules if module is not None]


def trained_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters that an optimizer moves, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def matrices(module: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that map one vector onto another, which weight decay is for: of two dimensions or more, those of
    recurrent cells with those of linear and convolution layers. Biases, norms, and tables that are looked up (of tokens
    or positions) have none."""
    for layer in module.modules():
        if not isinstance(layer, _NOT_MATRICES):
            own = layer.named_parameters(recurse=False)
            yield from (parameter for name, parameter in own if parameter.dim() >= 2 and not name.startswith("bias"))


_NOT_MATRICES = (
    nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase
)  # fmt: skip


def make_optimizer(learner: Learner, built: BuiltPhase) -> torch.optim.Optimizer:
    """The phase's optimizer over the modules that it trains, its own and those of its objectives with them; weight
    decay falls on matrices alone."""
    config, settings = built.config, built.optimizer.config
    modules: list[tuple[nn.Module, list[nn.Parameter], float]] = []
    if "encoder" in config.trains:
        modules.append((learner.encoder, list(learner.encoder_parameters().values()), settings.encoder_lr))
    if "predictor" in config.trains:
        modules.append((learner.predictor, list(learner.predictor.parameters()), settings.predictor_lr))
    modules += [(own, list(own.parameters()), settings.predictor_lr) for own in own_modules(built)]
    groups = [
        {"params": chosen, "peak_lr": rate, "weight_decay": settings.weight_decay if mapping else 0.0,
         "matrices": mapping}
        for module, parameters, rate in modules
        for mapping, chosen in _parted(module, parameters)
    ]  # fmt: skip
    return built.optimizer.over(groups)


def _parted(module: nn.Module, parameters: list[nn.Parameter]) -> Iterator[tuple[bool, list[nn.Parameter]]]:
    """The matrices among a module's parameters that train, then the others; nothing for none."""
    known = {id(matrix) for matrix in matrices(module)}
    for mapping in (True, False):
        alike = [parameter for parameter in parameters if (id(parameter) in known) is mapping]
        if chosen := [parameter for parameter in alike if parameter.requires_grad]:
            yield mapping, chosen
