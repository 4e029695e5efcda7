"""What becomes of the tables of eICU, cell by cell, on small tables made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jepa_core.errors import DataError
from jepa_core.io.workspace import Tables
from jepa_eicu.layout import EICU
from tests.jepa_eicu.conftest import BEAT, PATIENT, Built

Build = Callable[..., Built]


def nursing(minute: int, label: str, name: str, value: str) -> dict[str, object]:
    return {
        "patientunitstayid": 1, "nursingchartoffset": minute, "nursingchartcelltypevallabel": label,
        "nursingchartcelltypevalname": name, "nursingchartvalue": value,
    }  # fmt: skip


def test(minute: int, name: str, value: float, unit: str, revised: int | None = None) -> dict[str, object]:
    return {
        "patientunitstayid": 1, "labresultoffset": minute, "labname": name, "labresult": value,
        "labmeasurenamesystem": unit, "labresultrevisedoffset": minute if revised is None else revised,
    }  # fmt: skip


test.__test__ = False  # type: ignore[attr-defined]


def breathing(minute: int, label: str, value: str) -> dict[str, object]:
    return {
        "patientunitstayid": 1, "respchartoffset": minute, "respchartvaluelabel": label, "respchartvalue": value,
    }  # fmt: skip


def pump(minute: int, name: str, rate: str, weight: str = "") -> dict[str, object]:
    return {
        "patientunitstayid": 1, "infusionoffset": minute, "drugname": name, "drugrate": rate, "patientweight": weight,
    }  # fmt: skip


def balance(minute: int, path: str, value: float) -> dict[str, object]:
    cellpath = f"flowsheet|Flowsheet Cell Labels|I&O|{path}"
    return {
        "patientunitstayid": 1, "intakeoutputoffset": minute, "cellpath": cellpath, "cellvaluenumeric": value,
    }  # fmt: skip


def test_an_hour_shows_the_mean_of_its_readings_wherever_they_are_charted(build: Build) -> None:
    beats = [{**BEAT, "observationoffset": minute, "heartrate": rate} for minute, rate in ((5, 80), (10, 84), (61, 90))]
    built = build(vitalPeriodic=beats, nurseCharting=[nursing(30, "Heart Rate", "Heart Rate", "88")])
    assert built.shown("state", "vitalsign/heart_rate") == [(0, 84.0), (1, 90.0)]
    assert built.store.steps.tolist() == [10]


def test_what_lies_before_admission_or_after_discharge_or_is_absurd_is_not_read(build: Build) -> None:
    beats = [
        {**BEAT, "observationoffset": minute, "heartrate": rate} for minute, rate in ((-5, 70), (600, 71), (65, 900))
    ]
    assert build(vitalPeriodic=[BEAT, *beats]).shown("state", "vitalsign/heart_rate") == [(0, 80.0)]


def test_cuff_pressures_are_pressures_and_non_invasive_ones(build: Build) -> None:
    built = build(vitalAperiodic=[{"patientunitstayid": 1, "observationoffset": 70, "noninvasivesystolic": 118}])
    assert built.shown("state", "vitalsign/sbp") == built.shown("state", "vitalsign/sbp_ni") == [(1, 118.0)]


def test_nurses_cells_are_numbers_or_nothing(build: Build) -> None:
    cells = [("GCS Total", "14"), ("Motor", "6"), ("Eyes", "Unable to score due to medication"), ("Verbal", "")]
    built = build(nurseCharting=[nursing(5, "Glasgow coma score", name, value) for name, value in cells])
    assert built.shown("state", "gcs/gcs") == [(0, 14.0)] and built.shown("state", "gcs/gcs_motor") == [(0, 6.0)]
    assert built.shown("state", "gcs/gcs_eyes") == built.shown("state", "gcs/gcs_verbal") == []


def test_inspired_oxygen_is_in_percent_however_it_is_written(build: Build) -> None:
    told = [(5, "0.4"), (65, "50"), (125, "60%"), (185, "3")]
    built = build(respiratoryCharting=[breathing(minute, "FiO2", value) for minute, value in told])
    assert built.shown("action", "ventilator_setting/fio2") == [(0, 40.0), (1, 50.0), (2, 60.0)]


def test_a_laboratory_value_is_seen_when_it_was_last_revised(build: Build) -> None:
    rows = [test(50, "creatinine", 1.1, "mg/dL", 55), test(50, "creatinine", 1.3, "mg/dL", 130)]
    assert build(lab=rows).shown("state", "chemistry/creatinine") == [(2, 1.3)]
    assert build({"lab_visibility": "charted"}, lab=rows).shown("state", "chemistry/creatinine") == [(0, 1.3)]


def test_known_units_are_converted_and_a_few_unknown_ones_left_out(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        test(5, "magnesium", 1.0, "mmol/L"),
        test(65, "magnesium", 2.0, "mg/dL"),
        test(125, "magnesium", 7.0, "xyz"),
    ]
    assert build(lab=rows).shown("state", "chemistry/magnesium") == [(0, 2.4305), (1, 2.0)]
    assert "1 of 3 values of magnesium are in another unit, such as xyz" in caplog.text


def test_tests_that_are_mostly_in_another_unit_are_refused(build: Build) -> None:
    with pytest.raises(DataError, match="2 of 2 values of creatinine are in mcmol/L"):
        build(lab=[test(5, "creatinine", 90, "mcmol/L"), test(65, "creatinine", 95, "mcmol/L")])


def test_rates_are_by_weight_and_hold_until_charted_anew(build: Build) -> None:
    rows = [pump(30, "Norepinephrine (mcg/min)", "8"), pump(90, "Norepinephrine (mcg/min)", "0")]
    built = build(infusionDrug=rows)
    assert built.shown("action", "mean_rate/norepinephrine") == [(0, 0.1), (1, 0.1)]
    assert built.shown("action", "vasoactive_agent/norepinephrine") == [(0, 0.1), (1, 0.1)]
    assert built.shown("action", "norepinephrine_equivalent_dose/norepinephrine_equivalent_dose") == [
        (0, 0.1),
        (1, 0.1),
    ]


def test_a_change_of_rate_within_an_hour_is_weighted_by_time(build: Build) -> None:
    rows = [
        pump(0, "Levophed (mcg/kg/min)", "0.1"),
        pump(15, "levophed (mcg/kg/min)", "0.3"),
        pump(60, "Levophed", "0"),
    ]
    built = build(infusionDrug=rows)
    assert built.shown("action", "mean_rate/norepinephrine")[0] == (0, 0.25)
    assert [value for step, value in built.shown("action", "vasoactive_agent/norepinephrine") if step == 0] == [
        0.1,
        0.3,
    ]


def test_a_rate_that_nobody_charts_again_is_over_after_six_hours(build: Build) -> None:
    shown = build(infusionDrug=[pump(60, "Vasopressin (units/min)", "0.04")]).shown("action", "mean_rate/vasopressin")
    assert shown == [(step, 2.4) for step in range(1, 7)]


def test_rates_that_tell_no_dose_are_left_out(build: Build) -> None:
    names = ("Norepinephrine (ml/hr)", "Norepinephrine", "norepinephrine Volume (ml)", "Saline (mcg/min)")
    built = build(infusionDrug=[pump(5, name, "10") for name in names])
    assert built.all.action.channel.size == 0


def test_the_weight_at_the_pump_goes_before_that_of_admission(build: Build) -> None:
    built = build(infusionDrug=[pump(0, "Epinephrine (mcg/min)", "5", "50")])
    assert built.shown("action", "mean_rate/epinephrine")[0] == (0, 0.1)


def test_insulin_shows_the_units_of_the_hour(build: Build) -> None:
    built = build(infusionDrug=[pump(30, "Insulin (units/hr)", "4"), pump(120, "Insulin (units/hr)", "0")])
    assert built.shown("action", "inputevents/Insulin - Regular [units]") == [(0, 2.0), (1, 4.0)]


def test_urine_and_fluids_are_sums_of_the_hour(build: Build) -> None:
    cells = [
        ("Output (ml)|Urine", 100), ("Output (ml)|Urine Output-Foley", 50), ("Output (ml)|Stool", 70),
        ("Output (ml)|incont. of urine count", 1), ("Intake (ml)|NS", 125), ("Intake (ml)|P.O.", 60),
    ]  # fmt: skip
    built = build(intakeOutput=[balance(20 + place, path, value) for place, (path, value) in enumerate(cells)])
    assert built.shown("state", "urine_output/urineoutput") == [(0, 150.0)]
    assert built.shown("action", "inputevents/Fluids [mL]") == [(0, 125.0)]


def test_antibiotics_are_orders_that_were_not_cancelled_and_go_into_the_body(build: Build) -> None:
    told = [("VANCOMYCIN 1 GM", "No", "IV"), ("CEFTRIAXONE 1 G", "Yes", "IV"), ("gentamicin ophth", "No", "OPHTHALMIC"),
            ("METOPROLOL", "No", "PO")]  # fmt: skip
    orders = [
        {"patientunitstayid": 1, "drugstartoffset": 65, "drugordercancelled": gone, "drugname": name, "routeadmin": way}
        for name, gone, way in told
    ]
    assert build(medication=orders).words("action", "antibiotic/antibiotic") == ["VANCOMYCIN 1 GM"]


def test_facts_are_in_the_words_of_the_other_source(build: Build) -> None:
    old = {**PATIENT, "age": "> 89", "gender": "Male", "ethnicity": "African American", "admissionheight": 170}
    built = build(patient=[old])
    assert built.shown("static", "demographics/age") == [(0, 91.0)]
    assert built.words("static", "demographics/gender") == ["M"]
    assert built.words("static", "demographics/race") == ["BLACK/AFRICAN AMERICAN"]
    assert built.shown("state", "weight/weight") == [(0, 80.0)] and built.shown("state", "height/height") == [
        (0, 170.0)
    ]


def test_a_stay_is_an_adults_first_and_long_enough(build: Build) -> None:
    others: list[dict[str, object]] = [
        {"patientunitstayid": 2, "unitvisitnumber": 2}, {"patientunitstayid": 3, "age": "17"},
        {"patientunitstayid": 4, "unitdischargeoffset": 300}, {"patientunitstayid": 5},
    ]  # fmt: skip
    rows = [PATIENT, *({**PATIENT, "patienthealthsystemstayid": 20 + place, **row} for place, row in enumerate(others))]
    rows[1]["patienthealthsystemstayid"] = 11
    beats = [{**BEAT, "patientunitstayid": stay} for stay in (1, 2, 3, 4)]
    built = build(patient=rows, vitalPeriodic=beats)
    assert built.store.identifier.tolist() == [1]
    assert [row["trajectories"] for row in built.store.record("attrition")] == [5, 5, 4, 3, 2, 1]


def test_deaths_and_long_stays_are_outcomes_and_deaths_after_the_hospital_are_not(build: Build) -> None:
    died = {**PATIENT, "patientunitstayid": 2, "patienthealthsystemstayid": 12, "uniquepid": "002-1002",
            "hospitaldischargestatus": "Expired", "unitdischargestatus": "Expired"}  # fmt: skip
    long = {**PATIENT, "patientunitstayid": 3, "patienthealthsystemstayid": 13, "uniquepid": "002-1003",
            "hospitaldischargestatus": "", "unitdischargeoffset": 168 * 60 + 1}  # fmt: skip
    store = build(
        patient=[PATIENT, died, long], vitalPeriodic=[{**BEAT, "patientunitstayid": stay} for stay in (1, 2, 3)]
    ).store
    assert store.outcome_names == ["hospital_mortality", "icu_mortality", "prolonged_stay_7d"]
    assert store.outcome("hospital_mortality").tolist()[:2] == [0, 1] and np.isnan(
        store.outcome("hospital_mortality")[2]
    )
    assert store.outcome("prolonged_stay_7d").tolist() == [0, 0, 1]
    assert store.label("event_decompensation")[store.first_step[1] :][:10].tolist() == [1.0] * 10


def test_circulatory_failure_needs_lactate_and_pressure_or_a_drug_for_it(build: Build) -> None:
    pressures = [
        {**BEAT, "observationoffset": 60 * hour, "systemicmean": mean} for hour, mean in enumerate((60, 80, 80))
    ]
    tests = [test(60 * hour + 5, "lactate", 3.0, "mmol/L") for hour in range(3)]
    built = build(vitalPeriodic=pressures, lab=tests, infusionDrug=[pump(120, "Dopamine (mcg/kg/min)", "5")])
    label = built.store.label("event_circulatory_failure")
    assert label[0] == 1 and np.isnan(label[1]) and label[2] == 1


def test_stays_of_one_patient_are_of_one_split(build: Build) -> None:
    rows = [
        {**PATIENT, "patientunitstayid": stay, "patienthealthsystemstayid": 100 + stay, "uniquepid": f"002-{stay // 2}"}
        for stay in range(2, 42)
    ]
    beats = [{**BEAT, "patientunitstayid": stay} for stay in range(2, 42)]
    store = build({"split": {"fractions": [0.5, 0.25, 0.25]}}, patient=rows, vitalPeriodic=beats).store
    splits = store.split.reshape(20, 2)
    assert (splits[:, 0] == splits[:, 1]).all() and set(store.split.tolist()) == {0, 1, 2}
    assert store.subject[0] == 2_000_000_001


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"uniquepid": "secret"}, "row 1 .*: uniquepid is not two numbers with a dash"),
        ({"age": "old"}, "row 1 .*: age is neither a number of years nor '> 89'"),
        ({"patientunitstayid": ""}, "row 1 .*: patientunitstayid is empty"),
        ({"unitdischargeoffset": "later"}, "line 2: column unitdischargeoffset holds a value that is no INTEGER"),
    ],
)
def test_a_broken_patient_is_refused_by_row_without_its_value(build: Build, changed: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        build(patient=[{**PATIENT, **changed}])
    assert not [value for value in changed.values() if value and value in str(refused.value)]


def test_a_table_or_column_that_is_missing_is_named(write: Callable[..., Path], build: Build) -> None:
    folder = write()
    (folder / "lab.csv").rename(folder / "LAB.csv")  # the case of a name does not matter
    assert Tables(EICU, folder).paths["lab"].name == "LAB.csv"
    (folder / "infusionDrug.csv").unlink()
    with pytest.raises(DataError, match="lacks infusionDrug"):
        Tables(EICU, folder)
    (folder / "infusionDrug.csv").write_text("patientunitstayid,drugname\n")
    with pytest.raises(DataError, match="column infusionoffset, drugrate, patientweight is missing"):
        Tables(EICU, folder)
