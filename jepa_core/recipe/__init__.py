"""Recipes: YAML files that say what a run is made of. Reading one imports no component and executes nothing.

A recipe names a source, an encoder, a predictor, a curriculum of phases and some evaluators, each by `use` with the
keys of its config. It may extend another recipe, take values from the environment (`${NAME}`, `${NAME:-default}`) and
be changed on the command line (`curriculum.joint_refinement.steps=200`). Every mistake is reported at once, at its
place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jepa_core.plugin import Registry
from jepa_core.recipe.layers import display_name, merge, read_layers, read_overrides
from jepa_core.recipe.locate import find_recipe, shipped_recipes
from jepa_core.recipe.problems import InvalidRecipe, Problems, RecipeProblem
from jepa_core.recipe.schema import PhaseUse, Recipe, RuntimeConfig, Use, WindowsConfig, item_shape
from jepa_core.recipe.validate import build_recipe
from jepa_core.recipe.yaml_tree import SectionNode, report_unusable

__all__ = [
    "InvalidRecipe",
    "PhaseUse",
    "Recipe",
    "RecipeProblem",
    "RuntimeConfig",
    "Use",
    "WindowsConfig",
    "find_recipe",
    "item_shape",
    "load_recipe",
    "shipped_recipes",
]


def load_recipe(
    reference: str | Path,
    overrides: Sequence[str],
    registry: Registry,
    environment: Mapping[str, str] = os.environ,
    above: Sequence[SectionNode] = (),
) -> Recipe:
    """The recipe in a file, or the shipped one of that name, with `dotted.key=value` overrides on top.

    above: further layers of keys, between the file and the overrides (see `jepa_core.study`).

    Raises RecipeError if there is no such recipe or it is no text, InvalidRecipe with every mistake in it.
    """
    path = find_recipe(reference)
    file = display_name(path)
    problems = Problems()
    layers, complete = read_layers(path, environment, problems)
    changes = read_overrides(overrides, environment, problems)
    if not complete:
        for layer in layers:
            report_unusable(layer, problems)
        problems.refuse(file)
    main = layers[-1]
    tree = SectionNode({}, main.place)
    for layer in [*layers, *above, *([changes] if changes else [])]:
        tree = merge(tree, layer, problems)
    report_unusable(tree, problems)
    recipe = build_recipe(replace(tree, place=main.place), path.stem, registry, problems)
    problems.refuse(file)
    assert recipe is not None
    return recipe
