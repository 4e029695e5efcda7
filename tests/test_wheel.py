"""The wheel, away from the checkout: what an installed package can do by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BUILD = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel in a folder, as an installer puts it into site-packages."""
    built, unpacked = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("installed")
    done = subprocess.run([*BUILD, str(built)], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def run_apart(unpacked: Path, folder: Path, script: str) -> str:
    """What a script prints in a process that has the wheel and the libraries on its path, and no checkout.

    -S leaves the files alone by which an editable installation puts the checkout on the path.
    """
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(unpacked), *libraries])}
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMANDS = """
import sys
from jepa_core.cli import main

for command in (["ls"], ["show", "encoder/mlp"], ["validate", "basic_motions"], ["plan", "basic_motions"]):
    print(">", *command)
    assert main(command) == 0, command
try:
    main(["--version"])
except SystemExit as left:
    assert not left.code
import jepa_core, jepa_sensors
print(jepa_core.__file__, jepa_sensors.__file__, sep="\\n")
assert not any({checkout!r} in path for path in sys.path), sys.path
"""


def test_the_wheel_lists_shows_validates_and_plans_without_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    said = run_apart(unpacked, tmp_path, COMMANDS.format(checkout=str(REPOSITORY / "plugins")))
    for word in ("clin_jepa", "basic_motions", "encoder", "mlp", "oscillators", "hard_sync"):
        assert word in said, said
    where = said.splitlines()[-2:]
    assert where == [str(unpacked / name / "__init__.py") for name in ("jepa_core", "jepa_sensors")]


def test_the_wheel_has_every_recipe_template_and_type_marker(unpacked: Path) -> None:
    kept = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    recipes = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "recipes").rglob("*.yaml")}
    assert len(recipes) > 10 and {f"jepa_core/{name}" for name in recipes} <= kept
    packages = {"jepa_core", *(path.name for path in (REPOSITORY / "plugins").glob("jepa_*"))}
    assert {f"{package}/py.typed" for package in packages} <= kept
    templates = (REPOSITORY / "jepa_core" / "scaffold" / "templates").rglob("*.py")
    assert {path.relative_to(REPOSITORY).as_posix() for path in templates} <= kept
    assert not {name for name in kept if name.startswith(("tests", "benchmarks"))}
