"""Where the tables of eICU lie as they are distributed, and which of their columns are read. Imports no DuckDB."""

from __future__ import annotations

from jepa_core.io.distribution import Distribution

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
"""Columns that are read of each table, with the DuckDB type that each must have."""

EICU = Distribution("eICU", "patient.csv.gz and the others", COLUMNS)
