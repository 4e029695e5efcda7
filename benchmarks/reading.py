"""Reading windows from a store that lies on disk, and what share of a training step is spent on it, on one thread.

    python benchmarks/reading.py [--stays 100] [--steps 20] [--json]

Windows a second: batches of the flagship's size in its training order, each with its distinct items, in the modalities
`text` and `channels`; the best of three rounds. Share: seconds inside `Dataset.batch` and `Dataset.items` over all
seconds of a phase of the flagship (clin_jepa, tiny), for a phase that trains the encoder and for one whose encoder is
frozen, its first pass over the data included. Exit code 1 if a share is above --most-share (0.05).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from jepa_core.contracts import Batch, Items
from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.plugin import shared_registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.runs.learners import built_phase
from jepa_core.training.curriculum import run_curriculum
from jepa_core.training.learner import Learner

ROUNDS = 3
PHASES = ("joint_refinement", "predictor_warmup")


class TimedDataset(Dataset):
    """A dataset that counts the seconds spent reading it."""

    seconds = 0.0

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def batch(self, windows: Windows, index: np.ndarray) -> Batch:
        with self._timed():
            return super().batch(windows, index)

    def items(self, ids: torch.Tensor) -> Items:
        with self._timed():
            return super().items(ids)


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    overrides = [f"source.synthetic.stays={options.stays}"]
    overrides += [f"curriculum.{phase}.steps={options.steps}" for phase in PHASES]
    recipe = load_recipe("clin_jepa", overrides, shared_registry())
    source = recipe.source.build()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(source, "mimic_iv", Path(folder))
        datasets = {name: TimedDataset.open(store, source, name) for name in ("text", "channels")}
        result = {f"{name} windows/s": windows_per_second(recipe, dataset) for name, dataset in datasets.items()}
        shares = shares_of_steps(recipe, datasets["text"], Path(folder))
    result |= {f"share of {phase}": share for phase, share in shares.items()}
    print(
        json.dumps(result) if options.json else "\n".join(f"{name:<28} {rate:10.4f}" for name, rate in result.items())
    )
    return 0 if max(shares.values()) <= options.most_share else 1


def training_windows(recipe: Recipe, dataset: Dataset) -> Windows:
    return dataset.windows("train", recipe.windows.length, recipe.windows.stride, recipe.windows.min_length)


def windows_per_second(recipe: Recipe, dataset: TimedDataset) -> float:
    """Of one pass over the train split."""
    windows = training_windows(recipe, dataset)
    size = built_phase(recipe.curriculum[0]).config.batch_size
    order = WindowOrder(len(windows), size, recipe.seed, "reading")
    rounds = []
    for _ in range(ROUNDS):
        dataset.seconds = 0.0
        for step in range(len(windows) // size):
            dataset.items(dataset.batch(windows, order.batch(step)).items)
        rounds.append(dataset.seconds)
    return len(windows) // size * size / min(rounds)


def shares_of_steps(recipe: Recipe, dataset: TimedDataset, folder: Path) -> dict[str, float]:
    encoder = recipe.encoder.build()
    encoder.fit(dataset.training_items())
    learner = Learner(
        encoder, recipe.predictor.build(encoder.latent_dim), dataset, torch.device("cpu"), folder / "cache"
    )
    windows = training_windows(recipe, dataset)
    shares = {}
    for use in recipe.curriculum:
        if use.name in PHASES:
            dataset.seconds, start = 0.0, time.perf_counter()
            run_curriculum([built_phase(use)], learner, windows, recipe.seed)
            shares[use.name] = dataset.seconds / (time.perf_counter() - start)
    return shares


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--most-share", type=float, default=0.05)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
