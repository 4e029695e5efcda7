from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from commands import RECIPE, environment
from jepa_core.results.record import read_run

Jepa = Callable[..., subprocess.CompletedProcess[str]]

READING = [
    ("--help",), ("--version",), ("ls",), ("ls", "phases"), ("show", "phase/toy_train"), ("show", "toy.yaml"),
    ("validate", "toy.yaml"), ("plan", "toy.yaml"), ("plugins",),
]  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_commands_import_nothing_slow_and_write_nothing(
    arguments: tuple[str, ...], toy_package: Path, recipe_file: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    script = (
        "import sys\nfrom jepa_core.cli import main\n"
        f"try:\n    code = main({list(arguments)!r})\nexcept SystemExit as stop:\n    code = stop.code\n"
        "print('modules', *sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(toy_package), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    modules = set(done.stderr.split("modules", 1)[1].split())
    assert not modules & {"torch", "numpy", "transformers", "zarr", "duckdb", "matplotlib", "rich"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [one for one in READING if not one[0].startswith("--")], ids=" ".join)
def test_reading_commands_print_json(arguments: tuple[str, ...], jepa: Jepa, recipe_file: Path) -> None:
    assert json.loads(jepa(*arguments, "--json").stdout)


def test_four_mistakes_are_reported_at_once_and_nothing_is_written(jepa: Jepa, tmp_path: Path) -> None:
    wrong = RECIPE.replace("steps: 6", "stepz: 6").replace("use: toy_train", "use: toy_tran")
    wrong = wrong.replace("length: 12", "length: twelve").replace("seed: 1", "seed: 1\nseed: 2")
    (tmp_path / "wrong.yaml").write_text(wrong)
    refused = jepa("run", "wrong.yaml")
    assert refused.returncode == 2
    for text in ("stepz", "did you mean 'steps'", "toy_train", "twelve", "seed", "wrong.yaml:5:1", "^"):
        assert text in refused.stderr
    assert refused.stdout == "" and [path.name for path in tmp_path.iterdir()] == ["wrong.yaml"]


def test_overrides_may_stand_anywhere_and_reach_the_resolved_recipe(
    jepa: Jepa, recipe_file: Path, tmp_path: Path
) -> None:
    done = jepa(
        "run", "toy.yaml", "seed=7", "--out", "run", "curriculum.joint.steps=3", "--quiet", "curriculum.sync=null"
    )
    assert done.returncode == 0, done.stderr
    resolved = (tmp_path / "run" / "recipe.resolved.yaml").read_text()
    assert "seed: 7" in resolved and "name: sync" not in resolved
    assert done.stderr == ""
    assert done.stdout.strip() == "run/report.html"


def test_a_misspelt_override_is_refused_before_anything_is_read(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    refused = jepa("run", "toy.yaml", "curriculum.jiont.steps=3")
    assert refused.returncode == 2 and "joint" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_two_runs_with_one_seed_find_the_same_byte_for_byte_and_another_seed_does_not(
    jepa: Jepa, finished: Path, recipe_file: Path, tmp_path: Path
) -> None:
    for out, seed in (("same", 1), ("other", 2)):
        assert jepa("run", "toy.yaml", "--out", out, f"seed={seed}").returncode == 0
    runs = (finished / "run", tmp_path / "same", tmp_path / "other")
    found = [(run / "findings" / "toy.json").read_bytes() for run in runs]
    assert found[0] == found[1] != found[2]


def test_a_run_needs_no_network(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "blocked"
    package.mkdir()
    (package / "sitecustomize.py").write_text(
        "import socket\ndef refuse(*a, **k):\n    raise OSError('network used')\nsocket.socket.connect = refuse\n"
        "socket.create_connection = refuse\nsocket.getaddrinfo = refuse\n"
    )
    done = jepa("run", "toy.yaml", "--out", "run", packages=(package,))
    assert done.returncode == 0, done.stderr


def test_a_run_folder_that_is_taken_is_refused(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    refused = jepa("run", "toy.yaml", "--out", "run")
    assert refused.returncode == 2 and "run is not empty; name another folder with --out" in refused.stderr
    assert (tmp_path / "run" / "mine.txt").read_text() == "keep"


def test_what_a_run_writes_is_readable_by_its_owner_alone(finished: Path) -> None:
    written = [path for path in finished.rglob("*") if path.name != "toy.yaml"]
    assert {"run", "stores", "report.html", "model.safetensors"} <= {path.name for path in written}
    for path in written:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_loss_that_is_not_finite_stops_the_run_naming_phase_and_step(
    jepa: Jepa, recipe_file: Path, tmp_path: Path
) -> None:
    failed = jepa("run", "toy.yaml", "--out", "run", "curriculum.last.wrong=true")
    assert failed.returncode == 1
    assert "phase 'last'" in failed.stderr and "step 1" in failed.stderr
    assert "jepa run run/recipe.resolved.yaml" in failed.stderr and "jepa resume" not in failed.stderr
    assert "Traceback" not in failed.stderr


def test_resuming_what_is_no_run_says_so(jepa: Jepa, tmp_path: Path) -> None:
    refused = jepa("resume", tmp_path)
    assert refused.returncode == 2 and "not the folder of a run" in refused.stderr


def test_cp_copies_and_never_overwrites(jepa: Jepa, recipe_file: Path, tmp_path: Path) -> None:
    assert jepa("cp", "toy.yaml", "mine.yaml").returncode == 0
    assert (tmp_path / "mine.yaml").read_text() == RECIPE
    refused = jepa("cp", "toy.yaml", "mine.yaml")
    assert refused.returncode == 2 and "left as it is" in refused.stderr


def test_the_report_can_be_written_again(jepa: Jepa, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "run" / "report.html").read_bytes()
    (tmp_path / "run" / "report.html").unlink()
    again = jepa("report", "run")
    assert again.stdout.strip() == "run/report.html" and again.stderr == ""
    assert (tmp_path / "run" / "report.html").read_bytes() == before


def test_a_report_says_where_findings_are_gone_or_nothing_was_evaluated(
    jepa: Jepa, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "run" / "findings" / "toy.json").unlink()
    told = "findings of toy are not there any more; evaluate again with: jepa evaluate run"
    assert told in jepa("report", "run").stderr
    shown = (tmp_path / "run" / "report.html").read_text()
    assert "Findings of toy are not there any more; evaluate again with: jepa evaluate RUN." in shown
    record = read_run(tmp_path / "run")
    never = replace(record, manifest={})
    assert "when the run has finished training" in (never.lacking("run") or "")
    assert "the recipe has no evaluator" in (replace(never, plan={"evaluators": []}).lacking("run") or "")
