"""`jepa plan --time`: how long a run will take here."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jepa_core.errors import RunError
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.runs import memory
from jepa_core.runs.memory import check_disk
from jepa_core.runs.plan import make_plan

Jepa = Callable[..., subprocess.CompletedProcess[str]]


def test_every_part_of_a_run_has_its_seconds_and_its_peak(
    jepa: Jepa, recipe_file: Path, registry: Registry, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file, (), registry)
    done = jepa("plan", recipe_file, "--time", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["time"]
    training = [use.name for use in recipe.curriculum if use.config.steps]
    evaluators = [use.name for use in recipe.evaluators]
    names = [part["part"] for part in told["parts"]]
    assert names[:1] == ["data"] and [name for name in names if name in training] == training
    assert "latents of the frozen encoder" in names and [name for name in names if name in evaluators] == evaluators
    assert all(part["seconds"] > 0 and part["processor_seconds"] > 0 for part in told["parts"])
    assert all(part["peak_bytes"] > 0 and part["how"] for part in told["parts"])
    assert told["seconds"] == pytest.approx(sum(part["seconds"] for part in told["parts"]))
    assert told["parts"][0]["how"] == "made just now"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["stores"], "the run finds its data there"


def test_a_study_tells_what_each_variant_takes_for_the_runs_that_are_left(jepa: Jepa, recipe_file: Path) -> None:
    study = recipe_file.with_name("two.yaml")
    study.write_text(f"base: {recipe_file.name}\nseeds: [0, 1]\nvariants: {{full: {{}}, other: {{}}}}\n")
    done = jepa("plan", study, "--time")
    assert done.returncode == 0, done.stderr
    assert re.search(r"time here, as busy as it is: about .* one run at a time", done.stdout)
    assert re.search(r"full +2 to go, .* each\n +other +2 to go, .* each", done.stdout)


def test_a_plan_without_it_tells_of_it(jepa: Jepa, recipe_file: Path) -> None:
    assert "time: --time tries every part" in jepa("plan", recipe_file).stdout


def test_checkpoints_that_the_disk_cannot_take_are_refused_before_anything_is_made(
    recipe_file: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(load_recipe(recipe_file, (), registry))
    assert plan.disk_bytes is not None and plan.weight_bytes is not None and plan.disk_bytes > 4 * plan.weight_bytes
    check_disk(plan, tmp_path / "not" / "there")
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: type("Usage", (), {"free": plan.disk_bytes - 1}))
    with pytest.raises(RunError, match=r"checkpoints and the model take .* are free on the disk of"):
        check_disk(plan, tmp_path)
    check_disk(replace(plan, disk_bytes=None), tmp_path)
