"""Paths in recipes: one in a file goes by the folder of that file, any other by where the command runs. A recipe holds
them whole, so that it means the same wherever it is read again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, get_args

from jepa_core.config import Config, PathText
from jepa_core.recipe.explain import ConfigT, Section
from jepa_core.recipe.keys import type_at
from jepa_core.recipe.problems import KeyPath, Step
from jepa_core.recipe.uses import plain


def from_their_files(section: Section[ConfigT], folders: Mapping[KeyPath, Path]) -> Mapping[str, Any]:
    """The values of a section, with the paths that stand in files made whole. folders: of the files in which single
    values stand, by key path."""
    depth = len(section.path.steps)
    values: Any = section.values
    for path, folder in folders.items():
        steps = path.steps[depth:]
        if steps and path.steps[:depth] == section.path.steps and (mark := _mark(section.model, steps)):
            values = _changed(values, steps, mark, folder)
    return values


def made_whole(config: Config) -> Config:
    """The config with its relative paths made whole, from where the command runs."""
    values = before = plain(config)
    for steps in _texts(before, ()):
        if mark := _mark(type(config), steps):
            values = _changed(values, steps, mark, Path.cwd())
    return config if values == before else type(config).model_validate_json(json.dumps(values), strict=True)


def _mark(model: type[Config], steps: tuple[Step, ...]) -> PathText | None:
    """What says that the value at a place of a model is a path."""
    annotation = type_at(model, steps)
    return next(_marks(*annotation), None) if annotation else None


def _marks(annotation: Any, metadata: Any = ()) -> Iterator[PathText]:
    yield from (metadatum for metadatum in metadata if isinstance(metadatum, PathText))
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        yield PathText()
    for inner in get_args(annotation):
        yield from [inner] if isinstance(inner, PathText) else _marks(inner)


def _texts(values: Any, steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Places of the texts below a value."""
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for step, value in inner:
        yield from _texts(value, (*steps, step))
    if isinstance(values, str):
        yield steps


def _changed(values: Any, steps: tuple[Step, ...], mark: PathText, folder: Path) -> Any:
    """The values, those on the way to one place copied, with the path there made whole."""
    if not steps:
        return mark.whole(values, folder) if isinstance(values, str) else values
    first, rest = steps[0], steps[1:]
    if isinstance(values, Mapping) and first in values:
        return {**values, first: _changed(values[first], rest, mark, folder)}
    if isinstance(values, list) and isinstance(first, int) and first < len(values):
        return [_changed(element, rest, mark, folder) if at == first else element for at, element in enumerate(values)]
    return values
