"""Scores, rates and episodes against cases worked out by hand."""

from __future__ import annotations

import pytest

PARTS = ("respiration", "coagulation", "liver", "cardiovascular", "cns", "renal")
WEIGHED = {"amount": 1.0, "amountuom": "mg"}


def sofa(built, number, part="sofa") -> dict[int, float]:
    return {hour: values[0] for hour, values in built.values(number, f"sofa/{part}_24hours").items()}


def test_sofa_without_any_measurement_is_zero_in_every_hour(three_stays, build):
    built = build(three_stays)

    assert sofa(built, 0) == dict.fromkeys(range(30), 0)


@pytest.mark.parametrize(
    ("part", "item", "points"),
    [
        ("coagulation", 51265, {150: 0, 149: 1, 99: 2, 49: 3, 19: 4}),
        ("liver", 50885, {1.1: 0, 1.2: 1, 2.0: 2, 6.0: 3, 12.0: 4}),
        ("renal", 50912, {1.1: 0, 1.2: 1, 2.0: 2, 3.5: 3, 5.0: 4}),
    ],
)
def test_sofa_counts_laboratory_values_by_their_published_bounds(three_stays, build, part, item, points):
    for step, value in enumerate(points):
        three_stays.lab(step % 3, 2 + 26 * (step // 3), item, value)

    built = build(three_stays)

    assert [sofa(built, step % 3, part)[2 + 26 * (step // 3)] for step in range(5)] == list(points.values())


def test_sofa_counts_low_pressure(adults, build):
    points = {70: 0, 69: 1}
    tables = adults(len(points))
    for number, pressure in enumerate(points):
        tables.chart(number, 2.5, 220052, pressure)

    built = build(tables)

    assert {case: sofa(built, number, "cardiovascular")[2] for number, case in enumerate(points)} == points


def test_sofa_counts_what_runs_at_the_end_of_the_hour(adults, build):
    points = {
        (221653, 3.0): 2, (221662, 5.0): 2, (221662, 5.1): 3, (221662, 15.1): 4, (221906, 0.1): 3, (221906, 0.11): 4,
        (221289, 0.02): 3, (221289, 0.2): 4, (221749, 2.0): 0,
    }  # fmt: skip
    tables = adults(len(points))
    for number, (item, rate) in enumerate(points):
        tables.pump(number, 2.5, 4.5, item, rate=rate, rateuom="mcg/kg/min", **WEIGHED)

    built = build(tables)
    scores = {case: sofa(built, number, "cardiovascular") for number, case in enumerate(points)}

    assert {case: [scores[case][hour] for hour in (1, 2, 4, 26)] for case in points} == {
        case: [0, value, value, value] for case, value in points.items()
    }
    assert {case: score[27] for case, score in scores.items()} == dict.fromkeys(points, 0), (
        "the infusion ran at the ends of the hours 2 and 3, and 24 h later it is forgotten"
    )


def test_sofa_counts_the_coma_scale(adults, build):
    points = {
        (1, 1, 3): 4, (2, 2, 5): 3, (3, 3, 6): 2, (4, 5, 5): 1,
        (4, 5, 6): 0, (4, 4, 5): 1, (4, 4, 4): 2, (3, 3, 4): 2, (3, 3, 3): 3, (2, 2, 2): 3, (2, 1, 2): 4,
    }  # fmt: skip
    tables = adults(len(points))
    for number, total in enumerate(points):
        for item, value in zip((220739, 223900, 223901), total, strict=True):
            tables.chart(number, 2.5, item, value)

    built = build(tables)

    assert {case: sofa(built, number, "cns")[2] for number, case in enumerate(points)} == points


TUBE = "Endotracheal tube"


def oxygenated(tables, number: int, po2: float, device: str | None, inspired: float = 50) -> None:
    """An arterial blood gas in hour 2, with what was breathed in and by what."""
    tables.chart(number, 1.0, 223835, inspired)
    if device:
        tables.chart(number, 1.0, 226732, None, device)
    tables.lab(number, 2.2, 52033, None, specimen_id=number, value="ART.")
    tables.lab(number, 2.2, 50821, po2, specimen_id=number)


def test_sofa_counts_oxygenation_and_three_points_only_under_invasive_ventilation(adults, build):
    points = {
        (201, None): 0, (195, None): 1, (145, None): 2, (95, None): 2, (45, None): 2, (95, TUBE): 3, (45, TUBE): 4,
        (45, "Bipap mask "): 2,
    }  # fmt: skip
    tables = adults(len(points))
    for number, (po2, device) in enumerate(points):
        oxygenated(tables, number, po2, device)

    built = build(tables)
    scores = {case: sofa(built, number, "respiration") for number, case in enumerate(points)}

    assert {case: (score[1], score[2]) for case, score in scores.items()} == {
        case: (0, value) for case, value in points.items()
    }


VENTILATED_THROUGH_A_TRACHEOSTOMY = {
    "a tube and a mode at one time": ([(1.0, 226732, "Tracheostomy tube"), (1.0, 223849, "CMV/ASSIST")], True),
    "a tube and a Hamilton mode": ([(1.0, 226732, "Tracheostomy tube"), (1.0, 229314, "APV (cmv)")], True),
    "a tube some minutes after the mode": ([(0.8, 223849, "CMV/ASSIST"), (1.0, 226732, "Tracheostomy tube")], True),
    "a tube twice, the mode with the first": (
        [(-3, 226732, "Tracheostomy tube"), (-3, 223849, "CPAP/PSV"), (1.0, 226732, "Tracheostomy tube")], True,
    ),
    "a tube alone": ([(1.0, 226732, "Tracheostomy tube")], False),
    "a trach mask": ([(0.5, 223849, "CMV/ASSIST"), (1.0, 226732, "Trach mask ")], False),
    "a trach mask between the mode and the tube": (
        [(0.2, 223849, "CMV/ASSIST"), (0.5, 226732, "Trach mask "), (1.0, 226732, "Tracheostomy tube")], False,
    ),
    "a mode of yesterday": ([(-14, 223849, "CMV/ASSIST"), (1.0, 226732, "Tracheostomy tube")], False),
}  # fmt: skip


def test_a_tracheostomy_on_a_ventilator_is_respiratory_support(adults, build):
    cases = VENTILATED_THROUGH_A_TRACHEOSTOMY
    tables = adults(len(cases))
    for number, (chartings, _) in enumerate(cases.values()):
        for hour, item, word in chartings:
            tables.chart(number, hour, item, None, word)
        tables.chart(number, 1.0, 223835, 50)
        for specimen, (hour, po2) in enumerate(((2.2, 45), (9.2, 60)), start=2 * number):
            tables.lab(number, hour, 52033, None, specimen_id=specimen, value="ART.")
            tables.lab(number, hour, 50821, po2, specimen_id=specimen)

    built = build(tables)
    numbers = dict(zip(cases, range(len(cases)), strict=True))
    status = {case: built.values(number, "ventilation/ventilation_status")[2] for case, number in numbers.items()}
    scores = {case: sofa(built, number, "respiration")[2] for case, number in numbers.items()}
    failures = {case: str(built.label(number, "event_respiratory_failure")[9]) for case, number in numbers.items()}

    assert status == dict.fromkeys(cases, ["Tracheostomy"])
    assert scores == {case: 4 if supported else 2 for case, (_, supported) in cases.items()}
    assert failures == {case: "nan" if supported else "0.0" for case, (_, supported) in cases.items()}, (
        "60 mmHg are no failure in room air, which a ventilator is not"
    )


def test_sofa_counts_a_day_of_little_urine(three_stays, build):
    for hour in range(1, 28):
        three_stays.urine(0, hour, 10 if hour < 27 else 300)

    scores = sofa(build(three_stays), 0, "renal")

    assert scores[21] == 0, "less than 22 h are covered"
    assert scores[23] == 3, "10 mL an hour are 240 mL a day"


def test_sofa_keeps_the_worst_of_a_day_and_looks_back_to_before_admission(three_stays, build):
    three_stays.lab(0, -3, 51265, 15)
    three_stays.lab(0, 6, 51265, 90)
    three_stays.lab(0, 7, 50885, 13)

    built = build(three_stays)
    scores = sofa(built, 0, "coagulation")

    assert [scores[hour] for hour in (0, 19, 20, 21, 29)] == [4, 4, 4, 2, 2]
    assert sofa(built, 0)[8] == 8, "the total adds the parts"
    assert built.values(0, "complete_blood_count/platelet") == {6: [90]}, "what came before is not shown itself"


def test_a_laboratory_value_counts_from_when_it_was_seen(three_stays, build):
    three_stays.lab(0, 2, 50885, 13, stored=4.5)

    scores = sofa(build(three_stays), 0, "liver")

    assert (scores[3], scores[4]) == (0, 4)


def test_vasoactive_rates_are_converted_and_concurrent_pumps_added(three_stays, build):
    three_stays.pump(0, 1.0, 3.0, 221906, rate=0.1, rateuom="mcg/kg/min", **WEIGHED)
    three_stays.pump(0, 2.0, 4.0, 221906, rate=0.0002, rateuom="mg/kg/min", **WEIGHED)
    three_stays.pump(0, 1.0, 2.0, 221749, rate=160, rateuom="mcg/min", **WEIGHED)
    three_stays.pump(0, 1.0, 2.0, 222315, rate=0.04, rateuom="units/min", **WEIGHED)
    three_stays.pump(0, 5.0, 6.0, 221289, rate=3, rateuom="mL/hour", **WEIGHED)
    three_stays.pump(0, 6.0, 7.0, 229630, rate=1.0, rateuom="mcg/kg/min", **WEIGHED)

    built = build(three_stays)

    assert built.values(0, "vasoactive_agent/norepinephrine") == {1: [0.1], 2: [0.3], 3: [0.2]}
    assert built.values(0, "vasoactive_agent/phenylephrine") == {1: [2.0], 6: [1.0]}
    assert built.values(0, "vasoactive_agent/vasopressin") == {1: [2.4]}
    assert built.values(0, "vasoactive_agent/epinephrine") == {}, "mL/hour says nothing of the dose"


def bags(tables, *rows: tuple[float, float, float, int, int], number: int = 0) -> None:
    """Norepinephrine in orders: start, stop, mcg/kg/min, number of the order, and of the first order of its line.
    Orders of different stays have different numbers."""
    for start, stop, rate, *orders in rows:
        order, linked = (10 * number + own for own in orders)
        tables.pump(
            number, start, stop, 221906, rate=rate, rateuom="mcg/kg/min", orderid=order, linkorderid=linked, **WEIGHED
        )


NOREPINEPHRINE = "vasoactive_agent/norepinephrine"


def test_a_change_of_the_bag_counts_once(adults, build):
    cases = [(3.5, 3.55), (3.5, 4.0), (3.8, 4.2)]
    tables = adults(len(cases))
    for number, (begins, ends) in enumerate(cases):
        orders = [(1, 2, 0.08, 1, 1), (2, ends, 0.08, 2, 1), (begins, 4.5, 0.0807, 3, 3), (4.5, 5, 0.1, 4, 3)]
        bags(tables, *orders, number=number)

    built = build(tables)

    hours = {1: [0.08], 2: [0.08], 3: [0.08, 0.0807], 4: [0.0807, 0.1]}
    assert {case: built.values(number, NOREPINEPHRINE) for number, case in enumerate(cases)} == dict.fromkeys(
        cases, hours
    )
    scores = {case: sofa(built, number, "cardiovascular") for number, case in enumerate(cases)}
    assert {case: [score[hour] for hour in (3, 4)] for case, score in scores.items()} == dict.fromkeys(cases, [3, 3])


def test_a_second_pump_adds(adults, build):
    """For hours at one rate; a little at another rate; as a part of a line that ran before; from the same moment on;
    and beside a bag that takes over from the other pump."""
    cases = [
        ([(1, 3, 0.08, 1, 1), (2, 4, 0.08, 2, 2)], {1: [0.08], 2: [0.16], 3: [0.08]}),
        ([(1, 3, 0.08, 1, 1), (2.3, 4, 0.08, 2, 2)], {1: [0.08], 2: [0.08, 0.16], 3: [0.08]}),
        ([(1, 3, 0.08, 1, 1), (2.9, 4, 0.082, 2, 2)], {1: [0.08], 2: [0.08, 0.162], 3: [0.082]}),
        ([(1, 3, 0.08, 1, 1), (2, 2.9, 0.04, 2, 2), (2.9, 4, 0.08, 3, 2)], {1: [0.08], 2: [0.12, 0.16], 3: [0.08]}),
        ([(1, 3, 0.08, 1, 1), (1, 3, 0.08, 2, 2)], {1: [0.16], 2: [0.16]}),
        ([(1, 2.1, 0.08, 1, 1), (1, 3, 0.08, 2, 2), (2, 4, 0.08, 3, 3)], {1: [0.16], 2: [0.16], 3: [0.08]}),
    ]  # fmt: skip
    tables = adults(len(cases))
    for number, (rows, _) in enumerate(cases):
        bags(tables, *rows, number=number)

    built = build(tables)

    assert [built.values(number, NOREPINEPHRINE) for number in range(len(cases))] == [hours for _, hours in cases]


def test_an_hour_that_cannot_tell_a_second_pump_from_a_new_bag_has_the_rate_once(three_stays, build):
    bags(three_stays, (1, 6, 0.08, 1, 1), (3.8, 6, 0.08, 2, 2))

    built = build(three_stays)

    assert built.values(0, NOREPINEPHRINE) == {1: [0.08], 2: [0.08], 3: [0.08], 4: [0.16], 5: [0.16]}
    assert [sofa(built, 0, "cardiovascular")[hour] for hour in (3, 4)] == [3, 4]


def test_the_bag_of_a_blocker_is_changed_as_that_of_a_vasopressor(three_stays, build):
    three_stays.pump(0, 1, 2.1, 221555, rate=2.0, rateuom="mcg/kg/min", orderid=1, linkorderid=1, **WEIGHED)
    three_stays.pump(0, 2, 3, 221555, rate=2.0, rateuom="mcg/kg/min", orderid=2, linkorderid=2, **WEIGHED)

    assert build(three_stays).values(0, "neuroblock/drug_amount") == {1: [9.6], 2: [9.6]}


def test_the_equivalent_dose_adds_five_drugs_by_their_factors(three_stays, build):
    for item, rate in ((221906, 0.1), (221289, 0.05), (221749, 1.0), (221662, 5.0), (221653, 9.0), (221986, 0.5)):
        three_stays.pump(0, 1.0, 2.0, item, rate=rate, rateuom="mcg/kg/min", **WEIGHED)
    three_stays.pump(0, 1.5, 2.0, 222315, rate=2.4, rateuom="units/hour", **WEIGHED)

    doses = build(three_stays).values(0, "norepinephrine_equivalent_dose/norepinephrine_equivalent_dose")

    assert doses == {1: [0.3, 0.4]}


def test_a_status_of_ventilation_lasts_until_the_next_and_fourteen_hours_at_most(three_stays, build):
    three_stays.chart(0, 1.5, 226732, None, "Nasal cannula")
    three_stays.chart(0, 3.2, 226732, None, "High flow nasal cannula")
    three_stays.chart(0, 3.2, 223849, None, "CMV/ASSIST")
    three_stays.chart(0, 5.0, 223849, None, "Standby")
    three_stays.chart(0, 25.0, 226732, None, "None")

    status = build(three_stays).values(0, "ventilation/ventilation_status")

    assert [status.get(hour) for hour in (0, 1, 2, 3)] == [
        None, ["SupplementalOxygen"], ["SupplementalOxygen"], ["SupplementalOxygen", "InvasiveVent"],
    ]  # fmt: skip
    assert all(status[hour] == ["InvasiveVent"] for hour in range(4, 18))
    assert [status.get(hour) for hour in (18, 24, 25, 29)] == [None, None, ["None"], ["None"]]


def test_urine_rates_sum_what_the_windows_hold_and_wait_until_they_are_covered(three_stays, build):
    three_stays.chart(0, 0.5, 224639, 50)
    for hour in range(1, 9):
        three_stays.urine(0, hour, 10 * hour)

    built = build(three_stays)

    assert built.values(0, "urine_output_rate/uo")[3] == [30]
    assert built.values(0, "urine_output_rate/urineoutput_6hr")[8] == [10 * (3 + 4 + 5 + 6 + 7 + 8)]
    assert built.values(0, "urine_output_rate/urineoutput_12hr")[8] == [360]
    rates = built.values(0, "urine_output_rate/uo_mlkghr_6hr")
    assert rates == {7: [round(270 / 50 / 6, 4)], 8: [round(330 / 50 / 6, 4)]}, "covered from the heart rate at 0.1 h"
    assert built.values(0, "urine_output_rate/uo_mlkghr_12hr") == {}


def test_a_weight_is_not_carried_back(three_stays, build):
    three_stays.urine(0, 1, 50)
    three_stays.urine(0, 7, 50)
    three_stays.chart(0, 7.5, 226512, 50)
    three_stays.urine(0, 14, 70)

    built = build(three_stays)

    assert built.values(0, "urine_output_rate/weight") == {14: [50]}
    assert built.values(0, "urine_output_rate/uo_mlkghr_6hr") == {14: [round(70 / 50 / 7, 4)]}


def creatinines(tables, cases) -> None:
    """For each case an earlier creatinine at some hour, and one in hour 4."""
    for number, ((hour, earlier), now) in enumerate(cases):
        tables.lab(number, hour, 50912, earlier)
        tables.lab(number, 4.5, 50912, now)


def test_kidney_stages_by_creatinine(adults, build):
    stages = {
        ((-30, 1.0), 1.2): 0, ((-30, 1.0), 1.3): 1, ((-60, 1.0), 1.4): 0, ((-60, 1.0), 1.5): 1, ((-60, 1.0), 2.0): 2,
        ((-160, 1.0), 3.0): 3, ((-30, 3.7), 4.0): 3, ((-30, 3.8), 4.0): 0, ((-60, 3.8), 4.0): 0, ((-170, 1.0), 3.0): 0,
        ((-30, 3.8), 4.1): 3, ((-30, 7.1), 7.5): 3, ((-30, 7.1), 7.3): 0, ((-60, 7.1), 7.5): 0, ((-60, 2.8), 4.2): 3,
    }  # fmt: skip
    tables = adults(len(stages))
    creatinines(tables, stages)

    built = build(tables)

    def shown(name: str) -> dict[object, object]:
        return {case: built.values(number, f"kdigo_stages/{name}") for number, case in enumerate(stages)}

    assert shown("creat") == {case: {4: [case[1]]} for case in stages}
    assert shown("aki_stage_creat") == {case: {4: [stage]} for case, stage in stages.items()}
    for name, reaches_back in (("creat_low_past_48hr", -43), ("creat_low_past_7day", -163)):
        assert shown(name) == {case: {4: [case[0][1]]} if case[0][0] > reaches_back else {} for case in stages}


def test_a_rise_and_a_ratio_that_just_reach_a_bound_count_though_they_do_not_in_binary(adults, build):
    stages = {
        ((-30, 1.1), 1.4): 1, ((-30, 1.6), 1.9): 1, ((-30, 0.9), 1.2): 1, ((-60, 0.8), 1.2): 1, ((-60, 2.2), 3.3): 1,
        ((-60, 1.1), 3.3): 3, ((-60, 2.7), 8.1): 3, ((-43.5, 1.0), 1.3): 1,
    }  # fmt: skip
    tables = adults(len(stages))
    creatinines(tables, stages)

    built = build(tables)

    shown = {case: built.values(number, "kdigo_stages/aki_stage_creat") for number, case in enumerate(stages)}
    assert shown == {case: {4: [stage]} for case, stage in stages.items()}


def test_creatinines_are_compared_in_the_order_in_which_they_were_drawn(three_stays, build):
    three_stays.lab(0, 2.0, 50912, 2.9, stored=5.5)
    three_stays.lab(0, 3.0, 50912, 2.5, stored=4.5)
    three_stays.lab(0, 6.0, 50912, 2.9, stored=6.5)

    built = build(three_stays)

    assert built.values(0, "kdigo_stages/aki_stage_creat") == {4: [0], 5: [0], 6: [1]}, "the second was no rise"
    assert built.values(0, "kdigo_stages/creat_low_past_48hr") == {6: [2.5]}


def test_a_creatinine_of_an_earlier_admission_is_a_baseline(three_stays, build):
    three_stays.lab(0, -100, 50912, 1.0, hadm_id=88_999_999)
    three_stays.lab(0, 4.5, 50912, 2.0)

    assert build(three_stays).values(0, "kdigo_stages/aki_stage") == {4: [2]}


def test_kidney_stages_by_urine_and_their_smoothing(three_stays, build):
    three_stays.chart(0, 0.5, 224639, 100)
    for hour in range(1, 29):
        three_stays.urine(0, hour, 20)
    three_stays.urine(0, 29, 900)

    built = build(three_stays)
    stage, smoothed = (built.values(0, f"kdigo_stages/aki_stage{name}") for name in ("_uo", "_smoothed"))

    assert 5 not in stage, "six hours are not covered yet"
    assert [stage[hour] for hour in (6, 7, 12, 24)] == [[0], [1], [2], [3]], "none in the first six hours"
    assert (stage[29], smoothed[29]) == ([0], [3])


def test_continuous_dialysis_is_stage_three_and_shows_its_settings(three_stays, build):
    three_stays.chart(0, 3.0, 227290, None, "CVVHDF")
    three_stays.chart(0, 3.0, 224144, 150)
    three_stays.chart(0, 3.0, 224146, None, "Active")
    three_stays.chart(0, 4.0, 224146, None, "Clots Increasing")
    three_stays.chart(0, 5.0, 224146, None, "Discontinued")

    built = build(three_stays)

    assert built.values(0, "kdigo_stages/aki_stage_crrt") == {3: [3]}
    assert built.values(0, "crrt/blood_flow") == {3: [150]}
    assert built.values(0, "crrt/system_active") == {3: [1], 5: [0]}
    assert built.values(0, "crrt/clots_increasing") == {4: [1]}
    assert built.values(0, "rrt/dialysis_type") == {3: ["CVVHDF"]}
    assert built.values(0, "rrt/dialysis_active") == {3: [1], 4: [0], 5: [0]}


def test_dialysis_shows_while_it_lasts_and_a_catheter_is_not_active(three_stays, build):
    three_stays.procedure(0, 2.5, 4.5, 225441)
    three_stays.procedure(0, 7.0, 9.0, 224270)
    three_stays.chart(0, 10.0, 225965, None, "In use")

    built = build(three_stays)

    assert built.values(0, "rrt/dialysis_present") == {hour: [1] for hour in (2, 3, 4, 7, 8, 10)}
    assert built.values(0, "rrt/dialysis_active") == {2: [1], 3: [1], 4: [1], 7: [0], 8: [0], 10: [1]}
    assert built.values(0, "rrt/dialysis_type") == {2: ["IHD"], 3: ["IHD"], 4: ["IHD"], 10: ["Peritoneal"]}


def test_antibiotics_are_known_by_name_and_route(three_stays, build):
    for hour, drug, more in (
        (1, "Vancomycin", {"route": "IV"}), (2, "Erythromycin", {"route": "BOTH EYES"}),
        (3, "Bacitracin Ointment", {"route": "TP"}), (4, "Neomycin cream", {"route": "IV"}),
        (5, "CefTRIAXone", {"route": "IV", "drug_type": "BASE"}), (6, "CefTRIAXone", {"route": None}),
        (7, "Piperacillin-Tazobactam", {"route": "IV"}), (8, "Aspirin", {"route": "PO"}),
    ):  # fmt: skip
        three_stays.order(0, hour, drug, **more)

    built = build(three_stays)

    assert built.values(0, "antibiotic/antibiotic") == {1: ["Vancomycin"], 7: ["Piperacillin-Tazobactam"]}
    assert built.values(0, "antibiotic/route") == {1: ["IV"], 7: ["IV"]}


def test_sepsis_is_a_suspected_infection_near_a_score_of_two(adults, build):
    suspicions = {-69.0: -69.0, -71.0: None, 3.0: 2.0, 25.9: 2.0, 26.1: None, 1.0: 1.0}
    tables = adults(len(suspicions))
    for number, (culture, suspected) in enumerate(suspicions.items()):
        tables.order(number, 2, "Cefepime", route="IV")
        tables.culture(number, culture)
        tables.lab(number, -60 if suspected == -69.0 else 5, 50885, 7)

    built = build(tables)

    septic = {case: suspected is not None and suspected > -69 for case, suspected in suspicions.items()}
    assert {case: built.outcome(number, "sepsis") for number, case in enumerate(septic)} == septic, (
        "with a suspicion 69 h before, the score is too late"
    )
    onsets = {case: 5 if is_septic else 30 for case, is_septic in septic.items()}
    assert {case: built.label(number, "event_sepsis") for number, case in enumerate(septic)} == {
        case: [0.0] * onset + [1.0] * (30 - onset) for case, onset in onsets.items()
    }


def test_sepsis_needs_an_antibiotic_begun_in_the_stay_and_two_points(three_stays, build):
    three_stays.order(0, -3, "Cefepime", route="IV")
    three_stays.order(1, 2, "Cefepime", route="IV")
    three_stays.order(2, 2, "Cefepime", route="IV")
    for number in range(3):
        three_stays.culture(number, 1)
    three_stays.lab(0, 5, 50885, 7)
    three_stays.lab(1, 5, 50885, 1.3)
    three_stays.lab(2, 28, 50885, 7)

    built = build(three_stays)

    assert [built.outcome(number, "sepsis") for number in range(3)] == [0, 0, 0], "the last is more than 24 h late"


def test_a_withdrawn_order_of_an_antibiotic_counts_for_sepsis_where_it_was_given(three_stays, build):
    for number in range(2):
        three_stays.order(number, 2, "Cefepime", route="IV", lasts=-1, pharmacy_id=number)
        three_stays.culture(number, 1)
        three_stays.lab(number, 5, 50885, 7)
    three_stays.given(1, 1.2, "Cefepime", pharmacy_id=1)

    built = build(three_stays)

    assert [built.outcome(number, "sepsis") for number in range(2)] == [0, 1]
    assert [built.values(number, "antibiotic/antibiotic") for number in range(2)] == [{}, {2: ["Cefepime"]}]


def test_a_culture_of_which_only_the_day_is_known_counts_by_days(three_stays, build):
    for number, days in ((0, -3), (1, 1), (2, 2)):
        three_stays.order(number, 2, "Cefepime", route="IV")
        three_stays.culture(number, 24 * days, charttime=None)
        three_stays.lab(number, 3 if number else 0.5, 50885, 7)
    three_stays.lab(0, -71, 51265, 15)

    built = build(three_stays)

    assert [built.outcome(number, "sepsis") for number in range(3)] == [0, 1, 0]


def test_of_one_day_a_culture_known_to_the_minute_goes_before_one_known_by_the_day(three_stays, build):
    three_stays.stay(3, hours=100)
    three_stays.chart(3, 0.1, 220045, 80)
    three_stays.order(3, 60, "Cefepime", route="IV")
    three_stays.culture(3, 58)
    three_stays.culture(3, 58, charttime=None)
    three_stays.lab(3, 79.5, 50885, 7)

    assert build(three_stays).label(3, "event_sepsis")[79] == 1, "24 h after the culture at 58 h, not after midnight"


def test_neuromuscular_blockers_show_rate_and_the_amount_of_each_hour(three_stays, build):
    three_stays.pump(0, 1.5, 3.0, 221555, rate=2.0, rateuom="mcg/kg/min", amount=14.4, amountuom="mg")

    built = build(three_stays)

    assert built.values(0, "neuroblock/drug_rate") == {1: [2.0], 2: [2.0]}
    assert built.values(0, "neuroblock/drug_amount") == {1: [4.8], 2: [9.6]}


def test_equal_amounts_of_a_blocker_in_one_hour_add_up(three_stays, build):
    for start in (1.0, 1.5):
        three_stays.pump(0, start, start + 0.5, 221555, rate=2.0, rateuom="mcg/kg/min", amount=4.8, amountuom="mg")

    built = build(three_stays)

    assert built.values(0, "neuroblock/drug_rate") == {1: [2.0]}
    assert built.values(0, "neuroblock/drug_amount") == {1: [9.6]}


def test_lines_and_procedures_are_kept_by_the_hour_and_not_written_out(three_stays, build):
    three_stays.add("icu/d_items", itemid=225752, label="Arterial Line")
    three_stays.procedure(0, -2, 1.5, 225752, location="Left Antecub")

    built = build(three_stays)

    assert built.values(0, "invasive_line/line_type") == {0: ["Arterial"], 1: ["Arterial"]}
    assert built.values(0, "invasive_line/line_site") == {0: ["Left Antecube"], 1: ["Left Antecube"]}
    assert built.values(0, "procedureevents/Arterial Line") == {0: ["ContinuousProcess"], 1: ["ContinuousProcess"]}
    assert built.texts[0][2][0] == "t=0h | No active interventions."


def charlson(built, number) -> list[float]:
    return [float(value) for _, name, value, *_ in built.before(number, 0) if name == "demographics/charlson"]


def test_charlson_reads_earlier_admissions_only(three_stays, build, clock):
    earlier = {"race": "WHITE", "hospital_expire_flag": 0}
    for number, ended in ((0, -500), (1, -2)):
        three_stays.add(
            "hosp/admissions", subject_id=77_000_001 + number, hadm_id=1000 + number, admittime=clock(-900),
            dischtime=clock(ended), **earlier,
        )  # fmt: skip
    for code in ("I21", "E1122", "E119", "C780", "C50", "K7030"):
        three_stays.diagnosis(0, code, hadm_id=1000)
    three_stays.diagnosis(0, "B20")
    three_stays.diagnosis(1, "I21", hadm_id=1001)
    three_stays.diagnosis(2, "I21")

    built = build(three_stays)

    assert charlson(built, 0) == [2 + 1 + 2 + 6 + 1], "age 60, infarct, diabetes with complications, metastases, liver"
    assert charlson(built, 1) == [], "the other admission had not ended when this one began"
    assert charlson(built, 2) == [], "without an earlier admission nothing is known"
    assert built.texts[0][0].endswith("Race: WHITE. Charlson index of earlier admissions: 12.")
    assert built.texts[2][0].endswith("Race: WHITE.")


def test_the_bounds_of_oxygenation_themselves_count_as_the_better_grade(adults, build):
    points = {
        (200, None): 0, (199, None): 1, (150, None): 1, (149, None): 2, (100, TUBE): 2, (99, TUBE): 3, (50, TUBE): 3,
        (49, TUBE): 4,
    }  # fmt: skip
    tables = adults(len(points))
    for number, (po2, device) in enumerate(points):
        oxygenated(tables, number, po2, device)

    built = build(tables)

    assert {case: sofa(built, number, "respiration")[2] for number, case in enumerate(points)} == points


def test_a_ratio_on_a_bound_counts_as_the_better_grade_though_it_lies_below_in_binary(adults, build):
    points = {28: 3, 56: 2, 84: 1, 112: 0}
    tables = adults(len(points))
    for number, po2 in enumerate(points):
        oxygenated(tables, number, po2, TUBE, inspired=0.28)

    built = build(tables)

    assert {case: sofa(built, number, "respiration")[2] for number, case in enumerate(points)} == points


def test_a_mean_pressure_of_seventy_by_three_readings_is_not_below_seventy(three_stays, build):
    for item, value in ((220052, 69.1), (220181, 70.3), (225312, 70.6)):
        three_stays.chart(0, 2.5, item, value)

    built = build(three_stays)

    assert built.values(0, "vitalsign/mbp") == {2: [70]}
    assert sofa(built, 0, "cardiovascular")[2] == 0


def test_a_dose_of_a_tenth_reckoned_from_the_weight_is_not_above_a_tenth(three_stays, build):
    three_stays.pump(0, 2.5, 4.5, 221906, rate=4.03, rateuom="mcg/min", patientweight=40.3, **WEIGHED)

    assert sofa(build(three_stays), 0, "cardiovascular")[2] == 3


def test_the_bounds_of_a_day_of_urine(adults, build):
    points = {480: 3, 504: 0, 192: 4, 216: 3}
    tables = adults(len(points))
    for number, daily in enumerate(points):
        for hour in range(1, 28):
            tables.urine(number, hour, daily / 24)

    built = build(tables)

    assert {case: sofa(built, number, "renal")[26] for number, case in enumerate(points)} == points


def test_a_part_that_was_never_measured_adds_nothing_to_the_total(three_stays, build):
    three_stays.lab(0, 2, 51265, 60)
    three_stays.chart(0, 2, 220052, 60)

    built = build(three_stays)

    parts = {part: sofa(built, 0, part)[2] for part in PARTS}
    assert parts == {**dict.fromkeys(PARTS, 0), "coagulation": 2, "cardiovascular": 1}
    assert sofa(built, 0)[2] == 3


def test_the_strongest_of_several_vasoactive_drugs_counts(three_stays, build):
    three_stays.pump(0, 2.5, 4.5, 221662, rate=15.0, rateuom="mcg/kg/min", **WEIGHED)
    three_stays.pump(0, 2.5, 4.5, 221653, rate=9.0, rateuom="mcg/kg/min", **WEIGHED)
    three_stays.chart(0, 2.5, 220052, 60)

    assert sofa(build(three_stays), 0, "cardiovascular")[2] == 3, "dopamine of 15 is not above 15"


def test_the_bounds_of_the_ratio_of_creatinines(adults, build):
    stages = {1.49: 0, 1.99: 1, 2.0: 2, 2.99: 2, 3.0: 3}
    tables = adults(len(stages))
    creatinines(tables, [((-100, 1.0), ratio) for ratio in stages])

    built = build(tables)

    shown = {case: built.values(number, "kdigo_stages/aki_stage_creat") for number, case in enumerate(stages)}
    assert shown == {case: {4: [stage]} for case, stage in stages.items()}


def test_the_bounds_of_stages_by_urine(adults, build):
    stages = {50: (0, 0, 0), 49: (1, 2, 2), 30: (1, 2, 2), 29: (1, 2, 3), 0: (1, 3, 3)}
    tables = adults(len(stages))
    for number, volume in enumerate(stages):
        tables.chart(number, 0.5, 224639, 100)
        for hour in range(1, 30):
            tables.urine(number, hour, volume)

    built = build(tables)

    shown = {case: built.values(number, "kdigo_stages/aki_stage_uo") for number, case in enumerate(stages)}
    assert {case: tuple(shown[case][hour][0] for hour in (7, 13, 25)) for case in stages} == stages


def test_without_a_weight_there_is_no_stage_by_urine(three_stays, build):
    for hour in range(1, 30):
        three_stays.urine(0, hour, 5)

    built = build(three_stays)

    assert built.values(0, "kdigo_stages/aki_stage_uo") == {}
    assert built.values(0, "urine_output_rate/urineoutput_24hr")[29] == [120]


def test_the_equivalent_dose_of_vasopressin_alone_and_of_no_vasopressor(three_stays, build):
    three_stays.pump(0, 1.0, 2.5, 222315, rate=2.4, rateuom="units/hour", **WEIGHED)
    three_stays.pump(1, 1.0, 2.0, 221653, rate=5.0, rateuom="mcg/kg/min", **WEIGHED)

    built = build(three_stays)

    name = "norepinephrine_equivalent_dose/norepinephrine_equivalent_dose"
    assert built.values(0, name) == {1: [0.1], 2: [0.1]}
    assert built.values(1, name) == {}, "dobutamine is no vasopressor"


def test_a_score_counts_for_sepsis_from_48_hours_before_the_suspicion_on(three_stays, build):
    septic = {75.5: 1, 78.5: 0}
    for number, ordered in enumerate(septic, start=3):
        three_stays.stay(number, hours=100)
        three_stays.chart(number, 0.1, 220045, 80)
        three_stays.lab(number, 5, 50885, 7)
        three_stays.order(number, ordered, "Cefepime", route="IV")
        three_stays.culture(number, ordered + 1)

    built = build(three_stays)

    assert {case: built.outcome(number, "sepsis") for number, case in enumerate(septic, start=3)} == septic, (
        "the score is 3 in the hours 5 to 28"
    )


def test_age_adds_to_charlson_from_the_first_year_of_a_decade_on(build, three_stays, clock):
    points = {49: 0, 50: 1, 59: 1, 60: 2, 69: 2, 70: 3, 79: 3, 80: 4}
    for number, age in enumerate(points, start=3):
        three_stays.stay(number, age=age)
        three_stays.chart(number, 0.1, 220045, 80)
        three_stays.add(
            "hosp/admissions", subject_id=77_000_001 + number, hadm_id=1000 + number, race="WHITE",
            hospital_expire_flag=0, admittime=clock(-900), dischtime=clock(-500),
        )  # fmt: skip

    built = build(three_stays)

    assert {case: charlson(built, number) for number, case in enumerate(points, start=3)} == {
        case: [value] for case, value in points.items()
    }
