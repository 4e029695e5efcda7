"""What the commands share: the registry, the recipe they are given, and how a result is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.io.screen import for_screen

if TYPE_CHECKING:
    from jepa_core.plugin import Registry
    from jepa_core.recipe import Recipe
    from jepa_core.study.definition import Study
    from jepa_core.study.folder import StudyFolder


def installed_registry() -> Registry:
    """Every installed plugin and its components."""
    from jepa_core.plugin import shared_registry

    return shared_registry()


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line names, with its overrides."""
    from jepa_core.recipe import load_recipe

    return load_recipe(arguments.recipe, arguments.overrides, installed_registry())


def load_study_and_folder(arguments: argparse.Namespace, reference: str) -> tuple[Study, StudyFolder]:
    """The study that the command line names, with its overrides, and where its results lie."""
    from jepa_core.study.folder import StudyFolder
    from jepa_core.study.reading import load_study

    study = load_study(reference, arguments.overrides, installed_registry())
    return study, StudyFolder(arguments.out or Path("studies") / study.name)


def print_page(page: Any, arguments: argparse.Namespace, text: Callable[[Any], str]) -> None:
    """Print a command's result: as JSON where that is asked for, else as `text` words it, within the screen."""
    print(json.dumps(page, indent=1) if arguments.json else for_screen(text(page)))


def refuse_existing(path: Path) -> None:
    """Raises RecipeError if a file that is to be written is there."""
    from jepa_core.errors import RecipeError

    if path.exists():
        raise RecipeError(f"{path} exists already and is left as it is; name another file")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that does not exist yet. Raises RecipeError if it does."""
    from jepa_core.io.files import write_atomically

    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
