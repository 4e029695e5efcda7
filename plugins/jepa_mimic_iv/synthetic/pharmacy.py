"""Orders of the pharmacy and what the ward's barcode scanner recorded: `hosp/prescriptions` and `hosp/emar`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import catalogue
from .grid import Chunk
from .physiology import Array
from .population import DAY, HOUR
from .writing import TableWriters, number_text, pick, time_text

DRUG_OF_SERIES = {
    "given_norepinephrine": "Norepinephrine",
    "given_vasopressin": "Vasopressin",
    "given_propofol": "Propofol",
    "given_fentanyl": "Fentanyl Citrate",
    "given_midazolam": "Midazolam",
    "given_insulin_push": "Insulin",
    "given_furosemide": "Furosemide",
    "given_vancomycin": "Vancomycin",
    "given_piperacillin": "Piperacillin-Tazobactam",
    "given_potassium": "Potassium Chloride",
}
EVENTS = ("Administered", "Not Given", "Hold Dose", "Delayed Administered", "Flushed")


@dataclass(frozen=True)
class Prescriptions:
    """Ordered drugs: admission, index into `catalogue.DRUGS`, start and stop second; each `(N,)`."""

    admission: Array
    drug: Array
    start: Array
    stop: Array

    @property
    def poe(self) -> Array:
        """The order's number within the chunk's admissions, used as the sequence of its provider order."""
        return np.arange(len(self.drug)) + 11


def write_pharmacy(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    """Draws and writes `hosp/prescriptions` and `hosp/emar` of a chunk."""
    ordered = _ordered(rng, chunk)
    structure = chunk.structure
    subject = structure.subject_id[structure.admission_subject[ordered.admission]]
    pharmacy = rng.integers(10_000_000, 99_999_999, len(subject))
    poe = [f"{owner}-{number}" for owner, number in zip(subject, ordered.poe, strict=True)]
    facts = list(zip(*catalogue.DRUGS.values(), strict=True))
    detail = {
        name: pick(map(str, facts[index]), ordered.drug)
        for index, name in enumerate(
            (
                "formulary_drug_cd",
                "gsn",
                "ndc",
                "prod_strength",
                "dose_val_rx",
                "dose_unit_rx",
                "form_val_disp",
                "form_unit_disp",
                "doses_per_24_hrs",
                "route",
            )
        )
    }
    tables.write(
        "hosp/prescriptions",
        detail
        | {
            "subject_id": subject,
            "hadm_id": structure.hadm_id[ordered.admission],
            "pharmacy_id": pharmacy,
            "poe_id": pick(poe, np.arange(len(poe))),
            "poe_seq": ordered.poe,
            "drug_type": "MAIN",
            "drug": pick(catalogue.DRUGS, ordered.drug),
            "starttime": time_text(ordered.start),
            "stoptime": time_text(ordered.stop),
        },
    )
    _write_administrations(rng, chunk, tables, ordered, pharmacy, poe)


def _ordered(rng: np.random.Generator, chunk: Chunk) -> Prescriptions:
    """Drugs that were given in the unit, from the first to a while after the last dose, and common ward drugs."""
    names = list(catalogue.DRUGS)
    structure, calendar = chunk.structure, chunk.calendar
    streams: list[tuple[Array, Array, Array, Array]] = []
    for series, name in DRUG_OF_SERIES.items():
        given = (chunk.course.series[series] > 0) & chunk.course.present
        stay = np.flatnonzero(given.any(axis=0))
        first = given[:, stay].argmax(axis=0)
        last = len(given) - 1 - given[::-1, stay].argmax(axis=0)
        streams.append(
            (
                structure.stay_admission[stay],
                np.full(len(stay), names.index(name)),
                calendar.intime[stay] + first * HOUR,
                calendar.intime[stay] + (last + 3) * HOUR,
            )
        )
    admissions = len(structure.hadm_id)
    for name in catalogue.COMMON_DRUGS:
        admission = np.flatnonzero(rng.random(admissions) < 0.6)
        start = calendar.admittime[admission] + 3 * HOUR
        streams.append(
            (
                admission,
                np.full(len(admission), names.index(name)),
                start,
                np.maximum(calendar.dischtime[admission], start + HOUR),
            )
        )
    admission, drug, start, stop = (np.concatenate(parts) for parts in zip(*streams, strict=True))
    order = np.lexsort((drug, admission))
    start, stop = start - start % HOUR, stop - stop % HOUR
    return Prescriptions(admission[order], drug[order], start[order], stop[order])


def _write_administrations(
    rng: np.random.Generator,
    chunk: Chunk,
    tables: TableWriters,
    ordered: Prescriptions,
    pharmacy: Array,
    poe: list[str],
) -> None:
    per_day = np.array([facts[8] for facts in catalogue.DRUGS.values()])[ordered.drug]
    days = np.maximum(ordered.stop - ordered.start, 0) / DAY
    doses = np.minimum(np.ceil(days * per_day), 60).astype(int)
    index = np.repeat(np.arange(len(doses)), doses)
    number = np.arange(len(index)) - np.repeat(np.cumsum(doses) - doses, doses)
    due = ordered.start[index] + number * (DAY // per_day[index])
    given = due + 60 * rng.integers(-20, 60, len(index))
    structure = chunk.structure
    admission = ordered.admission[index]
    subject = structure.subject_id[structure.admission_subject[admission]]
    sequence = np.arange(len(index)) + 1
    emar = [f"{owner}-{order}" for owner, order in zip(subject, sequence, strict=True)]
    flush = np.array([name.endswith("Flush") for name in catalogue.DRUGS])[ordered.drug[index]]
    event = np.where(flush, 4, rng.choice(4, len(index), p=[0.87, 0.08, 0.02, 0.03]))
    tables.write(
        "hosp/emar",
        {
            "subject_id": subject,
            "hadm_id": structure.hadm_id[admission],
            "emar_id": emar,
            "emar_seq": sequence,
            "poe_id": pick(poe, index),
            "pharmacy_id": number_text(pharmacy[index], 0),
            "charttime": time_text(given),
            "medication": pick(catalogue.DRUGS, ordered.drug[index]),
            "event_txt": pick(EVENTS, event),
            "scheduletime": time_text(due),
            "storetime": time_text(given + 60 * rng.integers(0, 5, len(index))),
        },
    )
