"""Prediction tasks in a whole run, on data that have nothing to predict."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from commands import RECIPE
from jepa_core.errors import DataError
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import InvalidRecipe, load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover([EntryPoint(name, name, "jepa") for name in ("toy", "jepa_downstream")])


def recipe(folder: Path, registry: Registry, task: str):
    path = folder / "mine.yaml"
    path.write_text(RECIPE.replace("  - use: toy\n", f"  - {{use: prediction_tasks, tasks: [{task}]}}\n"))
    return load_recipe(path, [], registry)


def test_a_name_that_the_store_does_not_have_ends_the_run_before_training(tmp_path, registry):
    run = Run.create(tmp_path / "run", recipe(tmp_path, registry, "{outcome: missing, after: 3}"), registry, "")

    with pytest.raises(DataError, match="no outcome 'missing'; it has pushed"):
        execute(run)

    assert (tmp_path / "run" / "plan.json").is_file() and not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{outcome: bad}", "a task of the sort outcome needs the key after"),
        ("{event: bad, horizon: 3, after: 3}", "a task of the sort event has no key after"),
        ("{label: life, outcome: bad, after: 3}", "this one has 2 of them"),
        ("", "tasks is empty"),
        ("{event: bad, horizn: 3}", "did you mean 'horizon'?"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_where_it_stands(tmp_path, registry, task, message):
    with pytest.raises(InvalidRecipe) as refused:
        recipe(tmp_path, registry, task)
    assert message in str(refused.value) and "mine.yaml:15" in str(refused.value)
