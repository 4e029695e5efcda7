"""How long a recipe will take on this machine: a few real steps of each of its parts, and how often each comes.

Steps of a phase are taken on batches of the recipe's own data, encoding is timed on blocks of its items, and a piece of
each evaluator is tried on a few of its subjects, with the models as they are drawn. How often each comes is counted:
steps, items, trajectories, pieces. The seconds of an evaluator are taken to grow with the trajectories; what it does
once whatever their number, such as drawing resamples, is then counted too often.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jepa_core.config import EvaluatorConfig
from jepa_core.contracts import Evaluation
from jepa_core.data.dataset import Dataset
from jepa_core.data.excerpts import write_excerpt
from jepa_core.data.preparation import open_dataset, prepare_data
from jepa_core.data.trajectories import SPLITS
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.errors import DataError, RunError
from jepa_core.libraries import errors_alone
from jepa_core.recipe import PhaseUse, Recipe, Use
from jepa_core.runs.cost import Stopwatch
from jepa_core.runs.learners import build_learner, built_phase, new_learner, windows_of
from jepa_core.runs.process import process_state
from jepa_core.runs.run import Run
from jepa_core.training.curriculum import BuiltPhase, Progress, begin_phase, take_step
from jepa_core.training.division import Division
from jepa_core.training.feeding import Streams
from jepa_core.training.latent_cache import BLOCK

log = logging.getLogger("jepa")

SECONDS = 0.3
"""Of a processor that a phase is tried for; a step that has begun is ended."""
MOST_STEPS = 4
ENCODED_BLOCKS = 2
SUBJECTS = 10
"""Of each split that an evaluator is tried on."""


@dataclass(frozen=True)
class Spent:
    """Seconds that went by, and seconds in which a processor worked for this process: on a busy machine, fewer."""

    seconds: float
    processor: float

    def times(self, count: float) -> Spent:
        return Spent(self.seconds * count, self.processor * count)

    def plus(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.processor + other.processor)


class _Timer:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._began, self._processor = time.monotonic(), time.process_time()

    @property
    def spent(self) -> Spent:
        return Spent(time.monotonic() - self._began, time.process_time() - self._processor)


class _Clock(_Timer):
    """A timer of a whole part, which knows the peak of memory too; one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._watch = Stopwatch()

    @property
    def peak(self) -> int:
        """Most memory of the process since the clock was made."""
        return int(self._watch.read()["peak_bytes"])


@dataclass(frozen=True)
class PartTime:
    """What a part of a run is expected to take. part: what is done. processor_seconds: of all cores together.
    peak_bytes: most memory of the process while it was tried. how: what the figure is made of."""

    part: str
    seconds: float
    processor_seconds: float
    peak_bytes: int
    how: str

    @classmethod
    def of(cls, part: str, spent: Spent, clock: _Clock, how: str) -> PartTime:
        """clock: of the trial."""
        return cls(part, spent.seconds, spent.processor, clock.peak, how)


@dataclass(frozen=True)
class ExpectedTime:
    """What a run is expected to take here, and what finding that out took."""

    parts: list[PartTime]
    measured_in: float

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return sum(part.seconds for part in self.parts)

    @property
    def processor_seconds(self) -> float:
        """The same on a machine that does nothing else, one core at a time."""
        return sum(part.processor_seconds for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "processor_seconds": self.processor_seconds, **asdict(self)}


def expected_time(recipe: Recipe, stores: Path) -> ExpectedTime:
    """Try every part of a recipe for a moment. Data that are not in the folder of stores are made, as a run would; it
    will find them there.

    Raises DataError and RunError as a run would.
    """
    timer, clock = _Timer(), _Clock()
    with process_state(recipe.runtime), tempfile.TemporaryDirectory(prefix="jepa-plan-") as folder:
        prepared = prepare_data(recipe, stores)
        how = "made just now" if prepared.why_built or prepared.why_rendered else "there"
        parts = [PartTime.of("data", clock.spent, clock, how)]
        log.info("trying every part of the run for a moment")
        with errors_alone("jepa"):  # what is said of a few steps and a few subjects is nothing to act on
            parts += _tried(Run.create(Path(folder) / "trial", recipe, recipe.registry, ""), prepared.dataset())
    return ExpectedTime(parts, timer.spent.seconds)


def _tried(run: Run, dataset: Dataset) -> Iterator[PartTime]:
    """Every part of a run on these data."""
    clock = _Clock()
    trial = _Trial(run, dataset)
    yield PartTime.of("models", clock.spent, clock, "encoder fitted and weights drawn")
    yield from trial.parts()


class _Trial:
    """The parts of a run, each tried for a moment."""

    def __init__(self, run: Run, dataset: Dataset) -> None:
        self._run, self._recipe, self._dataset = run, run.recipe, dataset
        self._learner, _ = build_learner(run, dataset)
        self._phases = [built_phase(use) for use in self._recipe.curriculum]
        self._steps: dict[str, Spent] = {}

    def parts(self) -> Iterator[PartTime]:
        """Every part of the run, in its order."""
        for number, built in enumerate(self._phases):
            if built.config.steps:
                yield self._phase(number, built)
        yield self._encoding()
        if (control := self._control()) is not None:
            yield control
        yield from self._evaluators()

    def _phase(self, number: int, built: BuiltPhase) -> PartTime:
        clock, steps = _Clock(), built.config.steps
        each = self._a_step(number, built)
        self._steps[built.name] = each
        return PartTime.of(built.name, each.times(steps), clock, f"{steps} steps of {each.seconds:.3g} s")

    def _a_step(self, number: int, built: BuiltPhase) -> Spent:
        """Median seconds of a step, with the latents of a frozen encoder at hand."""
        learner, config = self._learner, built.config
        progress = Progress(self._phases, learner, self._recipe.seed, number)
        begin_phase(progress)
        progress.first_bad_step = torch.tensor(-1, device=learner.device)
        cut: Callable[..., Windows] = partial(windows_of, self._run, self._dataset)
        windows = cut("train")
        order = WindowOrder(len(windows), config.batch_size, self._recipe.seed, built.name)
        frozen = "encoder" not in config.trains
        streams = Streams(built, self._dataset, "train", cut, self._recipe.seed)
        taken: list[Spent] = []
        while len(taken) < min(MOST_STEPS, config.steps) and sum(spent.processor for spent in taken) < SECONDS:
            chosen = _side_by_side(len(windows), config.batch_size) if frozen else order.batch(progress.step)
            batch = self._dataset.batch(windows, chosen)
            built.phase.streams = streams.batches(progress.step)
            if frozen:
                learner.latents(batch)
            timer = _Timer()
            take_step(progress, Division(learner.processes, config.accumulate, learner.dataset.sizes), batch)
            float(sum(progress.terms.values()))  # waits for the device
            taken.append(timer.spent)
        built.phase.module, built.phase.streams = None, {}
        return _median(taken[1:] or taken)

    def _encoding(self) -> PartTime:
        """Latents of the frozen encoder: those that phases read before it trains, and all of them once it has."""
        clock, count, each = _Clock(), self._dataset.rendering.count, self._an_item
        items = int(count * (self._read_before_training() + 1))
        how = f"{items:,} items at {1 / each.seconds:,.0f} a second"
        return PartTime.of("latents of the frozen encoder", each.times(items), clock, how)

    @cached_property
    def _an_item(self) -> Spent:
        """Seconds of encoding an item, in blocks as the cache fills them."""
        learner, count = self._learner, self._dataset.rendering.count
        learner.freeze()
        spent, items = Spent(0.0, 0.0), 0
        for number in range(ENCODED_BLOCKS):
            first = number * max(0, count - BLOCK) // ENCODED_BLOCKS
            ids = torch.arange(first, min(first + BLOCK, count))
            timer = _Timer()
            with learner.looking(), learner.precision():
                float(learner.encoder(self._dataset.items(ids)).sum())
            if number or count <= BLOCK:
                spent, items = spent.plus(timer.spent), items + len(ids)
        return spent.times(1 / items)

    def _read_before_training(self) -> float:
        """Share of the items that phases read before the first that trains the encoder; 0 where none trains it."""
        read, trains = 0, False
        for built in self._phases:
            trains = "encoder" in built.config.trains and built.config.steps > 0
            if trains:
                break
            read += built.config.steps * built.config.batch_size
        return min(1.0, read / len(windows_of(self._run, self._dataset, "train"))) if trains else 0.0

    def _control(self) -> PartTime | None:
        """The untrained control: its latents, and the steps of its predictor."""
        use = _trains_the_predictor_alone(self._recipe)
        if use is None or not self._recipe.evaluators:
            return None
        clock = _Clock()
        steps = sum(use.config.steps for use in self._recipe.curriculum if "predictor" in use.config.trains)
        encoding, each = self._an_item.times(self._dataset.rendering.count), self._steps[use.name]
        how = f"{steps} steps of {each.seconds:.3g} s, and latents"
        return PartTime.of("untrained control", encoding.plus(each.times(steps)), clock, how)

    def _evaluators(self) -> Iterator[PartTime]:
        """Each evaluator on a few subjects, and what it would take on all."""
        if not self._recipe.evaluators:
            return
        chosen = _a_few(self._dataset)
        excerpt = write_excerpt(self._dataset.store, chosen, self._run.folder / "excerpt")
        few = open_dataset(excerpt, self._recipe.source.build(), self._recipe.encoder.config.modality)
        evaluation = self._evaluation(few)
        windows = few.windows_of(np.arange(len(chosen)), self._recipe.windows.length, self._recipe.windows.length, 2)
        for number in range(len(windows)):
            evaluation.learner.latents(few.batch(windows, np.array([number])))  # they are counted by themselves
        for use in self._recipe.evaluators:
            yield _evaluator(use, evaluation, len(self._dataset.steps) / len(chosen), len(chosen))

    def _evaluation(self, few: Dataset) -> Evaluation:
        run, learner = self._run, self._learner
        tried = new_learner(run, learner.encoder, few, learner.device, run.scratch / "few", learner.observer)
        tried.modules = learner.modules
        tried.freeze()
        # The untrained control costs what the trained model does, and need not be made to tell.
        untrained = (lambda: tried) if _trains_the_predictor_alone(self._recipe) else None
        return Evaluation(
            tried, self._recipe.windows.length, self._recipe.seed, untrained,
            (lambda: open_dataset(few.store, self._recipe.source.build(), "channels")) if learner.observer else None,
            run.scratch, self._recipe.source.build(),
        )  # fmt: skip


def _evaluator(use: Use[EvaluatorConfig], evaluation: Evaluation, times: float, tried: int) -> PartTime:
    """A piece of an evaluator on a few trajectories. times: as many of these there are in all."""
    config, pieces = use.config.piece()
    evaluator, few = replace(use, config=config).build(), ""
    clock = _Clock()  # once what it imports is there
    try:
        evaluator.evaluate(evaluation)
    except (DataError, RunError):
        few = ", too few for all of it"
    spent = clock.spent
    part = f" of a piece, {pieces:.2g} to the whole," if pieces != 1 else ""
    how = f"{spent.seconds:.2g} s{part} on {tried} trajectories{few}; {times:.3g} times as many"
    return PartTime.of(use.name, spent.times(times * pieces), clock, how)


def _trains_the_predictor_alone(recipe: Recipe) -> PhaseUse | None:
    """The phase that the untrained control's predictor is trained by, if there is one."""
    chosen = [use for use in recipe.curriculum if use.config.trains == {"predictor"} and use.config.steps]
    return chosen[-1] if chosen else None


def _a_few(dataset: Dataset) -> np.ndarray:
    """Trajectories of some subjects of every split."""
    subjects = [
        subject
        for split in SPLITS
        for subject in np.unique(np.asarray(dataset.subject)[dataset.trajectories(split)])[:SUBJECTS]
    ]
    return np.flatnonzero(np.isin(dataset.subject, subjects))


def _side_by_side(count: int, batch_size: int) -> np.ndarray:
    """Windows that lie together, from the middle: latents of a frozen encoder are filled in block by block, and of
    windows from everywhere nearly all blocks would be."""
    first = max(0, count - batch_size) // 2
    return (first + np.arange(batch_size)) % count


def _median(taken: list[Spent]) -> Spent:
    """The medians of both."""
    return Spent(
        float(np.median([spent.seconds for spent in taken])), float(np.median([spent.processor for spent in taken]))
    )
