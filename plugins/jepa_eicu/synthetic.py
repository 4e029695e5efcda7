"""Synthetic eICU: tables in the published layout, of invented patients whose hidden severity moves hour by hour.

Cells stand as hospitals write them: numbers as text, percentages as shares, two units of one test, rates by the weight
or not, ages beyond 89 as words. Nothing is claimed of physiology: the tables test reading and transfer, not medicine.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np

from jepa_core.errors import DataError
from jepa_eicu.layout import COLUMNS

VERSION = 1
"""Raised whenever the tables of a given (stays, seed) change, so that what was built from older ones is not reused."""

Rows = dict[str, list[tuple[object, ...]]]
_PATH = "flowsheet|Flowsheet Cell Labels|I&O|"
_ETHNICITIES = ("Caucasian", "African American", "Hispanic", "Asian", "Other/Unknown", "")
_TESTS: tuple[tuple[str, str, float, float, float], ...] = (
    ("creatinine", "mg/dL", 0.9, 0.8, 0.1),
    ("BUN", "mg/dL", 15, 12, 3),
    ("sodium", "mmol/L", 139, 0, 3),
    ("potassium", "mmol/L", 4.1, 0.2, 0.4),
    ("bicarbonate", "mmol/L", 25, -4, 2),
    ("glucose", "mg/dL", 120, 35, 20),
    ("Hgb", "g/dL", 12, -1, 1),
    ("platelets x 1000", "K/mcL", 220, -40, 30),
    ("WBC x 1000", "K/mcL", 8, 4, 2),
    ("total bilirubin", "mg/dL", 0.7, 0.6, 0.1),
    ("PT - INR", "ratio", 1.1, 0.3, 0.1),
    ("lactate", "mmol/L", 1.1, 1.3, 0.3),
    ("paO2", "mm Hg", 95, -12, 10),
    ("pH", "", 7.4, -0.05, 0.02),
)
"""Name, unit, mean, change with severity, noise."""


def write_eicu_tables(folder: Path, stays: int, seed: int) -> None:
    """Write synthetic tables of `stays` unit stays to the new folder `folder`; equal arguments give equal bytes.

    Raises DataError if `folder` exists and is not an empty folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} exists already; give a new folder for the synthetic tables")
    folder.mkdir(parents=True, exist_ok=True)
    rows: Rows = {table: [] for table in COLUMNS}
    for number in range(stays):
        _stay(rows, number, np.random.default_rng([seed, number]))
    for table, lines in rows.items():
        _write(folder / f"{table}.csv.gz", list(COLUMNS[table]), lines)


def _write(path: Path, header: list[str], rows: list[tuple[object, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def _stay(rows: Rows, number: int, rng: np.random.Generator) -> None:
    """One stay; of seven patients one has two."""
    person = number - number % 7 // 6
    stay_id, hours = 141_000 + 7 * number, int(rng.integers(10, 80))
    severity = np.cumsum(rng.normal(0, 0.25, hours)) * 0.5 + rng.normal(0.3, 0.9)
    died = bool(severity[-1] + rng.normal(0, 0.4) > 1.3)
    weight = round(float(np.clip(rng.normal(82, 15), 45, 150)), 1)
    age = int(rng.integers(18, 96))
    minutes = hours * 60 - int(rng.integers(0, 50))
    ends = "Expired" if died else "Alive"
    rows["patient"].append((
        stay_id, 128_000 + number, rng.choice(["Male", "Female"]), "> 89" if age > 89 else age,
        rng.choice(_ETHNICITIES), 172.5, ends, 1, weight, minutes, ends,
        f"{2 + person % 5:03}-{1000 + person}",
    ))  # fmt: skip
    _vital_signs(rows, stay_id, severity, rng)
    _nursing(rows, stay_id, severity, rng)
    _laboratory(rows, stay_id, severity, rng)
    _treatment(rows, stay_id, severity, weight, rng)


def _vital_signs(rows: Rows, stay_id: int, severity: np.ndarray, rng: np.random.Generator) -> None:
    for hour, ill in enumerate(severity):
        for minute in (5, 35):
            heart, breaths = 82 + 14 * ill + rng.normal(0, 4), 17 + 4 * ill + rng.normal(0, 2)
            mean = 84 - 10 * ill + rng.normal(0, 4)
            rows["vitalPeriodic"].append((
                stay_id, 60 * hour + minute, round(36.9 + 0.3 * ill, 1) if minute == 5 else "",
                round(float(np.clip(97 - 1.5 * ill + rng.normal(), 70, 100))), round(heart), round(breaths),
                round(mean + 35), round(mean - 18), round(mean),
            ))  # fmt: skip
        mean = 84 - 10 * ill + rng.normal(0, 5)
        rows["vitalAperiodic"].append((stay_id, 60 * hour + 20, round(mean + 36), round(mean - 17), round(mean)))


def _nursing(rows: Rows, stay_id: int, severity: np.ndarray, rng: np.random.Generator) -> None:
    for hour in range(0, len(severity), 4):
        eyes, verbal, motor = (int(np.clip(best - severity[hour], 1, best)) for best in (4, 5, 6))
        for name, value in (("Eyes", eyes), ("Verbal", verbal), ("Motor", motor), ("GCS Total", eyes + verbal + motor)):
            rows["nurseCharting"].append((stay_id, 60 * hour + 10, "Glasgow coma score", name, str(value)))
        rows["nurseCharting"].append((stay_id, 60 * hour + 12, "Temperature", "Temperature (C)", "37.1"))
        rows["nurseCharting"].append((stay_id, 60 * hour + 12, "Temperature", "Temperature Location", "Oral"))
        urine = max(0.0, 260 - 70 * severity[hour] + rng.normal(0, 40))
        rows["intakeOutput"].append((stay_id, 60 * hour + 30, f"{_PATH}Output (ml)|Urine", round(urine)))
        rows["intakeOutput"].append((stay_id, 60 * hour + 30, f"{_PATH}Intake (ml)|NS", 125))
        rows["intakeOutput"].append((stay_id, 60 * hour + 30, f"{_PATH}Intake (ml)|P.O.", 60))


def _laboratory(rows: Rows, stay_id: int, severity: np.ndarray, rng: np.random.Generator) -> None:
    for hour in range(1, len(severity), 8):
        drawn, entered = 60 * hour, 60 * hour + int(rng.integers(20, 90))
        for name, unit, mean, change, noise in _TESTS:
            value = max(mean + change * severity[hour] + rng.normal(0, noise), 0.1)
            rows["lab"].append((stay_id, drawn, name, round(value, 3), unit, entered))
        micro = int(rng.integers(0, 4)) == 0
        value = 1.9 + rng.normal(0, 0.1)
        rows["lab"].append(
            (
                stay_id,
                drawn,
                "magnesium",
                round(value / (2.4305 if micro else 1), 3),
                "mmol/L" if micro else "mg/dL",
                entered,
            )
        )


def _treatment(rows: Rows, stay_id: int, severity: np.ndarray, weight: float, rng: np.random.Generator) -> None:
    for hour, ill in enumerate(severity):
        if ill > 1.0:
            dose = round(0.05 * ill + 0.02 * rng.random(), 3)
            by_weight = stay_id % 2 == 0
            name = "Norepinephrine (mcg/kg/min)" if by_weight else "Norepinephrine (mcg/min)"
            told = f"{dose if by_weight else dose * weight:.3f}"
            rows["infusionDrug"].append((stay_id, 60 * hour + 15, name, told, f"{weight}"))
        elif hour and severity[hour - 1] > 1.0:
            rows["infusionDrug"].append((stay_id, 60 * hour + 15, "Norepinephrine (mcg/kg/min)", "0", ""))
        if ill > 0.8 and hour % 4 == 0:
            for label, value in (("FiO2", "0.5"), ("PEEP", "8"), ("Tidal Volume (set)", "450"), ("Vent Rate", "16")):
                rows["respiratoryCharting"].append((stay_id, 60 * hour + 25, label, value))
    if severity[0] > 0.5:
        rows["medication"].append((stay_id, 90, "No", "VANCOMYCIN 1 GM IV SOLR", "IV"))
        rows["medication"].append((stay_id, 90, "Yes", "CEFTRIAXONE SODIUM 1 G IJ SOLR", "IV"))
