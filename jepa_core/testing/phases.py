"""Checks of phases: each runs the phase in the curriculum's own loop, on tiny data and a tiny learner."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from jepa_core.config import ValidationConfig
from jepa_core.contracts import Batch, Listener, Phase
from jepa_core.data.windows import Windows
from jepa_core.io.tensor_files import savable
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    NotApplicable,
    close,
    differing,
    other_padding,
    require,
    require_no_global_draws,
    require_silent,
    require_terms,
    scramble_global_states,
    scratch,
    snapshot,
)
from jepa_core.testing.dividing import TermsOfSteps, require_divided_alike, without_dropout
from jepa_core.testing.phase_bench import PhaseBench, Terms
from jepa_core.testing.tiny_runs import STEPS, StopAfter, Stopped
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, begin_phase
from jepa_core.training.feeding import Streams


def check_runs_on_tiny_batch(bench: PhaseBench) -> None:
    """The phase runs from its first step to its end on small data, in the loop that every phase runs in."""
    bench.run(bench.learner())


def check_loss_finite_and_named(bench: PhaseBench) -> None:
    """The loss is a dictionary of named, finite scalars: the loop adds them up, and metrics and errors go by the
    names."""
    bench.needs_steps()

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        terms = compute(batch)
        require_terms(terms)
        return terms

    bench.run(bench.learner(), look=look)


def check_metrics_finite_and_named(bench: PhaseBench) -> None:
    """What the phase logs beside its loss is finite, goes by other names than its terms, and is the same at every step:
    curves are drawn of it."""
    bench.needs_steps()
    told = _Told()
    bench.run(bench.learner(), listeners=[told])
    if not any(told.metrics):
        raise NotApplicable("the phase logs nothing beside its loss")
    require(
        all(measured.keys() == told.metrics[0].keys() for measured in told.metrics),
        "the phase logs other names at some steps than at others; log each of them at every step",
    )
    for terms, metrics in zip(told.terms, told.metrics, strict=True):
        both = sorted(terms.keys() & metrics.keys())
        require(not both, f"'{', '.join(both)}' is a term of the loss and is logged too; terms are recorded anyhow")
        wrong = [name for name, value in metrics.items() if not torch.isfinite(value)]
        require(not wrong, f"what is logged as '{', '.join(wrong)}' is not finite; divide by max(count, 1)")


class _Told(Listener):
    """Keeps terms and metrics of every step."""

    def __init__(self) -> None:
        self.terms: list[Mapping[str, Tensor]] = []
        self.metrics: list[Mapping[str, Tensor]] = []

    def step_ended(self, progress: Progress) -> None:
        self.terms.append(progress.terms)
        self.metrics.append(progress.metrics)


def check_frozen_params_unchanged(bench: PhaseBench) -> None:
    """What `trains` does not name ends as it began, to the bit: other phases and cached latents rely on it."""
    learner = bench.learner()
    modules = {"encoder": learner.encoder, "predictor": learner.predictor}
    before = {name: snapshot(module.state_dict()) for name, module in modules.items()}
    bench.run(learner)
    for name, module in modules.items():
        changed = differing(before[name], module.state_dict())
        require(
            name in bench.config.trains or not changed,
            f"the phase changed {', '.join(changed[:3])} of the {name}, which its config does not train; leave it, or "
            f'add "{name}" to `trains`',
        )


def check_trainable_params_change(bench: PhaseBench) -> None:
    """What `trains` names does train: else the optimizer holds parameters that no loss reaches, and `jepa plan` counts
    them."""
    bench.needs_steps()
    learner = bench.learner()
    modules = {"encoder": learner.encoder, "predictor": learner.predictor}
    before = {name: snapshot(dict(modules[name].named_parameters())) for name in bench.config.trains}
    bench.run(learner)
    for name, values in before.items():
        require(
            differing(values, dict(modules[name].named_parameters())),
            f'`trains` names the {name}, and none of its parameters changed; take "{name}" out, or let the loss reach '
            "it (learner.latents carries a gradient while the encoder trains)",
        )


def check_changes_declared(bench: PhaseBench) -> None:
    """A phase that moves the EMA target says so in `updates`: `jepa plan` tells readers what a phase changes."""
    learner = bench.learner()
    before = snapshot(learner.target.weights())
    bench.run(learner)
    require(
        "target" in bench.config.updates or not differing(before, learner.target.weights()),
        'the phase changed the EMA target; set `updates: ClassVar[str] = "target"` in its config, or leave it',
    )


def check_target_has_no_grad(bench: PhaseBench) -> None:
    """No gradient reaches the EMA target: it moves by averaging alone."""
    bench.needs_steps()
    learner = bench.learner()
    bench.run(learner)
    reached = [
        name for name, weight in learner.target.weights().items() if weight.requires_grad or weight.grad is not None
    ]
    require(not reached, f"a gradient reaches {', '.join(reached[:3])} of the target; use learner.target_states(batch)")


def check_gradient_under_recomputation(bench: PhaseBench) -> None:
    """The gradient is the same where the encoder computes its activations again in the backward pass, as large ones do:
    weights put in for the length of a call (`torch.func.functional_call`) are gone by then, and the gradient is wrong
    without a word."""
    bench.needs_steps()
    if "encoder" not in bench.config.trains:
        raise NotApplicable("the phase does not train the encoder")
    kept, again = (_encoder_gradients(bench, wrap) for wrap in (lambda encode: encode, _recomputed))
    wrong = [name for name, value in kept.items() if not close(value, again[name])]
    require(
        not wrong,
        f"the gradient of {', '.join(wrong[:3])} is another one where activations are computed again; encode with "
        "learner.latents, or learner.target_states for the EMA target, or a copy.deepcopy of the encoder that holds "
        "the other weights",
    )


Encode = Callable[[Any], Tensor]


def _encoder_gradients(bench: PhaseBench, wrap: Callable[[Encode], Encode]) -> dict[str, Tensor]:
    """Gradients of the first step, by parameter, of a learner whose encoder's forward is wrapped."""
    learner = bench.learner()
    learner.encoder.forward = wrap(learner.encoder.forward)  # type: ignore[method-assign, assignment]
    seen: dict[str, Tensor] = {}

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        torch.stack(list(compute(batch).values())).sum().backward()
        gradients = {name: parameter.grad for name, parameter in learner.encoder_parameters().items()}
        seen.update({name: gradient.clone() for name, gradient in gradients.items() if gradient is not None})
        raise Stopped

    with suppress(Stopped):
        bench.run(learner, look=look)
    return seen


def _recomputed(encode: Encode) -> Encode:
    return lambda items: checkpoint(encode, items, use_reentrant=False) if torch.is_grad_enabled() else encode(items)


def check_module_size_reported(bench: PhaseBench) -> None:
    """The config tells the number of parameters of the phase's own module: `jepa plan` counts what trains by it."""
    built = bench.component.load()(bench.config).build_module(base.LATENT)
    size = bench.config.module_size(base.LATENT)
    if built is None and size is None:
        raise NotApplicable("the phase has no module of its own")
    real = 0 if built is None else sum(parameter.numel() for parameter in built.parameters())
    said = 0 if size is None else size.parameters
    require(said == real, f"module_size() says {said:,} parameters, and build_module makes {real:,}; correct it")


def check_state_is_pickle_free(bench: PhaseBench) -> None:
    """`state_dict` holds tensors by name and nothing else: checkpoints are safetensors, which cannot execute code."""
    state = bench.run(bench.learner()).state_dict()
    for name, value in state.items():
        require(
            isinstance(name, str) and isinstance(value, Tensor),
            f"state_dict holds '{name}' of type {type(value).__name__}; keep it as a tensor, such as torch.tensor(3)",
        )


def check_state_roundtrip_bitwise(bench: PhaseBench) -> None:
    """What `state_dict` gives, `load_state_dict` of a new instance takes up to the bit: a resume relies on it."""
    state = bench.run(bench.learner()).state_dict()
    if not state:
        raise NotApplicable("the phase keeps no tensors of its own")
    stored = load(save(savable(state.items())))
    fresh: Phase = bench.component.load()(bench.config)
    fresh.load_state_dict(stored)
    lost = differing(stored, fresh.state_dict())
    require(not lost, f"load_state_dict did not take up {', '.join(lost[:3])}; assign them there")


def check_resume_mid_phase_bitwise(bench: PhaseBench) -> None:
    """A run that is stopped in the middle of the phase and resumed ends in the bits of one that was not stopped."""
    bench.needs_steps()
    whole = bench.learner()
    bench.run(whole)
    folder = scratch() / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)

    try:
        bench.run(bench.learner(), listeners=[StopAfter(STEPS // 2, lambda now: save_checkpoint(folder, now, False))])
    except Stopped:
        resumed = bench.learner(seed=1)
        bench.run(resumed, restore=lambda progress: restore_checkpoint(folder, progress))
        lost = differing(dict(whole.weights()), dict(resumed.weights()))
        require(
            not lost,
            f"after a resume {', '.join(lost[:3])} differ; put what the phase remembers from step to step into "
            "state_dict and load_state_dict, and draw from `generator` alone",
        )


def check_validation_changes_nothing(bench: PhaseBench) -> None:
    """A phase that a recipe validates on the tuning split ends in the bits of one that it does not: its loss keeps
    nothing of the batches that it sees, and comes out finite where no gradient is asked for."""
    bench.needs_steps()
    plain, looked = bench.learner(), bench.learner()
    bench.run(plain)
    bench.altered(validation=ValidationConfig(every=1, windows=12)).run(looked)
    lost = differing(dict(plain.weights()), dict(looked.weights()))
    require(
        not lost,
        f"validations between steps changed {', '.join(lost[:3])}; keep nothing in `loss`, count steps in `after_step`",
    )


def check_patterns_respected(bench: PhaseBench) -> None:
    """Where a recipe lets only some parameters train (`only`), the others end as they began, to the bit."""
    bench.needs_steps()
    learner = bench.learner()
    names = list(learner.chosen(bench.config.trains, ["*"]))
    if len(names) < 2:
        raise NotApplicable("the phase trains no two parameters of encoder and predictor")
    before = snapshot(dict(learner.weights()))
    bench.altered(only=(names[0],)).run(learner)
    changed = [name for name in differing(before, dict(learner.weights())) if name in names[1:]]
    require(
        not changed,
        f"the phase changed {', '.join(changed[:3])}, which `only` leaves out; leave training to the loop's optimizer",
    )


class _Watched(dict[str, Batch]):
    """Batches by name, and which of them were asked for."""

    def __init__(self, batches: Mapping[str, Batch]) -> None:
        super().__init__(batches)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Batch:
        self.asked.add(name)
        return super().__getitem__(name)


def check_streams_read(bench: PhaseBench) -> None:
    """The loss reads every further stream that the config names: batches that nobody reads cost time."""
    bench.needs_steps()
    names = set(bench.config.streams())
    if not names:
        raise NotApplicable("the phase reads no further stream of windows")
    phase: Phase = bench.component.load()(bench.config)
    learner, batch = bench.learner(), bench.dataset.batch(bench.windows, np.arange(8))
    built = BuiltPhase("checked", phase)
    begin_phase(Progress([built], learner))
    further = Streams(built, bench.dataset, "train", bench.cut, 0).batches(0)
    watched = _Watched(further)
    phase.streams = watched
    phase.loss(learner, batch, torch.Generator())
    unread = sorted(names - watched.asked)
    require(not unread, f"the loss reads no stream '{', '.join(unread)}'; take self.streams[...], or name none")


def check_rng_isolation(bench: PhaseBench) -> None:
    """A step's draws come from `generator`, or from torch's state, which the loop seeds before every step: the same
    step gives the same bits, whatever was drawn before, so that a resume needs no random state."""
    bench.needs_steps()

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        scramble_global_states(1)
        first = compute(replace(batch))
        scramble_global_states(2)
        terms: Terms = {}
        require_no_global_draws(lambda: terms.update(compute(batch)))
        require(
            not differing(snapshot(first), snapshot(terms)),
            "the same step gave another loss when it was computed again; draw from `generator`, and keep nothing from "
            "call to call that `state_dict` does not hold",
        )
        return terms

    bench.run(bench.learner(), look=look)


def check_mask_respected(bench: PhaseBench) -> None:
    """What stands where `mask` is false changes nothing: it is padding, and no step of the window."""
    bench.needs_steps()
    padded = []

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        padded.append(bool((~batch.mask).any()))
        other = compute(other_padding(batch))
        terms = compute(batch)
        changed = [name for name in terms if not close(terms[name].detach(), other[name].detach())]
        require(
            not changed,
            f"the terms {', '.join(changed)} change with what stands in the padding; leave out the steps where "
            "latents.mask is false",
        )
        return terms

    bench.run(bench.learner(), look=look)
    assert any(padded)


def check_divided_alike(bench: PhaseBench) -> None:
    """A batch in parts, as `accumulate` and several processes make them, gives the loss and the gradient of the whole:
    a recipe learns the same on any number of processes."""
    bench.needs_steps()
    if bench.config.streams():
        raise NotApplicable("batches of further streams are not divided")

    def run(parts: int, terms: TermsOfSteps) -> None:
        bench.altered(accumulate=parts).run(without_dropout(bench.learner()), listeners=[terms])

    require_divided_alike(run)


def check_single_window(bench: PhaseBench) -> None:
    """One window of two steps, the shortest that a recipe may ask for, gives a finite loss."""
    bench.needs_steps()
    shortest = Windows(*(np.array([number]) for number in (int(bench.dataset.trajectories("train")[0]), 0, 2)))

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        terms = compute(batch)
        require_terms(terms)
        return terms

    small = bench.altered(batch_size=1)
    small.run(small.learner(), windows=shortest, look=look)


def check_bf16(bench: PhaseBench) -> None:
    """The phase runs, with finite losses, where a recipe asks for `runtime.precision: bf16`."""
    bench.needs_steps()

    def look(compute: Callable[[Batch], Terms], batch: Batch) -> Terms:
        terms = compute(batch)
        require_terms(terms)
        return terms

    bench.run(bench.learner(autocast=True), look=look)


def check_no_prints(bench: PhaseBench) -> None:
    """The phase prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.run(bench.learner()))
