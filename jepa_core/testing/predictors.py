"""Checks of predictors, on latents drawn at random."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from jepa_core.config import PredictorConfig
from jepa_core.contracts import Latents, Prediction, Predictor, Rollout
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    LATENT,
    NotApplicable,
    close,
    differing,
    other_latents_in_padding,
    random_latents,
    require,
    require_no_global_draws,
    require_silent,
    require_terms,
)

HORIZON = 3


class PredictorBench(base.Bench):
    """A predictor for latents of size 8, in evaluation mode."""

    @cached_property
    def predictor_config(self) -> PredictorConfig:
        return cast(PredictorConfig, self.config)

    @cached_property
    def predictor(self) -> Predictor:
        return self.make(LATENT).eval()

    def latents(self, windows: int = 3, steps: int = 7) -> Latents:
        """Latents of windows no longer than the predictor takes."""
        longest = self.predictor_config.longest_window
        return random_latents(0, windows, steps if longest is None else min(steps, longest))

    @cached_property
    def origins(self) -> Tensor:
        """Two origins in each of three windows, every one with HORIZON steps behind it."""
        last = self.latents().mask.sum(1) - HORIZON - 1
        if int(last.min()) < 1:
            raise NotApplicable("its longest window leaves no room for a rollout of 3 steps")
        return torch.stack([torch.ones_like(last), last], 1)

    def rolled(self, latents: Latents, origins: Tensor) -> Rollout:
        """A rollout of HORIZON steps, of a memory of its own."""
        return self.predictor.rollout(latents, self.predictor(latents).memory, origins, HORIZON)


def _both(prediction: Prediction) -> dict[str, Tensor]:
    return {"next_states": prediction.next_states, "belief": prediction.belief}


def _first(latents: Latents, steps: int) -> Latents:
    """The first steps of every window."""
    return Latents(latents.static, latents.states[:, :steps], latents.actions[:, :steps], latents.mask[:, :steps])


@torch.no_grad()
def check_shape(bench: PredictorBench) -> None:
    """`forward` gives a prediction (B, T, D) and a belief (B, T, W) for every step, all finite; windows of a single
    step included. The config's `belief_dim` tells W without building anything."""
    size = bench.predictor_config.belief_dim(LATENT)
    require(
        size == bench.predictor.belief_dim,
        f"the config's belief_dim({LATENT}) is {size}, the predictor's belief_dim {bench.predictor.belief_dim}",
    )
    for steps in (7, 1):
        latents = bench.latents(steps=steps)
        predictor = bench.predictor(latents)
        for name, given, wanted in (("next_states", predictor.next_states, LATENT), ("belief", predictor.belief, size)):
            require(
                tuple(given.shape) == (*latents.mask.shape, wanted),
                f"windows {tuple(latents.states.shape)} gave {name} {tuple(given.shape)}; give {wanted} numbers for "
                "every step",
            )
            require(torch.isfinite(given[latents.mask]).all(), f"{name} is not finite")


@torch.no_grad()
def check_causal(bench: PredictorBench) -> None:
    """Prediction and belief at t see states and actions up to t and nothing after: else training is told the
    answers."""
    latents = bench.latents()
    before = _both(bench.predictor(latents))
    for role in ("states", "actions"):
        for cut in range(1, latents.states.shape[1]):
            changed = getattr(latents, role).clone()
            changed[:, cut:] += 3.0
            after = _both(bench.predictor(replace(latents, **{role: changed})))
            real = latents.mask[:, :cut]
            for name in before:
                require(
                    close(before[name][:, :cut][real], after[name][:, :cut][real]),
                    f"changing {role} from step {cut} on changes {name} before it; mask attention causally, and use no "
                    "statistics over time",
                )


@torch.no_grad()
def check_mask_respected(bench: PredictorBench) -> None:
    """What stands where `mask` is false changes no prediction and no belief of a real step: it is padding."""
    latents = bench.latents()
    before = _both(bench.predictor(latents))
    after = _both(bench.predictor(other_latents_in_padding(latents)))
    changed = [name for name in before if not close(before[name][latents.mask], after[name][latents.mask])]
    require(
        not changed,
        f"{' and '.join(changed)} change with what stands in the padding; leave out the steps where latents.mask is "
        "false",
    )


@torch.no_grad()
def check_rollout_equals_recomputing(bench: PredictorBench) -> None:
    """A rollout gives what `forward` gives when its own predictions are put behind the real steps one by one; it sees
    no state after its origin, and the actions up to origin + H - 1."""
    latents, origins = bench.latents(), bench.origins
    rolled = bench.rolled(latents, origins)
    for name, given, size in (("states", rolled.states, LATENT), ("belief", rolled.belief, bench.predictor.belief_dim)):
        wanted = (*origins.shape, HORIZON, size)
        require(tuple(given.shape) == wanted, f"a rollout gave {name} {tuple(given.shape)}; give {wanted}")
    for window in range(len(origins)):
        for number, origin in enumerate(origins[window].tolist()):
            states, belief = _recomputed(bench.predictor, latents, window, origin)
            require(
                close(rolled.states[window, number], states, 1e-3),
                f"a rollout from step {origin} is not what forward gives step by step; entry h - 1 is the state at "
                "origin + h, entry h reads the action at origin + h, and positions go on from the origin",
            )
            require(
                close(rolled.belief[window, number], belief, 1e-3),
                f"the beliefs of a rollout from step {origin} are not those of forward; entry h - 1 is the belief at "
                "origin + h - 1, which the state at origin + h is read from",
            )


def _recomputed(predictor: Predictor, latents: Latents, window: int, origin: int) -> tuple[Tensor, Tensor]:
    """States (H, D) and beliefs (H, W) of the rollout of one origin, by `forward` alone."""
    part = slice(window, window + 1)
    mask = torch.ones_like(latents.mask[part])
    padded = Latents(latents.static[part], latents.states[part], latents.actions[part], mask)
    states, beliefs = padded.states[:, : origin + 1], []
    for _ in range(HORIZON):
        steps = states.shape[1]
        prediction = predictor(Latents(padded.static, states, padded.actions[:, :steps], padded.mask[:, :steps]))
        states = torch.cat([states, prediction.next_states[:, -1:].float()], 1)
        beliefs.append(prediction.belief[0, -1])
    return states[0, origin + 1 :], torch.stack(beliefs)


@torch.no_grad()
def check_rollout_beyond_the_window(bench: PredictorBench) -> None:
    """A rollout goes on behind the windows of the `forward` that made its memory, under the actions it is given: that
    is how evaluators forecast."""
    latents = bench.latents()
    steps = latents.states.shape[1] - HORIZON
    if steps < 1:
        raise NotApplicable("its longest window leaves no room for a rollout of 3 steps")
    whole = replace(latents, mask=torch.ones_like(latents.mask))
    origins = torch.full((len(latents.states), 1), steps - 1)
    inside = bench.rolled(whole, origins)
    memory = bench.predictor(_first(whole, steps)).memory
    beyond = bench.predictor.rollout(whole, memory, origins, HORIZON)
    require(
        close(inside.states, beyond.states, 1e-3) and close(inside.belief, beyond.belief, 1e-3),
        "a rollout depends on real steps after its origin, or cannot leave the window; read the memory up to the "
        "origin, and later actions from latents.actions",
    )


@torch.no_grad()
def check_extend_equals_forward(bench: PredictorBench) -> None:
    """Steps taken one at a time by `extend` give what `forward` gives of all of them at once: next states and beliefs,
    and the memory from which a rollout goes on."""
    latents = bench.latents()
    whole = replace(latents, mask=torch.ones_like(latents.mask))
    wanted = bench.predictor(whole)
    prediction = bench.predictor(_part(whole, slice(0, 1)))
    if type(bench.predictor).extend is Predictor.extend:
        raise NotApplicable("it has no `extend`")
    for step in range(1, whole.states.shape[1]):
        prediction = bench.predictor.extend(_part(whole, slice(step, step + 1)), prediction.memory)
        for name in ("next_states", "belief"):
            require(
                close(getattr(prediction, name)[:, 0], getattr(wanted, name)[:, step], 1e-5),
                f"extend gave another {name} at step {step} than forward; positions, and what is seen, go on from the "
                "memory",
            )
    origins = torch.zeros((len(whole.states), 1), dtype=torch.int64)
    alone, other = (bench.predictor.rollout(whole, part.memory, origins, 2).states for part in (wanted, prediction))
    require(close(alone, other, 1e-5), "a rollout from the memory of extend is another than from that of forward")


def _part(latents: Latents, steps: slice) -> Latents:
    return Latents(latents.static, latents.states[:, steps], latents.actions[:, steps], latents.mask[:, steps])


@torch.no_grad()
def check_memory_untouched(bench: PredictorBench) -> None:
    """A rollout leaves the memory as it was: another one starts from it, with the same result to the bit."""
    latents = bench.latents()
    memory = bench.predictor(latents).memory
    first = bench.predictor.rollout(latents, memory, bench.origins, HORIZON)
    bench.predictor.rollout(latents, memory, bench.origins - 1, HORIZON)
    again = bench.predictor.rollout(latents, memory, bench.origins, HORIZON)
    require(
        not differing(vars(first), vars(again)),
        "a second rollout from one memory gave another result; write on copies of it",
    )


def check_gradient_flows(bench: PredictorBench) -> None:
    """Gradients reach latents and parameters through predictions and beliefs, and through a rollout's own states to the
    real ones: phases and objectives train on all of them."""
    predictor = bench.make(LATENT).train()
    latents = bench.latents()
    latents.states.requires_grad_()
    prediction = predictor(latents)
    rolled = predictor.rollout(latents, prediction.memory, bench.origins, HORIZON)
    parts = {
        "next_states": prediction.next_states[latents.mask],
        "the belief": prediction.belief[latents.mask],
        "the last state of a rollout": rolled.states[:, :, -1],
        "the last belief of a rollout": rolled.belief[:, :, -1],
    }
    for name, part in parts.items():
        (gradient,) = (
            torch.autograd.grad(part.square().sum(), latents.states, retain_graph=True, allow_unused=True)
            if part.requires_grad
            else (None,)
        )
        require(gradient is not None and gradient.any(), f"no gradient runs from {name} to the states; detach nothing")
    torch.stack([part.square().sum() for part in parts.values()]).sum().backward()
    idle = [
        name for name, parameter in predictor.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    require(not idle, f"no gradient reaches {', '.join(idle[:3])}; use them, or call requires_grad_(False) on them")


def check_terms_finite_and_named(bench: PredictorBench) -> None:
    """Terms of the predictor's own loss are named, finite scalars, which padding does not change; training adds them to
    the loss of a phase."""
    predictor, latents = bench.make(LATENT).train(), bench.latents()
    outputs = []
    for given in (latents, other_latents_in_padding(latents)):
        torch.manual_seed(0)
        outputs.append(dict(predictor(given).terms))
    if not outputs[0]:
        raise NotApplicable("it has no loss of its own")
    require_terms(outputs[0])
    changed = [name for name in outputs[0] if not close(outputs[0][name].detach(), outputs[1][name].detach())]
    require(not changed, f"the terms {', '.join(changed)} change with what stands in the padding; use latents.mask")
    require(
        all(term.requires_grad for term in outputs[0].values()), "a term carries no gradient; do not detach all of it"
    )


def check_size_reported(bench: PredictorBench) -> None:
    """The config tells the number of parameters without building anything: `jepa plan` and fair comparisons rely on
    it."""
    size = bench.predictor_config.size(LATENT)
    parameters = list(bench.predictor.parameters())
    real = (
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )
    require(
        (size.parameters, size.trainable) == real,
        f"size() says {size.parameters:,} parameters, {size.trainable:,} of them trainable, and there are {real[0]:,} "
        f"and {real[1]:,}; correct size()",
    )
    require(bench.predictor_config.activation_bytes(2, 7, LATENT) > 0, "activation_bytes() must estimate some bytes")


@torch.no_grad()
def check_longest_window(bench: PredictorBench) -> None:
    """A window of `longest_window` steps can be predicted: recipes may use windows up to there."""
    longest = bench.predictor_config.longest_window
    if longest is None:
        raise NotApplicable("the config names no longest window")
    latents = random_latents(windows=1, steps=longest)
    try:
        bench.predictor(latents)
    except Exception as error:
        raise AssertionError(
            f"a window of {longest} steps, the config's longest_window, fails: {type(error).__name__}: {error}"
        ) from error


@torch.no_grad()
def check_deterministic_in_evaluation(bench: PredictorBench) -> None:
    """In evaluation mode the same latents give the same bits, and no random state is touched: findings are a function
    of learner, data and seed."""
    latents = bench.latents()
    first = _both(bench.predictor(latents))
    again: dict[str, Any] = {}

    def predict() -> None:
        state = torch.get_rng_state()
        again.update(_both(bench.predictor(latents)))
        require(torch.equal(state, torch.get_rng_state()), "it drew from torch's random state in evaluation mode")

    require_no_global_draws(predict)
    require(not differing(first, again), "predicting twice gave two results; draw only where self.training is true")


@torch.no_grad()
def check_bf16(bench: PredictorBench) -> None:
    """Under bf16 autocast predictions and rollouts are finite: a recipe may ask for it."""
    latents = bench.latents()
    with torch.autocast("cpu", torch.bfloat16):
        prediction = bench.predictor(latents)
        rolled = bench.predictor.rollout(latents, prediction.memory, bench.origins, HORIZON)
    outputs = [*(tensor[latents.mask] for tensor in _both(prediction).values()), rolled.states, rolled.belief]
    require(
        all(torch.isfinite(tensor).all() for tensor in outputs),
        "a prediction or a belief is not finite in bf16; compute sums and norms in float32",
    )


@torch.no_grad()
def check_no_prints(bench: PredictorBench) -> None:
    """The predictor prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.make(LATENT)(bench.latents()))
