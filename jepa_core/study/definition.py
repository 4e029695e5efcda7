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

    folds: 5                             # each variant and seed on every fold of its split; what was held out is pooled
    against: [LightGBM]                  # methods that every other method of a run is compared with

A change is a layer on top of the base, as a recipe that extends it would have: phases and evaluators go by name, null
removes one. A study may extend another: its keys stand in for the other's, and `variants` changes the other's variants
by name. Every mistake is reported at once, at its place, in the study's file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, cast

from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe, PhaseUse, Recipe, find_recipe, load_recipe
from jepa_core.recipe.layers import display_name, nearest, read_layers
from jepa_core.recipe.locate import find_recipe_or_study, find_study
from jepa_core.recipe.problems import Problems
from jepa_core.recipe.yaml_tree import Entry, ListNode, Node, ScalarNode, SectionNode, report_unusable

KEYS = ("extends", "description", "base", "seeds", "folds", "reference", "against", "common", "variants")
VARIANT_KEYS = ("base", "change", "steps", "description")
Budget = Literal["as_written", "as_reference"]
BUDGETS: tuple[Budget, ...] = ("as_written", "as_reference")


@dataclass(frozen=True)
class Cell:
    """One run of a study: a variant under a seed, on one of the folds of its split where there are any."""

    variant: str
    seed: int
    recipe: Recipe
    fold: int | None = None

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.seed}" + ("" if self.fold is None else f"-{self.fold}")


@dataclass(frozen=True)
class Study:
    """A valid study. texts: description of each variant, by name. cells: variant after variant, seed after seed, fold
    after fold. against: methods that the others are compared with, as files of predictions name them."""

    name: str
    description: str
    reference: str
    seeds: tuple[int, ...]
    texts: Mapping[str, str]
    cells: Sequence[Cell]
    against: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, the reference first."""
        return (self.reference, *(name for name in self.texts if name != self.reference))


@dataclass(frozen=True)
class _Variant:
    """What a study's file says of a variant. base: None where there is none to be had. steps: where they are given."""

    name: str
    base: Path | None
    layers: tuple[SectionNode, ...]
    budget: Budget
    steps: Node | None
    description: str


@dataclass(frozen=True)
class _Fold:
    """One of the folds of a split; none of any where there are none."""

    number: int | None = None
    of: int = 0

    @property
    def changes(self) -> list[str]:
        """What it changes in a recipe."""
        return [] if self.number is None else [f"source.split.folds={self.of}", f"source.split.fold={self.number}"]


def is_study(reference: str | Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a file, or the shipped one of that name, is a study: it has variants, or what it extends has.

    Raises RecipeError if there is no such file.
    """
    layers, _ = read_layers(find_recipe_or_study(reference), environment, Problems(), find_recipe_or_study)
    return any("variants" in layer.entries for layer in layers)


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
    layers, complete = read_layers(path, environment, problems, find_study)
    if not complete:
        problems.refuse(display_name(path))
    reader = _Reader(layers, problems)
    variants, seeds, reference_name, text = reader.variants(), reader.seeds(), reader.reference(), reader.description()
    runs, against = list(product(seeds, reader.folds())), reader.against()
    recipes = _recipes(variants, runs, overrides, registry, environment, problems)
    problems.refuse(display_name(path))
    cells = [
        Cell(
            one.name,
            run[0],
            _with_budget(recipes[one.name, run], recipes[reference_name, run], one, problems),
            run[1].number,
        )
        for one in variants
        for run in runs
    ]
    problems.refuse(display_name(path))
    texts = {one.name: one.description for one in variants}
    return Study(path.stem, text, reference_name, tuple(seeds), texts, cells, against)


def _recipes(
    variants: Sequence[_Variant],
    runs: Sequence[tuple[int, _Fold]],
    overrides: Sequence[str],
    registry: Registry,
    environment: Mapping[str, str],
    problems: Problems,
) -> dict[tuple[str, tuple[int, _Fold]], Recipe]:
    """The recipe of every variant, seed and fold; without those of a variant whose mistakes `problems` then holds."""
    recipes: dict[tuple[str, tuple[int, _Fold]], Recipe] = {}
    for one in variants:
        if one.base is None:
            continue
        try:
            for seed, fold in runs:
                changes = [*overrides, f"seed={seed}", f"name={one.name}", *fold.changes]
                recipes[one.name, (seed, fold)] = load_recipe(one.base, changes, registry, environment, one.layers)
        except InvalidRecipe as error:
            problems.found |= dict.fromkeys(error.problems)
    return recipes


def _with_budget(recipe: Recipe, reference: Recipe, variant: _Variant, problems: Problems) -> Recipe:
    """The recipe with as many optimizer steps in all as the reference, where that is asked for.

    What the phases have is scaled by one factor; rounding goes to those it costs most (largest remainders).
    """
    if variant.budget == "as_written":
        return recipe
    steps = [use.config.steps for use in recipe.curriculum]
    wanted = sum(use.config.steps for use in reference.curriculum)
    if not sum(steps):
        assert variant.steps is not None
        message = f"variant '{variant.name}' has no phase with steps, so it cannot take those of the reference"
        problems.add(variant.steps.place, message)
        return recipe
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
    """Reads the keys of a study's file and of those it extends, noting every problem.

    layers: the trees of the files, each of which changes the ones before it.
    """

    def __init__(self, layers: Sequence[SectionNode], problems: Problems) -> None:
        self._layers = layers
        self._top = layers[-1]
        self._problems = problems
        for layer in layers:
            self._refuse_unknown(layer, KEYS, "a study")
        self._variants = self._named()

    def description(self) -> str:
        node = self._get("description")
        return self._string(node, "description") if node else ""

    def seeds(self) -> list[int]:
        node = self._get("seeds")
        if node is None:
            return [0]
        items = node.items if isinstance(node, ListNode) else ()
        values = [item.value for item in items if isinstance(item, ScalarNode)]
        good = [one for one in values if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
        if not good or len(good) != len(items) or len(set(good)) != len(good):
            self._problems.add(node.place, "'seeds' takes a list of different whole numbers", "such as [0, 1, 2]")
        return good

    def folds(self) -> list[_Fold]:
        node = self._get("folds")
        if node is None:
            return [_Fold()]
        value = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(value, int) or isinstance(value, bool) or value < 2:
            self._problems.add(node.place, "'folds' takes a whole number from 2 on", "such as 5")
            return [_Fold()]
        return [_Fold(number, value) for number in range(value)]

    def against(self) -> tuple[str, ...]:
        """Methods that the others are compared with."""
        node = self._get("against")
        items = node.items if isinstance(node, ListNode) else ()
        names = [item.value for item in items if isinstance(item, ScalarNode) and isinstance(item.value, str)]
        if node is not None and (not names or len(names) != len(items)):
            self._problems.add(node.place, "'against' takes a list of methods", "such as [LightGBM]")
        return tuple(names)

    def variants(self) -> list[_Variant]:
        if not self._variants:
            node = self._get("variants")
            place = node.place if node else self._top.place
            self._problems.add(place, "a study needs the section 'variants'", "such as `variants: {full: {}}`")
        common = self._get("common")
        shared = self._section(common, "'common'") if common else None
        return [self._variant(name, written, shared) for name, written in self._variants.items()]

    def reference(self) -> str:
        """The variant that the others are compared with."""
        names = list(self._variants)
        node = self._get("reference")
        if node is None:
            return names[0] if names else ""
        name = self._string(node, "reference")
        if name not in names:
            self._problems.add(node.place, f"there is no variant '{name}'", f"there are: {', '.join(names) or 'none'}")
        return name

    def _get(self, key: str) -> Node | None:
        """What the topmost file that has a key gives it; nothing after the key means the same as no key."""
        return _given([node for layer in self._layers if (node := layer.get(key)) is not None])

    def _named(self) -> dict[str, list[Entry]]:
        """What each variant is given, file after file; null removes a variant of a file below."""
        found: dict[str, list[Entry]] = {}
        for number, layer in enumerate(self._layers):
            node = layer.get("variants")
            section = self._section(node, "'variants'") if node else None
            if node and _is_null(node):
                found.clear()
            for name, entry in section.entries.items() if section else ():
                if number == 0 or not _is_null(entry.node):
                    found.setdefault(name, []).append(entry)
                elif found.pop(name, None) is None:
                    self._problems.add(entry.key, f"unknown variant '{name}'", nearest(name, list(found)))
        return found

    def _variant(self, name: str, written: Sequence[Entry], common: SectionNode | None) -> _Variant:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,60}", name):
            self._problems.add(written[0].key, f"'{name}' cannot name a variant", "letters, digits and '_', 60 at most")
        sections = [one for entry in written if (one := self._section(entry.node, f"variant '{name}'"))]
        for section in sections:
            self._refuse_unknown(section, VARIANT_KEYS, f"variant '{name}'")
        given = {key: [node for one in sections if (node := one.get(key)) is not None] for key in VARIANT_KEYS}
        steps, text = _given(given["steps"]), _given(given["description"])
        return _Variant(
            name,
            self._base(_given(given["base"])),
            (*([common] if common else []), *self._changes(given["change"])),
            self._budget(steps),
            steps,
            self._string(text, "description") if text else "",
        )

    def _changes(self, nodes: Sequence[Node]) -> list[SectionNode]:
        """Layers of recipe keys, one on top of the other; null takes those below away."""
        kept: list[SectionNode] = []
        for node in nodes:
            section = self._section(node, "'change'")
            kept = [*kept, section] if section else []
        return kept

    def _base(self, own: Node | None) -> Path | None:
        node = own or self._get("base")
        if node is None:
            self._problems.add(self._top.place, "a study needs the key 'base'", "the recipe that its variants change")
            return None
        try:
            # A text is called by its path from here, so that a base is found beside the file that names it.
            return find_recipe(self._string(node, "base"), Path(node.place.text.name).parent)
        except RecipeError as error:
            message, _, hint = str(error).partition("; ")
            self._problems.add(node.place, message, hint)
            return None

    def _budget(self, node: Node | None) -> Budget:
        value = self._string(node, "steps") if node else "as_written"
        if value not in BUDGETS and node is not None:
            hint = "as_written gives up the steps of a removed phase, as_reference gives them to the others"
            self._problems.add(node.place, f"'steps' is as_written or as_reference, not '{value}'", hint)
        return cast(Budget, value)

    def _section(self, node: Node, what: str) -> SectionNode | None:
        if isinstance(node, SectionNode):
            return node
        if not _is_null(node):
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


def _given(nodes: Sequence[Node]) -> Node | None:
    """The last of the values that files give a key, none where it is null."""
    return nodes[-1] if nodes and not _is_null(nodes[-1]) else None


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None
