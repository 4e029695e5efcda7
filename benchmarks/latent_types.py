"""What keeping the latents of a frozen encoder in 16 bits costs the rollout.

    python benchmarks/latent_types.py [--steps 200] [--seeds 3] [--json] [KEY=VALUE ...]

For each seed the recipe `clin_jepa` with the given changes trains up to its last phase, once. From the same weights the
last phase then trains the predictor on latents that are kept in fp32, fp16 and bf16 (`runtime.latent_cache_type`), and
`rollout_drift` measures it on the tuning split, with latents kept in the same type. Told is the l1 at the first and the
last horizon, over persistence too, and the skill horizon.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jepa_core.contracts import Evaluation
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.data.preparation import open_store
from jepa_core.plugin import shared_registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.results.findings import Findings
from jepa_core.runs.learners import built_phase
from jepa_core.training.curriculum import run_curriculum
from jepa_core.training.latent_cache import TYPES
from jepa_core.training.learner import Learner


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        overrides = [*options.overrides, f"seed={seed}", f"curriculum.predictor_finalization.steps={options.steps}"]
        recipe = load_recipe("clin_jepa", overrides, shared_registry())
        with tempfile.TemporaryDirectory() as folder:
            rows += [{"seed": seed, **row} for row in measured(recipe, Path(folder))]
        print("\n".join(json.dumps(row) for row in rows[-len(TYPES) :]) if options.json else table(rows[-len(TYPES) :]))


def measured(recipe: Recipe, folder: Path) -> list[dict[str, Any]]:
    """A row for each type."""
    source = recipe.source.build()
    dataset = Dataset.open(open_store(source, "mimic_iv", folder), source, "text")
    cut = recipe.windows
    windows = dataset.windows("train", cut.length, cut.stride, cut.min_length)
    *early, last = (built_phase(use) for use in recipe.curriculum)
    before = learner_of(recipe, dataset, folder, "fp32")
    run_curriculum(early, before, windows, recipe.seed)
    weights = {name: value.detach().clone() for name, value in before.weights()}
    rows = []
    for kept in TYPES:
        learner = learner_of(recipe, dataset, folder, kept)
        learner.load_weights(weights)
        run_curriculum([last], learner, windows, recipe.seed)
        rows.append({"type": kept, **rollout(recipe, learner)})
    return rows


def learner_of(recipe: Recipe, dataset: Dataset, folder: Path, kept: str) -> Learner:
    source = recipe.source.build()
    torch.manual_seed(recipe.seed)
    encoder = recipe.encoder.build(recipe.item_shape())
    encoder.fit(dataset.training_items())
    torch.manual_seed(recipe.seed + 1)
    predictor = recipe.predictor.build(encoder.latent_dim)
    numbers = Observer(lambda: Dataset.open(dataset.store, source, "channels"), recipe.source.config.observations())
    return Learner(encoder, predictor, dataset, torch.device("cpu"), folder, observer=numbers, cached_as=TYPES[kept])


def rollout(recipe: Recipe, learner: Learner) -> dict[str, float]:
    (use,) = (evaluator for evaluator in recipe.evaluators if evaluator.component.name == "rollout_drift")
    config = use.config.model_copy(update={"split": "tuning", "untrained": False, "bootstrap": 100})
    evaluation = Evaluation(learner, recipe.windows.length, recipe.seed, untrained=None)
    return read(replace(use, config=config).build().evaluate(evaluation))


def read(findings: Findings) -> dict[str, float]:
    """Of the shortest context."""
    horizons, contexts = (rows_of(findings, name) for name in ("horizons", "contexts"))
    context = contexts[0]["context"]
    l1 = {row["h"]: row["l1"] for row in horizons if row["context"] == context and row["forecast"] == "rollout"}
    told = ("longest_h", "skill_horizon", "skill_horizon_low", "skill_horizon_high", "l1_over_persistence")
    return {"context": context, "l1": l1[1], "l1_longest": l1[max(l1)], **{name: contexts[0][name] for name in told}}


def rows_of(findings: Findings, name: str) -> list[dict[str, Any]]:
    (wanted_table,) = (table_of for table_of in findings.tables if table_of.name == name)
    return [dict(zip((column.name for column in wanted_table.columns), row, strict=True)) for row in wanted_table.rows]


def table(rows: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"seed {row['seed']}  {row['type']}  l1 at h = 1 {row['l1']:.6f}, "
        f"at h = {row['longest_h']:g} {row['l1_longest']:.6f} "
        f"({row['l1_over_persistence']:.4f} of persistence), skill horizon {row['skill_horizon']:g} "
        f"({row['skill_horizon_low']:g} to {row['skill_horizon_high']:g})"
        for row in rows
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    parser.add_argument("--steps", type=int, default=200, help="of the last phase")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
