"""Synthetic stays, run on under chosen treatment: what would have been measured, had other drugs been given.

Every stay is run again from its random stream, hour by hour as it was, up to the hour from which treatment is chosen.
Draws are equally many whatever is given, so chance takes the same turns, and two rows differ by their acts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

import numpy as np

from jepa_core.data.source import Act, Otherwise, Simulator
from jepa_core.errors import DataError

from . import CHUNK_STAYS
from .course import Hour, begin_course, draw_ends, run_hours
from .physiology import Array, Traits, Treatment, draw_traits
from .population import draw_structure, place_of_stay

GIVEN = {
    "inputevents/Norepinephrine/rate [mcg/kg/min]": "norepinephrine",
    "inputevents/Vasopressin/rate [units/hour]": "vasopressin",
    "inputevents/Propofol/rate [mcg/kg/min]": "propofol",
    "inputevents/Fentanyl (Concentrate)/rate [mcg/hour]": "fentanyl",
    "inputevents/Midazolam (Versed)/rate [mg/hour]": "midazolam",
    "inputevents/Insulin - Regular/rate [units/hour]": "insulin_drip",
    "inputevents/NaCl 0.9%/rate [mL/hour]": "maintenance",
    "inputevents/Furosemide (Lasix) [mg]": "furosemide",
}
"""What can be chosen: channels of the store, and the treatment that each is."""

Given: TypeAlias = list[tuple[int, dict[str, Array]]]
"""Places of stays in a chunk, and the doses of each, (H,) by treatment, NaN where an act says nothing."""

BREATHING = ("support", "fio2", "peep")
"""Treatment that goes on as decided whatever the acts: no one takes a stay off its ventilator to see what happens."""

SHOWN: dict[str, Callable[[Hour], Array]] = {
    "vitalsign/heart_rate": lambda hour: hour.seen.heart_rate,
    "vitalsign/mbp": lambda hour: hour.seen.map,
    "vitalsign/sbp": lambda hour: hour.seen.map + 2 * hour.seen.pulse_pressure / 3,
    "vitalsign/dbp": lambda hour: hour.seen.map - hour.seen.pulse_pressure / 3,
    "vitalsign/resp_rate": lambda hour: hour.seen.respiratory_rate,
    "vitalsign/temperature": lambda hour: hour.seen.temperature,
    "vitalsign/spo2": lambda hour: hour.seen.spo2,
    "urine_output/urineoutput": lambda hour: hour.seen.urine,
    "bg/lactate": lambda hour: hour.state.lactate,
    "chemistry/creatinine": lambda hour: hour.state.creatinine,
    "chemistry/bun": lambda hour: hour.state.urea,
    "chemistry/glucose": lambda hour: hour.state.glucose,
    "chemistry/potassium": lambda hour: hour.state.potassium,
    "chemistry/sodium": lambda hour: hour.state.sodium,
    "complete_blood_count/hemoglobin": lambda hour: hour.state.haemoglobin,
    "complete_blood_count/platelet": lambda hour: hour.state.platelets,
    "complete_blood_count/wbc": lambda hour: hour.state.white_cells,
}
"""Observations by name, and what a perfect instrument would read of them."""


class SyntheticStays(Simulator):
    """The stays of `write_tables(folder, stays, seed, illness=illness)`, hour by hour."""

    def __init__(self, stays: int, seed: int, illness: float = 1.0) -> None:
        self._stays, self._seed, self._illness = stays, seed, illness

    def simulate(
        self,
        identifiers: np.ndarray,
        acts: Sequence[Sequence[Act]],
        at: int,
        horizon: int,
        otherwise: Otherwise = "none",
        turn: int = 0,
    ) -> dict[str, np.ndarray]:
        chunk, position = place_of_stay(np.asarray(identifiers), CHUNK_STAYS)
        if (chunk * CHUNK_STAYS + position >= self._stays).any():
            raise DataError("these stays are not synthetic ones of this source; give identifiers of its own")
        chosen = [_doses(row, at, horizon) for row in acts]
        shown = {name: np.empty((len(chunk), horizon)) for name in SHOWN}
        for number in np.unique(chunk).tolist():
            for rows in _once_each(np.flatnonzero(chunk == number), position):
                given = [(int(position[row]), chosen[row]) for row in rows.tolist()]
                hours = list(self._chunk(number, given, at, horizon, otherwise, turn))
                for name, reading in SHOWN.items():
                    shown[name][rows] = np.stack([reading(hour)[position[rows]] for hour in hours], axis=1)
        return shown

    def _chunk(
        self,
        number: int,
        given: Given,
        at: int,
        horizon: int,
        otherwise: Otherwise,
        turn: int,
    ) -> Iterator[Hour]:
        """The hours at ... at + H - 1 of a chunk. given: places of stays, and their doses from hour `at` on."""
        stays = min(CHUNK_STAYS, self._stays - number * CHUNK_STAYS)
        recorded = list(islice((hour.treatment for hour in self._run(number, stays)), at + horizon))

        def treat(hour: int, decided: Treatment) -> Treatment:
            return decided if hour < at else _given(recorded[hour], given, hour - at, otherwise)

        others = np.random.default_rng([self._seed, number, turn])

        def chance(hour: int) -> np.random.Generator | None:
            return others if turn and hour >= at - 1 else None

        return islice(self._run(number, stays, treat, chance), at, at + horizon)

    def _run(
        self,
        number: int,
        stays: int,
        treat: Callable[[int, Treatment], Treatment] = lambda hour, decided: decided,
        chance: Callable[[int], np.random.Generator | None] = lambda hour: None,
    ) -> Iterator[Hour]:
        """A chunk of stays from its random stream, drawn from in the order of `simulate_chunk`."""
        rng = np.random.default_rng([self._seed, number])
        traits = _traits(rng, number, stays, self._illness)
        state, _ = begin_course(rng, traits)
        for hour in run_hours(rng, traits, state, treat, chance):
            draw_ends(rng, stays)
            yield hour


def _traits(rng: np.random.Generator, number: int, stays: int, illness: float) -> Traits:
    structure = draw_structure(rng, number, CHUNK_STAYS, stays)
    subject = structure.stay_subject
    return draw_traits(rng, structure.age[subject], structure.male[subject], structure.start_hour, illness)


def _doses(acts: Sequence[Act], at: int, horizon: int) -> dict[str, Array]:
    """What is given in each hour from `at` on, (H,) by treatment, NaN where an act says nothing. Raises DataError for
    an act whose effect is not known."""
    doses: dict[str, Array] = {}
    for act in acts:
        if act.channel not in GIVEN or act.value is None:
            raise DataError(
                f"synthetic stays do not know what '{act.channel}' does; known are, with a value, {', '.join(GIVEN)}"
            )
        dose = doses.setdefault(GIVEN[act.channel], np.full(horizon, np.nan))
        dose[max(act.begin - at, 0) : max(act.end - at, 0)] = act.value
    return doses


def _given(recorded: Treatment, given: Given, ahead: int, otherwise: Otherwise) -> Treatment:
    """Treatment of an hour in which the doses of some stays are chosen."""
    treatment = {name: np.array(value, dtype=np.float64) for name, value in vars(recorded).items()}
    for rows, doses in given:
        for name, value in treatment.items():
            if otherwise == "none" and name not in BREATHING:
                value[rows] = 0.0
        for name, dose in doses.items():
            if not np.isnan(dose[ahead]):
                treatment[name][rows] = dose[ahead]
    return replace(recorded, **(treatment | {"support": recorded.support}))


def _once_each(rows: Array, stays: Array) -> Iterator[Array]:
    """The rows of a chunk in groups in which every stay is there at most once."""
    left = rows
    while len(left):
        _, first = np.unique(stays[left], return_index=True)
        yield left[np.sort(first)]
        left = np.delete(left, first)
