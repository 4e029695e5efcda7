"""Parts that grow with the number of stays, on made-up numbers of the size of MIMIC-IV: processor seconds and memory.

    python benchmarks/full_scale.py                      # 2,000, 20,000 and 85,000 stays: some minutes
    python benchmarks/full_scale.py --stays 2000
    python benchmarks/full_scale.py --parts cohorts numbering

A stay has 71 hours; 15 % of the stays are measured, and 70 % of them train. No store is made and no model is trained:
each part is given what it would be given, so that nothing else is timed. What is linear in its rows or draws is
measured on some of them and multiplied; such figures are marked with `~`.

Each part runs in a process of its own, which is forked, on one thread. Memory is what it takes beyond the process that
it is forked from, at the peak, its inputs included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Latents
from jepa_core.data.distinct import Distinct
from jepa_core.model.frozen import roll_out
from jepa_core.results.statistics import redrawn_ranks
from jepa_downstream.alarms import AnnouncedEvents, choose_threshold
from jepa_downstream.config import HeadsConfig
from jepa_downstream.heads import Examples, select_head
from jepa_downstream.measures import Draws, binary, regression
from jepa_downstream.rows import Rows
from jepa_latent_eval.cohorts import EventCourse, match

HOURS = 71
MEASURED, TRAINED = 0.15, 0.7
DRAWS = 1000
LATENT = 64


@dataclass(frozen=True)
class Work:
    """Something to time. share: how much of the whole it is."""

    call: Callable[[], object]
    share: float = 1.0


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    rows = []
    for name in options.parts:
        for stays in options.stays:
            rows.append({"part": name, "stays": stays, **in_fork(PARTS[name], stays)})
            print(json.dumps(rows[-1]) if options.json else line(rows[-1]), flush=True)
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="+", default=[2_000, 20_000, 85_000])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser.parse_args()


def in_fork(part: Callable[[int, np.random.Generator], Work], stays: int) -> dict[str, Any]:
    """Processor seconds and bytes of a part, taken in a child. Raises RuntimeError if the child fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(taken(part, stays)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        answer = told.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the part ended with status {os.waitstatus_to_exitcode(status)}")
    return dict(json.loads(answer))


def taken(part: Callable[[int, np.random.Generator], Work], stays: int) -> dict[str, Any]:
    """What a part takes in this process."""
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize()
    work = part(stays, np.random.default_rng(0))
    begun = time.process_time()
    work.call()
    seconds = (time.process_time() - begun) / work.share
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "whole": work.share == 1.0, "bytes": max(0, peak - before)}


def line(row: dict[str, Any]) -> str:
    seconds = f"{'' if row['whole'] else '~'}{row['seconds']:.1f} s"
    return f"{row['part']:12}{row['stays']:>8,} stays {seconds:>12} {row['bytes'] / 2**20:8,.0f} MiB"


# --- parts ------------------------------------------------------------------------------------------------------------


def numbering(stays: int, random: np.random.Generator) -> Work:
    """Numbers for the digests of all hourly texts, of which one in ten was there before, in blocks of 256 stays."""
    texts, block = stays * 2 * HOURS, 256 * 2 * HOURS

    def call() -> None:
        distinct, draws = Distinct(), np.random.default_rng(0)
        for first in range(0, texts, block):
            whole = draws.bytes(16 * min(block, texts - first))
            digests = [whole[at : at + 16] for at in range(0, len(whole), 16)]
            distinct.number([*digests, *digests[: len(digests) // 10]])

    return Work(call)


def measured_rows(stays: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, score and subject of all hours of the measured stays."""
    rows = int(MEASURED * stays) * HOURS
    truth = (random.random(rows) < 0.06).astype(np.float64)
    score = np.clip(random.random(rows) * 0.7 + 0.2 * truth, 0, 1)
    return truth, score, np.repeat(np.arange(rows // HOURS), HOURS)


def events(stays: int, random: np.random.Generator) -> Work:
    """Four measures of one method on one task, with 1,000 draws of subjects."""
    truth, score, subject = measured_rows(stays, random)
    return Work(lambda: binary(truth, score, subject, Draws(subject, DRAWS), np.ones(len(truth))))


def values(stays: int, random: np.random.Generator) -> Work:
    """Three measures of one method on one task of values, with 1,000 draws of subjects."""
    truth, score, subject = measured_rows(stays, random)
    return Work(lambda: regression(truth, score, subject, Draws(subject, DRAWS), np.ones(len(truth))))


def alarms(stays: int, random: np.random.Generator) -> Work:
    """The threshold of alarms of one method on one task, of 200 that are tried on the measured hours."""
    truth, score, subject = measured_rows(stays, random)
    step = np.tile(np.arange(HOURS), len(truth) // HOURS)
    rows = Rows(subject, step, truth, subject)
    events = AnnouncedEvents.of(rows, np.where(truth > 0, 1.0, np.nan))
    return Work(lambda: choose_threshold(rows, events, score, 0.1, 6, 200))


def rollouts(stays: int, random: np.random.Generator) -> Work:
    """12 steps ahead from every measured hour, of which 24 hours are seen, with the flagship's predictor: 4 batches."""
    config = ActionTransformerConfig(width=128, layers=3, heads=4, feedforward=512, max_steps=72)
    predictor, windows, seen, horizon = ActionTransformer(config, LATENT).eval(), 64, 24, 12
    known = Latents(
        torch.randn(windows, LATENT), torch.randn(windows, seen, LATENT), torch.randn(windows, seen, LATENT),
        torch.ones(windows, seen, dtype=torch.bool),
    )  # fmt: skip
    actions, origins = torch.randn(windows, seen + horizon, LATENT), torch.full((windows, 1), seen - 1)

    def call() -> None:
        with torch.no_grad():
            for _ in range(4):
                roll_out(predictor, known, actions, origins, horizon)

    return Work(call, 4 * windows / (int(MEASURED * stays) * HOURS))


def heads(kind: str, stays: int, random: np.random.Generator) -> Work:
    """All strengths of a linear head on 8 x 64 summaries of up to 50,000 rows of train, and as many of tuning."""
    rows = min(50_000, int(TRAINED * stays) * HOURS)
    some_rows = rows // 10
    inputs = random.normal(size=(2 * some_rows, 8 * LATENT)).astype(np.float32)
    truth = inputs[:, :8].sum(axis=1) + random.normal(size=len(inputs))
    truth = (truth > 3).astype(np.float64) if kind == "binary" else truth
    train, tuning = Examples(inputs[:some_rows], truth[:some_rows]), Examples(inputs[some_rows:], truth[some_rows:])
    config = HeadsConfig(families=("linear",))
    return Work(lambda: select_head(cast(Any, kind), train, tuning, config, 0), some_rows / rows)


def logistic(stays: int, random: np.random.Generator) -> Work:
    return heads("binary", stays, random)


def ridge(stays: int, random: np.random.Generator) -> Work:
    return heads("regression", stays, random)


def cohorts(stays: int, random: np.random.Generator) -> Work:
    """Five stable controls for each of the stays with an event, one in ten, of all stays of a split."""
    count = int(TRAINED * stays)
    steps = random.integers(24, 2 * HOURS, size=count)
    ill = random.random(count) < 0.1
    onset = np.where(ill, random.integers(12, 24, size=count), -1)
    course = EventCourse(np.arange(count), onset, np.zeros(count, dtype=np.int64), ~ill)
    dataset = cast(Any, SimpleNamespace(steps=steps, subject=np.arange(count)))
    return Work(lambda: match(dataset, course, 6, 5, 0))


def ranks(size: int, latents: int, some: int, stays: int) -> Work:
    matrix = np.random.default_rng(0).normal(size=(latents, size)).astype(np.float32)
    subjects = np.random.default_rng(1).integers(0, max(2, min(stays, latents) // 8), size=latents)
    return Work(lambda: redrawn_ranks(matrix, subjects, some, 0), some / DRAWS)


def ranks_of_64(stays: int, random: np.random.Generator) -> Work:
    """1,000 effective ranks of 20,000 latents of size 64."""
    return ranks(64, 20_000, DRAWS, stays)


def ranks_of_1024(stays: int, random: np.random.Generator) -> Work:
    """The same of size 1,024: 33 of them, whose moments do not fit into memory together."""
    return ranks(1024, 20_000, 33, stays)


PARTS: dict[str, Callable[[int, np.random.Generator], Work]] = {
    work.__name__: work
    for work in (numbering, events, values, alarms, rollouts, logistic, ridge, cohorts, ranks_of_64, ranks_of_1024)
}


if __name__ == "__main__":
    sys.exit(main())
