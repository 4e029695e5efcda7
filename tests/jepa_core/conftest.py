"""The toy plugin, in this process and, as an installed package, in others."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import RECIPE, environment, install
from jepa_core.config import Config, ItemShape
from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.plugin import Kind, Registry, discover
from jepa_core.recipe.uses import IMPLIED
from jepa_core.training.curriculum import BuiltPhase
from jepa_core.training.learner import Learner
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


@pytest.fixture(scope="session")
def finished(toy_package: Path, warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the toy recipe was run once, into `run`; to be left as it is."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "toy.yaml").write_text(RECIPE)
    done = warm.run(["run", "toy.yaml", "--out", "run"], environment(toy_package), folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def jepa(toy_package: Path, tmp_path: Path, warm: WarmProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own, with the toy plugin installed."""

    def run(
        *arguments: str | Path, packages: tuple[Path, ...] = (), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return warm.run(list(map(str, arguments)), environment(toy_package, *packages, **variables), tmp_path)

    return run


def _built(registry: Registry, kind: Kind, config: Config) -> Any:
    """The component that a config belongs to, built."""
    (component,) = (part for part in registry.components(kind).values() if part.config is type(config))
    return component.load()(config)


@pytest.fixture
def make(registry: Registry, dataset: Dataset, tmp_path: Path):
    """A learner and phases by (name, component, config keys)."""

    def build(*phases: tuple[str, str, dict]) -> tuple[Learner, list[BuiltPhase]]:
        torch.manual_seed(0)
        parts = {kind: registry.component(kind, "toy") for kind in ("encoder", "predictor")}
        encoder = parts["encoder"].load()(parts["encoder"].config(), ItemShape(channels=4))
        encoder.fit(dataset.training_items())
        predictor = parts["predictor"].load()(parts["predictor"].config(), encoder.latent_dim)
        learner = Learner(encoder, predictor, dataset, torch.device("cpu"), tmp_path)
        made = []
        for name, use, keys in phases:
            own = dict(keys)
            methods = {kind: _built(registry, kind, own.pop(kind)) for kind in IMPLIED if kind in own}
            component = registry.component("phase", use)
            made.append(BuiltPhase(name, component.load()(component.config(**own)), **methods))
        return learner, made

    return build
