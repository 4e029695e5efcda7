"""Checks of regularizers, on latents drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from jepa_core.contracts import Latents, Regularizer
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    close,
    differing,
    other_latents_in_padding,
    random_latents,
    require,
    require_no_global_draws,
    require_silent,
    require_terms,
    snapshot,
)


class Bench(base.Bench):
    """A regularizer."""

    def terms(self, latents: Latents, **keys: Any) -> dict[str, Tensor]:
        """Its terms, from the same random state each time."""
        regularizer: Regularizer = self.component.load()(self.config.model_copy(update=keys))
        torch.manual_seed(0)
        return regularizer.terms(latents)


def check_terms_finite_and_named(bench: Bench) -> None:
    """The terms are named, finite scalars, also for latents that have collapsed and for a single step: these are what
    a regularizer is there for."""
    latents = random_latents()
    collapsed = replace(latents, states=torch.ones_like(latents.states), actions=torch.ones_like(latents.actions))
    for given in (latents, collapsed, random_latents(windows=1, steps=2)):
        given.states.requires_grad_()
        terms = bench.terms(given)
        require_terms(terms)
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, given.states, allow_unused=True)
            require(
                gradient is None or torch.isfinite(gradient).all(),
                "a gradient is not finite; the square root of a variance of 0 has none, so add a small number first",
            )


def check_gradient_flows(bench: Bench) -> None:
    """A gradient reaches the states: a term without one regularizes nothing."""
    latents = random_latents()
    for part in (latents.static, latents.states, latents.actions):
        part.mul_(0.1).requires_grad_()
    terms = bench.terms(latents)
    loss = torch.stack([term.float() for term in terms.values()]).sum()
    require(loss.requires_grad, "the terms carry no gradient; do not detach the latents")
    loss.backward()
    reached = [part for part in (latents.static, latents.states, latents.actions) if part.grad is not None]
    require(any(part.grad.any() for part in reached), "no gradient reaches the latents; do not detach them")


def check_mask_respected(bench: Bench) -> None:
    """What stands where `mask` is false changes no term: it is padding."""
    latents = random_latents()
    before, after = bench.terms(latents), bench.terms(other_latents_in_padding(latents))
    changed = [name for name in before if not close(before[name], after[name])]
    require(not changed, f"the terms {', '.join(changed)} change with what stands in the padding; use latents.mask")


def check_weight_left_to_the_loop(bench: Bench) -> None:
    """The terms do not depend on `weight`: the loop multiplies by it, and twice would be its square."""
    latents = random_latents()
    one, two = bench.terms(latents, weight=1.0), bench.terms(latents, weight=2.0)
    require(not differing(one, two), "the terms change with the config's weight; leave it to the loop")


def check_rng_isolation(bench: Bench) -> None:
    """Draws come from torch's state, which the loop seeds before every step: the same step gives the same bits."""
    latents = random_latents()
    first = snapshot(bench.terms(latents))
    again: dict[str, Tensor] = {}
    regularizer: Regularizer = bench.component.load()(bench.config)
    torch.manual_seed(0)
    require_no_global_draws(lambda: again.update(regularizer.terms(latents)))
    require(not differing(first, again), "the same step gave other terms; draw from torch, and keep nothing")


def check_bf16(bench: Bench) -> None:
    """Under bf16 autocast the terms are finite: a recipe may ask for it."""
    with torch.autocast("cpu", torch.bfloat16):
        require_terms(bench.terms(random_latents()))


def check_no_prints(bench: Bench) -> None:
    """The regularizer prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.terms(random_latents()))
