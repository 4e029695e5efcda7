"""Any phase may be validated on tuning, end early and keep its best weights; what trains is none the wiser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from commands import RECIPE
from jepa_core.config import PhaseConfig, StreamConfig, ValidationConfig
from jepa_core.contracts import Listener
from jepa_core.data.windows import Windows
from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry
from jepa_core.recipe import InvalidRecipe, load_recipe
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner

Jepa = Callable[..., subprocess.CompletedProcess[str]]
Make = Callable[..., tuple[Learner, list[BuiltPhase]]]


class Watching(Listener):
    """Keeps, for each step, the weights, and what a validation gave."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.losses: dict[int, float] = {}
        self.standing = ""

    def step_ended(self, progress: Progress) -> None:
        self.weights.append(weights_of(progress.learner))
        if progress.validated is not None:
            self.losses[progress.step] = float(progress.validated.loss)
        self.standing = f"best {progress.standing.best_step}, misses {progress.standing.misses}"


def weights_of(learner: Learner) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learner.weights()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def train(learner: Learner, phases: list[BuiltPhase], listeners: Sequence[Listener] = (), **further) -> None:
    def cut(split: str, stream: StreamConfig) -> Windows:
        return learner.dataset.windows(split, stream.length or 12, stream.stride or 4, 3)

    run_curriculum(phases, learner, cut("train", StreamConfig()), 0, listeners, cut=cut, **further)


def validated(**keys) -> dict:
    return {"steps": 8, "batch_size": 4, "validation": ValidationConfig(**{"every": 3, "windows": 5, **keys})}


@pytest.mark.parametrize("use", ["toy_fit", "toy_train", "toy_disposable"])
def test_validating_changes_no_weight(make: Make, use: str) -> None:
    plain, looked = make(("one", use, {"steps": 8, "batch_size": 4})), make(("one", use, validated()))
    train(*plain)
    watching = Watching()
    train(*looked, [watching])
    assert list(watching.losses) == [3, 6, 8], "every third step, and the last"
    assert equal(weights_of(plain[0]), weights_of(looked[0]))


def test_a_validation_is_the_phases_loss_on_windows_of_tuning(make: Make) -> None:
    learner, phases = make(("fit", "toy_fit", validated(windows=10_000)))
    watching = Watching()
    train(learner, phases, [watching])
    windows = learner.dataset.windows("tuning", 12, 4, 3)
    learner.load_weights(watching.weights[-1])
    learner.freeze()
    total = 0.0
    for places in np.array_split(np.arange(len(windows)), range(4, len(windows), 4)):
        batch = learner.dataset.batch(windows, places)
        with torch.no_grad():
            total += len(places) * float(phases[0].phase.loss(learner, batch, torch.Generator())["prediction"])
    assert watching.losses[8] == pytest.approx(total / len(windows), rel=1e-5)


def test_a_phase_ends_with_the_weights_of_its_best_validation(make: Make) -> None:
    learner, phases = make(("fit", "toy_fit", validated(every=2, keep="best", better="higher")))
    watching = Watching()
    train(learner, phases, [watching])
    best = max(watching.losses, key=lambda step: watching.losses[step])
    assert best != 8, "training lowers the loss, so the last validation is not the highest"
    assert equal(
        {name: value for name, value in weights_of(learner).items() if name.startswith("predictor")},
        {name: value for name, value in watching.weights[best - 1].items() if name.startswith("predictor")},
    )
    assert not equal(watching.weights[best - 1], watching.weights[-1])


def test_a_phase_ends_early_after_as_many_validations_without_a_gain_as_it_waits_for(make: Make) -> None:
    keys = {**validated(every=1, patience=2, gain=1e9), "steps": 50}
    learner, phases = make(("fit", "toy_fit", keys), ("next", "toy_fit", {"steps": 2, "batch_size": 4}))
    watching = Watching()
    train(learner, phases, [watching])
    assert list(watching.losses) == [1, 2, 3] and len(watching.weights) == 3 + 2


def test_what_is_watched_may_be_a_term_or_a_metric_of_which_more_is_better(make: Make) -> None:
    keys = {**validated(every=1, patience=3, better="higher", watch="step"), "steps": 6}
    learner, phases = make(("fit", "toy_fit", keys))
    original, values = phases[0].phase.loss, iter([0.0, 1.0, 5.0, 2.0, float("nan"), 4.0, 0.0])

    def loss(given, batch, generator):
        if not torch.is_grad_enabled():
            given.log("step", value)
        return original(given, batch, generator)

    phases[0].phase.loss = loss  # type: ignore[method-assign]

    class Next(Watching):
        def step_ended(self, progress: Progress) -> None:
            nonlocal value
            super().step_ended(progress)
            value = next(values)

    value = next(values)
    watching = Next()
    train(learner, phases, [watching])
    assert watching.standing == "best 3, misses 3"


def test_a_name_that_no_validation_gives_is_told_with_those_that_it_gives(make: Make) -> None:
    with pytest.raises(RecipeError, match="watches 'accuracy' .* gives loss, prediction"):
        train(*make(("fit", "toy_fit", validated(watch="accuracy"))))


class _Stopped(Exception):
    pass


class Stop(Listener):
    """Writes a checkpoint after one step, and ends the run."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.step = step

    def step_ended(self, progress: Progress) -> None:
        if progress.step == self.step:
            save_checkpoint(self.folder, progress, phase_done=False)
            raise _Stopped


@pytest.mark.parametrize("use", ["toy_train", "toy_disposable"])
def test_a_run_stopped_before_at_between_and_after_validations_ends_in_the_same_bits(
    make: Make, tmp_path: Path, use: str
) -> None:
    keys = {**validated(every=3, keep="best", patience=2, better="higher"), "steps": 12}
    whole = make(("one", use, keys))
    told = Watching()
    train(*whole, [told])
    for step in (2, 3, 5, 6, 9):
        folder = tmp_path / str(step)
        resumed, again = make(("one", use, keys)), Watching()
        with pytest.raises(_Stopped):
            train(*make(("one", use, keys)), [Stop(folder, step)])
        train(*resumed, [again], restore=lambda progress, folder=folder: restore_checkpoint(folder, progress))
        assert equal(weights_of(whole[0]), weights_of(resumed[0])), f"stopped after step {step}"
        assert {one: loss for one, loss in told.losses.items() if one > step} == again.losses
        assert step == 9 or again.standing == told.standing


def test_the_best_weights_wait_in_the_checkpoint_as_tensors_alone(make: Make, tmp_path: Path) -> None:
    with pytest.raises(_Stopped):
        train(*make(("fit", "toy_fit", validated(keep="best"))), [Stop(tmp_path, 4)])
    (checkpoint,) = tmp_path.iterdir()
    assert sorted(path.name for path in checkpoint.iterdir()) == ["position.json", "state.safetensors"]


def test_a_recipe_that_goes_by_validations_and_has_none_is_refused(recipe_file: Path, registry: Registry) -> None:
    with pytest.raises(InvalidRecipe, match="patience goes by validations, and there are none; set every too"):
        load_recipe(recipe_file, ["curriculum.warm.validation.patience=3"], registry)


def test_no_phase_validates_unless_a_recipe_says_so() -> None:
    assert not PhaseConfig(steps=5).validates and not PhaseConfig(validation=ValidationConfig(every=1)).validates


def test_a_run_says_what_validations_gave_and_that_a_phase_ended_early(jepa: Jepa, tmp_path: Path) -> None:
    recipe = tmp_path / "toy.yaml"
    validation = "validation: {every: 2, patience: 1, gain: 1000, keep: best}"
    recipe.write_text(RECIPE.replace("name: warm, steps: 6", f"name: warm, steps: 6, {validation}"))
    done = jepa("run", recipe, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "ended early, after step 4 of 6: the best validation was after step 2" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    warm = {line["step"]: line.get("validation") for line in lines if line["phase"] == "warm"}
    assert list(warm) == [1, 2, 3, 4] and warm[1] is None
    assert warm[4]["best"] == warm[2]["loss"] and warm[4]["best_step"] == 2 and set(warm[2]["terms"]) == {"prediction"}
    cost = json.loads((tmp_path / "run" / "costs.json").read_text())["warm"]
    assert (cost["steps"], cost["best_step"], cost["ended_with_step"]) == (4, 2, 2)
