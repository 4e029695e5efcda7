"""A store made in partitions: the same by whoever made them, and gone on with after a stop."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.data import partitions
from jepa_core.data.partitions import cluster_workers, local_workers, partitions_folder
from jepa_core.data.preparation import open_store
from jepa_core.data.store import Store, StoreWriter
from jepa_core.errors import DataError, Preempted, RunError
from jepa_core.io import cluster
from pieces import PARTITIONS, PiecesSource

Jepa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def source(tmp_path: Path) -> PiecesSource:
    return PiecesSource(tmp_path / "made.txt")


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """Content of the store that one process builds in one go."""
    source = PiecesSource(tmp_path / "elsewhere.txt")
    (tmp_path / "scratch").mkdir()
    with StoreWriter(tmp_path / "whole", "pieces", source.fingerprint()) as writer:
        source.build(writer, tmp_path / "scratch")
    return Store(tmp_path / "whole").content


def done(source: PiecesSource) -> list[int]:
    """What was done, and forget it: -1 for staging, else the number of a partition."""
    numbers = [int(one) for one in source.made.read_text().split()] if source.made.exists() else []
    source.made.unlink(missing_ok=True)
    return sorted(numbers)


def left(folder: Path) -> list[str]:
    """Names of the folders that preparing left."""
    return [path.name for path in folder.iterdir() if path.is_dir()]


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_makes_the_store_that_one_build_makes(
    source: PiecesSource, whole: str, tmp_path: Path, workers: int
) -> None:
    with local_workers(workers) as each:
        store = open_store(source, "pieces", tmp_path / "stores", each)

    assert store.content == whole
    assert done(source) == [-1, *range(PARTITIONS)]
    assert store.record("attrition") == [{"step": "all", "trajectories": 15}]
    assert left(tmp_path / "stores") == [store.path.name]


def test_an_interrupted_build_goes_on_from_the_finished_partitions(
    source: PiecesSource, whole: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source.trouble = {3: "stop"}
    with pytest.raises(Preempted):
        open_store(source, "pieces", tmp_path / "stores")
    assert done(source) == [-1, 0, 1, 2]

    source.trouble = {}
    with caplog.at_level("INFO", logger="jepa"):
        store = open_store(source, "pieces", tmp_path / "stores")

    assert "goes on from its 3 finished partitions of 5" in caplog.text
    assert done(source) == [3, 4]
    assert store.content == whole
    assert left(tmp_path / "stores") == [store.path.name]


def test_a_worker_that_dies_is_one_error_and_what_is_finished_is_kept(
    source: PiecesSource, whole: str, tmp_path: Path
) -> None:
    source.trouble = {4: "die"}
    with pytest.raises(RunError, match="a worker process died.*same command goes on"), local_workers(2) as each:
        open_store(source, "pieces", tmp_path / "stores", each)
    before = done(source)

    source.trouble = {}
    store = open_store(source, "pieces", tmp_path / "stores")

    assert -1 not in done(source) and -1 in before
    assert store.content == whole


def test_data_that_a_worker_refuses_are_one_error_in_its_own_words(source: PiecesSource, tmp_path: Path) -> None:
    source.trouble = {2: "refuse"}

    with pytest.raises(DataError, match="^rows.csv, row 7: the mass is negative"), local_workers(2) as each:
        open_store(source, "pieces", tmp_path / "stores", each)


def test_staging_that_fails_leaves_nothing(source: PiecesSource, whole: str, tmp_path: Path) -> None:
    source.trouble = {-1: "refuse"}
    with pytest.raises(DataError):
        open_store(source, "pieces", tmp_path / "stores")
    assert left(tmp_path / "stores") == []

    source.trouble = {}
    assert open_store(source, "pieces", tmp_path / "stores").content == whole


def test_staging_that_was_killed_starts_again(
    source: PiecesSource, whole: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = partitions_folder(tmp_path / "stores" / f"pieces-{source.fingerprint()}")
    (folder / "staged").mkdir(parents=True)
    (folder / "staged" / "half.txt").write_text("what a killed process left")

    with caplog.at_level("INFO", logger="jepa"):
        store = open_store(source, "pieces", tmp_path / "stores")

    assert "stopped halfway, and this one starts from the beginning" in caplog.text
    assert store.content == whole and left(tmp_path / "stores") == [store.path.name]


def test_partitions_of_other_inputs_are_not_used_and_are_told(
    source: PiecesSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source.trouble = {3: "stop"}
    with pytest.raises(Preempted):
        open_store(source, "pieces", tmp_path / "stores")
    done(source)
    changed = PiecesSource(source.made, version="two")

    with caplog.at_level("INFO", logger="jepa"):
        open_store(changed, "pieces", tmp_path / "stores")

    assert done(changed) == [-1, *range(PARTITIONS)]
    assert ".partitions is left of another preparation" in caplog.text


def test_partitions_are_readable_by_their_owner_alone(source: PiecesSource, tmp_path: Path) -> None:
    source.trouble = {3: "stop"}
    with pytest.raises(Preempted):
        open_store(source, "pieces", tmp_path / "stores")

    (folder,) = (tmp_path / "stores").glob(".pieces-*.partitions")
    assert folder.stat().st_mode & 0o077 == 0


def test_a_cluster_makes_the_same_store_and_its_errors_are_ours(
    source: PiecesSource, whole: str, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=tmp_path / "dask"
    )  # fmt: skip
    with cluster:
        source.trouble = {3: "refuse"}
        with pytest.raises(DataError, match="row 7"), cluster_workers(cluster.scheduler_address) as each:
            open_store(source, "pieces", tmp_path / "stores", each)
        done(source)
        source.trouble = {}
        with cluster_workers(cluster.scheduler_address) as each:
            store = open_store(source, "pieces", tmp_path / "stores", each)

    assert store.content == whole
    assert -1 not in done(source) and left(tmp_path / "stores") == [store.path.name]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setattr(cluster, "ANSWER", "1s")

    with pytest.raises(RunError, match="answers at tcp://127.0.0.1:9"), cluster_workers("tcp://127.0.0.1:9"):
        pass


def test_a_worker_without_the_same_files_says_so(source: PiecesSource, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="must share the file system"):
        partitions.make_partition(source, [], tmp_path / "not here", 0)


def test_without_the_extra_the_command_names_it(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "distributed").mkdir(parents=True)
    (hidden / "distributed" / "__init__.py").write_text("raise ModuleNotFoundError('hidden', name='distributed')")

    refused = jepa("prepare", "toy.yaml", "--cluster", "tcp://127.0.0.1:9", packages=(hidden,))

    assert refused.returncode == 4 and "pip install 'jepa-core[cluster]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_number_of_workers_is_refused(jepa: Jepa, recipe_file: Path) -> None:
    refused = jepa("prepare", "toy.yaml", "--workers", "0")

    assert refused.returncode == 2 and "0 is no number of processes" in refused.stderr
