"""Checks of objectives, on tiny data and a tiny learner that trains all of its parts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import Module, ObjectiveConfig, PhaseConfig
from jepa_core.contracts import Batch, Listener, Objective, Phase
from jepa_core.data.dataset import Dataset
from jepa_core.data.windows import Windows
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    NotApplicable,
    close,
    differing,
    oscillators,
    other_padding,
    require,
    require_no_global_draws,
    require_silent,
    require_terms,
    scramble_global_states,
    scratch,
    snapshot,
    tiny_learner,
)
from jepa_core.testing.dividing import TermsOfSteps, require_divided_alike, without_dropout
from jepa_core.testing.tiny_runs import Stopped
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, build_modules, run_curriculum
from jepa_core.training.learner import Learner
from jepa_core.training.totals import total

NAME = "checked"
STEPS = 4


class JointConfig(PhaseConfig):
    """Keys of the phase that objectives are added to."""

    trains: ClassVar[frozenset[Module]] = frozenset({"encoder", "predictor"})

    steps: int = STEPS
    batch_size: int = 8


class Joint(Phase):
    """Predicts the next state of every step."""

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        latents = learner.latents(batch)
        error = (learner.prediction(batch).next_states[:, :-1] - latents.states[:, 1:]).abs().mean(-1)
        real = latents.mask[:, 1:]
        return {"prediction": total((error * real).sum()) / total(real.sum()).clamp(min=1)}


@dataclass
class Made:
    """An objective with its module, and the learner that it is asked about."""

    objective: Objective
    learner: Learner

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Its terms of a batch, as the first of a phase that made nothing of it, from the same random state each
        time."""
        torch.manual_seed(0)
        return self.objective.terms(self.learner, replace(batch), torch.Generator().manual_seed(0))

    def parts(self) -> dict[str, nn.Module]:
        """Everything that trains."""
        own = {} if self.objective.module is None else {"its module": self.objective.module}
        return {"the encoder": self.learner.encoder, "the predictor": self.learner.predictor, **own}


class ObjectiveBench(base.Bench):
    """An objective, added to a phase that trains a tiny encoder and a tiny predictor."""

    @cached_property
    def objective_config(self) -> ObjectiveConfig:
        return cast(ObjectiveConfig, self.config)

    @cached_property
    def dataset(self) -> Dataset:
        return oscillators()

    @cached_property
    def windows(self) -> Windows:
        """Windows of the train split, whole ones and padded ones."""
        return self.dataset.windows("train", base.WINDOW, 4, 3)

    @cached_property
    def batch(self) -> Batch:
        """Six windows, of which some are padded."""
        batch = self.dataset.batch(self.windows, np.argsort(self.windows.length, kind="stable")[:6])
        assert bool((~batch.mask).any())
        return batch

    def built_phase(self, **keys: Any) -> BuiltPhase:
        objective: Objective = self.component.load()(self.config.model_copy(update=keys))
        return BuiltPhase("joint", Joint(JointConfig()), {NAME: objective})

    def made(self, autocast: bool = False, **keys: Any) -> Made:
        """The objective as the loop makes it, its module drawn from the seed."""
        built, learner = self.built_phase(**keys), tiny_learner(self.dataset, autocast=autocast)
        build_modules([built], learner, 0, [NAME])
        learner.begin(JointConfig.trains, [NAME])
        built.objectives[NAME].module = learner.modules.get(NAME)
        return Made(built.objectives[NAME], learner)

    def needs_module(self) -> None:
        if self.made().objective.module is None:
            raise NotApplicable("the objective has no module of its own")


def _backward(terms: dict[str, Tensor]) -> None:
    loss = torch.stack([term.float() for term in terms.values()]).sum()
    if loss.requires_grad:
        loss.backward()


def check_terms_finite_and_named(bench: ObjectiveBench) -> None:
    """The terms are named, finite scalars with finite gradients, also for latents that have collapsed and for a window
    of two steps: some objectives are there for these."""
    shortest = Windows(*(np.array([number]) for number in (int(bench.dataset.trajectories("train")[0]), 0, 2)))
    collapsed = bench.made()
    with torch.no_grad():
        for parameter in collapsed.learner.encoder.parameters():
            parameter.zero_()
    given = ((bench.made(), bench.batch), (collapsed, bench.batch),
             (bench.made(), bench.dataset.batch(shortest, np.array([0]))))  # fmt: skip
    for built, batch in given:
        terms = built.terms(batch)
        require_terms(terms)
        _backward(terms)
        for name, part in built.parts().items():
            gradients = [tensor.grad for tensor in part.parameters() if tensor.grad is not None]
            require(
                all(torch.isfinite(gradient).all() for gradient in gradients),
                f"a gradient of {name} is not finite; the square root of a variance of 0 has none, so add a small "
                "number first",
            )


def check_gradient_flows(bench: ObjectiveBench) -> None:
    """A gradient reaches the encoder, the predictor or the objective's own module: a term without one does nothing."""
    built = bench.made()
    with torch.no_grad():
        for parameter in built.learner.encoder.parameters():
            parameter.mul_(0.3)  # small latents, whose spread every objective against collapse finds wanting
    terms = built.terms(bench.batch)
    require(any(term.requires_grad for term in terms.values()), "the terms carry no gradient; do not detach all")
    _backward(terms)
    reached = [
        weight.grad for part in built.parts().values() for weight in part.parameters() if weight.grad is not None
    ]
    require(any(gradient.any() for gradient in reached), "no gradient reaches anything that trains; do not detach all")


def check_mask_respected(bench: ObjectiveBench) -> None:
    """What stands where `mask` is false changes no term: it is padding."""
    built = bench.made()
    before, after = built.terms(bench.batch), built.terms(other_padding(bench.batch))
    changed = [name for name in before if not close(before[name].detach(), after[name].detach())]
    require(not changed, f"the terms {', '.join(changed)} change with what stands in the padding; use latents.mask")


def check_divided_alike(bench: ObjectiveBench) -> None:
    """On a batch in parts, as `accumulate` and several processes make them, the terms and their gradients are those of
    the whole: a recipe learns the same on any number of processes."""

    def run(parts: int, terms: TermsOfSteps) -> None:
        phase = replace(bench.built_phase(), phase=Joint(JointConfig(accumulate=parts)))
        run_curriculum([phase], without_dropout(tiny_learner(bench.dataset)), bench.windows, 0, [terms])

    require_divided_alike(run)


def check_weight_left_to_the_loop(bench: ObjectiveBench) -> None:
    """The terms do not depend on `weight`: the loop multiplies by it, and twice would be its square."""
    once, two = (snapshot(bench.made(weight=weight).terms(bench.batch)) for weight in (1.0, 2.0))
    require(not differing(once, two), "the terms change with the config's weight; leave it to the loop")


def check_rng_isolation(bench: ObjectiveBench) -> None:
    """Draws come from `generator`, or from torch's state, which the loop seeds before every step: the same step gives
    the same bits."""
    built = bench.made()
    scramble_global_states(1)
    first = snapshot(built.terms(bench.batch))
    scramble_global_states(2)
    again: dict[str, Tensor] = {}
    require_no_global_draws(lambda: again.update(snapshot(built.terms(bench.batch))))
    require(not differing(first, again), "the same step gave other terms; draw from `generator`, and keep nothing")


def check_reads_what_the_phase_made(bench: ObjectiveBench) -> None:
    """The objective reads `learner.latents(batch)` and `learner.prediction(batch)`, which the phase made: nothing is
    encoded or predicted twice."""
    built = bench.made()
    built.learner.prediction(bench.batch)
    with _counted(built.learner.encoder, built.learner.predictor) as calls:
        built.objective.terms(built.learner, bench.batch, torch.Generator().manual_seed(0))
    require(not calls, f"it made {len(calls)} passes of its own over a batch that the phase has encoded and predicted")


@contextmanager
def _counted(*modules: nn.Module) -> Iterator[list[nn.Module]]:
    """The modules that are called in the block."""
    calls: list[nn.Module] = []
    hooks = [hooked.register_forward_hook(lambda module, given, output: calls.append(module)) for hooked in modules]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def check_learner_left_alone(bench: ObjectiveBench) -> None:
    """Computing the terms changes no weight: what trains is moved by the optimizer alone."""
    built = bench.made()
    before = snapshot(dict(built.learner.weights()))
    built.terms(bench.batch)
    changed = differing(before, dict(built.learner.weights()))
    require(not changed, f"computing the terms changed {', '.join(changed[:3])}; give a loss, and change nothing")


def check_module_size_reported(bench: ObjectiveBench) -> None:
    """The config's `module_size` counts the parameters of the objective's own module: `jepa plan` shows them."""
    built = bench.made()
    module, size = built.objective.module, bench.objective_config.module_size(built.learner.shape)
    parameters = [] if module is None else list(module.parameters())
    real = (
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )
    stated = (0, 0) if size is None else (size.parameters, size.trainable)
    require(
        stated == real and (size is None) == (module is None),
        f"module_size says {stated[0]:,} parameters, {stated[1]:,} of them trainable, and there are {real[0]:,} and "
        f"{real[1]:,}; correct it (None for no module)",
    )


def check_module_trained(bench: ObjectiveBench) -> None:
    """Every parameter of the objective's own module gets a gradient: the optimizer has it, and a plan counts it."""
    bench.needs_module()
    built = bench.made()
    _backward(built.terms(bench.batch))
    assert built.objective.module is not None
    idle = [
        name
        for name, parameter in built.objective.module.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    require(not idle, f"no gradient reaches {', '.join(idle[:3])}; use them, or call requires_grad_(False) on them")


def check_resume_bitwise(bench: ObjectiveBench) -> None:
    """A run that is stopped within the second of two phases and resumed ends in the bits of one that was not stopped:
    encoder, predictor and the objective's own module."""
    whole, resumed = tiny_learner(bench.dataset), tiny_learner(bench.dataset, seed=1)
    _run(bench, whole)
    folder = scratch() / "objective-checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run(bench, tiny_learner(bench.dataset), [_StopInTheSecond(folder)])
    except Stopped:
        _run(bench, resumed, restore=lambda progress: restore_checkpoint(folder, progress))
    lost = differing(dict(whole.weights()), dict(resumed.weights()))
    require(
        not lost,
        f"after a resume {', '.join(lost[:3])} differ; keep nothing from step to step outside the module, and draw "
        "from `generator` alone",
    )


@dataclass
class _StopInTheSecond(Listener):
    """Writes a checkpoint into a folder in the middle of the second phase, and ends the run there."""

    folder: Path

    def step_ended(self, progress: Progress) -> None:
        if progress.index == 1 and progress.step == STEPS // 2:
            save_checkpoint(self.folder, progress, phase_done=False)
            raise Stopped


def _run(
    bench: ObjectiveBench,
    learner: Learner,
    listeners: Sequence[Listener] = (),
    restore: Callable[[Progress], object] = lambda progress: None,
) -> None:
    """Two phases with the objective, in the curriculum's own loop."""
    phases = [replace(bench.built_phase(), name=name) for name in ("first", "second")]
    run_curriculum(phases, learner, bench.windows, 0, listeners, restore)


def check_bf16(bench: ObjectiveBench) -> None:
    """Under bf16 autocast the terms are finite: a recipe may ask for it."""
    built = bench.made(autocast=True)
    with torch.autocast("cpu", torch.bfloat16):
        require_terms(built.terms(bench.batch))


def check_no_prints(bench: ObjectiveBench) -> None:
    """The objective prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.made().terms(bench.batch))
