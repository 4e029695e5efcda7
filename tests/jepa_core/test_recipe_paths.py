"""Paths in recipes go by the file that they stand in, and mean the same wherever the recipe is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from ruamel.yaml import YAML

from jepa_core.config import Config, PathText, SourceConfig
from jepa_core.plugin import Component, Plugin, Registry
from jepa_core.recipe import Recipe, load_recipe

from .test_recipe import COMPONENTS

Place = Annotated[str, PathText(other="made|box:.*")]


class Answers(Config):
    file: Place
    column: str = "a/b"


class PlacesConfig(SourceConfig):
    """Files in many a place of a config."""

    files: tuple[Place, ...] = ()
    folder: Path | None = None
    answers: dict[str, Answers] = {}
    tables: dict[str, Place] = {}
    word: str = "no/path"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.chdir(tmp_path)
    places = Component("source", "places", PlacesConfig, "nowhere:Places")
    return Registry([Plugin("plain", "jepa-plain", "1", components=(*COMPONENTS, places))])


def written(folder: Path, name: str, source: str, extends: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = "encoder: {use: numbers, width: 4}\npredictor: {use: forward}\ncurriculum: [{use: warmup, steps: 1}]\n"
    path.write_text(f"extends: {extends}\nsource: {source}\n" if extends else f"source: {source}\n{rest}")
    return path


def source_of(recipe: Recipe) -> PlacesConfig:
    assert isinstance(recipe.source.config, PlacesConfig)
    return recipe.source.config


SOURCE = """
  use: places
  files: [data/a.csv, "../b*.csv", made, "box:c.csv", /whole/d.csv, "~/e.csv"]
  folder: weights
  answers: {one: {file: answers.csv}}
  tables: {two: t.csv}
"""


def test_every_path_in_a_file_goes_by_the_folder_of_the_file(registry: Registry, tmp_path: Path) -> None:
    config = source_of(load_recipe(written(tmp_path, "deep/r.yaml", SOURCE), [], registry))
    here = tmp_path / "deep"
    assert config.files == (f"{here}/data/a.csv", f"{tmp_path}/b*.csv", "made", "box:c.csv", "/whole/d.csv", "~/e.csv")
    assert config.folder == here / "weights" and config.tables == {"two": f"{here}/t.csv"}
    assert config.answers["one"] == Answers(file=f"{here}/answers.csv") and config.word == "no/path"


def test_each_path_goes_by_the_file_of_the_layers_that_it_stands_in(registry: Registry, tmp_path: Path) -> None:
    written(tmp_path, "base/r.yaml", "{use: places, files: [a.csv], tables: {one: 1.csv}}")
    child = written(tmp_path, "mine/r.yaml", "{tables: {two: 2.csv}}", extends="../base/r.yaml")
    config = source_of(load_recipe(child, ["source.tables.three=3.csv"], registry))
    assert config.files == (f"{tmp_path}/base/a.csv",)
    wanted = {"one": f"{tmp_path}/base/1.csv", "two": f"{tmp_path}/mine/2.csv", "three": f"{tmp_path}/3.csv"}
    assert config.tables == wanted


def test_a_path_out_of_the_environment_goes_by_where_the_command_runs(registry: Registry, tmp_path: Path) -> None:
    path = written(tmp_path, "deep/r.yaml", '{use: places, files: ["${DATA:-data}/a.csv"]}')
    assert source_of(load_recipe(path, [], registry, {})).files == (f"{tmp_path}/data/a.csv",)
    assert source_of(load_recipe(path, [], registry, {"DATA": "/whole"})).files == ("/whole/a.csv",)


def test_a_recipe_that_is_written_down_whole_means_the_same_elsewhere(registry: Registry, tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "deep/r.yaml", SOURCE), [], registry)
    again = tmp_path / "runs" / "recipe.resolved.yaml"
    again.parent.mkdir()
    with again.open("w") as file:
        YAML(typ="safe").dump(recipe.resolved(), file)
    assert source_of(load_recipe(again, [], registry)) == source_of(recipe)


def test_a_config_in_python_goes_by_where_the_command_runs(registry: Registry, tmp_path: Path) -> None:
    from_file = load_recipe(written(tmp_path, "deep/r.yaml", "{use: places}"), [], registry)
    parts: dict[str, Any] = {key: getattr(from_file, key) for key in ("encoder", "predictor", "curriculum")}
    recipe = Recipe(source=PlacesConfig(files=("a.csv", "made")), registry=registry, **parts)
    assert source_of(recipe).files == (f"{tmp_path}/a.csv", "made")
