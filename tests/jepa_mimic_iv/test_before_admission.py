"""What was charted before admission to intensive care: what lasts is known at hour 0, the rest only to the scores."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_core.errors import DataError
from jepa_mimic_iv.numeric_grid import AGE, COLUMNS

SECONDS_BEFORE = -52 / 3600
"""Admission weights are charted at the whole minute, and the admission has seconds."""


def times(built, number: int, channel: str) -> list[float]:
    """When the events of a channel in hour 0 of a stay were charted, as the store has it."""
    return [float(time) for _, name, _, _, time in built.before(number, 1) if name == channel]


def test_an_admission_weight_charted_seconds_before_admission_is_known_at_hour_0_with_its_own_time(three_stays, build):
    three_stays.chart(0, SECONDS_BEFORE, 226512, 80)
    three_stays.chart(0, SECONDS_BEFORE, 226730, 171)

    built = build(three_stays)

    assert built.values(0, "weight/weight") == {0: [80]}
    assert built.values(0, "weight/weight_type") == {0: ["admit"]}
    assert built.values(0, "height/height") == {0: [171]}
    assert times(built, 0, "weight/weight") == [pytest.approx(SECONDS_BEFORE)]
    assert built.state(0, 0) == "Heart rate: 80 bpm. Height: 171 cm. Weight: 80 kg. Weight type: admit"


def test_urine_rates_and_kidney_stages_have_the_admission_weight(three_stays, build):
    three_stays.chart(0, SECONDS_BEFORE, 226512, 100)
    for hour in range(1, 9):
        three_stays.urine(0, hour, 40)

    built = build(three_stays)

    assert built.values(0, "urine_output_rate/weight")[1] == [100]
    assert built.values(0, "urine_output_rate/uo_mlkghr_6hr") == {7: [0.4], 8: [0.4]}
    assert built.values(0, "kdigo_stages/aki_stage_uo")[7] == [1]


def test_urine_counts_from_admission_on(three_stays, build):
    three_stays.chart(0, SECONDS_BEFORE, 226512, 100)
    three_stays.chart(0, -3, 220045, 70)
    three_stays.urine(0, -1, 500)
    three_stays.urine(0, 2, 60)

    built = build(three_stays)

    assert built.values(0, "urine_output/urineoutput") == {2: [60]}
    assert built.values(0, "urine_output_rate/urineoutput_6hr") == {2: [60]}
    assert built.values(0, "urine_output_rate/uo_mlkghr_6hr") == {}, "covered from the heart rate at 0.1 h on"


@pytest.mark.parametrize(
    ("item", "value", "text", "channel", "shown"),
    [
        (226732, None, "Face tent", "oxygen_delivery/o2_delivery_device", "Face tent"),
        (223901, 5, None, "gcs/gcs_motor", 5), (223834, 4, None, "oxygen_delivery/o2_flow", 4),
        (220048, None, "AF", "rhythm/heart_rhythm", "AF"),
        (223835, 0.5, None, "ventilator_setting/fio2", 50), (220339, 8, None, "ventilator_setting/peep", 8),
        (223849, None, "CMV/ASSIST", "ventilator_setting/ventilator_mode", "CMV/ASSIST"),
        (224684, 450, None, "ventilator_setting/tidal_volume_set", 450),
    ],
)  # fmt: skip
def test_what_lasts_is_known_at_hour_0_for_a_day(three_stays, build, item, value, text, channel, shown):
    three_stays.chart(0, -24, item, value, text)
    three_stays.chart(1, -24.1, item, value, text)

    built = build(three_stays)

    assert built.values(0, channel) == {0: [shown]}
    assert built.values(1, channel) == {}
    assert times(built, 0, channel) == [-24]


@pytest.mark.parametrize("item", [226512, 226730])
def test_the_build_of_the_body_is_known_for_a_month(three_stays, build, item):
    three_stays.chart(0, -720, item, 150)
    three_stays.chart(1, -721, item, 150)

    built = build(three_stays)

    channel = "weight/weight" if item == 226512 else "height/height"
    assert (built.values(0, channel), built.values(1, channel)) == ({0: [150]}, {})


def test_of_several_chartings_before_admission_the_last_is_shown(three_stays, build):
    for hour, device in ((-5, "Nasal cannula"), (-2, "Face tent"), (-2, "Oxymizer"), (0.5, "None")):
        three_stays.chart(0, hour, 226732, None, device)

    built = build(three_stays)

    assert built.values(0, "oxygen_delivery/o2_delivery_device") == {0: ["Face tent", "Oxymizer", "None"]}


@pytest.mark.parametrize(
    ("item", "value", "channel"),
    [
        (220045, 70, "vitalsign/heart_rate"), (220052, 60, "vitalsign/mbp"), (220277, 92, "vitalsign/spo2"),
        (224685, 400, "ventilator_setting/tidal_volume_observed"),
        (224690, 20, "ventilator_setting/respiratory_rate_total"),
    ],
)  # fmt: skip
def test_what_was_measured_before_admission_is_not_shown(three_stays, build, item, value, channel):
    three_stays.chart(0, -0.2, item, value)

    built = build(three_stays)

    assert built.values(0, channel) == ({0: [80]} if item == 220045 else {})


def test_the_hour_s_own_reading_goes_before_what_is_carried_in_labels_and_on_the_grid(three_stays, build):
    for number in (0, 1):
        for item, value in ((220739, 1), (223900, 1), (223901, 1)):
            three_stays.chart(number, -2.5, item, value)
    for item, value in ((220739, 4), (223900, 5), (223901, 6)):
        three_stays.chart(0, 0.5, item, value)

    built = build(three_stays)

    assert built.values(0, "gcs/gcs") == {0: [3, 15]}
    assert (built.label(0, "gcs_total")[0], built.label(1, "gcs_total")[0]) == (15, 3)
    column, age = COLUMNS.index("gcs/gcs"), COLUMNS.index("gcs/gcs" + AGE)
    assert built.grid(0, "state")[:3, [column, age]].tolist()[0] == [15, 0]
    assert built.grid(1, "state")[0, [column, age]].tolist() == [3, 3], "charted in the third hour before hour 0"
    assert built.grid(1, "state")[1:3, age].tolist() == [4, 5]
    assert np.isnan(built.grid(2, "state")[:, age]).all()


def test_ventilation_begun_before_admission_is_in_force_until_fourteen_hours_after_its_charting(three_stays, build):
    three_stays.chart(0, -2, 226732, None, "Endotracheal tube")
    three_stays.chart(1, -14, 226732, None, "Endotracheal tube")

    built = build(three_stays)

    assert built.values(0, "ventilation/ventilation_status") == {hour: ["InvasiveVent"] for hour in range(12)}
    assert built.values(1, "ventilation/ventilation_status") == {}


def test_scores_count_the_day_before_admission(three_stays, build):
    three_stays.chart(0, -0.3, 220052, 60)
    three_stays.chart(0, -5.5, 223901, 3)
    three_stays.chart(0, -1, 223835, 50)
    three_stays.chart(0, -1, 226732, None, "Endotracheal tube")
    three_stays.lab(0, 0.5, 52033, None, specimen_id=1, value="ART.")
    three_stays.lab(0, 0.5, 50821, 90, specimen_id=1)

    built = build(three_stays)

    def part(name: str) -> dict[int, float]:
        return {hour: value for hour, (value,) in built.values(0, f"sofa/{name}_24hours").items()}

    assert built.values(0, "bg/pao2fio2ratio") == {0: [180]}
    assert [part("respiration")[hour] for hour in (0, 23, 24)] == [3, 3, 0]
    assert [part("cardiovascular")[hour] for hour in (0, 22, 23)] == [1, 1, 0]
    assert [part("cns")[hour] for hour in (0, 17, 18)] == [2, 2, 0]


def test_a_vital_sign_from_before_admission_alone_makes_no_trajectory(three_stays, build):
    three_stays.rows["icu/chartevents"].clear()
    for number in range(3):
        three_stays.chart(number, -0.5, 220045, 70)

    with pytest.raises(DataError, match="has vital signs"):
        build(three_stays)


def test_dialysis_charted_before_admission_is_no_dialysis_of_hour_0(three_stays, build):
    three_stays.chart(0, -0.5, 227290, None, "CVVHDF")
    three_stays.chart(0, -0.5, 224146, None, "Active")

    built = build(three_stays)

    assert built.values(0, "rrt/dialysis_present") == {}
    assert built.values(0, "crrt/system_active") == built.values(0, "crrt/crrt_mode") == {}
