"""Data without a run: found again, made again after a stop, and made anew when something changed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from commands import RECIPE, install
from jepa_core.data.dataset import Dataset
from jepa_core.io.locks import locked

Jepa = Callable[..., subprocess.CompletedProcess[str]]

# A source that kills its own process in the middle of the work that the environment names.
FRAGILE = """
from jepa_core.plugin import Component, hookimpl
from toy import ToySourceConfig

@hookimpl
def jepa_components():
    yield Component("source", "fragile", ToySourceConfig, "fragile_parts:FragileSource")
"""
PARTS = """
import os, signal
from toy.parts import ToySource

class FragileSource(ToySource):
    def build(self, writer, scratch):
        (scratch / "leftover").write_text("from before")
        super().build(writer, scratch)
        self.perhaps_stop("build")

    def render(self, trajectories, channels, modality):
        self.perhaps_stop("render")
        return super().render(trajectories, channels, modality)

    def perhaps_stop(self, place):
        where, _, kind = os.environ.get("STOP", "").partition(" ")
        if where == place:
            os.kill(os.getpid(), getattr(signal, "SIG" + kind))
"""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = install(tmp_path_factory.mktemp("fragile"), "fragile-plugin", "fragile = fragile")
    (folder / "fragile.py").write_text(FRAGILE)
    (folder / "fragile_parts.py").write_text(PARTS)
    return folder


@pytest.fixture
def fragile_recipe(tmp_path: Path) -> Path:
    path = tmp_path / "fragile.yaml"
    path.write_text(RECIPE.replace("source: {use: toy}", "source: {use: fragile}"))
    return path


@pytest.fixture
def prepare(jepa: Jepa) -> Callable[..., dict[str, Any]]:
    def run(*arguments: str | Path, **options: Any) -> dict[str, Any]:
        done = jepa("prepare", *arguments, "--json", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def written(folder: Path) -> dict[str, int]:
    """When every file below a folder was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_preparing_twice_gives_the_same_store_and_writes_nothing_the_second_time(
    prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    first = prepare("toy.yaml")
    store, rendering = tmp_path / first["store"], tmp_path / first["rendering"]
    before = written(store) | written(rendering)
    second = prepare("toy.yaml")
    assert first["why_built"] and first["why_rendered"]
    assert second["why_built"] == second["why_rendered"] == ""
    assert {**second, "why_built": "", "why_rendered": ""} == {**first, "why_built": "", "why_rendered": ""}
    assert written(store) | written(rendering) == before != {}


def test_a_summary_counts_what_is_in_the_store(
    prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    summary = prepare("toy.yaml", "source.trajectories=30")
    assert (summary["trajectories"], summary["subjects"]) == (30, 15)
    events = summary["events"]
    assert (events["static"], events["action"]) == (30, summary["steps"])
    assert summary["steps"] < events["state"] < 2 * summary["steps"], "a position in every step, a second event in some"
    assert sum(split["steps"] for split in summary["splits"]) == summary["steps"]


def test_prepare_makes_no_run(prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path) -> None:
    prepare("toy.yaml", "--runs", "elsewhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "toy.yaml"]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["stores"]


def test_a_run_takes_what_was_prepared(
    jepa: Jepa, prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    summary = prepare("toy.yaml")
    store, rendering = tmp_path / summary["store"], tmp_path / summary["rendering"]
    before = written(store) | written(rendering)
    assert jepa("run", "toy.yaml", "--out", "runs/one").returncode == 0
    manifest = json.loads((tmp_path / "runs" / "one" / "manifest.json").read_text())
    assert manifest["dataset"]["content"] == summary["content"]
    assert written(store) | written(rendering) == before
    assert len([path for path in (tmp_path / "runs" / "stores").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("kind", ["KILL", "TERM"])
def test_a_build_that_was_stopped_starts_again_and_ends_in_the_same_store(
    jepa: Jepa,
    prepare: Callable[..., dict[str, Any]],
    fragile: Path,
    fragile_recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    kind: str,
) -> None:
    stopped = jepa("prepare", "fragile.yaml", packages=(fragile,), STOP=f"build {kind}")
    assert stopped.returncode == (-signal.SIGKILL if kind == "KILL" else 75), stopped.stderr
    again = prepare("fragile.yaml", packages=(fragile,))
    assert again["content"] == dataset.store.content and again["fingerprint"] == dataset.store.fingerprint
    assert ("stopped halfway" in again["why_built"]) == (kind == "KILL")
    left = [path.name for path in (tmp_path / "runs" / "stores").iterdir() if path.is_dir()]
    assert sorted(left) == sorted([Path(again["store"]).name, Path(again["rendering"]).name])


def test_a_rendering_that_was_stopped_starts_again_and_the_store_is_kept(
    jepa: Jepa,
    prepare: Callable[..., dict[str, Any]],
    fragile: Path,
    fragile_recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
) -> None:
    stopped = jepa("prepare", "fragile.yaml", packages=(fragile,), STOP="render KILL")
    assert stopped.returncode == -signal.SIGKILL
    (store,) = (tmp_path / "runs" / "stores").glob("fragile-" + "?" * 12)
    before = written(store)
    again = prepare("fragile.yaml", packages=(fragile,))
    assert again["why_built"] == "" and "stopped halfway" in again["why_rendered"]
    assert written(store) == before
    made, whole = (
        {one.name: one.read_bytes() for one in folder.iterdir()}
        for folder in (tmp_path / again["rendering"], dataset.rendering.folder)
    )
    assert made == whole


def test_a_changed_option_makes_another_store_and_says_which_it_was(
    jepa: Jepa, prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    first = prepare("toy.yaml")
    changed = jepa("prepare", "toy.yaml", "source.noise=0.2")
    assert "source.noise was 0.05 and is 0.2" in changed.stdout and "source.noise" in changed.stderr
    stores = [path for path in (tmp_path / "runs" / "stores").glob("toy-" + "?" * 12) if path.is_dir()]
    assert len(stores) == 2 and tmp_path / first["store"] in stores


def test_another_modality_is_rendered_from_the_same_store(
    prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    package = tmp_path / "text"
    (package / "reader.py").parent.mkdir()
    install(package, "reader-plugin", "reader = reader")
    (package / "reader.py").write_text(
        "from typing import ClassVar\nfrom jepa_core.plugin import Component, hookimpl\n"
        "from toy import ToyEncoderConfig\n"
        "class ReaderConfig(ToyEncoderConfig):\n    '''Reads.'''\n    modality: ClassVar = 'text'\n"
        "@hookimpl\ndef jepa_components():\n    yield Component('encoder', 'reader', ReaderConfig, 'reader:None')\n"
    )
    first = prepare("toy.yaml")
    other = prepare("toy.yaml", "encoder.use=reader", packages=(package,))
    assert other["store"] == first["store"] and other["why_built"] == ""
    assert other["rendering"] != first["rendering"] and "modality text" in other["why_rendered"]


def test_a_store_that_another_process_is_building_is_left_alone(
    jepa: Jepa, prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    store = tmp_path / prepare("toy.yaml")["store"]
    with locked(store.with_name(f".{store.name}.lock"), "held already"):
        assert jepa("prepare", "toy.yaml").returncode == 0  # it is whole, and runs may open it together
        shutil.rmtree(store)
        refused = jepa("prepare", "toy.yaml")
    assert refused.returncode == 6 and "another jepa command is preparing" in refused.stderr


def test_a_rendering_that_another_process_is_making_is_waited_for(
    jepa: Jepa, prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    first = prepare("toy.yaml")
    store, rendering = tmp_path / first["store"], tmp_path / first["rendering"]
    shutil.rmtree(rendering)
    with ThreadPoolExecutor() as pool:
        with locked(store.with_name(f".{store.name}.lock"), "held already"):
            waiting = pool.submit(jepa, "prepare", "toy.yaml")
            with pytest.raises(TimeoutError):
                waiting.result(2)
            assert not rendering.exists()
        done = waiting.result(60)
    assert done.returncode == 0 and "waiting for another jepa command" in done.stderr
    assert rendering.is_dir()


def test_what_prepare_writes_is_readable_by_its_owner_alone(
    prepare: Callable[..., dict[str, Any]], recipe_file: Path, tmp_path: Path
) -> None:
    prepare("toy.yaml")
    for path in (tmp_path / "runs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_misspelt_option_is_refused_before_anything_is_made(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    refused = jepa("prepare", "toy.yaml", "source.nois=1")
    assert refused.returncode == 2 and "did you mean 'noise'" in refused.stderr
    assert not (tmp_path / "runs").exists()
