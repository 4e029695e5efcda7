"""Recipes from files: layers of YAML become one tree, the tree plain values; key paths become places in the files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jepa_core.plugin import Registry, shared_registry
from jepa_core.recipe.layers import Overrides, display_name, merge, read_layers, read_overrides
from jepa_core.recipe.locate import find_recipe
from jepa_core.recipe.places import Place, Problems
from jepa_core.recipe.plain import Given, name_of, read_plain
from jepa_core.recipe.problems import InvalidRecipe, KeyPath, Problem
from jepa_core.recipe.schema import Recipe
from jepa_core.recipe.uses import NAMED_LISTS
from jepa_core.recipe.yaml_tree import ListNode, Node, ScalarNode, SectionNode, is_null, plain_values, report_unusable


def load_recipe(
    reference: str | Path,
    overrides: Overrides = (),
    registry: Registry | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Recipe:
    """The recipe in a file, or the shipped one of that name, with overrides on top: `["seed=1"]` or `{"seed": 1}`, by
    dotted key. registry: where the components are found; that of the installed plugins, if not given.

    Raises RecipeError if there is no such recipe or it is no text, InvalidRecipe with every mistake in it.
    """
    path, problems = find_recipe(reference), Problems()
    recipe = read_recipe(path, overrides, registry or shared_registry(), environment, problems)
    problems.refuse(display_name(path))
    assert recipe is not None
    return recipe


def read_recipe(
    path: Path,
    overrides: Overrides,
    registry: Registry,
    environment: Mapping[str, str],
    problems: Problems,
    above: Sequence[SectionNode] = (),
) -> Recipe | None:
    """The recipe in a file; None after noting every mistake in it.

    above: further layers of keys, between the file and the overrides (see `jepa_core.study`).
    Raises RecipeError if it is no text.
    """
    layers, complete = read_layers(path, environment, problems)
    changes = read_overrides(overrides, environment, problems)
    if not complete:
        for layer in layers:
            report_unusable(layer, problems)
        return None
    main = layers[-1]
    tree = SectionNode({}, main.place)
    for layer in [*layers, *above, *([changes] if changes else [])]:
        tree = merge(tree, layer, problems)
    report_unusable(tree, problems)
    return _recipe(without_nulls(replace(tree, place=main.place)), path.stem, registry, problems)


def _recipe(tree: SectionNode, default_name: str, registry: Registry, problems: Problems) -> Recipe | None:
    given = Given(plain_values(tree), texts_of(tree), dict(_written(tree, "")), folders_of(tree))
    try:
        recipe = read_plain(given, default_name, registry)
    except InvalidRecipe as error:
        note_problems([problem for problem in error.problems if isinstance(problem, Problem)], tree, problems)
        return None
    return None if problems.found else recipe


def without_nulls(tree: SectionNode) -> SectionNode:
    """Nothing after a key at the top means the same as no key."""
    kept = {key: entry for key, entry in tree.entries.items() if not is_null(entry.node)}
    return SectionNode(kept, tree.place)


def place_in(tree: Node, path: KeyPath, at_key: bool = False) -> Place:
    """Where a key path stands, or the nearest that does of those above it. at_key: the key rather than its value."""
    node, key = tree, tree.place
    for step in path.steps:
        if isinstance(node, SectionNode) and step in node.entries:
            entry = node.entries[str(step)]
            key, node = entry.key, entry.node
        elif isinstance(node, ListNode) and isinstance(step, int):
            node = node.items[step]
            key = node.place
        else:
            return node.place
    return key if at_key else node.place


def note_problems(found: Sequence[Problem], tree: Node, problems: Problems) -> None:
    """Note problems at their places in a tree."""
    for problem in found:
        hint = problem.hint_with(place_in(tree, problem.other).origin) if problem.other else problem.hint
        problems.add(place_in(tree, problem.path, problem.at_key), problem.message, hint, problem.broken_plugin)


def texts_of(tree: Node) -> dict[KeyPath, str]:
    """How the single values of a tree were written, by path."""
    return {path: node.text for path, node in _scalars(tree, KeyPath())}


def folders_of(tree: Node) -> dict[KeyPath, Path]:
    """The folder of the file that a single value stands in, by path; not of one that the environment gave."""
    return {
        path: node.place.text.folder
        for path, node in _scalars(tree, KeyPath())
        if node.place.text.folder is not None and not node.given
    }


def _scalars(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, ScalarNode]]:
    """Every single value below a node, with its path."""
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, SectionNode):
        for key, entry in node.entries.items():
            yield from _scalars(entry.node, path / key)
    elif isinstance(node, ListNode):
        for number, item in enumerate(node.items):
            yield from _scalars(item, path / number)


def _written(node: Node, dotted: str) -> Iterator[tuple[str, str]]:
    """Where each key below a node stands, by dotted key; items of named lists go by name."""
    if isinstance(node, ListNode) and dotted.rpartition(".")[2] in NAMED_LISTS:
        for item in node.items:
            yield from _written(item, f"{dotted}.{name_of(plain_values(item))}")
    elif isinstance(node, SectionNode):
        for key, entry in node.entries.items():
            inner = f"{dotted}.{key}" if dotted else key
            yield inner, entry.key.origin
            yield from _written(entry.node, inner)
