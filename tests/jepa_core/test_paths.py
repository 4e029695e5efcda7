"""What a user's paths may turn out to be: files where folders should be, pipes, folders without permission."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE
from jepa_core.cli import main
from jepa_core.data.dataset import Dataset
from jepa_core.data.store import Store
from jepa_core.errors import RunError, UnsafeArtefactError
from jepa_core.io.files import require_regular_files, write_atomically
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.results.record import read_run
from jepa_core.runs.run import Run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in that holds a file and a pipe."""
    (tmp_path / "file").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "run basic_motions --runs file",
        "run basic_motions --out file",
        "run basic_motions --out file/within",
        "prepare basic_motions --runs file",
        "study phases --out file",
        "new phase my_phase --folder file",
        "cp basic_motions file",
        "cp basic_motions file/within.yaml",
        "cp basic_motions pipe",
        "run pipe",
        "validate pipe",
        "inspect pipe",
        "evaluate pipe",
        "export pipe --to other",
        "compare pipe pipe",
    ],
)
def test_a_path_that_cannot_be_what_it_is_given_for_is_one_message(
    line: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(line.split())
    said = capsys.readouterr().err.strip().splitlines()
    assert code in (1, 2) and said[-1].startswith("error: ") and ("file" in said[-1] or "pipe" in said[-1])
    assert (here / "file").read_text() == "kept" and (here / "pipe").is_fifo()


def test_only_files_are_replaced(here: Path) -> None:
    for name in ("pipe", "."):
        with pytest.raises(RunError, match="no regular file"):
            write_atomically(here / name, b"words")
    write_atomically(here / "file", b"words")
    assert (here / "file").read_bytes() == b"words" and (here / "pipe").is_fifo()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("nowhere", path)], ids=["pipe", "link to nowhere"])
def test_a_folder_with_anything_but_files_is_refused_unopened(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("")
    require_regular_files(tmp_path)
    make(tmp_path / "deep" / "zarr.json")
    with pytest.raises(UnsafeArtefactError, match="deep/zarr.json is no regular file"):
        require_regular_files(tmp_path)


def test_a_run_with_a_pipe_among_its_files_is_refused_wherever_it_is_opened(
    registry: Registry, recipe_file: Path, tmp_path: Path
) -> None:
    run = Run.create(tmp_path / "run", load_recipe(recipe_file, [], registry), registry, RECIPE)
    (run.folder / "checkpoints").mkdir()
    os.mkfifo(run.folder / "checkpoints" / "position.json")
    for opened in (lambda: Run.open(run.folder, registry), lambda: read_run(run.folder)):
        with pytest.raises(UnsafeArtefactError, match="checkpoints/position.json is no regular file"):
            opened()


def test_a_store_with_a_pipe_among_its_files_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset.store.path, tmp_path / "store"))
    os.mkfifo(copy / "pipe")
    with pytest.raises(UnsafeArtefactError, match="pipe is no regular file"):
        Store(copy)
