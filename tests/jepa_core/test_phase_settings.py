"""Parameters that train by pattern, and further streams of windows."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
import torch

from commands import REPOSITORY
from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import InvalidRecipe, load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.plan import make_plan
from jepa_core.runs.run import Run
from jepa_core.testing import checks_of, run_check
from jepa_core.training.curriculum import run_curriculum

PAGE = (REPOSITORY / "docs" / "curricula.md").read_text()


def changed_by(make, only: tuple[str, ...]) -> set[str]:
    """Names of the weights that a phase which trains both changes, the target's left out."""
    learner, phases = make(("joint", "toy_train", {"steps": 3, "batch_size": 4, "only": only}))
    before = {name: value.detach().clone() for name, value in learner.weights()}
    run_curriculum(phases, learner, learner.dataset.windows("train", 12, 4, 3), 0)
    after = dict(learner.weights())
    return {name for name in before if not torch.equal(before[name], after[name]) and "target" not in name}


def test_only_what_a_pattern_names_trains(make) -> None:
    everything = changed_by(make, ("*",))
    assert {name.partition(".")[0] for name in everything} == {"encoder", "predictor"}
    weights = changed_by(make, ("encoder.*weight", "predictor.*bias*"))
    assert weights == {
        name
        for name in everything
        if (name.startswith("encoder") and name.endswith("weight")) or (name.startswith("predictor") and "bias" in name)
    }


def test_a_pattern_that_matches_nothing_is_refused_before_anything_trains(make) -> None:
    with pytest.raises(RecipeError, match=r"is called 'encoder.lyaers.\*' .*names that come near are encoder\."):
        changed_by(make, ("encoder.lyaers.*", "predictor.*"))


def test_the_plan_counts_what_patterns_choose(make, recipe_file: Path, registry: Registry) -> None:
    learner, _ = make()
    chosen = learner.chosen({"encoder", "predictor"}, ["encoder.*", "predictor.*bias*"])
    overrides = {"curriculum.joint.only": ["encoder.*", "predictor.*bias*"]}
    joint = make_plan(load_recipe(recipe_file, overrides, registry)).phases[1]
    assert joint.trained_parameters == sum(parameter.numel() for parameter in chosen.values())
    everything = make_plan(load_recipe(recipe_file, {"curriculum.joint.only": ["encoder.*", "predictor.*"]}, registry))
    assert (
        everything.phases[1].trained_parameters
        == make_plan(load_recipe(recipe_file, (), registry)).phases[1].trained_parameters
    )


def test_the_plan_refuses_a_pattern_that_matches_nothing(recipe_file: Path, registry: Registry) -> None:
    recipe = load_recipe(recipe_file, {"curriculum.joint.only": ["encodr.*", "predictor.*"]}, registry)
    with pytest.raises(RecipeError, match=r"is called 'encodr.\*' \(curriculum.joint.only\); .* near are encoder\."):
        make_plan(recipe)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The toy plugin, and the phase that the page shows."""
    for name in ("far.py", "far_phase.py"):
        (shown,) = re.findall(rf"```python\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
        (tmp_path / name).write_text(shown)
    monkeypatch.syspath_prepend(tmp_path)
    return discover([importlib.metadata.EntryPoint(name, name, "jepa") for name in ("far", "toy")])


FAR = "curriculum.warm={use: far, steps: 4, batch_size: 4, validation: {every: 2}, long: {length: 20, batch_size: 2}}"


def test_a_phase_reads_a_further_stream_of_longer_windows(far: Registry, recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file, [FAR, "curriculum.joint=null", "curriculum.last=null"], far)
    run = Run.create(tmp_path / "run", recipe, far, "")
    seen = []
    (phase,) = (use for use in recipe.curriculum if use.name == "warm")
    original = phase.component.load().error

    def error(self, learner, batch):
        seen.append(tuple(batch.mask.shape))
        return original(self, learner, batch)

    phase.component.load().error = error
    execute(run)
    long, own = seen[0::2], seen[1::2]
    assert {shape[0] for shape in long[:2]} == {2} and max(steps for _, steps in long) == 20
    assert {steps for _, steps in own} == {12} and len(own) > 4, "validations read the streams too"


def test_the_phase_of_the_page_passes_every_check(far: Registry) -> None:
    results = [run_check(check) for check in checks_of(far.component("phase", "far"))]
    failed = [result for result in results if result.outcome == "fail"]
    # its two modules stand in one folder, which is not installed: their imports are looked at elsewhere
    assert [result for result in failed if result.check != "check_declared_without_heavy_imports"] == []
    assert any(result.check == "check_streams_read" and result.outcome == "pass" for result in results)


def test_a_stream_of_windows_that_are_too_long_is_refused(recipe_file: Path, far: Registry) -> None:
    from jepa_clin.config import ActionTransformerConfig

    assert ActionTransformerConfig(max_steps=24).longest_window == 24
    registry = discover([importlib.metadata.EntryPoint(name, name, "jepa") for name in ("far", "toy", "jepa_clin")])
    changes = [FAR, "predictor={use: action_transformer, max_steps: 16}"]
    with pytest.raises(InvalidRecipe, match="windows of 20 steps are longer than the predictor"):
        load_recipe(recipe_file, changes, registry)
