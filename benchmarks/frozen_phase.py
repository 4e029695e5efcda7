"""A phase whose encoder is frozen, after its first pass over the data, against the predictor step alone, on one thread.

    python benchmarks/frozen_phase.py [--stays 60] [--steps 40] [--json]

Three ways to do the same steps of predictor warm-up, timed in turn in one process, three rounds, the best round of
each:

    alone      forward, loss, backward, clip, AdamW on latents that lie in memory: the least work there is
    cached     the phase as the curriculum runs it, its latents taken from the cache that the first pass filled
    encoding   the same, encoding every step's texts again, as the published reference does

Exit code 1 if cached / alone is above --most-ratio (1.2).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from jepa_core.contracts import Batch, Latents, Listener
from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.plugin import shared_registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.runs.learners import built_phase
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner
from jepa_core.training.optimization import make_optimizer

ROUNDS = 3


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    overrides = [f"source.synthetic.stays={options.stays}", f"curriculum.predictor_warmup.steps={options.steps}"]
    recipe = load_recipe("clin_jepa", overrides, shared_registry())
    with tempfile.TemporaryDirectory() as folder:
        learner, built, windows = build(recipe, Path(folder))
        learner.begin(built.config.trains)
        prepared = Prepared(learner, built, windows, recipe.seed)  # this first pass fills the cache
        ways = {
            "alone": lambda: alone(prepared, learner, built),
            "cached": lambda: run_curriculum([built], learner, windows, recipe.seed),
            "encoding": lambda: encoding(learner, built, windows, recipe.seed),
        }
        seconds = {
            name: min(timed(way) for _ in range(ROUNDS if name != "encoding" else 1)) for name, way in ways.items()
        }
    result = {f"{name}_ms_per_step": 1000 * value / options.steps for name, value in seconds.items()}
    result |= {
        "cached_over_alone": seconds["cached"] / seconds["alone"],
        "encoding_over_cached": seconds["encoding"] / seconds["cached"],
    }
    print(
        json.dumps(result) if options.json else "\n".join(f"{name:<22} {value:8.2f}" for name, value in result.items())
    )
    return 0 if result["cached_over_alone"] <= options.most_ratio else 1


def build(recipe: Recipe, folder: Path) -> tuple[Learner, BuiltPhase, Windows]:
    source = recipe.source.build()
    dataset = Dataset.open(open_store(source, "mimic_iv", folder), source, "text")
    encoder = recipe.encoder.build(recipe.item_shape())
    encoder.fit(dataset.training_items())
    predictor = recipe.predictor.build(encoder.latent_dim)
    built = built_phase(recipe.curriculum[0])
    windows = dataset.windows("train", recipe.windows.length, recipe.windows.stride, recipe.windows.min_length)
    return Learner(encoder, predictor, dataset, torch.device("cpu"), folder), built, windows


class Prepared:
    """Stands in for the learner: hands a phase the latents of a step, which lie in memory already."""

    def __init__(self, learner: Learner, built: BuiltPhase, windows: Windows, seed: int) -> None:
        order = WindowOrder(len(windows), built.config.batch_size, seed, built.name)
        batches = [learner.dataset.batch(windows, order.batch(step)) for step in range(built.config.steps)]
        self.batches = batches
        self.predictor = learner.predictor
        self._latents = {id(batch): learner.latents(batch) for batch in batches}

    def latents(self, batch: Batch) -> Latents:
        return self._latents[id(batch)]


def alone(prepared: Prepared, learner: Learner, built: BuiltPhase) -> None:
    """The phase's own steps and nothing around them."""
    optimizer = make_optimizer(learner, built)
    for batch in prepared.batches:
        loss = torch.stack(list(built.phase.loss(prepared, batch, torch.Generator()).values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.predictor.parameters(), built.optimizer.config.predictor_clip)
        optimizer.step()
        optimizer.zero_grad()


def encoding(learner: Learner, built: BuiltPhase, windows: Windows, seed: int) -> None:
    """The phase with its cache emptied before every step."""

    class Emptying(Listener):
        """Empties the cache at every turn."""

        def phase_started(self, progress: Progress) -> None:
            learner.begin(frozenset({"encoder"}))
            learner.begin(built.config.trains)

        step_ended = phase_started

    run_curriculum([built], learner, windows, seed, [Emptying()])


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=60)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--most-ratio", type=float, default=1.2)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
