"""What grounding costs: processor time of an optimizer step of a recipe's phases with it and without it, on one thread.

    export PHYSIONET2012=/path/to/physionet2012
    python benchmarks/grounding.py [RECIPE] [KEY=VALUE ...] [--steps 10] [--rounds 3] [--json]
    python benchmarks/grounding.py physionet2012 \\
        'curriculum.joint_refinement.objectives=[{use: variance_covariance}, {use: grounding, weight: 4}]' \\
        'curriculum.predictor_finalization.objectives=[{use: grounding}]'

The same phases, encoder, predictor and batches; without it, objectives that read observations are left out. Both are
timed in turn; of each phase the best round counts, and the total weighs phases by the recipe's steps.

Exit code 1 if the total with grounding over that without is above --most-ratio (1.3).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from jepa_core.config import ObjectiveConfig
from jepa_core.plugin import shared_registry
from jepa_core.recipe import PhaseUse, Use, load_recipe
from jepa_core.runs.learners import build_learner, built_phase
from jepa_core.runs.pipeline import dataset_of
from jepa_core.runs.run import Run
from jepa_core.training.curriculum import run_curriculum


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    recipe = load_recipe(options.recipe, options.changes, shared_registry())
    phases = [use for use in recipe.curriculum if use.config.steps]
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", recipe, shared_registry(), "")
        dataset = dataset_of(run)
        learner, _ = build_learner(run, dataset)
        cut = recipe.windows
        windows = dataset.windows("train", cut.length, cut.stride, cut.min_length)

        def milliseconds(use: PhaseUse) -> float:
            shorter = replace(use, config=use.config.model_copy(update={"steps": options.steps}))
            start = time.process_time()
            run_curriculum([built_phase(shorter)], learner, windows, recipe.seed)
            return 1000 * (time.process_time() - start) / options.steps

        rounds = [
            {way: [milliseconds(use) for use in uses] for way, uses in ways(phases).items()}
            for _ in range(options.rounds)
        ]
    result = summary(phases, {way: list(map(min, *(taken[way] for taken in rounds))) for way in rounds[0]})
    print(
        json.dumps(result) if options.json else "\n".join(f"{name:<42} {value:8.2f}" for name, value in result.items())
    )
    return 0 if result["with over without"] <= options.most_ratio else 1


def ways(phases: list[PhaseUse]) -> dict[str, list[PhaseUse]]:
    """The phases as they are, and without the objectives that read observations."""
    return {"with": phases, "without": [replace(use, objectives=tuple(_blind(use))) for use in phases]}


def _blind(use: PhaseUse) -> list[Use[ObjectiveConfig]]:
    return [objective for objective in use.objectives if not objective.config.observes]


def summary(phases: list[PhaseUse], best: dict[str, list[float]]) -> dict[str, float]:
    """Milliseconds of a step by phase, of all steps in the mean, and the ratio."""
    told = {
        f"{use.name}, {way}: ms a step": value
        for way, values in best.items()
        for use, value in zip(phases, values, strict=True)
    }
    steps = [use.config.steps for use in phases]
    mean = {way: sum(map(lambda a, b: a * b, steps, values)) / sum(steps) for way, values in best.items()}
    return told | {"with over without": mean["with"] / mean["without"]}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="physionet2012_grounded")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=10, help="of each phase in a round")
    parser.add_argument("--rounds", type=int, default=3, choices=range(2, 100), metavar="N", help="2 or more")
    parser.add_argument("--most-ratio", type=float, default=1.3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
