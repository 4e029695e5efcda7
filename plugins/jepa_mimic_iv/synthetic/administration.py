"""The hospital's books: patients, admissions, ICU stays, coded diagnoses, and the dictionaries of items."""

from __future__ import annotations

import numpy as np

from . import catalogue
from .grid import Chunk
from .physiology import PHENOTYPES, Array
from .population import DAY
from .writing import TableWriters, number_text, pick, time_text

YEAR_GROUPS = ("2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019", "2020 - 2022")
UNITS_OF_PHENOTYPE = (
    "Medical Intensive Care Unit (MICU)",
    "Coronary Care Unit (CCU)",
    "Medical/Surgical Intensive Care Unit (MICU/SICU)",
    "Medical Intensive Care Unit (MICU)",
    "Neuro Surgical Intensive Care Unit (Neuro SICU)",
    "Surgical Intensive Care Unit (SICU)",
    "Cardiac Vascular Intensive Care Unit (CVICU)",
    "Trauma SICU (TSICU)",
)
ADMISSION_TYPES = ("EW EMER.", "OBSERVATION ADMIT", "URGENT", "SURGICAL SAME DAY ADMISSION", "DIRECT EMER.", "ELECTIVE")
ADMISSION_LOCATIONS = ("EMERGENCY ROOM", "PHYSICIAN REFERRAL", "TRANSFER FROM HOSPITAL", "CLINIC REFERRAL")
DISCHARGE_LOCATIONS = ("HOME", "HOME HEALTH CARE", "SKILLED NURSING FACILITY", "REHAB", "DIED")
INSURANCES = ("Medicare", "Other", "Medicaid")
MARITAL = ("MARRIED", "SINGLE", "WIDOWED", "DIVORCED", None)
RACES = ("WHITE", "BLACK/AFRICAN AMERICAN", "HISPANIC/LATINO - PUERTO RICAN", "ASIAN", "OTHER", "UNKNOWN", "PORTUGUESE")
# Diagnoses that a phenotype tends to be coded with, by code; the others are comorbidities.
CODES_OF_PHENOTYPE: dict[str, tuple[str, ...]] = {
    "septic": ("A419", "R6521", "99592"),
    "cardiac": ("I5023", "I214"),
    "respiratory": ("J9601", "J189"),
    "renal": ("N179", "N186", "5849"),
    "neuro": ("I6340", "G9340"),
    "surgical": ("K567", "D62"),
}


def write_dictionaries(tables: TableWriters) -> None:
    """Writes `icu/d_items`, `hosp/d_labitems` and `hosp/d_icd_diagnoses`: every code the generator emits."""
    items = [
        (itemid, label, short, "chartevents", category, unit, kind, low, high)
        for itemid, (label, short, category, unit, kind, low, high) in catalogue.CHART_ITEMS.items()
    ]
    items += [
        (itemid, label, short, "chartevents", category, None, "Text", None, None)
        for itemid, (label, short, category, _) in catalogue.ROUTINE_ITEMS.items()
    ]
    items += [
        (itemid, label, short, link, category, unit, kind, None, None)
        for itemid, (label, short, link, category, unit, kind) in catalogue.OTHER_ITEMS.items()
    ]
    labs = [(itemid, label, "Blood", category) for itemid, (label, category, *_) in catalogue.LAB_ITEMS.items()]
    for table, rows in (
        ("icu/d_items", sorted(items)),
        ("hosp/d_labitems", labs),
        ("hosp/d_icd_diagnoses", list(catalogue.DIAGNOSES)),
    ):
        columns = (list(column) for column in zip(*rows, strict=True))
        names = catalogue.COLUMNS[table].split()
        tables.write(
            table,
            {
                name: [None if v is None else str(v) for v in column]
                for name, column in zip(names, columns, strict=True)
            },
        )


def write_administration(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    """Draws and writes patients, admissions, ICU stays and coded diagnoses of a chunk."""
    _write_patients(rng, chunk, tables)
    _write_admissions(rng, chunk, tables)
    _write_stays(rng, chunk, tables)
    _write_diagnoses(rng, chunk, tables)


def _write_patients(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    structure, calendar = chunk.structure, chunk.calendar
    subjects = len(structure.subject_id)
    first = np.full(subjects, np.iinfo(np.int64).max)
    np.minimum.at(first, structure.admission_subject, calendar.admittime)
    year = first.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    tables.write(
        "hosp/patients",
        {
            "subject_id": structure.subject_id,
            "gender": pick(("F", "M"), structure.male.astype(int)),
            "anchor_age": structure.age.astype(int),
            "anchor_year": year,
            "anchor_year_group": pick(YEAR_GROUPS, rng.integers(0, len(YEAR_GROUPS), subjects)),
            "dod": time_text(calendar.dod, "D"),
        },
    )


def _write_admissions(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    structure, calendar = chunk.structure, chunk.calendar
    count, subject = len(structure.hadm_id), structure.admission_subject
    died = calendar.deathtime >= 0
    kind = rng.choice(len(ADMISSION_TYPES), count, p=[0.46, 0.2, 0.16, 0.08, 0.06, 0.04])
    emergency = (kind <= 1) | (kind == 4)
    arrived = np.where(emergency, calendar.admittime - 60 * rng.integers(60, 600, count), -1)
    left = np.where(emergency, calendar.admittime + 60 * rng.integers(20, 240, count), -1)
    fixed = {
        "insurance": pick(INSURANCES, rng.choice(3, len(structure.subject_id), p=[0.45, 0.4, 0.15])[subject]),
        "language": pick(("ENGLISH", "?"), rng.choice(2, len(structure.subject_id), p=[0.9, 0.1])[subject]),
        "marital_status": pick(
            MARITAL, rng.choice(5, len(structure.subject_id), p=[0.4, 0.33, 0.14, 0.08, 0.05])[subject]
        ),
        "race": pick(
            RACES, rng.choice(7, len(structure.subject_id), p=[0.64, 0.13, 0.05, 0.04, 0.05, 0.07, 0.02])[subject]
        ),
    }
    tables.write(
        "hosp/admissions",
        fixed
        | {
            "subject_id": structure.subject_id[subject],
            "hadm_id": structure.hadm_id,
            "admittime": time_text(calendar.admittime - calendar.admittime % 60),
            "dischtime": time_text(calendar.dischtime - calendar.dischtime % 60),
            "deathtime": time_text(np.where(died, calendar.deathtime - calendar.deathtime % 60, -1)),
            "admission_type": pick(ADMISSION_TYPES, kind),
            "admit_provider_id": pick([f"P{i:02d}SYN" for i in range(40)], rng.integers(0, 40, count)),
            "admission_location": pick(ADMISSION_LOCATIONS, np.where(emergency, 0, rng.integers(1, 4, count))),
            "discharge_location": pick(DISCHARGE_LOCATIONS, np.where(died, 4, rng.integers(0, 4, count))),
            "edregtime": time_text(arrived - arrived % 60),
            "edouttime": time_text(left - left % 60),
            "hospital_expire_flag": died.astype(int),
        },
    )


def _write_stays(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    calendar, stays = chunk.calendar, np.arange(len(chunk.structure.stay_id))
    first = np.where(rng.random(len(stays)) < 0.8, chunk.traits.phenotype, rng.integers(0, 8, len(stays)))
    last = np.where(rng.random(len(stays)) < 0.9, first, rng.integers(0, 8, len(stays)))
    tables.write(
        "icu/icustays",
        chunk.owner(stays)
        | {
            "first_careunit": pick(UNITS_OF_PHENOTYPE, first),
            "last_careunit": pick(UNITS_OF_PHENOTYPE, last),
            "intime": time_text(calendar.intime),
            "outtime": time_text(calendar.outtime),
            "los": number_text((calendar.outtime - calendar.intime) / DAY, 10),
        },
    )


def _write_diagnoses(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    """One to three codes of the disease that brought the first stay, then comorbidities; coded after discharge."""
    structure = chunk.structure
    phenotype = np.full(len(structure.hadm_id), PHENOTYPES.index("surgical"))
    phenotype[structure.stay_admission[::-1]] = chunk.traits.phenotype[::-1]
    codes = np.array([code for code, _, _ in catalogue.DIAGNOSES])
    own = np.array([np.isin(codes, CODES_OF_PHENOTYPE[name]) for name in PHENOTYPES])
    drawn = rng.random((len(phenotype), len(codes))) < np.where(own[phenotype], 0.7, 0.14)
    drawn[np.arange(len(phenotype)), own[phenotype].argmax(axis=1)] = True
    order = rng.permuted(np.tile(np.arange(len(codes)), (len(phenotype), 1)), axis=1) + 100 * ~own[phenotype]
    admission, code, rank = _ranked(drawn, order)
    tables.write(
        "hosp/diagnoses_icd",
        {
            "subject_id": structure.subject_id[structure.admission_subject[admission]],
            "hadm_id": structure.hadm_id[admission],
            "seq_num": rank,
            "icd_code": pick(codes.tolist(), code),
            "icd_version": np.array([version for _, version, _ in catalogue.DIAGNOSES])[code],
        },
    )


def _ranked(drawn: Array, order: Array) -> tuple[Array, Array, Array]:
    """Drawn codes of each admission with their place, 1 first, by `order`."""
    placed = np.where(drawn, order, 10_000).argsort(axis=1).argsort(axis=1) + 1
    admission, code = np.nonzero(drawn)
    return admission, code, placed[admission, code]
