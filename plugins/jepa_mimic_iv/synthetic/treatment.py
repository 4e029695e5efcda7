"""The bedside policy: what is given in the next hour, after looking at the (noisy) monitor.

Decisions depend on what can be seen, on habits of the people on duty (`Traits.vigour` and preferences) and on chance,
so that an action is informative about the state without being a function of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .physiology import INTUBATED, NEURO, PHENOTYPES, RESPIRATORY, Array, Signals, State, Traits, Treatment

FIO2_LOW = np.array([0.21, 0.24, 0.40, 0.40, 0.35])
FIO2_HIGH = np.array([0.21, 0.44, 0.80, 0.90, 1.00])
FIO2_START = np.array([0.21, 0.28, 0.50, 0.50, 0.60])


@dataclass
class TeamMemory:
    """What the team remembers: hours on this level of support, and the hour of the antibiotic course (or -1)."""

    hours_on_support: Array
    antibiotic_hour: Array


def first_memory(n: int) -> TeamMemory:
    return TeamMemory(hours_on_support=np.zeros(n), antibiotic_hour=np.full(n, -1.0))


def decide(
    rng: np.random.Generator,
    state: State,
    seen: Signals,
    before: Treatment,
    memory: TeamMemory,
    traits: Traits,
    hour: int,
) -> Treatment:
    """Chooses the next hour's treatment for every stay and updates `memory`."""
    pressure = seen.map + rng.normal(0, 4, len(seen.map))
    goal = 65 + 2 * traits.vigour
    support = _support(rng, seen, before, memory, traits, hour)
    fio2, peep = _oxygen(rng, seen, before, support)
    vancomycin, piperacillin = _antibiotics(rng, state, seen, memory)
    propofol, fentanyl, midazolam = _sedatives(rng, before, support, traits, hour)
    norepinephrine = _norepinephrine(rng, before.norepinephrine, pressure, goal)
    drip, push = _insulin(rng, state.glucose, before.insulin_drip, traits, hour)
    return Treatment(
        norepinephrine=norepinephrine,
        vasopressin=_vasopressin(rng, before.vasopressin, norepinephrine),
        bolus=_bolus(rng, state, seen, pressure, goal, traits),
        maintenance=_maintenance(rng, before, state, hour),
        blood=350.0 * ((state.haemoglobin < 7.1 + 0.3 * traits.vigour) & _chance(rng, 0.25, len(pressure))),
        propofol=propofol,
        fentanyl=fentanyl,
        midazolam=midazolam,
        insulin_drip=drip,
        insulin_push=push,
        furosemide=_furosemide(rng, state, pressure, traits),
        vancomycin=vancomycin,
        piperacillin=piperacillin,
        potassium=np.where(
            _chance(rng, 0.22, len(pressure)) & (state.potassium < 3.75),
            np.where(state.potassium < 3.4, 40.0, 20.0),
            0.0,
        ),
        support=support,
        fio2=fio2,
        peep=peep,
    )


def _chance(rng: np.random.Generator, probability: Array | float, n: int) -> Array:
    return rng.random(n) < probability


def _norepinephrine(rng: np.random.Generator, dose: Array, pressure: Array, goal: Array) -> Array:
    n = len(dose)
    started = (dose == 0) & (pressure < goal - 4) & _chance(rng, 0.5, n)
    change = np.clip(0.011 * (goal + 3 - pressure) * rng.lognormal(0, 0.35, n) * (0.5 + dose * 2), -0.08, 0.14)
    adjusted = np.where(_chance(rng, 0.5, n), dose + change, dose)
    dose = np.where(dose > 0, np.clip(adjusted, 0, 0.9), started * rng.uniform(0.03, 0.1, n))
    dose = np.round(dose, 2)
    return np.where(dose < 0.02, 0.0, dose)


def _vasopressin(rng: np.random.Generator, rate: Array, norepinephrine: Array) -> Array:
    n = len(rate)
    rate = np.where((rate == 0) & (norepinephrine > 0.25) & _chance(rng, 0.15, n), 2.4, rate)
    return np.where((norepinephrine < 0.1) & _chance(rng, 0.25, n), 0.0, rate)


def _bolus(
    rng: np.random.Generator, state: State, seen: Signals, pressure: Array, goal: Array, traits: Traits
) -> Array:
    n = len(pressure)
    dry = seen.urine < 0.4 * traits.weight
    wanted = np.where(pressure < goal, 0.25 * np.exp(0.3 * traits.vigour), np.where(dry, 0.05, 0.004))
    given = _chance(rng, wanted * (state.overload < 4), n)
    return given * rng.choice([250.0, 500.0, 1000.0], n, p=[0.2, 0.5, 0.3])


def _maintenance(rng: np.random.Generator, before: Treatment, state: State, hour: int) -> Array:
    n = len(before.maintenance)
    start = 0.45 if hour == 0 else 0.008
    rate = np.where(
        (before.maintenance == 0) & (state.overload < 3) & _chance(rng, start, n),
        rng.choice([75.0, 100.0, 125.0, 150.0], n),
        before.maintenance,
    )
    return np.where((rate > 0) & _chance(rng, 0.05 + 0.1 * (state.overload > 3), n) & (hour > 0), 0.0, rate)


def _support(
    rng: np.random.Generator, seen: Signals, before: Treatment, memory: TeamMemory, traits: Traits, hour: int
) -> Array:
    """Ladder of respiratory support: 0 room air, 1 cannula, 2 mask or high flow, 3 non-invasive, 4 intubated."""
    n, level, waited = len(seen.spo2), before.support, memory.hours_on_support
    saturation = seen.spo2 + rng.normal(0, 1.0, n)
    struggling = ((saturation < 91) | (seen.respiratory_rate > 33)) & (waited >= 1)
    step = np.where((level == 2) & _chance(rng, 0.55, n) | (saturation < 86), 2, 1)
    unconscious = (seen.eye + seen.verbal + seen.motor < 8.5) & (level < INTUBATED) & _chance(rng, 0.3, n)
    surgical = traits.phenotype == PHENOTYPES.index("surgical")
    arriving = 0.6 * (traits.illness[:, RESPIRATORY] > 1.9) + 0.5 * surgical + 0.25 * (traits.illness[:, NEURO] > 2)
    arrived_intubated = (hour == 0) & _chance(rng, arriving, n)
    up = np.minimum(level + np.where(struggling & _chance(rng, 0.6, n), step, 0), INTUBATED)
    up = np.where(unconscious | arrived_intubated, INTUBATED, up)
    day = 1.0 + ((traits.start_hour + hour) % 24 >= 7) * ((traits.start_hour + hour) % 24 <= 17)
    ready = (level == INTUBATED) & (waited >= 8) & (seen.pf_ratio > 190) & (seen.map > 60) & (before.fio2 <= 0.5)
    awake = (before.propofol < 25) & (seen.motor > 3.5)
    down = np.where(ready & awake & _chance(rng, 0.04 * day, n), rng.integers(1, 3, n), level)
    easing = (level > 0) & (level < INTUBATED) & (saturation > 96) & (waited >= 3) & _chance(rng, 0.09 * day, n)
    down = np.where(easing, level - 1, down)
    new = np.where(up > level, up, down)
    memory.hours_on_support = np.where(new == level, waited + 1, 0)
    return new


def _oxygen(rng: np.random.Generator, seen: Signals, before: Treatment, support: Array) -> tuple[Array, Array]:
    n = len(support)
    saturation = seen.spo2 + rng.normal(0, 1.0, n)
    change = np.where(saturation < 92, 0.10, np.where(saturation > 97, -0.05, 0.0)) * _chance(rng, 0.45, n)
    fio2 = np.where(support == before.support, before.fio2 + change, FIO2_START[support])
    fio2 = np.round(np.clip(fio2, FIO2_LOW[support], FIO2_HIGH[support]), 2)
    wanted = np.where(fio2 > 0.7, 12.0, np.where(fio2 > 0.5, 8.0, 5.0))
    settled = np.where((before.peep > 0) & _chance(rng, 0.8, n), before.peep, wanted)
    return fio2, np.where(support == INTUBATED, settled, 0.0)


def _sedatives(
    rng: np.random.Generator, before: Treatment, support: Array, traits: Traits, hour: int
) -> tuple[Array, Array, Array]:
    n = len(support)
    clock = (traits.start_hour + hour) % 24
    paused = (clock >= 6) & (clock <= 9) & _chance(rng, 0.35, n)
    revise = _chance(rng, 0.14, n) | ((before.propofol + before.midazolam) == 0) & _chance(rng, 0.4, n)
    given = (support == INTUBATED) & ~paused
    propofol = np.where(revise, 5.0 * rng.integers(2, 11, n), before.propofol) * traits.prefers_propofol
    midazolam = np.where(revise, rng.integers(1, 7, n), before.midazolam) * ~traits.prefers_propofol
    fentanyl = np.where(revise, 25.0 * rng.integers(0, 7, n), before.fentanyl)
    return propofol * given, fentanyl * (support == INTUBATED), midazolam * given


def _insulin(rng: np.random.Generator, glucose: Array, drip: Array, traits: Traits, hour: int) -> tuple[Array, Array]:
    n = len(glucose)
    reading = glucose + rng.normal(0, 8, n)
    start = (drip == 0) & (reading > 200) & traits.prefers_insulin_drip & _chance(rng, 0.25, n)
    wanted = np.clip(np.round((reading - 110) / 25), 1, 12)
    drip = np.where(start | ((drip > 0) & _chance(rng, 0.4, n)), wanted, drip)
    drip = np.where(reading < 135, 0.0, drip)
    due = ((traits.start_hour + hour) % 6 == 0) & (drip == 0) & (reading > 155) & _chance(rng, 0.75, n)
    return drip, due * np.clip(np.round((reading - 110) / 22), 2, 14)


def _furosemide(rng: np.random.Generator, state: State, pressure: Array, traits: Traits) -> Array:
    n = len(pressure)
    wanted = np.where((state.overload > 1.2) & (pressure > 64), 0.055 * np.exp(0.3 * traits.vigour), 0.002)
    given = _chance(rng, wanted * (state.diuresis < 0.5), n)
    return given * rng.choice([20.0, 40.0, 80.0], n, p=[0.5, 0.4, 0.1])


def _antibiotics(rng: np.random.Generator, state: State, seen: Signals, memory: TeamMemory) -> tuple[Array, Array]:
    """Vancomycin every 12 h and piperacillin-tazobactam every 8 h from the start of a course."""
    n, course = len(seen.temperature), memory.antibiotic_hour
    suspected = (seen.temperature > 38.0) | (state.white_cells > 13.5)
    course = np.where((course < 0) & suspected & _chance(rng, 0.15, n), 0, np.where(course >= 0, course + 1, course))
    better = (course > 72) & (seen.temperature < 37.6) & _chance(rng, 0.03, n)
    memory.antibiotic_hour = np.where(better, -1, course)
    going = memory.antibiotic_hour >= 0
    return (going & (course % 12 == 0)).astype(float), (going & (course % 8 == 0)).astype(float)
