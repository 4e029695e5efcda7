"""Every shipped curriculum, from its recipe to its findings; and the same phases on data of another kind."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from commands import REPOSITORY
from jepa_core.config import LearnerShape
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import InvalidRecipe, Recipe, load_recipe
from jepa_core.runs.pipeline import execute
from jepa_core.runs.plan import HEADS, OWN_MODULE, make_plan
from jepa_core.runs.run import Run

CURRICULA = {
    "clin_jepa": "predictor_warmup joint_refinement ema_alignment hard_sync predictor_finalization",
    "clin_jepa_ungrounded": "predictor_warmup joint_refinement ema_alignment hard_sync predictor_finalization",
    "clin_jepa_sft": "next_token predictor_warmup joint_refinement ema_alignment hard_sync predictor_finalization",
    "sft_baseline": "next_token predictor_finalization",
    "frozen_encoder": "predictor_finalization",
    "vjepa2_ac": "next_token masked_prediction predictor_finalization",
    "masked_trajectory": "masked_prediction predictor_finalization",
    "cotraining": "cotraining",
    "cotraining_sigreg": "cotraining",
    "cotraining_variance_covariance": "cotraining",
}
GROUNDED = "predictor_warmup joint_refinement hard_sync predictor_finalization"
"""Of `physionet2012_grounded` and `cmapss_grounded`: the five without alignment, which was not shown to be needed."""
WITHOUT_TEXT = {name: phases for name, phases in CURRICULA.items() if "next_token" not in phases}
TINY_EVALUATION = (
    "evaluators.rollout_drift.contexts=[4]",
    "evaluators.rollout_drift.horizon=4",
    "evaluators.rollout_drift.bootstrap=100",
    "evaluators.latent_displacement=null",
    "evaluators.decoded_forecast=null",
    "evaluators.risk_tasks=null",
    "evaluators.early_events=null",
)
TINY = (
    "source.synthetic.stays=12",
    "windows.length=12",
    "encoder.random={hidden_size: 16, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, intermediate_size: 32, "
    "vocabulary: 300}",
    "encoder.max_tokens=32",
    "predictor.width=16",
    "predictor.layers=1",
    *TINY_EVALUATION,
)
OSCILLATORS = """\
extends: {parent}
source: {{use: toy}}
windows: {{length: 12, stride: 4, min_length: 3}}
encoder: {{use: toy}}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Everything that is installed, and the toy plugin."""
    installed = importlib.metadata.entry_points(group="jepa")
    return discover([*installed, importlib.metadata.EntryPoint("toy", "toy", "jepa")])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all runs, so that they share a store."""
    return tmp_path_factory.mktemp("runs")


def few_steps(name: str) -> list[str]:
    trained = [phase for phase in CURRICULA[name].split() if phase != "hard_sync"]
    return [f"curriculum.{phase}.{key}=2" for phase in trained for key in ("steps", "batch_size")]


def load(reference: str | Path, name: str, registry: Registry, *overrides: str) -> Recipe:
    return load_recipe(reference, [*few_steps(name), *overrides], registry, environment={})


def run(recipe: Recipe, folder: Path, registry: Registry) -> Path:
    execute(Run.create(folder, recipe, registry, ""))
    return folder


def kept_modules(recipe: Recipe) -> set[str]:
    """Names of the objectives whose modules a run keeps."""
    heads = [
        one for use in recipe.curriculum for one in use.objectives if one.config.module_size(LearnerShape(1, 1, 1))
    ]
    return {one.name for one in heads if one.config.keep}


def check(folder: Path, *kept: str) -> None:
    """A report, findings, and weights of encoder, target and predictor, of the modules of objectives that are kept, and
    of nothing else."""
    assert (folder / "report.html").is_file()
    assert json.loads((folder / "findings" / "latent_collapse.json").read_text())["headlines"]
    assert json.loads((folder / "findings" / "rollout_drift.json").read_text())["tables"]
    model = load_file(folder / "model.safetensors")
    assert {name.split(".")[0] for name in model} - {"objective"} == {"encoder", "target", "predictor"}
    assert {name.split(".")[1] for name in model if name.startswith("objective.")} == set(kept)
    assert all(torch.isfinite(value).all() for value in model.values())


def test_every_shipped_recipe_is_tested_here_or_is_one_of_these_at_another_scale_or_source(registry: Registry) -> None:
    others = {path.stem for path in (REPOSITORY / "recipes").glob("*.yaml")} - set(CURRICULA)
    for name in others:
        phases = [use.component.name for use in load_recipe(name, [], registry, environment={}).curriculum]
        assert " ".join(phases) in {*CURRICULA.values(), GROUNDED}


@pytest.mark.parametrize("name", CURRICULA)
def test_a_shipped_curriculum_is_valid_and_its_plan_counts_what_each_phase_trains(
    name: str, registry: Registry
) -> None:
    recipe = load_recipe(name, [], registry, environment={})
    plan = make_plan(recipe)
    assert [phase.use for phase in plan.phases] == CURRICULA[name].split() and not plan.missing
    for phase, use in zip(plan.phases, recipe.curriculum, strict=True):
        own = use.config.predictor.size(64).trainable if phase.use == "masked_prediction" else 0
        heads = [one.config.module_size(recipe.learner_shape()) for one in use.objectives if phase.steps]
        read = sum(one.trainable for one in heads if one)
        modules = {
            "encoder": plan.encoder.trainable,
            "predictor": plan.predictor.trainable,
            OWN_MODULE: own,
            HEADS: read,
        }
        assert (OWN_MODULE in phase.trains, HEADS in phase.trains) == (own > 0, read > 0)
        assert phase.trained_parameters == sum(modules[module] for module in phase.trains)


@pytest.mark.parametrize("name", CURRICULA)
def test_a_shipped_curriculum_runs_to_its_findings(name: str, registry: Registry, runs: Path) -> None:
    recipe = load(name, name, registry, *TINY)
    check(run(recipe, runs / name, registry), *kept_modules(recipe))


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_the_same_phases_run_on_channels(name: str, registry: Registry, runs: Path, tmp_path: Path) -> None:
    recipe_file = tmp_path / "oscillators.yaml"
    recipe_file.write_text(OSCILLATORS.format(parent=name))
    recipe = load(recipe_file, name, registry, *TINY_EVALUATION)
    assert recipe.encoder.config.modality == "channels"
    check(run(recipe, runs / f"oscillators_{name}", registry), *kept_modules(recipe))


@pytest.mark.parametrize("name", sorted(set(CURRICULA) - set(WITHOUT_TEXT)))
def test_next_token_training_of_an_encoder_that_reads_no_text_is_refused_where_it_stands(
    name: str, registry: Registry, tmp_path: Path
) -> None:
    recipe_file = tmp_path / "oscillators.yaml"
    recipe_file.write_text(OSCILLATORS.format(parent=name))
    with pytest.raises(InvalidRecipe) as refused:
        load_recipe(recipe_file, [], registry, environment={})
    (problem,) = refused.value.to_list()
    assert Path(problem["file"]).name == f"{name}.yaml" and problem["line"] > 1
    assert problem["message"] == "phase 'next_token' needs an encoder that offers next_token_loss, and 'toy' does not"
    assert "qwen3" in problem["hint"]
