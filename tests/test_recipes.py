"""The shipped recipes and studies: valid, and the same again when they are read back with every default filled in."""

from __future__ import annotations

import re
from itertools import takewhile

import pytest

from jepa_core.plugin import discover
from jepa_core.recipe import Recipe, load_recipe, shipped_recipes
from jepa_core.recipe.locate import shipped_studies
from jepa_core.runs.run import dump_yaml
from jepa_core.study.reading import load_study

REGISTRY = discover()


def again(recipe: Recipe, tmp_path) -> Recipe:
    """The recipe as a run resumes it: from the file that it wrote."""
    file = tmp_path / "recipe.resolved.yaml"
    file.write_bytes(dump_yaml(recipe.resolved()))
    return load_recipe(file, [], REGISTRY, {})


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_a_resolved_recipe_is_a_recipe_that_means_the_same(path, tmp_path) -> None:
    recipe = load_recipe(path, [], REGISTRY, {"MEDS": "meds", "QWEN3": "random"})
    assert again(recipe, tmp_path) == recipe


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_a_recipe_begins_with_how_it_is_run_what_it_is_and_how_long_it_takes(path) -> None:
    first, *said = takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    assert first.endswith(f"jepa run recipes/{path.stem}.yaml") and len(said[0]) > 30
    assert re.search(r"\bminutes\b|--time\b", "\n".join(said)), "say how long it takes, or what tells that"


@pytest.mark.parametrize("path", shipped_studies(), ids=lambda path: path.stem)
def test_every_variant_of_a_shipped_study_is_a_valid_recipe(path, tmp_path) -> None:
    study = load_study(path, [], REGISTRY, {})
    assert len(study.variants) > 1 or study.against, "variants are compared, or methods within one"
    # cells of one variant differ in seed and fold alone: the first and the last of them are read back
    first, last = {cell.variant: cell for cell in reversed(study.cells)}, {cell.variant: cell for cell in study.cells}
    for cell in {cell.name: cell for cell in (*first.values(), *last.values())}.values():
        assert again(cell.recipe, tmp_path) == cell.recipe
