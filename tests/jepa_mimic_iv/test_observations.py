"""Item ids, units, bounds and derived scores, read back from the text of an hour."""

from __future__ import annotations

import pytest


def gas(tables, number, hour, stored, specimen, **items) -> None:
    """An arterial blood gas; items are named by their number, such as i50821."""
    tables.lab(number, hour, 52033, None, specimen_id=specimen, stored=stored, value="ART.")
    for item, value in items.items():
        tables.lab(number, hour, int(item[1:]), value, specimen_id=specimen, stored=stored)


def test_vital_signs_are_averaged_per_time_converted_and_bounded(three_stays, build):
    for item, value in ((220050, 121), (220179, 110), (220179, 0), (220051, 60), (220052, 802), (220052, -23)):
        three_stays.chart(0, 1.5, item, value)
    for item, value in ((223761, 98.6), (220277, 101), (220210, 70), (225664, 999_999)):
        three_stays.chart(0, 1.6, item, value)
    three_stays.chart(0, 1.7, 223762, 99)
    three_stays.chart(0, 1.8, 224690, 22)

    assert build(three_stays).state(0, 1) == (
        "Systolic BP: 115.5 mmHg. Diastolic BP: 60 mmHg. Systolic BP (non-invasive): 110 mmHg. "
        "Respiratory rate: 22 breaths/min. Temperature: 37 °C. RR (total): 22 breaths/min"
    )


def test_every_reading_of_an_hour_stands_in_order_of_time(three_stays, build):
    for minute, value in ((0.9, 92), (0.2, 90), (0.5, 91)):
        three_stays.chart(0, 3 + minute, 220045, value)

    assert build(three_stays).state(0, 3) == "Heart rate: 90 bpm. Heart rate: 91 bpm. Heart rate: 92 bpm"


def test_height_and_weight_are_converted_and_named(three_stays, build):
    three_stays.chart(0, 1, 226707, 70)
    three_stays.chart(0, 1, 226512, 81.2)
    three_stays.chart(0, 2, 226730, 61)
    three_stays.chart(0, 2, 224639, 80)

    built = build(three_stays)

    assert built.state(0, 1) == "Height: 177.8 cm. Weight: 81.2 kg. Weight type: admit"
    assert built.state(0, 2) == "Weight: 80 kg. Weight type: daily"


def test_oxygen_devices_are_kept_without_a_flow_and_ventilator_values_are_cleaned(three_stays, build):
    three_stays.chart(0, 1, 226732, None, "Endotracheal tube ")
    three_stays.chart(0, 2, 223834, 6)
    three_stays.chart(0, 2, 227582, 8)
    three_stays.chart(0, 2, 226732, None, "Nasal cannula")
    three_stays.chart(0, 3, 223835, 0.4)
    three_stays.chart(0, 4, 223835, 15)
    three_stays.chart(0, 5, 223849, 11, "CPAP/PSV")
    three_stays.chart(0, 5, 224685, 585_573)
    three_stays.chart(0, 5, 220339, 5)
    three_stays.chart(0, 5, 224700, 7)

    built = build(three_stays)

    assert built.state(0, 1) == "O2 delivery device: Endotracheal tube"
    assert built.state(0, 2) == "O2 flow: 8 L/min. O2 delivery device: Nasal cannula"
    assert built.action(0, 3) == "FiO2: 40 %"
    assert built.action(0, 4) == "No active interventions."
    assert built.action(0, 5) == "Ventilator mode: CPAP/PSV. PEEP: 7 cmH2O"


def test_coma_scale_follows_the_published_rules(three_stays, build):
    for item, value, text in ((220739, 3, "To Speech"), (223900, 4, "Confused"), (223901, 5, "Localizes Pain")):
        three_stays.chart(0, 1, item, value, text)
    three_stays.chart(0, 4, 223901, 6, "Obeys Commands")
    three_stays.chart(0, 11, 220739, 2, "To Pain")
    three_stays.chart(0, 12, 223900, 1, "No Response-ETT")
    three_stays.chart(0, 13, 223901, 1, "No response")
    three_stays.chart(0, 14, 223900, 5, "Oriented")

    built = build(three_stays)

    assert built.state(0, 1) == "GCS total: 12. GCS motor: 5. GCS verbal: 4. GCS eyes: 3. GCS unable: 0"
    assert built.state(0, 4) == "GCS total: 13. GCS motor: 6. GCS verbal: 4. GCS eyes: 3. GCS unable: 0"
    assert built.state(0, 11) == "GCS total: 13. GCS eyes: 2. GCS unable: 0", (
        "carried forward for less than six hours only"
    )
    assert built.state(0, 12) == "GCS total: 15. GCS verbal: 0. GCS eyes: 2. GCS unable: 1"
    assert built.state(0, 13) == "GCS total: 15. GCS motor: 1. GCS verbal: 0. GCS unable: 0"
    assert built.state(0, 14) == "GCS total: 10. GCS motor: 1. GCS verbal: 5. GCS unable: 0"


def test_blood_gas_is_arterial_has_derived_values_and_ionised_calcium_in_mmol(three_stays, build):
    three_stays.chart(0, 1.0, 223835, 50)
    gas(three_stays, 0, 2.0, 2.1, 1, i50821=90, i50818=40, i50820=7.35, i50808=1.12, i50802=-3)
    gas(three_stays, 0, 8.0, 8.1, 2, i50821=80, i50818=40)
    gas(three_stays, 0, 9.0, 9.1, 3, i50821=100, i50816=0.8)
    three_stays.lab(0, 10, 50821, 40, specimen_id=4)
    three_stays.lab(0, 10, 52033, None, specimen_id=4, value="VEN.")
    three_stays.lab(0, 10, 50813, 2.4, specimen_id=4)

    built = build(three_stays)

    assert built.state(0, 2) == (
        "PaO2: 90 mmHg. PaCO2: 40 mmHg. pH: 7.35. Base excess: -3 mEq/L. Calcium (ABG): 1.12 mmol/L. "
        "A-a gradient (calc): 216.5 mmHg. FiO2 (charted): 50 %. PaO2/FiO2 ratio: 180"
    )
    assert built.state(0, 8) == "PaO2: 80 mmHg. PaCO2: 40 mmHg", "the inspired oxygen was charted more than 4 h before"
    assert built.state(0, 9) == "PaO2: 100 mmHg. FiO2 (ABG): 80 %. PaO2/FiO2 ratio: 125"
    assert built.state(0, 10) == "Lactate: 2.4 mmol/L"


def test_a_blood_gas_is_seen_once_it_is_known_to_be_arterial(three_stays, build):
    three_stays.lab(0, 2, 50820, 7.3, specimen_id=9, stored=2.1)
    three_stays.lab(0, 2, 50821, 75, specimen_id=9, stored=3.5)
    three_stays.lab(0, 2, 52033, None, specimen_id=9, stored=2.2, value="ART.")

    built = build(three_stays)

    assert built.state(0, 2) == "No observations recorded."
    assert built.state(0, 3) == "PaO2: 75 mmHg. pH: 7.3"


def test_a_differential_in_percent_becomes_counts_unless_counts_are_reported(three_stays, build):
    for item, value in ((51301, 12), (51256, 80), (51244, 15), (52074, 0.7), (51254, 5), (51144, 3), (52769, 900)):
        three_stays.lab(0, 4, item, value, specimen_id=5)
    three_stays.lab(0, 6, 51301, 9, specimen_id=6)
    three_stays.lab(0, 7, 51300, 10, specimen_id=7)
    three_stays.lab(0, 7, 51146, 2, specimen_id=7)

    built = build(three_stays)

    assert built.state(0, 4) == (
        "WBC count: 12 K/uL. WBC (diff): 12 K/uL. Neutrophils: 9.6 K/uL. Lymphocytes: 0.9 K/uL. "
        "Monocytes: 0.7 K/uL. Bands: 3 %"
    )
    assert built.state(0, 6) == "WBC count: 9 K/uL"
    assert built.state(0, 7) == "WBC (diff): 10 K/uL. Basophils: 0.2 K/uL"


def test_urine_is_summed_and_irrigation_subtracted(three_stays, build):
    for item, value in ((226559, 120), (226560, 30), (227488, 100), (227489, 150)):
        three_stays.add(
            "icu/outputevents", stay_id=99_000_000, charttime="2150-03-01 12:20:00", itemid=item, value=value
        )

    assert build(three_stays).state(0, 2) == "Urine output: 200 mL"


@pytest.mark.parametrize(("visibility", "hour"), [("stored", 5), ("charted", 3)])
def test_laboratory_results_are_seen_when_the_option_says(three_stays, build, visibility, hour):
    three_stays.lab(0, 3.2, 50912, 1.4, stored=5.1)
    three_stays.chart(0, 3.2, 220621, 140, storetime="2150-03-01 15:30:00")
    three_stays.lab(0, 29.5, 50912, 9.9, stored=31)

    built = build(three_stays, lab_visibility=visibility)

    assert built.state(0, hour) == "Glucose: 140 mg/dL. Creatinine: 1.4 mg/dL"
    assert ("9.9" in built.state(0, 29)) == (visibility == "charted")
    assert built.state(0, 8 - hour) == "No observations recorded."


def test_results_without_an_admission_are_joined_by_subject_and_time(three_stays, build):
    three_stays.lab(0, 3, 50912, 1.4, hadm_id=None)
    three_stays.lab(0, 4, 50912, 1.5, hadm_id=88_999_999)
    three_stays.lab(0, -2, 50912, 1.6)
    three_stays.lab(0, -2, 50983, 141, stored=0.5)

    built = build(three_stays)

    assert built.state(0, 3) == "Creatinine: 1.4 mg/dL"
    assert built.state(0, 4) == "No observations recorded."
    assert built.state(0, 0) == "Heart rate: 80 bpm. Sodium: 141 mEq/L"


def test_events_outside_the_stay_are_dropped(three_stays, build):
    three_stays.chart(0, -0.1, 220045, 55)
    three_stays.chart(0, 30.0, 220045, 56)
    three_stays.chart(0, 29.99, 220045, 57)

    built = build(three_stays)

    assert built.state(0, 0) == "Heart rate: 80 bpm"
    assert built.state(0, 29) == "Heart rate: 57 bpm"
