"""What a study is: data, like a recipe.

    base: my_recipe                      # the recipe that every variant changes
    seeds: [0, 1, 2]
    reference: full                      # the variant that the others are compared with; the first if not given
    common:                              # a recipe's keys, changed in every variant
      windows: {stride: 24}
    variants:
      full: {}
      without_warmup:
        change: {curriculum: {predictor_warmup: null}}
      without_warmup_same_steps:
        change: {curriculum: {predictor_warmup: null}}
        steps: as_reference
      another:
        base: another_recipe

A change is a layer on top of the base, as a recipe that extends it would have: phases and evaluators go by name, null
removes one. Every mistake is reported at once, at its place, in the study's file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe, PhaseUse, Recipe, RecipeProblem, find_recipe, load_recipe
from jepa_core.recipe.layers import display_name, read_file
from jepa_core.recipe.locate import find_study
from jepa_core.recipe.problems import Place, Problems, Text
from jepa_core.recipe.yaml_tree import ListNode, Node, ScalarNode, SectionNode, report_unusable

KEYS = ("description", "base", "seeds", "reference", "common", "variants")
VARIANT_KEYS = ("base", "change", "steps", "description")
Budget = Literal["as_written", "as_reference"]
BUDGETS: tuple[Budget, ...] = ("as_written", "as_reference")


@dataclass(frozen=True)
class Cell:
    """One run of a study: a variant under a seed."""

    variant: str
    seed: int
    recipe: Recipe

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.seed}"


@dataclass(frozen=True)
class Study:
    """A valid study. texts: description of each variant, by name. cells: variant after variant, seed after seed."""

    name: str
    description: str
    reference: str
    seeds: tuple[int, ...]
    texts: Mapping[str, str]
    cells: tuple[Cell, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, the reference first."""
        return (self.reference, *(name for name in self.texts if name != self.reference))


@dataclass(frozen=True)
class _Variant:
    name: str
    base: str
    layers: tuple[SectionNode, ...]
    budget: Budget
    description: str


def load_study(
    reference: str | Path,
    overrides: Sequence[str],
    registry: Registry,
    environment: Mapping[str, str] = os.environ,
) -> Study:
    """The study in a file, or the shipped one of that name; `overrides` change the recipe of every variant.

    Raises RecipeError if there is no such study, InvalidRecipe with every mistake in it.
    """
    path = find_study(reference)
    problems = Problems()
    tree = read_file(path, environment, problems)
    reader = _Reader(tree, path, problems)
    variants, seeds, reference_name = reader.variants(), reader.seeds(), reader.reference()
    problems.refuse(reader.file)
    recipes = _recipes(variants, seeds, path.parent, overrides, registry, environment)
    budgets = {one.name: one.budget for one in variants}
    cells = [
        Cell(name, seed, _with_budget(recipe, recipes[reference_name, seed], budgets[name]))
        for (name, seed), recipe in recipes.items()
    ]
    texts = {one.name: one.description for one in variants}
    return Study(path.stem, reader.text("description", ""), reference_name, tuple(seeds), texts, tuple(cells))


def _recipes(
    variants: Sequence[_Variant],
    seeds: Sequence[int],
    folder: Path,
    overrides: Sequence[str],
    registry: Registry,
    environment: Mapping[str, str],
) -> dict[tuple[str, int], Recipe]:
    """The recipe of every variant and seed. Raises InvalidRecipe with the mistakes of all variants."""
    recipes: dict[tuple[str, int], Recipe] = {}
    mistakes: dict[RecipeProblem, None] = {}
    for one in variants:
        base = find_recipe(one.base, folder)
        try:
            for seed in seeds:
                changes = [*overrides, f"seed={seed}", f"name={one.name}"]
                recipes[one.name, seed] = load_recipe(base, changes, registry, environment, one.layers)
        except InvalidRecipe as error:
            mistakes |= dict.fromkeys(error.problems)
    if mistakes:
        raise InvalidRecipe(list(mistakes))
    return recipes


def _with_budget(recipe: Recipe, reference: Recipe, budget: Budget) -> Recipe:
    """The recipe with as many optimizer steps in all as the reference, where that is asked for.

    What the phases have is scaled by one factor; rounding goes to those it costs most (largest remainders).
    """
    if budget == "as_written":
        return recipe
    steps = [use.config.steps for use in recipe.curriculum]
    wanted = sum(use.config.steps for use in reference.curriculum)
    if not sum(steps):
        raise RecipeError(f"variant '{recipe.name}' has no phase with steps, so it cannot take those of the reference")
    exact = [one * wanted / sum(steps) for one in steps]
    given = [int(one) for one in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: given[place] - exact[place])
    for place in by_remainder[: wanted - sum(given)]:
        given[place] += 1
    curriculum = tuple(_with_steps(use, count) for use, count in zip(recipe.curriculum, given, strict=True))
    return replace(recipe, curriculum=curriculum)


def _with_steps(use: PhaseUse, steps: int) -> PhaseUse:
    return replace(use, config=use.config.model_copy(update={"steps": steps}))


class _Reader:
    """Reads the keys of a study's file, noting every problem."""

    def __init__(self, tree: SectionNode | None, path: Path, problems: Problems) -> None:
        self._tree = tree or SectionNode({}, Place(Text(display_name(path), ("",)), 1, 1, 1))
        self._path = path
        self._problems = problems
        self.file = self._tree.place.text.name
        self._refuse_unknown(self._tree, KEYS, "a study")

    def text(self, key: str, default: str) -> str:
        node = self._tree.get(key)
        return default if node is None else self._string(node, key)

    def seeds(self) -> list[int]:
        node = self._tree.get("seeds")
        if node is None:
            return [0]
        items = node.items if isinstance(node, ListNode) else ()
        values = [item.value for item in items if isinstance(item, ScalarNode)]
        good = [one for one in values if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
        if not good or len(good) != len(items) or len(set(good)) != len(good):
            self._problems.add(node.place, "'seeds' takes a list of different whole numbers", "such as [0, 1, 2]")
        return good

    def variants(self) -> list[_Variant]:
        node = self._tree.get("variants")
        if not isinstance(node, SectionNode) or not node.entries:
            place = node.place if node else self._tree.place
            self._problems.add(place, "a study needs the section 'variants'", "such as `variants: {full: {}}`")
            return []
        return [self._variant(name, entry.node) for name, entry in node.entries.items()]

    def reference(self) -> str:
        """The variant that the others are compared with."""
        variants = self._tree.get("variants")
        names = list(variants.entries) if isinstance(variants, SectionNode) else []
        node = self._tree.get("reference")
        if node is None:
            return names[0] if names else ""
        name = self._string(node, "reference")
        if name not in names:
            self._problems.add(node.place, f"there is no variant '{name}'", f"there are: {', '.join(names) or 'none'}")
        return name

    def _variant(self, name: str, node: Node) -> _Variant:
        section = self._section(node, f"variant '{name}'") or SectionNode({}, node.place)
        if not re.fullmatch(r"[A-Za-z0-9_]{1,60}", name):
            self._problems.add(node.place, f"'{name}' cannot name a variant", "letters, digits and '_', 60 at most")
        self._refuse_unknown(section, VARIANT_KEYS, f"variant '{name}'")
        own = {key: section.get(key) for key in VARIANT_KEYS}
        layers = [self._tree.get("common"), own["change"]]
        kept = [self._section(layer, "a layer of recipe keys") for layer in layers if layer is not None]
        return _Variant(
            name,
            self._base(own["base"]),
            tuple(layer for layer in kept if layer is not None),
            self._budget(own["steps"]),
            self._string(own["description"], "description") if own["description"] else "",
        )

    def _base(self, own: Node | None) -> str:
        node = own or self._tree.get("base")
        if node is None:
            self._problems.add(self._tree.place, "a study needs the key 'base'", "the recipe that its variants change")
            return ""
        name = self._string(node, "base")
        try:
            find_recipe(name, self._path.parent)
        except RecipeError as error:
            message, _, hint = str(error).partition("; ")
            self._problems.add(node.place, message, hint)
        return name

    def _budget(self, node: Node | None) -> Budget:
        value = self._string(node, "steps") if node else "as_written"
        if value not in BUDGETS and node is not None:
            hint = "as_written gives up the steps of a removed phase, as_reference gives them to the others"
            self._problems.add(node.place, f"'steps' is as_written or as_reference, not '{value}'", hint)
        return cast(Budget, value)

    def _section(self, node: Node, what: str) -> SectionNode | None:
        if isinstance(node, SectionNode):
            return node
        if not (isinstance(node, ScalarNode) and node.value is None):
            report_unusable(node, self._problems)
            self._problems.add(node.place, f"{what} takes a section of keys")
        return None

    def _string(self, node: Node, key: str) -> str:
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return node.value
        report_unusable(node, self._problems)
        self._problems.add(node.place, f"'{key}' takes a text")
        return ""

    def _refuse_unknown(self, section: SectionNode, known: Sequence[str], what: str) -> None:
        for key, entry in section.entries.items():
            if key not in known:
                self._problems.add(entry.key, f"unknown key '{key}' in {what}", f"its keys are {', '.join(known)}")
