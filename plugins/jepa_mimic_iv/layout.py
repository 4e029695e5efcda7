"""Where the tables of MIMIC-IV lie as they are distributed, and which of their columns are read. Imports no DuckDB."""

from __future__ import annotations

from jepa_core.io.distribution import Distribution

COLUMNS: dict[str, dict[str, str]] = {
    "hosp/patients": {
        "subject_id": "BIGINT",
        "gender": "VARCHAR",
        "anchor_age": "INTEGER",
        "anchor_year": "INTEGER",
        "dod": "DATE",
    },
    "hosp/admissions": {
        "subject_id": "BIGINT",
        "hadm_id": "BIGINT",
        "admittime": "TIMESTAMP",
        "dischtime": "TIMESTAMP",
        "deathtime": "TIMESTAMP",
        "race": "VARCHAR",
        "hospital_expire_flag": "INTEGER",
    },
    "icu/icustays": {
        "subject_id": "BIGINT",
        "hadm_id": "BIGINT",
        "stay_id": "BIGINT",
        "intime": "TIMESTAMP",
        "outtime": "TIMESTAMP",
    },
    "icu/d_items": {"itemid": "INTEGER", "label": "VARCHAR"},
    "icu/chartevents": {
        "stay_id": "BIGINT",
        "charttime": "TIMESTAMP",
        "storetime": "TIMESTAMP",
        "itemid": "INTEGER",
        "value": "VARCHAR",
        "valuenum": "DOUBLE",
    },
    "icu/outputevents": {"stay_id": "BIGINT", "charttime": "TIMESTAMP", "itemid": "INTEGER", "value": "DOUBLE"},
    "icu/inputevents": {
        "stay_id": "BIGINT",
        "starttime": "TIMESTAMP",
        "endtime": "TIMESTAMP",
        "itemid": "INTEGER",
        "amount": "DOUBLE",
        "amountuom": "VARCHAR",
        "rate": "DOUBLE",
        "rateuom": "VARCHAR",
        "orderid": "BIGINT",
        "linkorderid": "BIGINT",
        "ordercategorydescription": "VARCHAR",
        "patientweight": "DOUBLE",
        "statusdescription": "VARCHAR",
    },
    "icu/procedureevents": {
        "stay_id": "BIGINT",
        "starttime": "TIMESTAMP",
        "endtime": "TIMESTAMP",
        "itemid": "INTEGER",
        "value": "DOUBLE",
        "location": "VARCHAR",
        "ordercategorydescription": "VARCHAR",
        "statusdescription": "VARCHAR",
    },
    "hosp/labevents": {
        "subject_id": "BIGINT",
        "hadm_id": "BIGINT",
        "specimen_id": "BIGINT",
        "itemid": "INTEGER",
        "charttime": "TIMESTAMP",
        "storetime": "TIMESTAMP",
        "value": "VARCHAR",
        "valuenum": "DOUBLE",
        "valueuom": "VARCHAR",
    },
    "hosp/prescriptions": {
        "hadm_id": "BIGINT",
        "pharmacy_id": "BIGINT",
        "starttime": "TIMESTAMP",
        "stoptime": "TIMESTAMP",
        "drug_type": "VARCHAR",
        "drug": "VARCHAR",
        "prod_strength": "VARCHAR",
        "dose_val_rx": "VARCHAR",
        "dose_unit_rx": "VARCHAR",
        "route": "VARCHAR",
    },
    "hosp/emar": {
        "subject_id": "BIGINT",
        "hadm_id": "BIGINT",
        "pharmacy_id": "BIGINT",
        "charttime": "TIMESTAMP",
        "medication": "VARCHAR",
        "event_txt": "VARCHAR",
    },
    "hosp/microbiologyevents": {
        "subject_id": "BIGINT",
        "micro_specimen_id": "BIGINT",
        "chartdate": "TIMESTAMP",
        "charttime": "TIMESTAMP",
    },
    "hosp/diagnoses_icd": {"hadm_id": "BIGINT", "icd_code": "VARCHAR", "icd_version": "INTEGER"},
}
"""Columns that are read of each table, with the DuckDB type that each must have."""

MIMIC_IV = Distribution("MIMIC-IV", "hosp/ and icu/", COLUMNS, (".parquet", ".csv", ".csv.gz"))
