"""How latents fare over a long training: scale, spread, rank and forecast on held-back windows, as the steps go by.

    python benchmarks/long_run.py OUT.jsonl [--every 500] [KEY=VALUE ...]

The curriculum of the recipe `clin_jepa` with the given changes runs from beginning to end. Every so many steps, and
where a phase begins and ends, a line is written of the same windows of the tuning split:

    scale        root mean square of the latents of states; spread: their standard deviation, mean over dimensions
    least        that of the dimension that varies least; rank: effective rank of the latents
    between      share of the variance that lies between windows, not within them
    from_target  mean absolute difference to the EMA target, over spread
    ahead        error of the predictor one step ahead, mean absolute, over spread
    persistence  that of the last latent; ratio: ahead / persistence
    weights      norm of the encoder's trainable weights
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from hidden_severity import build

from jepa_core.contracts import Batch, Latents, Listener
from jepa_core.data.windows import Windows
from jepa_core.plugin import shared_registry
from jepa_core.recipe import load_recipe
from jepa_core.results.statistics import effective_rank
from jepa_core.runs.learners import built_phase
from jepa_core.training.curriculum import Progress, run_curriculum
from jepa_core.training.learner import Learner

WATCHED = 64
"""Windows of the tuning split that are looked at."""


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    recipe = load_recipe("clin_jepa", options.overrides, shared_registry())
    with tempfile.TemporaryDirectory() as folder:
        dataset, learner = build(recipe, Path(folder))
        cut = recipe.windows
        train, tuning = (
            dataset.windows(split, cut.length, cut.stride, cut.min_length) for split in ("train", "tuning")
        )
        watcher = Watcher(learner, tuning, options.every, options.out)
        run_curriculum([built_phase(use) for use in recipe.curriculum], learner, train, recipe.seed, [watcher])
    return 0


class Watcher(Listener):
    """Writes a line of the watched windows every so many steps."""

    def __init__(self, learner: Learner, windows: Windows, every: int, out: Path) -> None:
        chosen = np.linspace(0, len(windows) - 1, min(WATCHED, len(windows))).astype(int)
        self._batch = learner.dataset.batch(windows, chosen)
        self._every, self._out, self._began = every, out, time.process_time()

    def phase_started(self, progress: Progress) -> None:
        self._write(progress)

    def step_ended(self, progress: Progress) -> None:
        if progress.step % self._every == 0:
            progress.check_finite()
            self._write(progress)

    def phase_ended(self, progress: Progress) -> None:
        if progress.step % self._every or not progress.step:
            self._write(progress)

    def _write(self, progress: Progress) -> None:
        record = {"phase": progress.current.name, "step": progress.step, "total_step": progress.total_step}
        record |= {"terms": {name: float(value) for name, value in progress.terms.items()}}
        record |= watched(progress.learner, self._batch)
        record["processor_seconds"] = round(time.process_time() - self._began, 1)
        with self._out.open("a") as file:
            file.write(json.dumps(record) + "\n")


@torch.no_grad()
def watched(learner: Learner, batch: Batch) -> dict[str, float]:
    """What there is to say of a batch, without a trace in what trains: the curriculum seeds every step by itself."""
    modes = [(module, module.training) for module in (learner.encoder, learner.predictor)]
    for module, _ in modes:
        module.eval()
    encoded = learner.encoder(learner.dataset.items(batch.items)).float()
    latents = Latents(encoded[batch.static], encoded[batch.states], encoded[batch.actions], batch.mask)
    ahead = learner.predictor(latents).next_states
    target = learner.target_states(batch)
    for module, training in modes:
        module.train(training)
    return figures(latents, ahead, target) | {"weights": weight_norm(learner)}


def figures(latents: Latents, ahead: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    states, mask = latents.states, latents.mask
    known = states[mask]
    spread = known.std(dim=0)
    within = torch.cat([row[seen] - row[seen].mean(dim=0) for row, seen in zip(states, mask, strict=True)])
    follows = mask[:, 1:] & mask[:, :-1]
    error = (ahead[:, :-1] - states[:, 1:])[follows].abs().mean()
    stays = (states[:, :-1] - states[:, 1:])[follows].abs().mean()
    scale = spread.mean()
    return {
        "scale": float(known.pow(2).mean().sqrt()),
        "spread": float(scale),
        "least": float(spread.min()),
        "rank": effective_rank(known.numpy().astype(np.float64)),
        "between": float(1 - within.pow(2).mean() / known.var(dim=0).mean()),
        "from_target": float((states - target)[mask].abs().mean() / scale),
        "ahead": float(error / scale),
        "persistence": float(stays / scale),
        "ratio": float(error / stays),
    }


def weight_norm(learner: Learner) -> float:
    return float(torch.stack([value.pow(2).sum() for value in learner.encoder_parameters().values()]).sum().sqrt())


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file that lines are added to")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    parser.add_argument("--every", type=int, default=500)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    sys.exit(main())
