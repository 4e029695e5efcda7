"""A phase with a frozen encoder in runs that share their latents, against one that shares nothing, on one thread.

    python benchmarks/shared_latents.py [--recipe clin_jepa] [--phase predictor_warmup] [--steps 40] [KEY=VALUE ...]

The same steps of the phase in four new runs, one after another in one process, in seconds of processor time (of this
process, the system's part included), beginning when the models are built:

    alone     no folder to share through
    first     the first run of a study: encodes, and writes blocks of latents that nobody has written yet
    second    another run with the same encoder: reads them
    again     alone once more, to tell how much the machine's other work moves these figures

Also printed: the bytes that lie in the folder afterwards, and whether all four ended in the same bits.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path

from jepa_core.data.dataset import Dataset
from jepa_core.io.tensor_files import tensors_digest
from jepa_core.plugin import shared_registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.runs.learners import build_learner, built_phase
from jepa_core.runs.pipeline import dataset_of
from jepa_core.runs.run import Run
from jepa_core.training.curriculum import run_curriculum


def main() -> None:
    options = parse_options()
    logging.disable(logging.INFO)
    steps = f"curriculum.{options.phase}.steps={options.steps}"
    recipe = load_recipe(options.recipe, [*options.overrides, steps, "runtime.threads=1"], shared_registry())
    with tempfile.TemporaryDirectory() as folder:
        runs, shared = Path(folder), Path(folder) / "shared"
        dataset = dataset_of(new_run(runs, "data", recipe))
        seconds, ends = {}, set()
        for name in ("alone", "first", "second", "again"):
            if name == "first":
                shared.mkdir()
            if name == "again":
                size = sum(path.stat().st_size for path in shared.rglob("*.safetensors"))
                shared.rename(runs / "put_aside")
            seconds[name], end = timed(new_run(runs, name, recipe), dataset, options.phase)
            ends.add(end)
    alone = min(seconds["alone"], seconds["again"])
    result = {f"{name}_seconds": value for name, value in seconds.items()}
    result |= {f"{name}_over_alone": seconds[name] / alone for name in ("first", "second", "again")}
    result |= {"items": dataset.rendering.count, "bytes_shared": size, "same_bits": len(ends) == 1}
    print(
        json.dumps(result) if options.json else "\n".join(f"{name:<20} {value:12.6g}" for name, value in result.items())
    )


def new_run(runs: Path, name: str, recipe: Recipe) -> Run:
    return Run.create(runs / name, recipe, shared_registry(), "")


def timed(run: Run, dataset: Dataset, phase: str) -> tuple[float, str]:
    """Seconds of the phase in a new run, and the digest of the predictor that it ends in."""
    learner, _ = build_learner(run, dataset)
    built = built_phase(next(use for use in run.recipe.curriculum if use.name == phase))
    cut = run.recipe.windows
    windows = dataset.windows("train", cut.length, cut.stride, cut.min_length)
    start = time.process_time()
    run_curriculum([built], learner, windows, run.recipe.seed)
    return time.process_time() - start, tensors_digest(learner.predictor.state_dict())


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=["source.synthetic.stays=60"], metavar="KEY=VALUE")
    parser.add_argument("--recipe", default="clin_jepa")
    parser.add_argument("--phase", default="predictor_warmup")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
