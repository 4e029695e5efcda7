"""Searches for a plan of low cost that need nothing but the costs of plans.

Symbols: P plans that are tried at once, S choices in a row, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Method: TypeAlias = Literal["cem", "mppi"]

PlanCosts: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Costs (P,) of plans (P, S, A)."""

KEPT = 0.1
"""Share of themselves that mean and spread of `cem` keep from one round to the next, and that the spread of `mppi`
loses."""


@dataclass(frozen=True)
class Search:
    """How a plan is looked for. plans: tried in a round. rounds: how many there are. elites: share of a round's plans
    that the next is drawn around (`cem`). temperature: cost above the least, in standard deviations of a round's costs,
    at which a plan's weight falls to 1/e (`mppi`). seed: of the draws."""

    method: Method = "cem"
    plans: int = 64
    rounds: int = 8
    elites: float = 0.15
    temperature: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FoundPlan:
    """The plan of least cost that was tried: chosen (S, A), and its cost."""

    chosen: np.ndarray
    cost: float


def search(costs: PlanCosts, bounds: tuple[np.ndarray, np.ndarray], choices: int, how: Search) -> FoundPlan:
    """The best plan of all rounds. Plans of a round are drawn from a normal distribution around a mean, and cut off at
    the bounds (A,), (A,); the first plan of every round is the mean itself, and that of the first to do nothing, or as
    little as the bounds allow.

    `cem` is the cross-entropy method (Rubinstein & Kroese 2004; as in PETS, arXiv 1805.12114): mean and spread become
    those of the elites. `mppi` is model predictive path integral control (Williams et al., arXiv 1509.01149): the mean
    becomes that of all plans, weighted by exp(-cost); its spread is given, and narrows by a tenth a round.
    """
    low, high = bounds
    random = np.random.default_rng(how.seed)
    mean = np.broadcast_to(np.clip(0.0, low, high), (choices, len(low))).astype(np.float64)
    spread = np.broadcast_to((high - low) / 2, mean.shape).astype(np.float64)
    best = FoundPlan(mean, np.inf)
    for _ in range(how.rounds):
        drawn = mean + spread * random.normal(size=(how.plans, *mean.shape))
        drawn[0] = mean
        plans = np.clip(drawn, low, high)
        prices = costs(plans)
        first = int(np.argmin(prices))
        if prices[first] < best.cost:
            best = FoundPlan(plans[first], float(prices[first]))
        mean, spread = MOVES[how.method](plans, prices, mean, spread, how)
    return best


def _cem(
    plans: np.ndarray, costs: np.ndarray, mean: np.ndarray, spread: np.ndarray, how: Search
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread (S, A) of the best plans, and some of what they were."""
    best = plans[np.argsort(costs, kind="stable")[: max(2, round(how.elites * len(plans)))]]
    return (1 - KEPT) * best.mean(axis=0) + KEPT * mean, (1 - KEPT) * best.std(axis=0) + KEPT * spread


def _mppi(
    plans: np.ndarray, costs: np.ndarray, mean: np.ndarray, spread: np.ndarray, how: Search
) -> tuple[np.ndarray, np.ndarray]:
    """The mean (S, A) of all plans, weighted by their costs, and a narrower spread."""
    weights = np.exp(-(costs - costs.min()) / (how.temperature * max(float(costs.std()), 1e-12)))
    return np.tensordot(weights / weights.sum(), plans, axes=1), (1 - KEPT) * spread


MOVES = {"cem": _cem, "mppi": _mppi}
"""How a search goes on from the costs of a round."""
