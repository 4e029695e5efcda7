"""Choosing actions so that what is imagined costs least.

The model is asked what it associates with each of many plans, member by member of an ensemble, and a search keeps the
plan whose cost is least over the worst of the members. It can find no more than the recorded data tell: they do not
identify what an intervention does.

Symbols: n trajectories, P plans, K members, H horizon, S = H - 1 steps acted in, A actions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.config import SourceConfig
from jepa_core.contracts import Act
from jepa_core.data.trajectories import Trajectories
from jepa_core.errors import RecipeError, some_of
from jepa_core.model.acts import PlannedActs, known_acts
from jepa_core.model.decoding import decoded
from jepa_core.model.forecasting import foresee
from jepa_core.model.goals import Goal, tail_mean, values_by_name
from jepa_core.model.imagining import origins_of, those_able
from jepa_core.model.searching import FoundPlan, PlanCosts, Search, search

if TYPE_CHECKING:
    from jepa_core.model.data import Data
    from jepa_core.model.model import Model

CAUTION = (
    "recorded actions do not identify what an intervention does: a plan is what the model associates with little cost, "
    "no advice"
)
RETROSPECT = (
    "the source of these data says that its actions are interventions on people, so plans are made of the past alone; "
    "ask for one with retrospective=True (--retrospective), and act on none"
)


def refuse_unasked(config: SourceConfig, retrospective: bool) -> None:
    """Raises RecipeError where actions are interventions on people, and nobody said that plans are of the past."""
    if config.in_retrospect and not retrospective:
        raise RecipeError(RETROSPECT)


def the_one_at(within: np.ndarray, trajectory: int, at: int) -> np.ndarray:
    """One position of those at `within` (n,). Raises RecipeError if it is none of them."""
    if trajectory not in within:
        raise RecipeError(f"there is no trajectory of {at} steps at the position {trajectory}, counted from 0")
    return np.array([trajectory])


@dataclass(frozen=True)
class Steered:
    """A plan for each of n trajectories. trajectory: (n,) positions, ascending. left_out: how many lack what the acts
    need. chosen: (n, S, A). cost: (n,) that the model expects; nothing: (n,) that it expects if nothing is done. units:
    of the actions, by name."""

    trajectory: np.ndarray
    left_out: int
    chosen: np.ndarray
    cost: np.ndarray
    nothing: np.ndarray
    units: dict[str, str]


@dataclass(frozen=True)
class Steering:
    """What is asked. risk: share of the members, the worst, whose mean cost counts; 1 is the mean of all."""

    goal: Goal
    at: int
    horizon: int
    risk: float = 1.0
    how: Search = Search()

    def __post_init__(self) -> None:
        """Raises RecipeError where there is nothing to choose."""
        if not 0 < self.risk <= 1:
            raise RecipeError(f"risk is a share of the members above 0 and up to 1, not {self.risk}")
        if self.horizon < 2:
            raise RecipeError("an action shows in the step after it: choose a horizon of at least 2")

    @property
    def choices(self) -> int:
        """Values that are chosen in a row, each held for `hold` steps."""
        return -(-(self.horizon - 1) // self.goal.hold)

    def steps(self, chosen: np.ndarray) -> np.ndarray:
        """Choices (..., choices, A) as the values of every step (..., S, A)."""
        return np.repeat(chosen, self.goal.hold, axis=-2)[..., : self.horizon - 1, :]

    def acts(self, values: np.ndarray) -> list[Act]:
        """What a plan (S, A) does, equal values of neighbouring steps in one act; a value of 0 is no act."""
        acts = []
        for number, limit in enumerate(self.goal.limits):
            row = values[:, number]
            edges = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
            for begin, end in zip(edges[:-1], edges[1:], strict=True):
                if row[begin] != 0:
                    acts.append(Act(limit.channel, float(row[begin]), limit.unit, self.at + begin, self.at + end))
        return acts

    def utmost(self) -> PlannedActs:
        """Everything that may be done, throughout: whoever can take it can take any plan."""
        most = [limit.high or limit.low for limit in self.goal.limits]
        return PlannedActs(self.acts(np.tile(most, (self.horizon - 1, 1))), self.at, self.horizon, "none")

    def find(self, costs: Callable[[np.ndarray], np.ndarray], seed: int) -> FoundPlan:
        """The plan (S, A) of least cost. costs: (P,) of plans (P, S, A)."""
        wide: PlanCosts = lambda chosen: costs(self.steps(chosen))  # noqa: E731 - one expression, used once
        searched = search(wide, self.goal.bounds(), self.choices, replace(self.how, seed=seed))
        return FoundPlan(self.steps(searched.chosen), searched.cost)


def steer(model: Model, data: Data, within: np.ndarray, asked: Steering) -> Steered:
    """A plan for each of the trajectories at `within` (n,), ascending, that has what the acts need."""
    asked = replace(asked, goal=_known_limits(asked.goal, data))
    _check_wanted(model, asked.goal)
    chosen = those_able(data, within, [asked.utmost()])
    plans, nothing = [], []
    for trajectory, alone in data.dataset.store.each(chosen):
        costs = ImaginedCosts(model, data, trajectory, alone, asked)
        plans.append(asked.find(costs, asked.how.seed + trajectory))
        nothing.append(float(costs(np.zeros((1, asked.horizon - 1, len(asked.goal.limits))))[0]))
    units = {limit.channel: limit.unit or "" for limit in asked.goal.limits}
    chosen_values, expected = (
        np.array(part) for part in zip(*((plan.chosen, plan.cost) for plan in plans), strict=True)
    )
    return Steered(chosen, len(within) - len(chosen), chosen_values, expected, np.array(nothing), units)


@dataclass(frozen=True)
class ImaginedCosts:
    """Costs (P,) of plans (P, S, A) for one trajectory, as each member of the model imagines what they lead to."""

    model: Model
    data: Data
    trajectory: int
    alone: Trajectories
    asked: Steering

    def __call__(self, plans: np.ndarray) -> np.ndarray:
        return tail_mean(self.by_member(plans), self.asked.risk)

    def by_member(self, plans: np.ndarray) -> np.ndarray:
        """(K, P)."""
        asked, model = self.asked, self.model
        acted = [PlannedActs(asked.acts(plan), asked.at, asked.horizon, "none") for plan in plans]
        context = model.reach.context(asked.at, asked.horizon)
        origins = list(origins_of(model.view(self.data), self.data, self.trajectory, self.alone, acted, context))
        decoder = None if model.decoder is None else model.decoder.of_member()
        costs = []
        for member in model.frozen.apart():
            read = decoded(foresee(member, iter(origins), asked.horizon), model.readouts, decoder, None)
            assert read is not None, "a goal's channels have been looked for"
            names = [channel.name for channel in read.channels]
            costs.append(asked.goal.costs(values_by_name(names, read.values, asked.goal.wanted), plans, asked.at))
        return np.stack(costs)


def _known_limits(goal: Goal, data: Data) -> Goal:
    """The goal with the units of what may be done. Raises RecipeError for an unknown channel or another unit."""
    acts = [Act(limit.channel, limit.low, limit.unit, 0, 1) for limit in goal.limits]
    try:
        known = known_acts(acts, data.dataset.store.channels)
    except RecipeError as error:
        raise RecipeError(str(error).replace("acts.", "limits.", 1)) from error
    pairs = zip(goal.limits, known, strict=True)
    return goal.model_copy(
        update={"limits": tuple(limit.model_copy(update={"unit": act.unit}) for limit, act in pairs)}
    )


def _check_wanted(model: Model, goal: Goal) -> None:
    """Raises RecipeError for a channel that nothing reads off what is imagined."""
    known = readable(model)
    for number, term in enumerate(goal.cost):
        if term.channel in goal.wanted and term.channel not in known:
            raise RecipeError(
                f"cost.{number}: nothing reads '{term.channel}' off what this model imagines; it reads "
                f"{some_of(known, 'nothing')}"
            )


def readable(model: Model) -> Sequence[str]:
    """Labels and channels that are read off what a model imagines."""
    labels = [channel.name for readout in model.readouts for channel in readout.channels]
    return labels + [channel.name for channel in (model.decoder.channels if model.decoder else [])]
