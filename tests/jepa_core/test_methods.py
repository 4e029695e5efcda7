"""Optimizers and schedules as a recipe names them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jepa_core.plugin import Registry
from jepa_core.rates import MuonConfig, SgdConfig, WarmupStableDecayConfig
from jepa_core.recipe import InvalidRecipe, load_recipe
from jepa_core.runs.plan import make_plan
from jepa_core.training.optimization import make_optimizer
from jepa_core.training.schedules import WarmupStableDecay

JOINT = "curriculum.joint.optimizer"


def test_without_a_use_a_phase_has_adamw_and_a_cosine(recipe_file: Path, registry: Registry) -> None:
    recipe = load_recipe(recipe_file, {f"{JOINT}.predictor_lr": 0.1}, registry)
    joint = recipe.resolved()["curriculum"][1]
    assert joint["optimizer"]["use"] == "adamw" and joint["optimizer"]["predictor_lr"] == 0.1
    assert joint["schedule"]["use"] == "cosine"
    assert "curriculum.warm.optimizer.use" in recipe.origins()
    assert recipe.origins()["curriculum.warm.optimizer.use"] == "default"


def test_another_optimizer_has_none_of_the_keys_that_the_one_before_it_was_given(
    recipe_file: Path, registry: Registry, tmp_path: Path
) -> None:
    below = tmp_path / "below.yaml"
    below.write_text(f"extends: {recipe_file}\ncurriculum: {{joint: {{optimizer: {{betas: [0.5, 0.5]}}}}}}\n")
    joint = load_recipe(below, {f"{JOINT}.use": "sgd"}, registry).curriculum[1]
    assert joint.optimizer.config == SgdConfig()
    kept = load_recipe(below, {f"{JOINT}.use": "adamw"}, registry).curriculum[1]
    assert kept.optimizer.config.betas == (0.5, 0.5)  # type: ignore[attr-defined]


def test_an_unknown_optimizer_and_a_key_of_another_are_told_at_their_places(
    recipe_file: Path, registry: Registry
) -> None:
    with pytest.raises(InvalidRecipe, match="unknown optimizer 'moon'(.|\n)*did you mean 'muon'"):
        load_recipe(recipe_file, {f"{JOINT}.use": "moon"}, registry)
    with pytest.raises(InvalidRecipe, match="unknown key 'momentum' in optimizer 'adamw'"):
        load_recipe(recipe_file, {f"{JOINT}.momentum": 0.9}, registry)


def test_the_plan_counts_what_each_optimizer_keeps(recipe_file: Path, registry: Registry) -> None:
    def joint(**keys: object) -> tuple[int, int]:
        overrides = {f"{JOINT}.{key}": value for key, value in keys.items()}
        phase = make_plan(load_recipe(recipe_file, overrides, registry)).phases[1]
        assert phase.memory_bytes is not None and phase.trained_parameters is not None
        return phase.memory_bytes, phase.trained_parameters

    (with_two, trained), (with_one, _), (with_none, _) = joint(), joint(use="sgd"), joint(use="sgd", momentum=0)
    assert with_two - with_one == with_one - with_none == 4 * trained


def test_muon_moves_matrices_and_adamw_the_rest(make) -> None:
    learner, (built,) = make(("joint", "toy_train", {"steps": 1, "optimizer": MuonConfig()}))
    optimizer = make_optimizer(learner, built)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    kept = {
        name: set(optimizer.state[parameter])
        for name, parameter in [*learner.encoder.named_parameters(), *learner.predictor.named_parameters()]
    }
    assert kept and all((names == {"momentum_buffer"}) == ("bias" not in name) for name, names in kept.items())


@pytest.mark.parametrize("shape", ["linear", "root"])
def test_a_stable_rate_falls_at_the_end_alone(shape: str) -> None:
    config = WarmupStableDecayConfig(warmup=0.1, decay=0.2, final=0.5, shape=shape)
    factors = [WarmupStableDecay(config).factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and set(factors[9:81]) == {1.0} and factors[-1] < 0.53
    assert all(later < earlier for earlier, later in zip(factors[80:], factors[81:], strict=False))
    assert (factors[85] == pytest.approx(0.875)) == (shape == "linear")
