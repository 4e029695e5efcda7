"""Steps of joint refinement of the flagship by two processes of one thread against one process of two threads, and what
the processes send one another.

    python benchmarks/distributed.py [--steps 24] [--rounds 2] [--json] [KEY=VALUE ...]

The ways are taken in turn, each in processes of its own, on the same batches, without the first four steps:

    one         one process, one thread
    threads     one process, two threads
    processes   two processes, one thread each

Seconds by the clock mean little where other work waits for the cores, and processes that wait for one another suffer
most of it. So the processor time of the main thread, in the busiest process, stands beside them: what a step takes
where every thread has a core to itself, since a thread that waits takes none. That of all threads is what a step costs.

What is sent is counted in bytes: of the sums over all processes that a step makes. A ring of N processes sends
2 (N - 1) / N of them from each; the least is the gradients of what trains, in four bytes each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jepa_core.contracts import Listener
from jepa_core.data.preparation import prepare_data
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.runs.learners import build_learner, built_phase
from jepa_core.runs.process import environment
from jepa_core.runs.run import Run
from jepa_core.training.curriculum import Progress, run_curriculum
from jepa_core.training.optimization import trained_by
from jepa_core.training.processes import ALONE, ConnectedPeers

PHASE = "joint_refinement"
SKIPPED = 4
WAYS = {"one": (1, 1), "threads": (1, 2), "processes": (2, 1)}
"""Processes, and threads of each."""


class Counting(ConnectedPeers):
    """Counts the bytes that are added up over the processes."""

    def __init__(self, control: dist.ProcessGroup) -> None:
        super().__init__(control)
        self.bytes = 0

    def sum(self, values: Tensor) -> Tensor:
        self.bytes += values.nbytes
        return super().sum(values)

    def largest(self, values: Tensor) -> Tensor:
        self.bytes += values.nbytes
        return super().largest(values)

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        self.bytes += 8 * len(parameters) + sum(parameter.nbytes for parameter in parameters)
        super().add_gradients(parameters)


class Clock(Listener):
    """Reads the clocks after every step."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.main: list[float] = []
        self.threads: list[float] = []
        self.bytes: list[int] = []
        self.trainable = 0

    def step_ended(self, progress: Progress) -> None:
        assert progress.optimizer is not None
        self.wall.append(time.perf_counter())
        self.main.append(time.thread_time())
        self.threads.append(time.process_time())
        self.bytes.append(getattr(progress.learner.processes, "bytes", 0))
        self.trainable = sum(parameter.numel() for parameter in trained_by(progress.optimizer))


def work(number: int, count: int, threads: int, folder: str, overrides: list[str], way: str) -> None:
    """What a process does: the steps, and a file with what they took."""
    torch.set_num_threads(threads)
    processes = ALONE
    if count > 1:
        store = dist.FileStore(f"{folder}/{way}.store", count)
        dist.init_process_group("gloo", store=store, rank=number, world_size=count, timeout=timedelta(minutes=30))
        processes = Counting(dist.group.WORLD)
    recipe = load_recipe("clin_jepa", overrides)
    run = Run(Path(folder) / "runs" / f"{way}-{number}", recipe, recipe.registry)
    run.folder.mkdir(parents=True, exist_ok=True)
    dataset = prepare_data(recipe, run.stores).dataset()
    learner, _ = build_learner(run, dataset, processes)
    cut = recipe.windows
    windows = dataset.windows("train", cut.length, cut.stride, cut.min_length)
    built = built_phase(next(use for use in recipe.curriculum if use.name == PHASE))
    clock = Clock()
    run_curriculum([built], learner, windows, recipe.seed, [clock])
    Path(folder, f"{way}-{number}.json").write_text(json.dumps(vars(clock)))
    if count > 1:
        dist.destroy_process_group()


def measured(way: str, overrides: list[str], folder: str) -> dict[str, Any]:
    """Medians of a step of one way: seconds by the clock, processor seconds of the main thread of the busiest process
    and of all threads, bytes added up."""
    count, threads = WAYS[way]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(number, count, threads, folder, overrides, way)) for number in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            sys.exit(f"a process of '{way}' ended with code {worker.exitcode}")
    Path(folder, f"{way}.store").unlink(missing_ok=True)
    clocks = [json.loads(Path(folder, f"{way}-{number}.json").read_text()) for number in range(count)]
    return {
        "wall": median_step(clocks[0]["wall"]),
        "main": max(median_step(clock["main"]) for clock in clocks),
        "all": sum(median_step(clock["threads"]) for clock in clocks),
        "bytes": median_step(clocks[0]["bytes"]),
        "trainable": clocks[0]["trainable"],
    }


def median_step(readings: Sequence[float]) -> float:
    steps = [after - before for before, after in zip(readings[SKIPPED:], readings[SKIPPED + 1 :], strict=False)]
    return statistics.median(steps)


def main() -> int:
    options = parse_options()
    overrides = [f"curriculum.{PHASE}.steps={options.steps}", *options.overrides]
    with environment(), tempfile.TemporaryDirectory() as folder:
        recipe: Recipe = load_recipe("clin_jepa", overrides)
        prepare_data(recipe, Run(Path(folder) / "runs" / "any", recipe, recipe.registry).stores)
        os.environ["OMP_WAIT_POLICY"] = "passive"
        rounds = [{way: measured(way, overrides, folder) for way in WAYS} for _ in range(options.rounds)]
    result = summary(rounds)
    lines = (f"{name:<44} {value:12.4g}" for name, value in result.items())
    print(json.dumps(result) if options.json else "\n".join(lines))
    return 0


def summary(rounds: Sequence[dict[str, dict[str, Any]]]) -> dict[str, float]:
    """The best round of each way, and what follows from it."""
    clocks = ("wall", "main", "all")
    best = {f"{way}, {clock}": min(each[way][clock] for each in rounds) for way in WAYS for clock in clocks}
    last = rounds[-1]["processes"]
    return best | {
        "throughput of processes / of one": best["one, main"] / best["processes, main"],
        "throughput of processes / of threads": best["threads, main"] / best["processes, main"],
        "the same by the clock": best["threads, wall"] / best["processes, wall"],
        "trainable parameters": last["trainable"],
        "bytes added up in a step / of what trains": last["bytes"] / (4 * last["trainable"]),
        "sent by each of 2 / twice what trains": volume(last, 2),
        "sent by each of 64 / twice what trains": volume(last, 64),
    }


def volume(counted: dict[str, Any], count: int) -> float:
    """What a ring of so many processes sends from each, in parts of twice the trainable parameters."""
    return 2 * (count - 1) / count * counted["bytes"] / (2 * 4 * counted["trainable"])


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="keys of the recipe, as `jepa run` takes them")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
