"""What `jepa new` writes is installed, passes its tests, and its recipe runs; the docs show it as it is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import REPOSITORY, environment, install
from jepa_core.errors import RecipeError
from jepa_core.plugin import KINDS, Kind, Registry, shared_registry
from jepa_core.scaffold import write_package
from jepa_core.testing import checks_of
from warm import WarmProcess

PAGE = (REPOSITORY / "docs" / "plugins.md").read_text()
SHOWN: dict[Kind, str] = {
    "source": "rooms",
    "encoder": "perceptron",
    "predictor": "recurrent",
    "phase": "cautious",
    "objective": "spread",
    "optimizer": "sign_descent",
    "schedule": "inverse_root",
    "evaluator": "one_step",
    "listener": "ledger",
}
"""What the page calls its examples."""

Jepa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One new package of every kind, in one folder."""
    folder = tmp_path_factory.mktemp("new")
    for kind, name in SHOWN.items():
        write_package(kind, name, folder, Registry())
    return folder


@pytest.fixture(scope="module")
def installed(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Where pip installed them."""
    target = tmp_path_factory.mktemp("installed")
    offline = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target)]
    done = subprocess.run([*pip, *map(str, sorted(packages.iterdir()))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [target]


def test_the_tests_of_new_packages_pass_at_once(packages: Path, installed: list[Path], warm: WarmProcess) -> None:
    tests = [str(path) for path in sorted(packages.glob("*/tests/test_*.py"))]
    asked = ["-q", "-p", "no:cacheprovider", "--rootdir", str(packages), *tests]
    done = warm.run(asked, environment(*installed), packages, module="pytest")
    assert done.returncode == 0, done.stdout
    assert len(tests) == len(KINDS)


@pytest.mark.parametrize("name", SHOWN.values())
def test_the_recipe_of_a_new_package_is_valid(
    name: str, packages: Path, installed: list[Path], warm: WarmProcess
) -> None:
    recipe = packages / f"jepa-{name.replace('_', '-')}" / f"{name}.yaml"
    done = warm.run(["validate", str(recipe)], environment(*installed), packages)
    assert done.returncode == 0, done.stderr


def test_the_recipes_of_new_packages_run(
    packages: Path, installed: list[Path], warm: WarmProcess, tmp_path: Path
) -> None:
    for name in SHOWN.values():
        recipe = packages / f"jepa-{name.replace('_', '-')}" / f"{name}.yaml"
        done = warm.run(["run", str(recipe), "--out", name, "--quiet"], environment(*installed), tmp_path)
        assert done.returncode == 0, done.stderr
    assert sorted(path.parent.name for path in tmp_path.glob("*/report.html")) == sorted(SHOWN.values())
    phases = {json.loads(line)["phase"] for line in (tmp_path / "cautious" / "metrics.jsonl").read_text().splitlines()}
    assert "cautious" in phases


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_the_files_as_they_are_written(kind: Kind, packages: Path) -> None:
    name = SHOWN[kind]
    paths = [f"jepa_{name}/config.py", f"jepa_{name}/{kind}.py"]
    if kind == "phase":  # those of the other kinds differ in names alone
        paths += [f"jepa_{name}/__init__.py", f"{name}.yaml", f"tests/test_{name}.py"]
    for path in paths:
        shown = re.search(rf"```\w+\n# {re.escape(path)}\n(.*?)```", PAGE, re.DOTALL)
        assert shown, f"docs/plugins.md does not show {path}"
        written = packages / f"jepa-{name.replace('_', '-')}" / path
        assert shown[1] == written.read_text(), f"docs/plugins.md shows an older {path}"


def test_the_page_names_every_check() -> None:
    for component in (one for plugin in shared_registry().bringing for one in plugin.components):
        (row,) = re.findall(rf"^\| {component.kind}s \| (.*)$", PAGE, re.MULTILINE)
        (common,) = re.findall(r"^\| all \| (.*)$", PAGE, re.MULTILINE)
        named = re.findall(r"`(\w+)`", common + row)
        assert named == [check.name.removeprefix("check_") for check in checks_of(component)]


@pytest.mark.parametrize("name", ["MyPhase", "my-phase", "class", "1st", "phase", "a__b", "../up"])
def test_a_name_that_cannot_be_used_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot name|word of the framework"):
        write_package("phase", name, tmp_path, Registry())
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is a phase 'toy_fit' already"):
        write_package("phase", "toy_fit", tmp_path, registry)


def test_what_is_in_the_package_s_place_is_left_as_it_is(tmp_path: Path) -> None:
    write_package("phase", "cautious", tmp_path, Registry())
    before = (tmp_path / "jepa-cautious" / "README.md").read_text()
    with pytest.raises(RecipeError, match="exists already"):
        write_package("encoder", "cautious", tmp_path, Registry())
    assert (tmp_path / "jepa-cautious" / "README.md").read_text() == before


def test_jepa_new_says_what_to_do_next_and_prints_the_place(jepa: Jepa, tmp_path: Path) -> None:
    done = jepa("new", "phase", "cautious", "--folder", "mine")
    assert done.returncode == 0 and done.stdout.strip() == "mine/jepa-cautious"
    assert "jepa run cautious.yaml" in done.stderr
    refused = jepa("new", "phase", "toy_fit")
    assert refused.returncode == 2 and "toy-plugin" in refused.stderr and "Traceback" not in refused.stderr


WRONG = """
from jepa_core.plugin import Component, hookimpl
from toy import ToyFitConfig

@hookimpl
def jepa_components():
    yield Component("phase", "restless", ToyFitConfig, "restless_phase:Restless")
"""
WRONG_PHASE = """
from toy.parts import ToyFit

class Restless(ToyFit):
    def after_step(self, learner):
        learner.encoder.net[0].bias.data.add_(1e-3)
"""


@pytest.fixture
def restless(tmp_path: Path) -> Path:
    folder = install(tmp_path / "restless", "jepa-restless", "restless_plugin = restless_plugin")
    (folder / "restless_plugin.py").write_text(WRONG)
    (folder / "restless_phase.py").write_text(WRONG_PHASE)
    return folder


def test_check_plugin_names_the_check_that_fails_and_what_to_do(jepa: Jepa, restless: Path) -> None:
    done = jepa("check-plugin", "jepa_restless", "--json", packages=(restless,))
    page = json.loads(done.stdout)
    failed = {one["check"]: one["reason"] for one in page["results"] if one["outcome"] == "fail"}
    assert done.returncode == 1 and page["counts"]["pass"] > 5
    assert 'add "encoder" to `trains`' in failed["check_frozen_params_unchanged"]


def test_check_plugin_passes_what_is_right_and_says_what_it_skipped(jepa: Jepa) -> None:
    done = jepa("check-plugin", "encoder/toy")
    assert "ok       check_item_independent" in done.stdout
    assert done.returncode == 1 or "0 failed" in done.stdout


def test_check_plugin_refuses_what_is_unknown_or_broken(jepa: Jepa, tmp_path: Path) -> None:
    unknown = jepa("check-plugin", "nothing_of_that_name")
    assert unknown.returncode == 4 and "toy" in unknown.stderr
    folder = install(tmp_path / "broken", "jepa-broken", "broken = broken_plugin")
    (folder / "broken_plugin.py").write_text("import a_module_that_is_not_there\n")
    broken = jepa("check-plugin", "broken", packages=(folder,))
    assert broken.returncode == 4 and "a_module_that_is_not_there" in broken.stderr
