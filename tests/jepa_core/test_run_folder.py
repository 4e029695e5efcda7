"""The folder of a new run belongs to one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.runs import run as run_module
from jepa_core.runs import starting
from jepa_core.runs.run import FolderTaken, Run
from jepa_core.runs.starting import create_run


def test_of_runs_that_begin_at_one_moment_each_gets_a_folder(
    recipe_file: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are offered the first folder at first, as if none had been made when they looked."""
    recipe, offered = load_recipe(recipe_file, [], registry), []
    real = starting.next_folder

    def first_offer(runs: Path, name: str) -> Path:
        offered.append(name)
        return runs / "toy-001" if len(offered) <= 4 else real(runs, name)

    monkeypatch.setattr(starting, "next_folder", first_offer)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: create_run(recipe, "text", None, tmp_path / "runs"), range(4)))
    assert len({run.folder for run in made}) == 4
    assert all((run.folder / "manifest.json").is_file() for run in made)


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(
    recipe_file: Path, registry: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    recipe = load_recipe(recipe_file, [], registry)
    with pytest.raises(FolderTaken, match="not empty"):
        Run.create(folder, recipe, registry, "text")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("struck_at", ["recipe.yaml", "recipe.resolved.yaml", "manifest.json"])
def test_a_folder_whose_run_was_killed_as_it_began_is_taken_over(
    recipe_file: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, struck_at: str
) -> None:
    """Nothing could resume it, and a study would ask for it again for ever."""
    recipe, real = load_recipe(recipe_file, [], registry), run_module.write_atomically

    def strike(path: Path, content: bytes) -> None:
        if path.name == struck_at:
            path.with_name(f".{path.name}.1.partial").write_bytes(content[:5])
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(run_module, "write_atomically", strike)
    monkeypatch.setattr(run_module, "write_sealed", lambda path, content: strike(path, b"{}   "))
    with pytest.raises(KeyboardInterrupt):
        Run.create(tmp_path / "run", recipe, registry, "text")
    monkeypatch.undo()
    Run.create(tmp_path / "run", recipe, registry, "text")
    Run.open(tmp_path / "run", registry)
    with pytest.raises(FolderTaken, match="go on with"):
        Run.create(tmp_path / "run", recipe, registry, "text")


def test_a_folder_with_nothing_but_a_recipe_is_somebodys(recipe_file: Path, registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("mine")
    with pytest.raises(FolderTaken) as told:
        Run.create(folder, load_recipe(recipe_file, [], registry), registry, "text")
    assert "resume" not in str(told.value), "there is no run to go on with"
    assert (folder / "recipe.yaml").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(recipe_file: Path, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderTaken):
        Run.create(tmp_path / "file", load_recipe(recipe_file, [], registry), registry, "text")
