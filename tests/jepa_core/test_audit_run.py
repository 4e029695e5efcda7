"""`jepa audit RUN`: what stands in the files of an export and belongs to few subjects is found, and is not shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.audit.checks import LeakCheck
from jepa_core.audit.given_away import audit_run
from jepa_core.cli import main
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.io.files import write_json
from jepa_core.model.folder import FITTED, WEIGHTS, write_record

SUBJECTS = 12
FIRST = 70_001_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Subjects of train with one step each: all say `sinus rhythm` at 0.5, the first two `platypus bite` at 0.777."""
    rare = np.arange(SUBJECTS) < 2
    offsets = np.concatenate([[0], np.cumsum(1 + rare)])
    text = np.concatenate([[1, 0] if few else [0] for few in rare]) * 1
    value = np.where(text == 1, np.float32(0.777), np.float32(0.5))
    state = Events(offsets, text.astype(np.int32), value, text.astype(np.int32), np.zeros(len(text), np.float32))
    none = np.zeros(0)
    empty = Events(np.zeros(SUBJECTS + 1, np.int64), none.astype(np.int32), none, none.astype(np.int32), none)
    folder = tmp_path_factory.mktemp("stores") / "store"
    with StoreWriter(folder, "made", "f" * 64) as writer:
        writer.channels([Channel("rhythm"), Channel("wound by a beast")])
        writer.append(
            Trajectories(
                FIRST + np.arange(SUBJECTS), FIRST + np.arange(SUBJECTS), np.zeros(SUBJECTS, np.int8),
                np.ones(SUBJECTS, np.int32), empty, state, empty, np.array(["sinus rhythm", "platypus bite"], object),
            )
        )  # fmt: skip
    return Store(folder)


def given_away(folder: Path, fitted: Any) -> Path:
    """A folder with a model, as far as an audit reads it."""
    folder.mkdir(exist_ok=True)
    write_json(folder / FITTED, fitted)
    (folder / WEIGHTS).write_bytes(b"weights")
    rest = {"seed": 0, "components": {}, "item_shape": None, "window_length": 4, "precision": "fp32", "threads": 1}
    write_record(folder, {"name": "made", "observations": [], "channels": [{"name": "rhythm"}], **rest})
    return folder


def failing(checks: Iterable[LeakCheck]) -> set[str]:
    return {check.name for check in checks if check.result == "fail"}


CLEAN = {"tokenizer": {"sinus\u0120rhythm": 1}, "mean": [0.5], "least_subjects": 5}
PLANTED = {
    "identifiers of records": {**CLEAN, "note": f"of {FIRST + 3}"},
    "times of records": {**CLEAN, "note": "at 2150-03-01 10:20:00"},
    "words of few subjects": {**CLEAN, "platypus\u0120bite": 2},
    "numbers of few subjects": {**CLEAN, "mean": [0.5, float(np.float32(0.777))]},
    "planted canaries": {**CLEAN, "note": "CANARY"},
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_fails_its_check_and_no_other_and_is_not_shown(name: str, tmp_path: Path, store: Store) -> None:
    checks = audit_run(given_away(tmp_path / "run", PLANTED[name]), store, ["CANARY"])

    assert failing(checks) == {name}
    told = " ".join(check.words for check in checks)
    assert not any(secret in told for secret in (str(FIRST + 3), "2150", "platypus", "0.777", "CANARY"))


def test_a_clean_run_passes_every_check(tmp_path: Path, store: Store) -> None:
    checks = audit_run(given_away(tmp_path / "run", CLEAN), store, ["CANARY"])

    assert {check.name for check in checks if check.result == "pass"} == PLANTED.keys()


def test_a_word_is_rare_by_the_count_that_the_fitted_state_names(tmp_path: Path, store: Store) -> None:
    fitted = {"platypus bite": 1, "least_subjects": 2}

    assert failing(audit_run(given_away(tmp_path / "run", fitted), store, [])) == set()


def test_without_its_store_a_run_is_not_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = given_away(tmp_path / "run", PLANTED["words of few subjects"])

    assert main(["audit", str(folder)]) == 0
    assert capsys.readouterr().out.count("not verified") == 5, "four checks, and their count"
    assert main(["audit", str(folder), "--canary", "platypus"]) == 1
