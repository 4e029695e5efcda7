"""What is wanted of the future, and what may be done for it: typed terms of a cost, and limits of actions.

Symbols: P plans, H horizon, S = H - 1 steps that are acted in. All values are in the data's units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jepa_core.errors import RecipeError
from jepa_core.model.request_file import read_request

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Written(BaseModel):
    """Keys of a file or of Python alike."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class _Term(_Written):
    """A term of a cost: a mean over steps, times its weight. scale: difference, in the channel's unit, that costs 1.
    begin, end: the steps that count, from 0; all that are imagined if None."""

    channel: str
    scale: Positive = 1.0
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    begin: Annotated[int | None, Field(ge=0, alias="from")] = None
    end: Annotated[int | None, Field(ge=1, alias="to")] = None

    def mean(self, costs: np.ndarray, first: int) -> np.ndarray:
        """Weighted mean (...) over the steps that count of (..., S), of which the first has the number `first`. 0 if
        none counts."""
        steps = first + np.arange(costs.shape[-1])
        counts = (steps >= (self.begin or 0)) & (steps < (np.inf if self.end is None else self.end))
        return self.weight * costs[..., counts].sum(axis=-1) / max(1, int(counts.sum()))


class TargetTerm(_Term):
    """The squared distance of a channel, or a label, from a value."""

    use: Literal["target"]
    value: Finite

    def cost(self, values: np.ndarray, first: int) -> np.ndarray:
        """(...) from values (..., H)."""
        return self.mean(((values - self.value) / self.scale) ** 2, first)


class BandTerm(_Term):
    """The squared distance of a channel, or a label, from a band; nothing within it."""

    use: Literal["band"]
    low: Finite | None = None
    high: Finite | None = None

    @model_validator(mode="after")
    def _has_a_side(self) -> Self:
        low = -np.inf if self.low is None else self.low
        if (self.low is None and self.high is None) or low > (np.inf if self.high is None else self.high):
            raise ValueError("a band has low, high or both, and low is not above high")
        return self

    def cost(self, values: np.ndarray, first: int) -> np.ndarray:
        """(...) from values (..., H)."""
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        below, above = np.maximum(low - values, 0.0), np.maximum(values - high, 0.0)
        return self.mean(((below + above) / self.scale) ** 2, first)


class EffortTerm(_Term):
    """The square of what is done by an action."""

    use: Literal["effort"]

    def cost(self, values: np.ndarray, first: int) -> np.ndarray:
        """(...) from values of the action (..., S)."""
        return self.mean((values / self.scale) ** 2, first)


CostTerm: TypeAlias = Annotated[TargetTerm | BandTerm | EffortTerm, Field(discriminator="use")]


class Limit(_Written):
    """An action that may be chosen, between two values. unit: of the channel; whichever it is if None."""

    channel: str
    low: Finite
    high: Finite
    unit: str | None = None

    @model_validator(mode="after")
    def _low_is_lower(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


class Goal(_Written):
    """What is wanted: the sum of the terms, as low as possible. limits: what may be done. hold: steps for which a
    chosen value is held."""

    cost: Annotated[tuple[CostTerm, ...], Field(min_length=1)]
    limits: Annotated[tuple[Limit, ...], Field(min_length=1)]
    hold: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _efforts_are_limited(self) -> Self:
        names = [limit.channel for limit in self.limits]
        if len(set(names)) < len(names):
            raise ValueError("a channel has two limits; give it one")
        unknown = [term.channel for term in self.cost if isinstance(term, EffortTerm) and term.channel not in names]
        if unknown:
            raise ValueError(f"there is an effort of '{unknown[0]}', which has no limits: it is not chosen")
        return self

    @property
    def wanted(self) -> list[str]:
        """Channels and labels that the cost reads."""
        return list(dict.fromkeys(term.channel for term in self.cost if not isinstance(term, EffortTerm)))

    def costs(self, values: Mapping[str, np.ndarray], chosen: np.ndarray, at: int) -> np.ndarray:
        """Costs (..., P). values: of each channel that is wanted, (..., P, H), at the steps from `at` on. chosen: (P,
        S, A) of the actions, in the order of the limits."""
        shape = next((array.shape[:-1] for array in values.values()), chosen.shape[:1])
        return sum(self._each(values, chosen, at), start=np.zeros(shape))

    def _each(self, values: Mapping[str, np.ndarray], chosen: np.ndarray, at: int) -> Iterator[np.ndarray]:
        places = {limit.channel: index for index, limit in enumerate(self.limits)}
        for term in self.cost:
            of_action = isinstance(term, EffortTerm)
            yield term.cost(chosen[..., places[term.channel]] if of_action else values[term.channel], at)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest values of each action, (A,) each."""
        return np.array([limit.low for limit in self.limits]), np.array([limit.high for limit in self.limits])

    def told(self) -> str:
        """The goal in words."""
        return "; ".join([*(_told(term) for term in self.cost), *(_limit(limit) for limit in self.limits)])


def goal_of(written: Mapping[str, Any]) -> Goal:
    """A goal from plain values. Raises RecipeError that names every mistake."""
    try:
        return Goal.model_validate(written)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'goal'}: {detail['msg']}" for detail in error.errors()
        )
        raise RecipeError(f"a goal has the keys cost, limits and hold ({problems})") from error


def read_goal(path: Path) -> Goal:
    """The goal in a YAML file. Raises RecipeError for anything else in it, naming line and key of every mistake."""
    return read_request(path, Goal, "a goal is a section with the keys `cost`, `limits` and, if need be, `hold`")


def _told(term: TargetTerm | BandTerm | EffortTerm) -> str:
    if isinstance(term, TargetTerm):
        text = f"{term.channel} at {term.value:g}"
    elif isinstance(term, BandTerm):
        sides = (("above", term.low), ("below", term.high))
        text = f"{term.channel} " + " and ".join(f"{word} {side:g}" for word, side in sides if side is not None)
    else:
        text = f"little of {term.channel}"
    return f"{text} (weight {term.weight:g}, scale {term.scale:g})"


def _limit(limit: Limit) -> str:
    return f"{limit.channel} from {limit.low:g} to {limit.high:g} {limit.unit or ''}".rstrip()


def tail_mean(costs: np.ndarray, share: float) -> np.ndarray:
    """Conditional value at risk (Rockafellar & Uryasev 2000) of costs (K, ...): the mean of the worst `share` of K, of
    at least one. A share of 1 is the mean."""
    count = max(1, int(np.ceil(share * len(costs) - 1e-9)))
    return np.sort(costs, axis=0)[-count:].mean(axis=0)


def values_by_name(names: Sequence[str], values: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Of values (..., H, C), those of the channels that are wanted, (..., H) each."""
    return {name: values[..., list(names).index(name)] for name in wanted}
