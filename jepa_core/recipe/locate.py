"""Where recipes and studies are: a path, or the name of one that came with the package."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from jepa_core.errors import RecipeError

_SUFFIXES = (".yaml", ".yml")


def shipped_folder() -> Path:
    """The folder of the shipped recipes: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> list[Path]:
    """The recipes that came with the package, in alphabetical order."""
    return sorted(path for path in shipped_folder().glob("*.yaml") if path.is_file())


def shipped_studies() -> list[Path]:
    """The studies that came with the package, in alphabetical order."""
    return sorted(path for path in (shipped_folder() / "studies").glob("*.yaml") if path.is_file())


def find_recipe(reference: str | Path, folder: Path | None = None) -> Path:
    """The file that a path or a shipped recipe's name stands for. A relative path starts at `folder`, if one is given.

    Raises RecipeError if there is none, with the nearest name.
    """
    return _find(reference, folder or Path(), shipped_recipes(), "recipe")


def find_study(reference: str | Path, folder: Path | None = None) -> Path:
    """The file that a path or a shipped study's name stands for. A relative path starts at `folder`, if one is given.

    Raises RecipeError if there is none, with the nearest name.
    """
    return _find(reference, folder or Path(), shipped_studies(), "study")


def find_recipe_or_study(reference: str | Path, folder: Path | None = None) -> Path:
    """The file that a path or a shipped name of either kind stands for. A relative path starts at `folder`, if one is
    given. Raises RecipeError if there is none, with the nearest name."""
    return _find(reference, folder or Path(), [*shipped_recipes(), *shipped_studies()], "recipe or study")


def _find(reference: str | Path, folder: Path, files: list[Path], kind: str) -> Path:
    path = folder / reference
    shipped = {file.stem: file for file in files}
    try:
        if path.is_file():
            return path
        if path.is_dir() and str(reference) not in shipped:
            raise RecipeError(f"'{reference}' is a folder, not a {kind}")
        if os.path.lexists(path) and str(reference) not in shipped:
            raise RecipeError(f"'{reference}' is no regular file and no link to one, so it is not read; give another")
    except (OSError, ValueError) as error:  # a name too long, or one that holds a NUL
        raise RecipeError(f"this is not the path of a {kind}") from error
    if str(reference) in shipped:
        return shipped[str(reference)]
    if path.suffix in _SUFFIXES or len(Path(reference).parts) > 1:
        raise RecipeError(f"there is no file '{reference}'{_suggestion(path.name, _neighbours(path), '')}")
    there_are = f"; there are: {', '.join(shipped) or 'none'}"
    raise RecipeError(f"unknown {kind} '{reference}'{_suggestion(str(reference), list(shipped), there_are)}")


def _neighbours(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.suffix in _SUFFIXES]
    except (OSError, ValueError):
        return []


def _suggestion(name: str, names: list[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else otherwise
