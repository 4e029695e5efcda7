"""The threads that a recipe asks for, wherever in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jepa_core.recipe.schema import Recipe

KEY = "threads"
"""What every config calls them."""


def threads_asked(recipe: Recipe) -> dict[str, int]:
    """How many threads each key of a recipe asks for, by its path."""
    uses = {"source": recipe.source, "encoder": recipe.encoder, "predictor": recipe.predictor}
    uses |= {f"curriculum.{use.name}": use for use in recipe.curriculum}
    uses |= {f"evaluators.{use.name}": use for use in recipe.evaluators}
    configs = {"runtime": recipe.runtime} | {path: use.config for path, use in uses.items()}
    return {key: count for path, config in configs.items() for key, count in _asked(path, config.model_dump())}


def _asked(path: str, content: Any) -> Iterator[tuple[str, int]]:
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == KEY and isinstance(value, int):
            yield f"{path}.{key}", value
        yield from _asked(f"{path}.{key}", value)
