"""What the commands share: the registry, the recipe they are given, and how a result is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepa_core.plugin import Registry
    from jepa_core.recipe import Recipe


def installed_registry() -> Registry:
    """Every installed plugin and its components."""
    from jepa_core.plugin import shared_registry

    return shared_registry()


def load(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line names, with its overrides."""
    from jepa_core.recipe import load_recipe

    return load_recipe(arguments.recipe, arguments.overrides, installed_registry())


def print_page(page: Any, arguments: argparse.Namespace, text: Callable[[Any], str]) -> None:
    """Print a command's result: as JSON where that is asked for, else as `text` words it."""
    print(json.dumps(page, indent=1) if arguments.json else text(page))
