"""Runs a chunk of stays through time: signals, decisions, next state, until each is discharged or dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from .physiology import (
    Array,
    Signals,
    State,
    Traits,
    Treatment,
    advance,
    draw_noise,
    first_state,
    no_treatment,
    signals,
)
from .treatment import decide, first_memory

LONGEST_HOURS = 504
WELL_ENOUGH_TO_LEAVE = 1.35
RECORDED_STATE = (
    "lactate",
    "creatinine",
    "urea",
    "glucose",
    "potassium",
    "sodium",
    "haemoglobin",
    "platelets",
    "bilirubin",
    "albumin",
    "white_cells",
    "sedation",
)


@dataclass(frozen=True)
class Course:
    """What happened to `n` stays. `series` maps a name to `(T, n)` float32, one value an hour, valid where `present`.

    `los_hours (n,)` is the length of stay; `died_in_unit` and `died_on_ward` are boolean `(n,)`.
    """

    series: dict[str, Array]
    latent: Array
    present: Array
    los_hours: Array
    died_in_unit: Array
    died_on_ward: Array
    final_severity: Array


@dataclass(frozen=True)
class Hour:
    """An hour of `n` stays: the state at its beginning, what it shows, and what is then given."""

    number: int
    state: State
    seen: Signals
    treatment: Treatment


def run_hours(
    rng: np.random.Generator,
    traits: Traits,
    state: State,
    treat: Callable[[int, Treatment], Treatment] = lambda hour, decided: decided,
    chance: Callable[[int], np.random.Generator | None] = lambda hour: None,
) -> Iterator[Hour]:
    """Hour after hour from a first state. treat: what is given in an hour instead of what was decided. chance: draws
    the noise that leads out of an hour; `rng` where it is None.

    Draws are equally many whatever is given, so that chance takes the same turns.
    """
    treatment, memory = no_treatment(len(traits.age)), first_memory(len(traits.age))
    for hour in range(LONGEST_HOURS):
        seen = signals(state, treatment, traits, hour)
        treatment = treat(hour, decide(rng, state, seen, treatment, memory, traits, hour))
        yield Hour(hour, state, seen, treatment)
        state = advance(state, treatment, traits, hour, draw_noise(chance(hour) or rng, traits))


def begin_course(rng: np.random.Generator, traits: Traits) -> tuple[State, Array]:
    """The first state of every stay, and the hours that it is planned for."""
    state = first_state(rng, traits)
    return state, _planned_hours(rng, state)


def draw_ends(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """What decides whether stays end in death in an hour, and when in it they end."""
    return rng.random(n), rng.uniform(0.05, 1.0, n)


def run_course(rng: np.random.Generator, traits: Traits, may_die: Array) -> Course:
    """Simulates until every stay has ended (at most three weeks). A stay that `may_die` is False for survives."""
    n = len(traits.age)
    state, planned = begin_course(rng, traits)
    ended, died = np.full(n, np.nan), np.zeros(n, dtype=bool)
    final, burden = state.severity(), state.burden
    hours: list[dict[str, Array]] = []
    latents: list[Array] = []
    for now in run_hours(rng, traits, state):
        hour, severity = now.number, now.state.severity()
        hours.append(_record(now.state, now.seen, now.treatment, severity))
        latents.append(now.state.latent.astype(np.float32))
        going = np.isnan(ended)
        final, burden = np.where(going, severity, final), np.where(going, now.state.burden, burden)
        risk, moment = draw_ends(rng, n)
        dying = going & may_die & (risk < _death_hazard(severity, traits.frailty))
        leaving = going & (hour + 1 >= planned) & ((severity < WELL_ENOUGH_TO_LEAVE) | (hour + 1 >= 1.7 * planned))
        ended = np.where(dying | leaving, np.maximum(hour + moment, 1.0), ended)
        died |= dying
        if not np.isnan(ended).any():
            break
    los = np.where(np.isnan(ended), float(LONGEST_HOURS), ended)
    ward = may_die & ~died & (rng.random(n) < _ward_death(final, burden, traits.frailty))
    present = np.arange(len(hours))[:, None] < los[None, :]
    series = {name: np.stack([hour[name] for hour in hours]) for name in hours[0]}
    return Course(series, np.stack(latents), present, los, died, ward, final)


def _planned_hours(rng: np.random.Generator, state: State) -> Array:
    """Log-normal, longer for the sicker; about one in forty leaves within six hours."""
    n = len(state.burden)
    planned = np.exp(np.log(63) + 0.45 * (state.severity() - 0.9) + rng.normal(0, 0.80, n))
    brief = rng.random(n) < 0.025
    return np.clip(np.where(brief, rng.uniform(1.5, 5.9, n), planned), 1.2, LONGEST_HOURS / 1.1)


def _death_hazard(severity: Array, frailty: Array) -> Array:
    return np.minimum(0.00050 * np.exp(2.2 * (severity - 1.2) + 0.5 * frailty), 0.25)


def _ward_death(final: Array, burden: Array, frailty: Array) -> Array:
    return 1 / (1 + np.exp(4.9 - 1.4 * final - 0.7 * burden - 0.5 * frailty))


def _record(state: State, seen: Signals, treatment: Treatment, severity: Array) -> dict[str, Array]:
    recorded = {field.name: getattr(seen, field.name) for field in fields(Signals)}
    recorded |= {name: getattr(state, name) for name in RECORDED_STATE}
    recorded |= {"given_" + field.name: getattr(treatment, field.name) for field in fields(Treatment)}
    recorded["severity"] = severity
    return {name: value.astype(np.float32) for name, value in recorded.items()}
