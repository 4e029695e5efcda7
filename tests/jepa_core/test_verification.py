"""What `jepa inspect --verify` finds in a damaged store, rendering, model, heads and findings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.errors import DataError, RecipeError, RunError, UnsafeArtefactError
from jepa_core.io.records import write_sealed
from jepa_core.model.folder import FITTED, WEIGHTS, write_record
from jepa_core.results.evaluated import evaluation_digests
from jepa_core.results.findings import Findings, Samples, Verdict
from jepa_core.results.heads import KeptHead, write_heads
from jepa_core.results.record import read_findings, record_digests
from jepa_core.results.samples import read_kept
from jepa_core.runs.pipeline import write_findings
from jepa_core.runs.verification import SHOWN, verification_page, verification_text, verify


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Path:
    """The files of a run as far as they are sealed, beside a copy of its store."""
    store = dataset.store
    stores = tmp_path / "stores"
    for folder in store.path.parent.glob(f"{store.path.name}*"):
        shutil.copytree(folder, stores / folder.name)
    run = tmp_path / "run"
    run.mkdir()
    (run / WEIGHTS).write_bytes(bytes(range(200)))
    (run / FITTED).write_text("{}")
    facts = {"seed": 1, "components": {}, "item_shape": None, "window_length": 1, "precision": "fp32", "threads": 1}
    write_record(run, facts | {"channels": [], "observations": []})
    write_heads(run / "heads" / "toy", [KeptHead("slept", "boolean", state={"weight": np.ones(9)})], {"use": "toy"})
    data = {"source": "toy", "fingerprint": store.fingerprint, "content": store.content}
    sample = Samples("error", np.arange(9), np.ones(9), np.ones(9))
    write_findings(run, "toy_score", Findings(verdicts=[Verdict("good", "slept well")], samples=[sample]))
    for name in ("data.json", "recipe.yaml", "seen.json"):
        (run / name).write_text("{}")
    evaluated = {"toy_score": {"settings": {}, "files": evaluation_digests(run, "toy_score")}}
    facts = {"ended": "2026-01-01T00:00:00+00:00", "files": record_digests(run), "evaluated": evaluated}
    (run / "manifest.json").write_text(json.dumps(facts | {"dataset": data}))
    return run


def flip(path: Path) -> None:
    """Flip a bit in the middle, and leave the file's times as they were."""
    content, times = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "store": ("stores/toy-*[0-9a-f]/state_value/c/0", flip),
    "store without a chunk": ("stores/toy-*[0-9a-f]/state_value/c/0", Path.unlink),
    "store that was cut": ("stores/toy-*[0-9a-f]/state_value/c/0", lambda path: os.truncate(path, 10)),
    "rendering": ("stores/toy-*.channels-*/values.npy", flip),
    "rendering without its record": ("stores/toy-*.channels-*/rendering.json", Path.unlink),
    "model": (f"run/{WEIGHTS}", flip),
    "heads": ("run/heads/toy/heads.safetensors", flip),
    "heads without their index": ("run/heads/toy/heads.json", Path.unlink),
    "findings": ("run/findings/toy_score.json", flip),
    "findings without their samples": ("run/samples/toy_score.parquet", Path.unlink),
    "record": ("run/data.json", lambda path: path.write_text("[]")),
    "record of what was seen": ("run/seen.json", flip),
    "record of the recipe as given": ("run/recipe.yaml", flip),
    "model without its record": ("run/model.json", Path.unlink),
}


def test_a_whole_run_is_whole(run: Path) -> None:
    parts = verify(run)
    assert {"model", "heads", "store", "rendering"} <= {part.part for part in parts}
    assert verification_page(parts)["whole"] and all(part.files for part in parts if part.part != "recipe")


@pytest.mark.parametrize("what", DAMAGE)
def test_the_damaged_part_alone_is_named_with_its_file_and_what_mends_it(what: str, run: Path) -> None:
    pattern, harm = DAMAGE[what]
    (path,) = run.parent.glob(pattern)
    verify(run)
    harm(path)
    (part,) = [part for part in verify(run) if part.damaged]
    assert part.part == what.split()[0]
    text = verification_text(verification_page([part]))
    assert path.name in text and part.again in text and text.endswith("damaged")


@pytest.mark.parametrize("name", ["findings/toy_score.json", "samples/toy_score.parquet"])
def test_a_damaged_finding_is_told_when_it_is_read(name: str, run: Path) -> None:
    read_findings(run / "findings" / "toy_score.json"), read_kept(run, "toy_score")
    flip(run / name)

    with pytest.raises(RunError, match="is not as it was written; run the evaluation again"):
        read_findings(run / "findings" / "toy_score.json"), read_kept(run, "toy_score")


def test_only_the_first_of_many_damaged_files_are_shown(run: Path) -> None:
    (store,) = run.parent.glob("stores/toy-*[0-9a-f]/zarr.json")
    for array in store.parent.glob("*/zarr.json"):
        array.unlink()
    (part,) = [part for part in verify(store.parent) if part.damaged]
    assert len(part.damaged) > SHOWN
    text = verification_text(verification_page([part]))
    assert text.count("is missing") == SHOWN and f"and {len(part.damaged) - SHOWN} more" in text


def test_a_store_of_other_data_in_the_place_of_the_runs_is_damage(run: Path) -> None:
    manifest = run / "manifest.json"
    record = json.loads(manifest.read_text())
    record["dataset"]["content"] = "0" * 64
    write_sealed(manifest, record)
    (part,) = [part for part in verify(run) if part.damaged]
    assert part.part == "store" and "does not hold the data that the run was on" in part.damaged[0]


def test_a_store_that_is_gone_hides_nothing_else(run: Path) -> None:
    shutil.rmtree(run.parent / "stores")
    flip(run / WEIGHTS)
    assert [part.part for part in verify(run) if part.damaged] == ["model", "store"]


def test_what_cannot_be_read_is_not_opened(run: Path, tmp_path: Path) -> None:
    (path,) = run.parent.glob("stores/toy-*.channels-*/values.npy")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnsafeArtefactError, match=r"values\.npy is no regular file"):
        verify(run)
    with pytest.raises(RecipeError, match="there is no folder"):
        verify(tmp_path / "nowhere")


def test_the_command_exits_with_the_code_of_broken_data(jepa: Callable, run: Path) -> None:
    assert jepa("inspect", run, "--verify").returncode == 0
    flip(run / WEIGHTS)
    refused = jepa("inspect", run, "--verify", "--json")
    assert refused.returncode == 3 and not json.loads(refused.stdout)["whole"] and "Traceback" not in refused.stderr
    assert jepa("inspect", run, run, "--verify").returncode == 2


def test_a_store_copied_to_the_name_of_another_is_not_opened_for_it(registry, tmp_path: Path) -> None:
    component = registry.component("source", "toy")
    source, other = (component.load()(component.config(noise=noise)) for noise in (0.05, 0.2))
    theirs = open_store(other, "toy", tmp_path).path
    own = open_store(source, "toy", tmp_path).path
    shutil.rmtree(own)
    shutil.copytree(theirs, own)
    with pytest.raises(DataError, match="other data or options.*run again"):
        open_store(source, "toy", tmp_path)
