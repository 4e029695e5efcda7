"""Where the tables of eICU lie as they are distributed, and which of their columns are read. Imports no DuckDB."""

from __future__ import annotations

from pathlib import Path

SUFFIXES: tuple[str, ...] = (".csv", ".csv.gz")

COLUMNS: dict[str, dict[str, str]] = {
    "patient": {
        "patientunitstayid": "BIGINT",
        "patienthealthsystemstayid": "BIGINT",
        "gender": "VARCHAR",
        "age": "VARCHAR",
        "ethnicity": "VARCHAR",
        "admissionheight": "DOUBLE",
        "hospitaldischargestatus": "VARCHAR",
        "unitvisitnumber": "INTEGER",
        "admissionweight": "DOUBLE",
        "unitdischargeoffset": "INTEGER",
        "unitdischargestatus": "VARCHAR",
        "uniquepid": "VARCHAR",
    },
    "vitalPeriodic": {
        "patientunitstayid": "BIGINT",
        "observationoffset": "INTEGER",
        "temperature": "DOUBLE",
        "sao2": "DOUBLE",
        "heartrate": "DOUBLE",
        "respiration": "DOUBLE",
        "systemicsystolic": "DOUBLE",
        "systemicdiastolic": "DOUBLE",
        "systemicmean": "DOUBLE",
    },
    "vitalAperiodic": {
        "patientunitstayid": "BIGINT",
        "observationoffset": "INTEGER",
        "noninvasivesystolic": "DOUBLE",
        "noninvasivediastolic": "DOUBLE",
        "noninvasivemean": "DOUBLE",
    },
    "nurseCharting": {
        "patientunitstayid": "BIGINT",
        "nursingchartoffset": "INTEGER",
        "nursingchartcelltypevallabel": "VARCHAR",
        "nursingchartcelltypevalname": "VARCHAR",
        "nursingchartvalue": "VARCHAR",
    },
    "lab": {
        "patientunitstayid": "BIGINT",
        "labresultoffset": "INTEGER",
        "labname": "VARCHAR",
        "labresult": "DOUBLE",
        "labmeasurenamesystem": "VARCHAR",
        "labresultrevisedoffset": "INTEGER",
    },
    "respiratoryCharting": {
        "patientunitstayid": "BIGINT",
        "respchartoffset": "INTEGER",
        "respchartvaluelabel": "VARCHAR",
        "respchartvalue": "VARCHAR",
    },
    "intakeOutput": {
        "patientunitstayid": "BIGINT",
        "intakeoutputoffset": "INTEGER",
        "cellpath": "VARCHAR",
        "cellvaluenumeric": "DOUBLE",
    },
    "infusionDrug": {
        "patientunitstayid": "BIGINT",
        "infusionoffset": "INTEGER",
        "drugname": "VARCHAR",
        "drugrate": "VARCHAR",
        "patientweight": "VARCHAR",
    },
    "medication": {
        "patientunitstayid": "BIGINT",
        "drugstartoffset": "INTEGER",
        "drugordercancelled": "VARCHAR",
        "drugname": "VARCHAR",
        "routeadmin": "VARCHAR",
    },
}
"""Columns that are read of each table, with the DuckDB type that each must have; every other column is skipped."""


def eicu_table(folder: Path, table: str) -> Path | None:
    """The file of a table such as `vitalPeriodic`, in whichever case its name is written; None if there is none."""
    wanted = {f"{table}{suffix}".lower() for suffix in SUFFIXES}
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() in wanted and path.is_file()), None)
