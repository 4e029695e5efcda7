"""Parts that grow with the number of stays, on made-up numbers of the size of MIMIC-IV: processor seconds and memory.

    python benchmarks/full_scale.py                      # all parts at 2,000, 20,000 and 85,000 stays: two hours
    python benchmarks/full_scale.py --stays 2000
    python benchmarks/full_scale.py --parts cohorts numbering
    python benchmarks/full_scale.py --parts rollout_drift --latent 256 --belief 128
    python benchmarks/full_scale.py --parts early_events --tasks 1 --train-rows 50000

15 % of the stays are measured, and 70 % of them train; a stay has 71 hours. No store is made and no model is trained:
each part is given what it would be given, so that nothing else is timed. Parts that are called as an evaluator are that
evaluator as a whole, its control included, with the settings of the flagship, before latents that are made on the fly
(`made_up_stays.py`), of stays of 101 hours in the mean. What is linear in its rows or draws is measured on some of them
and multiplied; such figures are marked with `~`.

Each part runs in a process of its own, which is forked, on one thread. Memory is what it takes beyond the process that
it is forked from, at the peak, its inputs included: first what no file is behind, looked at every hundredth of a
second, then with the mapped pages of files, which the system drops when it needs room.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from made_up_stays import EVENTS, FACTS, LABELS, OUTCOMES, made_up_evaluation

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.evaluator import Anomalies
from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Evaluator, Latents
from jepa_core.data.distinct import Distinct
from jepa_core.model.frozen import roll_out
from jepa_core.results.predictions import write_predictions
from jepa_core.results.statistics import redrawn_ranks
from jepa_downstream.alarms import AnnouncedEvents, choose_threshold
from jepa_downstream.config import HeadsConfig, LabelEfficiencyConfig, PredictionTasksConfig, TaskConfig
from jepa_downstream.heads import Examples, select_head
from jepa_downstream.label_efficiency import LabelEfficiency
from jepa_downstream.measures import Draws, binary, regression
from jepa_downstream.prediction_tasks import PredictionTasks
from jepa_downstream.rows import Rows
from jepa_latent_eval.channel_forecast import ChannelForecast
from jepa_latent_eval.cohorts import EventCourse, match
from jepa_latent_eval.collapse import LatentCollapse
from jepa_latent_eval.config import (
    ChannelForecastConfig,
    DecodedForecastConfig,
    LatentCollapseConfig,
    LatentDisplacementConfig,
    RolloutDriftConfig,
)
from jepa_latent_eval.displacement import LatentDisplacement
from jepa_latent_eval.drift import RolloutDrift
from jepa_latent_eval.forecast import DecodedForecast

HOURS = 71
MEASURED, TRAINED = 0.15, 0.7
DRAWS = 1000
LATENT = 64


@dataclass(frozen=True)
class Work:
    """Something to time. share: how much of the whole it is."""

    call: Callable[[], object]
    share: float = 1.0


Part = Callable[[int, np.random.Generator, Path], Work]
"""What there is to do, of so many stays, with a folder for files."""


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    known = parts_of(Sizes(options.latent, options.belief, options.tasks, options.train_rows))
    for name in options.parts:
        for stays in options.stays:
            row = {"part": name, "stays": stays, **in_fork(known[name], stays)}
            print(json.dumps(row) if options.json else line(row), flush=True)
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="+", default=[2_000, 20_000, 85_000])
    names = list(parts_of(Sizes(1, 1, 1, 1)))
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--latent", type=int, default=4096, help="numbers of a latent that evaluators are given")
    parser.add_argument("--belief", type=int, default=1024, help="numbers of a belief")
    parser.add_argument("--tasks", type=int, default=7, help="of the seven tasks of an evaluator, how many")
    parser.add_argument(
        "--train-rows", type=int, default=4000, help="most rows that heads of early events are fitted on"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser.parse_args()


def in_fork(part: Part, stays: int) -> dict[str, Any]:
    """Processor seconds and bytes of a part, taken in a child. Raises RuntimeError if the child fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(taken(part, stays)).encode())
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as told:
        answer = told.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the part ended with status {os.waitstatus_to_exitcode(status)}")
    return dict(json.loads(answer))


def taken(part: Part, stays: int) -> dict[str, Any]:
    """What a part takes in this process."""
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize()
    peak = PeakOfOwn()
    with tempfile.TemporaryDirectory() as scratch, peak:
        work = part(stays, np.random.default_rng(0), Path(scratch))
        begun = time.process_time()
        work.call()
        seconds = (time.process_time() - begun) / work.share
    mapped = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"seconds": seconds, "whole": work.share == 1.0, "bytes": peak.bytes, "mapped_bytes": max(0, mapped)}


class PeakOfOwn:
    """The most memory with no file behind it that this process takes beyond what it has, for as long as it runs."""

    def __init__(self) -> None:
        self._before, self.bytes, self._over = self._now(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakOfOwn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.bytes = max(self.bytes, self._now() - self._before)

    @staticmethod
    def _now() -> int:
        with open("/proc/self/status") as file:
            return next(int(row.split()[1]) * 1024 for row in file if row.startswith("RssAnon:"))


def line(row: dict[str, Any]) -> str:
    seconds = f"{'' if row['whole'] else '~'}{row['seconds']:.1f} s"
    own, mapped = (f"{row[name] / 2**20:8,.0f} MiB" for name in ("bytes", "mapped_bytes"))
    return f"{row['part']:20}{row['stays']:>8,} stays {seconds:>12} {own}, with mapped files {mapped}"


# --- parts ------------------------------------------------------------------------------------------------------------


def numbering(stays: int, random: np.random.Generator, scratch: Path) -> Work:
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


def events(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """Four measures of one method on one task, with 1,000 draws of subjects."""
    truth, score, subject = measured_rows(stays, random)
    return Work(lambda: binary(truth, score, subject, Draws(subject, DRAWS), np.ones(len(truth))))


def values(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """Three measures of one method on one task of values, with 1,000 draws of subjects."""
    truth, score, subject = measured_rows(stays, random)
    return Work(lambda: regression(truth, score, subject, Draws(subject, DRAWS), np.ones(len(truth))))


def alarms(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """The threshold of alarms of one method on one task, of 200 that are tried on the measured hours."""
    truth, score, subject = measured_rows(stays, random)
    step = np.tile(np.arange(HOURS), len(truth) // HOURS)
    rows = Rows(subject, step, truth, subject)
    events = AnnouncedEvents.of(rows, np.where(truth > 0, 1.0, np.nan))
    return Work(lambda: choose_threshold(rows, events, score, 0.1, 6, 200))


def rollouts(stays: int, random: np.random.Generator, scratch: Path) -> Work:
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


def logistic(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    return heads("binary", stays, random)


def ridge(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    return heads("regression", stays, random)


def cohorts(stays: int, random: np.random.Generator, scratch: Path) -> Work:
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


def ranks_of_64(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """1,000 effective ranks of 20,000 latents of size 64."""
    return ranks(64, 20_000, DRAWS, stays)


def ranks_of_1024(stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """The same of size 1,024: 33 of them, whose moments do not fit into memory together."""
    return ranks(1024, 20_000, 33, stays)


# --- evaluators -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """What evaluators are given. latent, belief: numbers of one. tasks: how many things are predicted. train_rows: most
    rows that heads of early events are fitted on."""

    latent: int
    belief: int
    tasks: int
    train_rows: int


def evaluators(sizes: Sizes) -> dict[str, Evaluator]:
    """Every evaluator that takes recorded data, as the flagship has it, and subgroups of early events besides. What
    generators of data are asked about is the work of the generator, and of as many stays as it made.

    The widest heads, and the baselines, have all the rows that a recipe gives them by default, and end after two
    iterations: they are here for their memory.
    """
    events = tuple(TaskConfig(event=name, horizon=24, switches_only=False) for name in EVENTS[: sizes.tasks])
    outcomes = tuple(TaskConfig(outcome=name, after=24) for name in OUTCOMES[: sizes.tasks])
    methods = {
        "methods": (
            "latents", "belief", "decoded_belief", "untrained_latents", "untrained_belief", "decoded_untrained_belief",
            "train_mean",
        ),
        "decoded_components": 64, "baselines": ("linear",), "subgroups": FACTS,
    }  # fmt: skip
    quick = {"linear": {"iterations": 2, "strengths": (0.01,)}, "lightgbm": {"rounds": 2, "models": 1}}
    widest = PredictionTasksConfig(
        tasks=(*events[:1], TaskConfig(label=LABELS[0])), methods=("belief",), baselines=("linear", "lightgbm"),
        heads=HeadsConfig(strengths=(0.01,), iterations=2, rounds=2), baseline_search=quick, train_rows=50_000,
    )  # fmt: skip
    few = LabelEfficiencyConfig(tasks=outcomes[:1], methods=("latents", "untrained_latents"), baselines=("lightgbm",))
    return {
        "early_events": PredictionTasks(PredictionTasksConfig(tasks=events, train_rows=sizes.train_rows, **methods)),
        "risk_tasks": PredictionTasks(PredictionTasksConfig(tasks=outcomes, **methods)),
        "widest_heads": PredictionTasks(widest),
        "label_efficiency": LabelEfficiency(few),
        "rollout_drift": RolloutDrift(RolloutDriftConfig()),
        "latent_collapse": LatentCollapse(LatentCollapseConfig()),
        "latent_displacement": LatentDisplacement(
            LatentDisplacementConfig(events=tuple(f"event_{name}" for name in EVENTS[:3]), outcomes=OUTCOMES[:1])
        ),
        "decoded_forecast": DecodedForecast(DecodedForecastConfig(exclude=("event_*",))),
        "channel_forecast": ChannelForecast(ChannelForecastConfig(horizon=24)),
        "anomalies": Anomalies(AnomaliesConfig(label=f"event_{EVENTS[0]}")),
    }


def evaluating(name: str, sizes: Sizes, stays: int, random: np.random.Generator, scratch: Path) -> Work:
    """An evaluator as a whole, and its predictions written."""
    evaluation = made_up_evaluation(stays, sizes.latent, sizes.belief, scratch)

    def call() -> None:
        findings = evaluators(sizes)[name].evaluate(evaluation)
        write_predictions(scratch / "predictions", name, findings.predictions)

    return Work(call)


def parts_of(sizes: Sizes) -> dict[str, Part]:
    """All parts by name."""
    alone = (numbering, events, values, alarms, rollouts, logistic, ridge, cohorts, ranks_of_64, ranks_of_1024)
    by_name: dict[str, Part] = {part.__name__: part for part in alone}
    return by_name | {name: partial(evaluating, name, sizes) for name in evaluators(sizes)}


if __name__ == "__main__":
    sys.exit(main())
