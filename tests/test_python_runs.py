"""A recipe in Python and its YAML twin: docs/recipes.md shows both, and they end in the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import jepa_core as jepa
from commands import REPOSITORY, command, environment
from jepa_clin import NextTokenConfig
from jepa_core.errors import DataError, RecipeError
from jepa_core.recipe import InvalidRecipe
from warm import WarmProcess

PAGE = (REPOSITORY / "docs" / "recipes.md").read_text()
SECTION = PAGE[PAGE.index("## In Python") :]


def block(language: str, number: int = 0) -> str:
    """An example of the section on Python."""
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)[number]


def results(run: Path) -> dict[str, bytes]:
    """Everything of a run that is a function of recipe, data and seed."""
    files = [run / "recipe.resolved.yaml", run / "model.safetensors"]
    for folder in ("findings", "predictions", "samples", "tables"):
        found = sorted(path for path in (run / folder).rglob("*") if path.is_file())
        files += [path for path in found if path.name.partition(".")[0] not in ("cost", "environment")]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess) -> Path:
    """Where the page's script has run, and the command has run its YAML twin."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "twin.yaml").write_text(block("yaml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(block("python"), "docs/recipes.md", "exec"), {})
    done = warm.run(["run", "twin.yaml", "--quiet"], environment(), folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_script_is_short() -> None:
    assert len(block("python").strip().splitlines()) <= 20


def test_a_python_run_ends_in_the_bytes_of_its_yaml_twin(folder: Path) -> None:
    python, twin = results(folder / "runs" / "spread-001"), results(folder / "runs" / "spread-002")
    assert {"findings/rollout_drift.json", "findings/latent_collapse.json"} < set(python)
    assert python == twin


def test_a_python_run_leaves_the_files_of_a_run_by_the_command(folder: Path) -> None:
    python, twin = (
        {str(path.relative_to(run)) for path in run.rglob("*")}
        for run in (folder / "runs" / "spread-001", folder / "runs" / "spread-002")
    )
    assert python == twin and {"report.html", "metrics.jsonl", "checkpoints", "recipe.yaml"} < python


def test_the_recipe_of_a_python_run_can_be_run_by_the_command(folder: Path) -> None:
    again = jepa.load_recipe(folder / "runs" / "spread-001" / "recipe.yaml")
    assert again == jepa.load_recipe(folder / "twin.yaml")


def test_a_run_in_python_takes_a_file_with_overrides_and_a_folder(folder: Path, tmp_path: Path) -> None:
    changes = {
        "seed": 1,
        "evaluators": None,
        "curriculum.late": None,
        "description": "a: b # ${c}".replace("${c}", "c"),
    }
    run = jepa.run(folder / "twin.yaml", overrides=changes, folder=tmp_path / "here")
    assert run.folder == tmp_path / "here" and (run.folder / "report.html").is_file()
    assert (run.recipe.seed, run.recipe.description) == (1, "a: b # c")
    assert [use.name for use in run.recipe.curriculum] == ["joint_refinement"] and not run.recipe.evaluators
    assert (run.folder / "recipe.yaml").read_text() == block("yaml")
    assert run.manifest()["command"][0] == "python"


def test_a_run_can_be_in_a_thread(folder: Path, tmp_path: Path) -> None:
    changes = {"evaluators": None, "curriculum.late": None, "curriculum.joint_refinement.steps": 1}
    arguments = {"recipe": folder / "twin.yaml", "overrides": changes, "folder": tmp_path / "here"}
    thread = threading.Thread(target=jepa.run, kwargs=arguments)
    thread.start()
    thread.join()
    assert (tmp_path / "here" / "report.html").is_file()


def test_a_mistake_in_overrides_is_shown_under_the_override(folder: Path) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        jepa.run(folder / "twin.yaml", overrides={"windows.length": 1, "curriculum.lat": None})
    assert str(caught.value).splitlines() == [
        "2 problems in the overrides",
        "  overrides: windows.length=1  expected a whole number from 2 to 100000, found 1",
        "                            ^",
        "  overrides: curriculum.lat=null  unknown phase 'lat'",
        "                        ^^^ did you mean 'late'?",
    ]


def test_mistakes_in_python_are_told_as_the_page_shows(folder: Path) -> None:
    recipe = jepa.load_recipe(folder / "twin.yaml")
    early = jepa.PhaseUse(NextTokenConfig(steps=1), name="early")
    with pytest.raises(InvalidRecipe) as caught:
        replace(recipe, windows=jepa.WindowsConfig(length=40), curriculum=[early, *recipe.curriculum])
    assert f"{caught.value}\n" == block("text")


def test_overrides_of_a_recipe_in_python_are_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match="give dataclasses.replace"):
        jepa.run(jepa.load_recipe(folder / "twin.yaml"), overrides={"seed": 1})


def test_a_run_that_lacks_its_data_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the run cannot start here"):
        jepa.run("etth1", overrides={"source.files": [str(tmp_path / "nowhere.csv")]}, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_importing_the_library_imports_nothing_of_it_until_it_is_asked_for() -> None:
    script = (
        "import sys, json, jepa_core; before = sorted(one for one in sys.modules if one.startswith('jepa_core'));"
        "jepa_core.Recipe; jepa_core.PhaseUse; "
        "recipe = [one for one in ('torch', 'ruamel.yaml') if one in sys.modules];"
        "jepa_core.run; print(json.dumps([before, recipe, 'torch' in sys.modules]))"
    )
    done = subprocess.run(command()[:1] + ["-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["jepa_core"], [], False]
    assert all(getattr(jepa, name) is not None for name in jepa.__all__)
    with pytest.raises(AttributeError, match="no attribute 'recpie'"):
        jepa.recpie  # noqa: B018
