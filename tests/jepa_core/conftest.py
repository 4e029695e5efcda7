"""The toy plugin, in this process and, as an installed package, in others."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE, environment, install
from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.plugin import Registry, discover
from warm import WarmProcess


@pytest.fixture(scope="session")
def registry() -> Registry:
    return discover([importlib.metadata.EntryPoint("toy", "toy", "jepa")])


@pytest.fixture(scope="session")
def dataset(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    component = registry.component("source", "toy")
    source = component.load()(component.config())
    return Dataset.open(open_store(source, "toy", tmp_path_factory.mktemp("stores")), source, "channels")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def toy_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("packages"), "toy-plugin", "toy = toy")


@pytest.fixture
def jepa(toy_package: Path, tmp_path: Path, warm: WarmProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own, with the toy plugin installed."""

    def run(
        *arguments: str | Path, packages: tuple[Path, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return warm.run(list(map(str, arguments)), environment(toy_package, *packages, **variables), tmp_path)

    return run
