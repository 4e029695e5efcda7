"""The modality `channels`: which column holds what."""

from __future__ import annotations

import numpy as np

from jepa_mimic_iv.numeric_grid import AGE, COLUMNS


def column(built, number, role, name) -> list[float]:
    return [round(float(one), 4) for one in built.grid(number, role)[:, COLUMNS.index(name)]]


def known(cells: list[float]) -> dict[int, float]:
    return {hour: cell for hour, cell in enumerate(cells) if not np.isnan(cell)}


def test_a_column_is_the_mean_of_the_hour_or_the_sum_or_the_last_score(three_stays, build):
    three_stays.chart(0, 2.1, 220045, 80)
    three_stays.chart(0, 2.8, 220045, 100)
    three_stays.urine(0, 2.1, 40)
    three_stays.urine(0, 2.9, 60)

    built = build(three_stays)

    assert column(built, 0, "state", "vitalsign/heart_rate")[2] == 90
    assert column(built, 0, "state", "urine_output/urineoutput")[2] == 100
    assert column(built, 0, "state", "urine_output_rate/urineoutput_6hr")[2] == 100
    assert known(column(built, 0, "state", "sofa/sofa_24hours")) == dict.fromkeys(range(30), 0)
    assert np.isnan(column(built, 0, "state", "chemistry/sodium")).all()


def test_a_rate_is_weighted_by_the_time_that_it_ran_in_the_hour(three_stays, build):
    for start, stop, rate in ((2.0, 2.1, 0.5), (2.1, 3.0, 0.05), (5.0, 5.25, 0.2)):
        three_stays.pump(0, start, stop, 221906, rate=rate, rateuom="mcg/kg/min", amount=1, amountuom="mg")

    built = build(three_stays)

    shown = known(column(built, 0, "action", "vasoactive_agent/norepinephrine"))
    assert shown == {2: round(0.1 * 0.5 + 0.9 * 0.05, 4), 5: 0.2}
    assert "mean" not in built.texts[0][2][2]


def test_the_hours_since_an_observation_begin_with_it_and_end_with_the_stay(three_stays, build):
    three_stays.lab(0, 3, 50983, 140)
    three_stays.lab(0, 6, 50983, 141)
    three_stays.lab(1, 29, 50983, 142)

    built = build(three_stays)

    age = column(built, 0, "state", "chemistry/sodium" + AGE)
    assert np.isnan(age[:3]).all()
    assert age[3:] == [0, 1, 2, *range(24)]
    assert known(column(built, 1, "state", "chemistry/sodium" + AGE)) == {29: 0}
    assert known(column(built, 2, "state", "chemistry/sodium" + AGE)) == {}
    half = build(three_stays, step_hours=0.5)
    assert column(half, 0, "state", "chemistry/sodium" + AGE)[6:13] == [0, 0.5, 1, 1.5, 2, 2.5, 0]


def test_actions_have_rates_settings_statuses_and_volumes_and_no_drugs_by_name(three_stays, build):
    three_stays.pump(0, 2.0, 3.0, 221906, rate=0.1, rateuom="mcg/kg/min", amount=0.5, amountuom="mg")
    three_stays.pump(0, 2.0, 4.0, 225158, rate=100, rateuom="mL/hour", amount=200, amountuom="ml")
    three_stays.chart(0, 2.0, 220339, 8)
    three_stays.chart(0, 2.0, 226732, None, "Endotracheal tube")
    three_stays.chart(0, 3.5, 226732, None, "None")
    three_stays.order(0, 2.2, "Cefepime", route="IV")

    built = build(three_stays)

    assert known(column(built, 0, "action", "vasoactive_agent/norepinephrine")) == {2: 0.1}
    assert known(column(built, 0, "action", "ventilator_setting/peep")) == {2: 8}
    assert column(built, 0, "action", "ventilation/InvasiveVent")[2:6] == [1, 1, 0, 0]
    assert column(built, 0, "action", "ventilation/None")[2:6] == [0, 1, 1, 1]
    assert known(column(built, 0, "action", "fluid in mL")) == {2: 100, 3: 100}
    assert known(column(built, 0, "action", "antibiotic orders")) == {2: 1}
    assert not any(name.startswith(("inputevents", "prescriptions", "emar")) for name in COLUMNS)


def test_static_facts_states_and_actions_have_one_width_and_keep_to_their_own_columns(three_stays, build):
    built = build(three_stays)

    parts = {role: built.grid(0, role) for role in ("static", "state", "action")}
    assert {part.dtype for part in parts.values()} == {np.dtype(np.float32)}
    assert {part.shape[1] for part in parts.values()} == {len(COLUMNS)}
    assert column(built, 0, "static", "demographics/age") == [60]
    assert column(built, 0, "static", "male") == [0]
    filled = {role: set(np.flatnonzero(~np.isnan(part).all(axis=0))) for role, part in parts.items()}
    assert not filled["static"] & filled["state"] and not filled["state"] & filled["action"]
    assert len(set(COLUMNS)) == len(COLUMNS)
