"""`jepa audit RUN`: what stands in the files of an export and belongs to few subjects is found, and is not shown."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.audit.checks import LeakCheck
from jepa_core.audit.given_away import audit_run
from jepa_core.audit.heads import HEADS
from jepa_core.cli import main
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.data.places import store_path
from jepa_core.data.rarity import shared_channels
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.io.files import write_json
from jepa_core.model.folder import FITTED, OBSERVATIONS, WEIGHTS, read_record, write_record
from jepa_core.plugin import Registry, discover
from jepa_core.results.findings import KeptHead
from jepa_core.results.heads import heads_folder, write_heads
from jepa_core.runs.kept_model import named_channels
from jepa_core.testing.oscillator_parts import Oscillators
from jepa_core.testing.oscillators import OscillatorsConfig

SUBJECTS = 12
FIRST = 70_001_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Subjects of train with one step each: all say `sinus rhythm` at 0.5 beats, the first two what a platypus did to
    them at 0.777 stings, in words of which some stand in everybody's items and units."""
    rare = np.arange(SUBJECTS) < 2
    offsets = np.concatenate([[0], np.cumsum(1 + rare)])
    text = np.concatenate([[1, 0] if few else [0] for few in rare]) * 1
    value = np.where(text == 1, np.float32(0.777), np.float32(0.5))
    state = Events(offsets, text.astype(np.int32), value, text.astype(np.int32), np.zeros(len(text), np.float32))
    none = np.zeros(0)
    empty = Events(np.zeros(SUBJECTS + 1, np.int64), none.astype(np.int32), none, none.astype(np.int32), none)
    texts = np.array(["sinus rhythm", "platypus bite: piqûre, stiffness 0.5, beats"], object)
    folder = tmp_path_factory.mktemp("stores") / "store"
    with StoreWriter(folder, "made", "f" * 64) as writer:
        writer.channels([Channel("rhythm", "beats"), Channel("wound by a beast", "stings", label="animal assault")])
        writer.append(
            Trajectories(
                FIRST + np.arange(SUBJECTS), FIRST + np.arange(SUBJECTS), np.zeros(SUBJECTS, np.int8),
                np.ones(SUBJECTS, np.int32), empty, state, empty, texts,
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
    checks = audit_run(given_away(tmp_path / "run", PLANTED[name]), store, ["CANARY"], discover([]))

    assert failing(checks) == {name}
    told = " ".join(check.words for check in checks)
    assert not any(secret in told for secret in (str(FIRST + 3), "2150", "platypus", "0.777", "CANARY"))


def test_a_clean_run_passes_every_check(tmp_path: Path, store: Store) -> None:
    checks = audit_run(given_away(tmp_path / "run", CLEAN), store, ["CANARY"], discover([]))

    assert {check.name for check in checks if check.result == "pass"} == {*PLANTED, HEADS}


def of_source(folder: Path, fitted: Any, registry: Registry) -> Path:
    """A folder with a model that reads oscillators."""
    config, component = OscillatorsConfig(trajectories=60), registry.component("source", "oscillators")
    source = {"use": "oscillators", "package": "", "version": registry.owner(component).version}
    components = {"source": source | {"config": config.model_dump(mode="json", by_alias=True)}}
    record = read_record(given_away(folder, fitted))
    write_record(folder, {**record, "source_fitted": {}, "components": components})
    return folder


@pytest.mark.parametrize("word", ["stings", "animal assault", "wound by a beast", "piqÃ»re", "position 0.78"])
def test_a_word_of_few_fails_as_a_unit_a_label_a_name_a_byte_level_token_and_in_what_is_read_alone(
    word: str, tmp_path: Path, store: Store, oscillators: Registry
) -> None:
    folder = of_source(tmp_path / "run", {"tokenizer": {word: 1}, "least_subjects": 5}, oscillators)
    [check] = [check for check in audit_run(folder, store, [], oscillators) if check.name == "words of few subjects"]

    assert check.result == "fail" and "1 in fitted.json" in check.words
    assert word not in check.words


@pytest.mark.parametrize("word", ["beats", "stiffness", "stiffnessĠ0.5"])
def test_a_word_that_enough_share_in_units_or_in_what_is_read_is_no_alarm_though_few_have_it_in_their_texts(
    word: str, tmp_path: Path, store: Store, oscillators: Registry
) -> None:
    folder = of_source(tmp_path / "run", {"tokenizer": {word: 1}, "least_subjects": 5}, oscillators)

    assert failing(audit_run(folder, store, [], oscillators)) == set()


def test_a_model_names_the_channels_of_enough_subjects_and_of_what_decoders_read_the_name_and_unit(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    rhythm, wound = store.channels
    with caplog.at_level("INFO", logger="jepa"):
        shared = shared_channels(store, 5)
        alone = named_channels(store, shared, [], 5)

    assert shared == alone == [rhythm] and shared_channels(store, 2) == [rhythm, wound]
    assert named_channels(store, shared, [wound.name], 5) == [rhythm, Channel(wound.name, wound.unit)]
    assert "1 of 2 channels are those of fewer than 5 subjects of train" in caplog.text
    assert wound.name not in caplog.text


def test_a_word_is_rare_by_the_count_that_the_fitted_state_names(tmp_path: Path, store: Store) -> None:
    fitted = {"platypus bite": 1, "least_subjects": 2}

    assert failing(audit_run(given_away(tmp_path / "run", fitted), store, [], discover([]))) == set()


@pytest.mark.parametrize(
    "state",
    [{"edges": np.array([0.25, np.float32(0.777)], np.float32)}, {"quantile": float(np.float32(0.777))},
     {"trees": f"tree\nfeature_infos=[{float(np.float32(0.777))}:0.9]\n"}],
)  # fmt: skip
def test_a_value_of_few_in_a_head_is_a_warning_by_evaluator_that_does_not_show_it(
    tmp_path: Path, store: Store, state: dict[str, Any]
) -> None:
    folder = given_away(tmp_path / "run", CLEAN)
    write_heads(heads_folder(folder, "tasks"), [KeptHead("task", "boolean", state={"weights": np.ones(3) / 3})], {})
    write_heads(heads_folder(folder, "others"), [KeptHead("task", "boolean", state=state)], {})
    check = audit_run(folder, store, [], discover([]))[-1]

    assert (check.name, check.result) == (HEADS, "warning")
    assert "in others" in check.words and "tasks" not in check.words and "777" not in check.words


@pytest.mark.parametrize(
    ("state", "result"),
    [({"fits": [{"trees": "tree\nthreshold=0.6\n"}]}, "warning"), ({"alarm_threshold": 0.6}, "warning"),
     ({"alarm_threshold": None, "name": "tree"}, "pass")],
)  # fmt: skip
def test_heads_that_cut_between_values_are_told_whatever_they_equal(
    tmp_path: Path, store: Store, state: dict[str, Any], result: str
) -> None:
    folder = given_away(tmp_path / "run", CLEAN)
    kept = [KeptHead("task", "boolean", state=given) for given in (state, {"weights": np.ones(3)})]
    write_heads(heads_folder(folder, "tasks"), kept, {})
    check = audit_run(folder, store, [], discover([]))[-1]

    assert (check.name, check.result) == (HEADS, result)
    assert ("1 of 2 in tasks" in check.words) == (result == "warning")


def test_weights_that_meet_values_of_few_by_chance_are_no_warning(tmp_path: Path, store: Store) -> None:
    around = (np.float32([0.777]).view(np.int32) + np.arange(-192, 193, 64, dtype=np.int32)).view(np.float32)
    folder = given_away(tmp_path / "run", CLEAN)
    write_heads(heads_folder(folder, "tasks"), [KeptHead("task", "boolean", state={"weights": around})], {})

    assert audit_run(folder, store, [], discover([]))[-1].result == "pass"


@pytest.fixture(scope="module")
def oscillators() -> Registry:
    """The registry that knows oscillators."""
    return discover([importlib.metadata.EntryPoint("oscillators", "jepa_core.testing.oscillators", "jepa")])


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory, oscillators: Registry) -> tuple[Store, Registry, dict[str, Any]]:
    """Oscillators in steps of a tenth, the registry that knows them, and what a model keeps of their scale."""
    config = OscillatorsConfig(trajectories=60)

    class Rounded(StoreWriter):
        def append(self, trajectories: Trajectories) -> None:
            state = trajectories.state
            rounded = replace(state, value=(np.round(100 * state.value) / 10).astype(np.float32))
            super().append(replace(trajectories, state=rounded))

    folder = tmp_path_factory.mktemp("stores") / "oscillators"
    with Rounded(folder, "oscillators", "f" * 64) as writer:
        Oscillators(config).build(writer, tmp_path_factory.mktemp("scratch"))
    store = Store(folder)
    observer = Observer(lambda: Dataset.open(store, Oscillators(config), "channels"), config.observations())
    return store, oscillators, observer.scaling.fitted()


def of_oscillators(folder: Path, observations: Any, registry: Registry) -> Path:
    """A folder with a model whose decoders read oscillators on a scale."""
    of_source(folder, {"least_subjects": 5}, registry)
    write_json(folder / OBSERVATIONS, observations)
    about = {"observations": list(OscillatorsConfig().observations()), "channels": []}
    write_record(folder, {**read_record(folder), **about})
    return folder


def test_a_mean_that_equals_a_value_of_few_by_chance_passes_and_the_value_itself_is_told_by_file_and_key(
    tmp_path: Path, rounded: tuple[Store, Registry, dict[str, Any]]
) -> None:
    store, registry, kept = rounded
    by_chance = audit_run(of_oscillators(tmp_path / "run", kept, registry), store, [], registry)
    own = np.flatnonzero(store.split == 0)
    values = np.concatenate([alone.state.value for _, alone in store.each(own)])
    extreme = float(values[values % 1 != 0].max())
    planted = {**kept, "knots": [[*kept["knots"][0][:-1], extreme], kept["knots"][1]]}
    leaking = audit_run(of_oscillators(tmp_path / "leaking", planted, registry), store, [], registry)

    assert failing(by_chance) == set() and "they are means" in by_chance[-2].words
    assert failing(leaking) == {"numbers of few subjects"}
    assert "observations.json: knots" in leaking[-2].words and str(extreme) not in leaking[-2].words


def test_without_its_store_a_run_is_not_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = given_away(tmp_path / "run", PLANTED["words of few subjects"])

    assert main(["audit", str(folder)]) == 0
    assert capsys.readouterr().out.count("not verified") == 6, "five checks, and their count"
    assert main(["audit", str(folder), "--canary", "platypus"]) == 1


def test_a_model_by_itself_is_held_against_the_store_that_it_was_trained_on_and_no_other(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = given_away(tmp_path / "model", PLANTED["words of few subjects"])
    asked = ["audit", str(folder), "--store", str(store.path)]
    assert main(asked) == 1 and "not verified  no word was given" in capsys.readouterr().out
    write_record(folder, {**read_record(folder), "data": "0" * 64})
    assert main(asked) == 3 and "was trained on other data" in capsys.readouterr().err
    assert main(["audit", str(store.path), "--store", str(store.path)]) == 2
    assert "holds no model.json" in capsys.readouterr().err


def test_an_export_and_a_run_without_a_model_are_not_taken_for_stores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exported").mkdir()
    given_away(tmp_path / "exported" / "model", PLANTED["words of few subjects"])
    assert main(["audit", str(tmp_path / "exported")]) == 1
    assert f"give {tmp_path / 'exported' / 'model'}" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}")
    assert main(["audit", str(tmp_path / "run")]) == 1
    assert "has not finished training; go on with: jepa resume" in capsys.readouterr().err


def test_a_damaged_store_is_refused_and_not_taken_for_one_that_is_gone(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = given_away(tmp_path / "run", PLANTED["words of few subjects"])
    facts = {"source": "made", "fingerprint": store.fingerprint, "content": store.content}
    (folder / "manifest.json").write_text(json.dumps({"dataset": facts}))
    copied = store_path(tmp_path / "stores", "made", store.fingerprint)
    shutil.copytree(store.path, copied)
    (copied / "state_value" / "c" / "0").write_bytes(b"of another store")

    assert main(["audit", str(folder)]) == 3
    assert "state_value/c/0 is damaged" in capsys.readouterr().err
