"""Recipes: what a run is made of, in a YAML file or in Python. Making one imports no component and executes nothing.

A recipe names a source, an encoder, a predictor, a curriculum of phases and some evaluators. In a file each goes by
`use`, with the keys of its config; the file may extend another recipe, take values from the environment (`${NAME}`,
`${NAME:-default}`) and be changed on the command line (`curriculum.joint_refinement.steps=200`). In Python each is its
config. Every mistake is reported at once, with its key path, and in a file at its place.

Importing this package reads no YAML; `load_recipe` does, once it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jepa_core.recipe.locate import find_recipe, shipped_recipes
from jepa_core.recipe.plain import Given, read_plain
from jepa_core.recipe.problems import InvalidRecipe, KeyPath, Problem
from jepa_core.recipe.schema import Recipe
from jepa_core.recipe.settings import RuntimeConfig, WindowsConfig
from jepa_core.recipe.uses import EncoderUse, Match, PhaseUse, PredictorMatch, PredictorUse, Use, item_shape

if TYPE_CHECKING:
    from jepa_core.recipe.reading import load_recipe

__all__ = [
    "EncoderUse",
    "Given",
    "InvalidRecipe",
    "KeyPath",
    "Match",
    "PhaseUse",
    "PredictorMatch",
    "PredictorUse",
    "Problem",
    "Recipe",
    "RuntimeConfig",
    "Use",
    "WindowsConfig",
    "find_recipe",
    "item_shape",
    "load_recipe",
    "read_plain",
    "shipped_recipes",
]


def __getattr__(name: str) -> Any:
    if name != "load_recipe":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from jepa_core.recipe.reading import load_recipe

    return load_recipe
