"""Studies from files. A study is data, like a recipe:

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
by name. Every mistake is reported at once, at its place, as a recipe's are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from jepa_core.errors import RecipeError, some_of
from jepa_core.plugin import Registry
from jepa_core.recipe import KeyPath, Problem, Recipe, find_recipe
from jepa_core.recipe.explain import Section, Unreadable, shown, validate_in_part
from jepa_core.recipe.layers import did_you_mean, display_name, read_layers
from jepa_core.recipe.locate import find_recipe_or_study, find_study
from jepa_core.recipe.places import Problems
from jepa_core.recipe.reading import note_problems, place_in, read_recipe, texts_of, without_nulls
from jepa_core.recipe.yaml_tree import Entry, Node, SectionNode, is_null, plain_values, report_unusable
from jepa_core.study.definition import VARIANT_NAME, Cell, Study, StudyConfig, VariantConfig, with_steps_of

ROOT = KeyPath()
VARIANTS = ROOT / "variants"


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
    path, problems = find_study(reference), Problems()
    layers, whole = read_layers(path, environment, problems, find_study)
    if not whole:
        problems.refuse(display_name(path))
    reader = _Reader(*_merged(layers, problems), problems)
    reader.check()
    recipes = {name: reader.recipes(name, overrides, registry, environment) for name in reader.variants}
    problems.refuse(display_name(path))
    cells = [
        Cell(name, run[0], reader.with_budget(name, recipe, recipes[reader.reference][run]), run[1])
        for name, by_run in recipes.items()
        for run, recipe in by_run.items()
    ]
    problems.refuse(display_name(path))
    texts = {name: variant.description for name, variant in reader.variants.items()}
    study = reader.study
    return Study(path.stem, study.description, reader.reference, study.seeds, texts, cells, study.against)


def _merged(layers: Sequence[SectionNode], problems: Problems) -> tuple[SectionNode, dict[str, list[SectionNode]]]:
    """The files as one tree, and the layers of recipe keys that they give each variant.

    The topmost file that has a key gives it; null takes it away. Variants go by name: null removes one of a file below.
    """
    entries: dict[str, Entry] = {}
    variants: dict[str, Entry] = {}
    changes: dict[str, list[SectionNode]] = {}
    for number, layer in enumerate(layers):
        entries |= layer.entries
        given = layer.get("variants")
        if given is not None and is_null(given):
            variants.clear()
        for name, entry in given.entries.items() if isinstance(given, SectionNode) else ():
            if not is_null(entry.node) or number == 0:
                variants[name] = _joined(variants.get(name), entry)
                changes[name] = _with_change(changes.get(name, []), entry.node)
            elif variants.pop(name, None) is None:
                problems.add(entry.key, f"unknown variant '{name}'", did_you_mean(name, list(variants)))
    if "variants" in entries and isinstance(entries["variants"].node, SectionNode):
        entries["variants"] = Entry(entries["variants"].key, SectionNode(variants, entries["variants"].node.place))
    return without_nulls(SectionNode(entries, layers[-1].place)), changes


def _joined(below: Entry | None, above: Entry) -> Entry:
    """A variant of the files below as that of the file above changes it, key by key; nothing after a key takes it
    away."""
    key = below.key if below else above.key
    if is_null(above.node):
        return Entry(key, SectionNode({}, above.node.place))
    if not isinstance(above.node, SectionNode):
        return Entry(key, above.node)
    entries = dict(below.node.entries) if below and isinstance(below.node, SectionNode) else {}
    wrong = {"change": entries["change"]} if "change" in entries and not _is_layer(entries["change"].node) else {}
    place = below.node.place if entries and below else above.node.place
    return Entry(key, without_nulls(SectionNode({**entries, **above.node.entries, **wrong}, place)))


def _with_change(below: list[SectionNode], variant: Node) -> list[SectionNode]:
    """Layers of recipe keys, one on top of the other; null takes those below away."""
    change = variant.get("change") if isinstance(variant, SectionNode) else None
    if change is None or not _is_layer(change):
        return below
    return [*below, change] if isinstance(change, SectionNode) else []


def _is_layer(node: Node) -> bool:
    return isinstance(node, SectionNode) or is_null(node)


@dataclass
class _Reader:
    """Makes recipes of a study's files, noting every problem. tree, changes: see `_merged`."""

    tree: SectionNode
    changes: Mapping[str, Sequence[SectionNode]]
    problems: Problems
    study: StudyConfig = StudyConfig()
    variants: dict[str, VariantConfig] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The variant that the others are compared with."""
        return self.study.reference or next(iter(self.variants), "")

    def check(self) -> None:
        """Read all that is the study's own."""
        for node in self._own():
            report_unusable(node, self.problems)
        problems: list[Problem] = []
        values, texts = plain_values(self.tree), texts_of(self.tree)
        top = Section(ROOT, "a study", StudyConfig, values, ("extends", "variants"), texts)
        named = {
            name: Section(VARIANTS / name, f"variant '{name}'", VariantConfig, value, texts=texts)
            for name, value in self._named(values, problems).items()
        }
        sections: list[Section[Any]] = [top, *named.values()]
        self.study = validate_in_part(top, sections, problems)
        self.variants = {name: validate_in_part(section, sections, problems) for name, section in named.items()}
        problems += self._check_reference()
        note_problems(problems, self.tree, self.problems)

    def recipes(
        self, name: str, overrides: Sequence[str], registry: Registry, environment: Mapping[str, str]
    ) -> dict[tuple[int, int | None], Recipe]:
        """The recipe of a variant by seed and fold; without those whose mistakes are noted."""
        base = self._base(name)
        if base is None:
            return {}
        common = self.tree.get("common")
        layers = [*([common] if isinstance(common, SectionNode) else []), *self.changes[name]]
        recipes: dict[tuple[int, int | None], Recipe] = {}
        for seed, fold in product(self.study.seeds, range(self.study.folds) if self.study.folds else [None]):
            problems, changes = Problems(), [*overrides, f"seed={seed}", f"name={name}", *self._held_out(fold)]
            recipe = read_recipe(base, changes, registry, environment, problems, layers)
            self.problems.found |= problems.found
            if recipe is None:
                break  # what is wrong with one is wrong with all
            recipes[seed, fold] = recipe
        return recipes

    def _held_out(self, fold: int | None) -> list[str]:
        """What a fold changes in a recipe."""
        return [] if fold is None else [f"source.split.folds={self.study.folds}", f"source.split.fold={fold}"]

    def with_budget(self, name: str, recipe: Recipe, reference: Recipe) -> Recipe:
        """The recipe of a variant with the number of optimizer steps that the variant asks for."""
        if self.variants[name].steps == "as_written":
            return recipe
        budgeted = with_steps_of(recipe, reference)
        if budgeted is None:
            message = f"variant '{name}' has no phase with steps, so it cannot take those of the reference"
            note_problems([Problem(VARIANTS / name / "steps", message)], self.tree, self.problems)
        return budgeted or recipe

    def _own(self) -> Iterator[Node]:
        """What is not the keys of recipes."""
        for key, entry in self.tree.entries.items():
            if key == "variants" and isinstance(entry.node, SectionNode):
                for variant in entry.node.entries.values():
                    inner = variant.node.entries if isinstance(variant.node, SectionNode) else {"": variant}
                    yield from (inner_entry.node for name, inner_entry in inner.items() if name != "change")
            elif key != "common":
                yield entry.node

    def _named(self, values: Mapping[str, Any], problems: list[Problem]) -> dict[str, Mapping[str, Any]]:
        """What is said of each variant, by name."""
        variants = values.get("variants", {})
        if variants == {}:
            hint = "such as `variants: {full: {}}`"
            problems.append(Problem(VARIANTS, "a study needs the section 'variants'", hint))
        elif not isinstance(variants, Mapping | Unreadable):
            problems.append(Problem(VARIANTS, f"expected a section of variants, found {shown(variants)}"))
        named = {}
        for name, value in variants.items() if isinstance(variants, Mapping) else ():
            if not VARIANT_NAME.fullmatch(name):
                message, hint = f"'{name}' cannot name a variant", "letters, digits and '_', 60 at most"
                problems.append(Problem(VARIANTS / name, message, hint, at_key=True))
            if isinstance(value, Mapping):
                named[name] = value
            elif not isinstance(value, Unreadable):
                problems.append(Problem(VARIANTS / name, f"expected the keys of one variant, found {shown(value)}"))
        return named

    def _check_reference(self) -> Iterator[Problem]:
        name = self.study.reference
        if name and name not in self.variants:
            hint = f"there are: {some_of(self.variants)}"
            yield Problem(ROOT / "reference", f"there is no variant '{name}'", hint)

    def _base(self, name: str) -> Path | None:
        """The file that a variant changes; None after noting that there is none."""
        path = VARIANTS / name / "base" if self.variants[name].base else ROOT / "base"
        base = self.variants[name].base or self.study.base
        if not base and "base" not in self.tree.entries:
            hint = "the recipe that its variants change"
            note_problems([Problem(ROOT, "a study needs the key 'base'", hint)], self.tree, self.problems)
        if not base:
            return None
        place = place_in(self.tree, path)
        try:
            # A text is called by its path from here, so that a base is found beside the file that names it.
            return find_recipe(base, Path(place.text.name).parent)
        except RecipeError as error:
            message, _, hint = str(error).partition("; ")
            self.problems.add(place, message, hint)
            return None
