"""Who is admitted, how often and when: subjects, admissions and ICU stays of one chunk, and their calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .course import Course
from .physiology import Array

HOUR, DAY = 3600, 86400
ID_MODULUS, ID_SHIFT = 9_999_991, 12_345
STAY_BASE, STAY_STRIDE = 30_000_000, 6_700_417
# The ICU stays of each admission of a subject, and how common the pattern is. A 0 is an admission without ICU stay.
HISTORIES: tuple[tuple[int, ...], ...] = ((1,), (2,), (1, 1), (2, 1), (1, 0))
HISTORY_SHARE = (0.74, 0.08, 0.12, 0.02, 0.04)


@dataclass(frozen=True)
class Structure:
    """Which admission and subject each stay belongs to. Indices are local to the chunk; `*_id` are MIMIC's.

    `may_die (n,)` marks the last stay of a subject, provided no admission follows it.
    """

    subject_id: Array
    age: Array
    male: Array
    hadm_id: Array
    admission_subject: Array
    stay_id: Array
    stay_admission: Array
    may_die: Array
    start_hour: Array

    @property
    def stay_subject(self) -> Array:
        return self.admission_subject[self.stay_admission]


@dataclass(frozen=True)
class Calendar:
    """Times in seconds since 1970 (dates lie in 2110-2210). -1 stands for never."""

    intime: Array
    outtime: Array
    admittime: Array
    dischtime: Array
    deathtime: Array
    dod: Array
    ward_before: Array


def draw_structure(rng: np.random.Generator, chunk: int, capacity: int, stays: int) -> Structure:
    """Subjects enough for exactly `stays` ICU stays; ids are unique over chunks of at most `capacity` stays."""
    admission_subject: list[int] = []
    stay_admission: list[int] = []
    subject = 0
    while len(stay_admission) < stays:
        history = HISTORIES[rng.choice(len(HISTORIES), p=HISTORY_SHARE)]
        for count in history:
            room = stays - len(stay_admission)
            stay_admission += [len(admission_subject)] * min(count, room)
            admission_subject.append(subject)
        subject += 1
    admissions, in_subject = np.array(stay_admission), np.array(admission_subject)
    owner = in_subject[admissions]
    ends_subject = np.append(in_subject[1:] != in_subject[:-1], True)
    return Structure(
        subject_id=_ids(10_000_000, 7_368_787, chunk * capacity + np.arange(subject)),
        age=np.clip(np.round(rng.normal(65, 16, subject)), 18, 91),
        male=rng.random(subject) < 0.56,
        hadm_id=_ids(20_000_000, 4_256_233, 2 * chunk * capacity + np.arange(len(in_subject))),
        admission_subject=in_subject,
        stay_id=_ids(STAY_BASE, STAY_STRIDE, chunk * capacity + np.arange(stays)),
        stay_admission=admissions,
        may_die=np.append(owner[1:] != owner[:-1], True) & ends_subject[admissions],
        start_hour=_arrival_hours(rng, stays),
    )


def _ids(base: int, stride: int, index: Array) -> Array:
    """A permutation of the index (the modulus is prime), so that ids carry no order; unique below ten million."""
    return base + (stride * index.astype(np.int64) + ID_SHIFT) % ID_MODULUS


def place_of_stay(stay_id: Array, capacity: int) -> tuple[Array, Array]:
    """Chunk, and place in the chunk, of stays by their ids; `_ids` backwards. An id that was never given has some
    place all the same."""
    index = (stay_id.astype(np.int64) - STAY_BASE - ID_SHIFT) * pow(STAY_STRIDE, -1, ID_MODULUS) % ID_MODULUS
    return index // capacity, index % capacity


def _arrival_hours(rng: np.random.Generator, stays: int) -> Array:
    busy = 1 + 0.6 * np.cos(2 * np.pi * (np.arange(24) - 18) / 24)
    return rng.choice(24, stays, p=busy / busy.sum())


def draw_calendar(rng: np.random.Generator, structure: Structure, course: Course) -> Calendar:
    """Lays the stays out in time: wards before, between and after, later admissions, deaths."""
    stays, admissions, subjects = len(structure.stay_id), len(structure.hadm_id), len(structure.subject_id)
    intime, outtime = np.zeros(stays, np.int64), np.zeros(stays, np.int64)
    admittime, dischtime = np.zeros(admissions, np.int64), np.zeros(admissions, np.int64)
    deathtime, dod = np.full(admissions, -1, np.int64), np.full(subjects, -1, np.int64)
    before = _seconds(
        np.where(rng.random(admissions) < 0.5, rng.uniform(0.3, 6, admissions), rng.uniform(3, 72, admissions))
    )
    between, after = rng.uniform(6, 120, stays), rng.lognormal(np.log(70), 0.8, admissions)
    later, length = rng.uniform(15, 500, admissions), _seconds(course.los_hours)
    clock = _seconds(rng.uniform(0, 1, stays))
    next_free = _first_days(rng, subjects)
    members = np.split(np.arange(stays), np.searchsorted(structure.stay_admission, np.arange(1, admissions)))
    for admission, inside in enumerate(members):
        subject = structure.admission_subject[admission]
        time = next_free[subject] + before[admission]
        for stay in inside:
            intime[stay] = _at_hour(time, structure.start_hour[stay]) + clock[stay]
            outtime[stay] = intime[stay] + length[stay]
            time = outtime[stay] + int(between[stay] * HOUR)
        admittime[admission] = (intime[inside[0]] if len(inside) else time) - before[admission]
        end = outtime[inside[-1]] if len(inside) else time
        last = inside[-1] if len(inside) else None
        if last is not None and course.died_in_unit[last]:
            dischtime[admission] = deathtime[admission] = end
        else:
            dischtime[admission] = end + int(after[admission] * HOUR)
            if last is not None and course.died_on_ward[last]:
                deathtime[admission] = dischtime[admission]
        next_free[subject] = dischtime[admission] + int(later[admission] * DAY)
    for deadly in np.flatnonzero(deathtime >= 0):
        dod[structure.admission_subject[deadly]] = deathtime[deadly]
    return Calendar(
        intime, outtime, admittime, dischtime, deathtime, _later_deaths(rng, structure, course, dischtime, dod), before
    )


def _later_deaths(
    rng: np.random.Generator, structure: Structure, course: Course, dischtime: Array, dod: Array
) -> Array:
    """Date of death for some who left alive, within a year of the last discharge and likelier after grave illness."""
    subjects = len(dod)
    gravity, last_discharge = np.zeros(subjects), np.zeros(subjects, np.int64)
    np.maximum.at(gravity, structure.stay_subject, course.final_severity)
    np.maximum.at(last_discharge, structure.admission_subject, dischtime)
    dies = (dod < 0) & (rng.random(subjects) < 0.06 + 0.08 * np.maximum(gravity, 0) + 0.08 * (structure.age > 75))
    return np.where(dies, last_discharge + (rng.uniform(2, 364, subjects) * DAY).astype(np.int64), dod)


def _first_days(rng: np.random.Generator, subjects: int) -> Array:
    first = int(np.datetime64("2110-01-02T00:00:00", "s").astype(np.int64))
    return first + _seconds(rng.uniform(0, 96 * 365.25 * 24, subjects))


def _at_hour(time: int, hour: int) -> int:
    """The first moment at or after `time` whose hour of the day is `hour`, on the hour."""
    midnight = time - time % DAY
    return midnight + hour * HOUR + (0 if hour * HOUR >= time % DAY else DAY)


def _seconds(hours: Array) -> Array:
    return np.round(hours * HOUR).astype(np.int64)
