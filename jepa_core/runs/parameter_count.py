"""Counts the parameters that patterns choose, on models that are built without memory (torch's device `meta`)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from jepa_core.ensemble import ensemble_of
from jepa_core.errors import JepaError
from jepa_core.recipe import PhaseUse, Recipe
from jepa_core.training.learner import name_matches
from jepa_core.training.optimization import refuse_idle_among


def count_matching(recipe: Recipe, use: PhaseUse) -> int | None:
    """Parameters that a phase of a recipe trains by its patterns; None if a model cannot be built so, such as one whose
    weights are read from a folder that is not there.

    Raises RecipeError if a pattern fits none of them.
    """
    try:
        named = dict(_parameters(recipe))
    except (JepaError, OSError, NotImplementedError, RuntimeError):
        return None
    phase = use.config
    trained = {name: parameter for name, parameter in named.items() if name.partition(".")[0] in phase.trains}
    refuse_idle_among(trained, use.name, phase)
    return sum(parameter.numel() for name, parameter in trained.items() if name_matches(name, phase.only))


def _parameters(recipe: Recipe) -> Iterator[tuple[str, nn.Parameter]]:
    """Trainable parameters of encoder and predictor, named as patterns name them."""
    use = recipe.predictor
    with torch.device("meta"):
        encoder = recipe.encoder.build(recipe.item_shape())
        predictor = ensemble_of(lambda: use.build(encoder.latent_dim), use.config.members)
    for module, model in (("encoder", encoder), ("predictor", predictor)):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                yield f"{module}.{name}", parameter
