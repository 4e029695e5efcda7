"""What is said before memory runs out, and when it did."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jepa_core.errors import RunError
from jepa_core.plugin import Registry
from jepa_core.recipe import load_recipe
from jepa_core.runs import memory
from jepa_core.runs.memory import check_memory
from jepa_core.runs.plan import PartPlan, Plan, make_plan
from jepa_core.training.memory import memory_errors

CPU = torch.device("cpu")


@pytest.fixture
def plan(recipe_file: Path, registry: Registry) -> Plan:
    return make_plan(load_recipe(recipe_file, [], registry))


def told(plan: Plan, free: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    with caplog.at_level(logging.WARNING, logger="jepa"):
        check_memory(plan, CPU)
    return caplog.text


def test_the_weights_are_those_of_both_models_and_the_target(plan: Plan) -> None:
    assert plan.encoder.trainable and plan.predictor.parameters
    assert plan.weight_bytes == 4 * (2 * plan.encoder.trainable + plan.predictor.parameters)


def test_weights_that_do_not_fit_stop_the_run_before_they_are_loaded(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        RunError, match=r"the weights take [\d.]+ [KM]iB, and [\d.]+ [KM]iB are free on the cpu; choose"
    ):
        told(plan, (plan.weight_bytes or 0) - 1, monkeypatch, caplog)


def test_a_phase_that_may_not_fit_is_named_with_what_takes_less(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    most = plan.memory_bytes or 0
    assert "phase 'joint' may take" in told(plan, most - 1, monkeypatch, caplog)
    assert "batch_size" in caplog.text and "gradient_checkpointing" in caplog.text
    caplog.clear()
    assert told(without_evaluators(plan), most, monkeypatch, caplog) == ""


def without_evaluators(plan: Plan) -> Plan:
    return replace(plan, parts=[])


def test_an_evaluator_that_may_not_fit_is_named_with_what_takes_less(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from jepa_core.cli.pages import plan_text

    free = 100 * (plan.memory_bytes or 0)
    name = plan.evaluators[0]
    many = replace(plan, parts=[PartPlan(name, free)], memory_here_bytes=free)
    assert f"evaluator '{name}' may take up to" in told(many, free, monkeypatch, caplog)
    assert "fewer of the rows or steps that it fits to" in caplog.text
    assert f"may not fit into the memory of processors here: evaluator '{name}' up to" in plan_text(many)
    few = replace(many, parts=[PartPlan(name, free - (plan.weight_bytes or 0))])
    assert "may not fit" not in plan_text(few)
    caplog.clear()
    assert told(few, free, monkeypatch, caplog) == ""


def test_processes_of_a_machine_share_its_memory_and_divide_the_windows_of_a_step(
    plan: Plan, recipe_file: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = plan.weight_bytes or 0
    monkeypatch.setattr(memory, "free_memory", lambda: 3 * weights - 1)
    check_memory(plan, CPU, sharing=2)
    with pytest.raises(RunError, match="in each of 3 processes.*divide what is frozen"):
        check_memory(plan, CPU, sharing=3)
    recipe = load_recipe(recipe_file, [], registry)
    of_two, accumulated = make_plan(recipe, 2), recipe_with_parts(recipe_file, registry, 2)
    for number, phase in enumerate(plan.phases):
        if phase.steps:
            assert weights < (of_two.phases[number].memory_bytes or 0) < (phase.memory_bytes or 0)
    assert accumulated.phases[1].memory_bytes == of_two.phases[1].memory_bytes
    assert of_two.weight_bytes == weights, "nothing is divided that the recipe does not say so"


def test_a_plan_counts_the_gradients_that_each_process_sends(plan: Plan, recipe_file: Path, registry: Registry) -> None:
    from jepa_core.cli.pages import plan_text

    recipe = load_recipe(recipe_file, [], registry)
    of_two, of_64 = make_plan(recipe, 2), make_plan(recipe, 64)
    for alone, pair, many in zip(plan.phases, of_two.phases, of_64.phases, strict=True):
        trained = 4 * (alone.trained_parameters or 0) if alone.steps else 0
        assert (alone.sent_bytes, pair.sent_bytes, many.sent_bytes) == (0, trained, 2 * 63 * trained // 64)
    assert "each process sends" in plan_text(of_64) and "sends" not in plan_text(plan)


def recipe_with_parts(recipe_file: Path, registry: Registry, parts: int) -> Plan:
    return make_plan(load_recipe(recipe_file, [f"curriculum.joint.accumulate={parts}"], registry))


def test_a_plan_says_what_does_not_fit_here_and_what_each_part_holds(plan: Plan) -> None:
    from jepa_core.cli.pages import plan_text

    assert "does not fit" not in plan_text(replace(plan, memory_here_bytes=10 * (plan.weight_bytes or 0)))
    told_of_many = plan_text(replace(plan, memory_here_bytes=10 * (plan.weight_bytes or 0), processes=11))
    assert "does not fit into the memory of processors here" in told_of_many
    assert "of each of 11 processes" in told_of_many
    assert {part.name for part in plan.parts} > {*plan.evaluators}


def test_nothing_is_said_where_nothing_is_known(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(plan, None, monkeypatch, caplog) == told(replace(plan, weight_bytes=None), 1, monkeypatch, caplog) == ""


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_running_out_of_memory_says_when_and_what_takes_less(error: Exception) -> None:
    with (
        pytest.raises(RunError, match=r"out of memory during phase 'joint'; .*batch_size"),
        memory_errors("phase 'joint'"),
    ):
        raise error


def test_the_allocator_of_the_cpu_is_understood() -> None:
    with pytest.raises(RunError, match="out of memory during"), memory_errors("phase 'joint'"):
        torch.empty(1 << 60, dtype=torch.uint8)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes") as passed, memory_errors("phase 'joint'"):
        raise RuntimeError("shapes do not fit")
    assert not isinstance(passed.value, RunError)


def test_a_run_that_stops_for_memory_says_how_to_go_on(
    jepa: Callable[..., subprocess.CompletedProcess[str]], recipe_file: Path, tmp_path: Path
) -> None:
    recipe_file.write_text(recipe_file.read_text().replace("name: joint,", "name: joint, greedy: true,"))
    done = jepa("run", recipe_file, "--out", tmp_path / "out")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "out of memory during phase 'joint'" in done.stderr and f"jepa resume {tmp_path / 'out'}" in done.stderr
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["weight_bytes"] > 0
