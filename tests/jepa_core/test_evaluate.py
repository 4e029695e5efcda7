"""Evaluating a finished run again: what is measured, what is replaced, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE, environment
from jepa_core.io.records import write_sealed

Jepa = Callable[..., subprocess.CompletedProcess[str]]

OTHER = RECIPE.replace("evaluators:\n  - use: toy\n", "evaluators:\n  - {use: toy, name: tuned, split: tuning}\n")


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with its stores beside it."""
    for name in ("run", "stores"):
        shutil.copytree(finished / name, tmp_path / name)
    return tmp_path / "run"


def files(run: Path, *folders: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for folder in folders for path in sorted((run / folder).glob("*"))}


def manifest(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


def test_an_evaluator_with_the_same_settings_finds_the_same_bytes(jepa: Jepa, run: Path) -> None:
    before, trained = files(run, "findings", "samples"), (run / "model.safetensors").read_bytes()
    metrics, ended = (run / "metrics.jsonl").read_bytes(), manifest(run)["ended"]
    assert before
    (run / "findings" / "toy.json").write_text("{}")
    done = jepa("evaluate", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "run/report.html"
    assert files(run, "findings", "samples") == before
    assert (run / "model.safetensors").read_bytes() == trained and (run / "metrics.jsonl").read_bytes() == metrics
    assert manifest(run)["ended"] == ended
    assert manifest(run)["evaluated"]["toy"]["command"][1:] == ["evaluate", "run"]


def test_other_settings_replace_the_findings_and_are_noted_and_reported(jepa: Jepa, run: Path) -> None:
    before = files(run, "findings")
    assert jepa("evaluate", "run", "evaluators.toy.split=train").returncode == 0
    assert files(run, "findings") != before
    assert manifest(run)["evaluated"]["toy"]["settings"]["split"] == "train"
    page = (run / "report.html").read_text()
    assert "Toy, as it was evaluated since" in page and "<dd>train</dd>" in page
    assert jepa("evaluate", "run").returncode == 0
    assert files(run, "findings") == before
    assert "as it was evaluated since" not in (run / "report.html").read_text()


def test_the_evaluators_of_another_recipe_are_added_and_the_others_kept(jepa: Jepa, run: Path, tmp_path: Path) -> None:
    before = files(run, "findings")
    (tmp_path / "other.yaml").write_text(OTHER)
    assert jepa("evaluate", "run", "--recipe", "other.yaml").returncode == 0
    after = files(run, "findings")
    assert after.keys() == before.keys() | {"tuned.json"}
    assert all(after[name] == content for name, content in before.items())
    assert "<h2>Tuned</h2>" in (run / "report.html").read_text()
    assert (run / "tables" / "tuned.errors.csv").is_file()


def test_the_store_is_enough_and_the_run_may_be_opened_afterwards(jepa: Jepa, run: Path) -> None:
    assert jepa("evaluate", "run").returncode == 0
    resumed = jepa("resume", "run")
    assert resumed.returncode == 0, resumed.stderr


def test_data_that_changed_are_refused_and_nothing_is_lost(jepa: Jepa, run: Path) -> None:
    before = files(run, "findings", "tables")
    noted = manifest(run)
    noted["dataset"]["content"] = "0" * 64
    write_sealed(run / "manifest.json", noted)
    refused = jepa("evaluate", "run")
    assert refused.returncode == 3 and "does not hold the data that the run was on" in refused.stderr
    assert files(run, "findings", "tables") == before


def test_a_store_that_is_gone_is_not_replaced_by_that_of_other_raw_data(jepa: Jepa, run: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "stores")
    noted = manifest(run)
    noted["dataset"]["fingerprint"] = "other0000000"
    write_sealed(run / "manifest.json", noted)
    refused = jepa("evaluate", "run")
    assert refused.returncode == 3 and "the raw data have changed since" in refused.stderr
    assert not list((tmp_path / "stores").glob("toy-*"))


def noted(run: Path, change: Callable[[dict], object]) -> None:
    """Change what a run's manifest says."""
    content = manifest(run)
    change(content)
    write_sealed(run / "manifest.json", content)


def test_other_values_with_the_same_settings_are_told_and_other_words_are_not(jepa: Jepa, run: Path) -> None:
    path = run / "findings" / "toy.json"
    whole = path.read_text()
    found = json.loads(whole)
    found["headlines"][0]["label"] += ", in other words"
    path.write_text(json.dumps(found))
    assert "other values" not in jepa("evaluate", "run").stderr
    found["headlines"][0]["value"] += 1e-9
    path.write_text(json.dumps(found))
    told = jepa("evaluate", "run")
    assert told.returncode == 0 and "toy found other values than before with the same settings" in told.stderr
    assert path.read_text() == whole


def test_a_run_of_a_version_whose_numbers_mean_something_else_is_told_and_not_gone_on_with(
    jepa: Jepa, run: Path
) -> None:
    noted(run, lambda content: content.pop("meaning"))
    told = jepa("evaluate", "run")
    assert (
        told.returncode == 0 and "meaning 1 in manifest.json" in told.stderr and "is not to be compared" in told.stderr
    )
    refused = jepa("resume", "run")
    assert refused.returncode == 2 and "meaning 1 in manifest.json" in refused.stderr
    assert "run its recipe again: jepa run run/recipe.resolved.yaml" in refused.stderr


def test_a_model_does_not_read_what_is_rendered_in_another_way_than_it_was_trained_on(jepa: Jepa, run: Path) -> None:
    before = files(run, "findings")
    noted(run, lambda content: content["dataset"].update(rendering="0" * 64))
    for command in ("evaluate", "resume"):
        refused = jepa(command, "run")
        assert refused.returncode == 3 and "rendered in another way" in refused.stderr
        assert "go on with: jepa resume" not in refused.stderr
    assert "begin anew with other settings: jepa run run/recipe.resolved.yaml KEY=VALUE" in refused.stderr
    assert files(run, "findings") == before


@pytest.mark.parametrize("change", ["seed=2", "curriculum.joint.steps=3", "evaluators=null"])
def test_only_evaluators_can_be_set_otherwise(jepa: Jepa, run: Path, change: str) -> None:
    refused = jepa("evaluate", "run", change)
    assert refused.returncode == 2 and change in refused.stderr and "start a new run" in refused.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [("evaluators.toi.split=train", "toy"), ("evaluators.toy.spilt=train", "split"), ("evaluators.toy=null", "left")],
)
def test_a_misspelt_evaluator_or_key_is_refused(jepa: Jepa, run: Path, change: str, said: str) -> None:
    before = files(run, "findings")
    refused = jepa("evaluate", "run", change)
    assert refused.returncode == 2 and said in refused.stderr
    assert files(run, "findings") == before


def test_a_run_that_has_not_finished_training_is_told_to_go_on(jepa: Jepa, run: Path) -> None:
    (run / "model.safetensors").unlink()
    refused = jepa("evaluate", "run")
    assert refused.returncode == 1 and "jepa resume run" in refused.stderr


def test_a_damaged_model_is_one_clear_error(jepa: Jepa, run: Path) -> None:
    model = run / "model.safetensors"
    whole = model.read_bytes()
    for damaged in (whole[:-20], whole[:-1] + bytes([whole[-1] ^ 1])):
        model.write_bytes(damaged)
        refused = jepa("evaluate", "run")
        assert refused.returncode == 3 and "is damaged" in refused.stderr and "Traceback" not in refused.stderr


def test_runs_are_listed_with_their_figures_and_a_damaged_one_does_not_hide_the_others(jepa: Jepa, run: Path) -> None:
    damaged = run.parent / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    listed = json.loads(jepa("runs", ".", "--json").stdout)["runs"]
    by_name = {one["name"]: one for one in listed}
    assert by_name["damaged"]["status"] == "damaged" and "manifest.json" in by_name["damaged"]["problem"]
    found = by_name["run"]
    noted = manifest(run)
    assert (found["status"], found["recipe"], found["seed"]) == ("finished", "toy", 1)
    assert found["data"] == noted["dataset"]["fingerprint"]
    assert found["headlines"][0]["label"] == "one-step error"
    text = jepa("runs", ".").stdout
    assert "one-step error" in text and noted["dataset"]["fingerprint"][:12] in text


def test_a_run_without_an_end_is_stopped_and_one_that_is_held_is_running(jepa: Jepa, run: Path) -> None:
    import fcntl

    noted = {key: value for key, value in manifest(run).items() if key != "ended"}
    write_sealed(run / "manifest.json", noted)

    def status() -> str:
        return json.loads(jepa("runs", ".", "--json").stdout)["runs"][0]["status"]

    assert status() == "stopped"
    with (run / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert status() == "running"


def test_a_folder_that_is_not_there_is_refused(jepa: Jepa, tmp_path: Path) -> None:
    refused = jepa("runs", "nowhere")
    assert refused.returncode == 2 and "nowhere" in refused.stderr


def test_listing_runs_imports_nothing_slow(toy_package: Path, run: Path) -> None:
    script = "import sys\nfrom jepa_core.cli import main\nmain(['runs', '.'])\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(toy_package), cwd=run.parent, capture_output=True, text=True
    )
    assert "one-step error" in done.stdout
    assert not set(done.stderr.split()) & {"torch", "numpy", "zarr", "matplotlib", "pyarrow", "rich"}
