"""Targets, event series and outcomes against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_downstream.events import eep_label
from jepa_mimic_iv import event_series
from jepa_mimic_iv.event_series import Grid, both, either, rolling, shifted

NAN = float("nan")


def grid(*lengths: int, step_hours: float = 1.0) -> Grid:
    return Grid(np.concatenate([[0], np.cumsum(lengths)]), step_hours)


def values(*parts: tuple[float, int]) -> np.ndarray:
    """Each value so many times."""
    return np.concatenate([np.full(count, value) for value, count in parts])


def same(found: np.ndarray, *expected: tuple[float, int]) -> bool:
    return np.array_equal(found, values(*expected), equal_nan=True)


def test_targets_are_means_of_the_hour_and_urine_is_a_sum(three_stays, build):
    three_stays.chart(0, 2.1, 220045, 80)
    three_stays.chart(0, 2.8, 220045, 100)
    three_stays.chart(0, 2.9, 220045, 301)
    three_stays.lab(0, 2.2, 50931, 100)
    three_stays.chart(0, 2.3, 225664, 140)
    three_stays.lab(0, 2.4, 50960, 2.1)
    three_stays.lab(0, 2.4, 50912, 1.4, stored=3.2)
    three_stays.urine(0, 2.0, 40)
    three_stays.urine(0, 2.5, 60)

    built = build(three_stays)

    shown = {name: built.label(0, name)[2] for name in ("hr", "glucose", "magnesium", "urine_output", "sofa_total")}
    assert shown == {"hr": 90, "glucose": 120, "magnesium": pytest.approx(2.1), "urine_output": 100, "sofa_total": 0}
    assert np.isnan(built.label(0, "creatinine")[2]), "not stored yet"
    assert built.label(0, "creatinine")[3] == pytest.approx(1.4)
    assert np.isnan(built.label(0, "lactate")).all()


def test_a_sum_of_urine_below_0_is_a_target_of_0_and_flagged(three_stays, build):
    three_stays.urine(0, 2.0, 1000, item=227488)
    three_stays.urine(0, 3.0, 1200, item=227489)

    built = build(three_stays)

    assert built.label(0, "urine_output")[2:4] == [0, 1200]
    assert built.values(0, "urine_output/urineoutput") == {2: [-1000], 3: [1200]}
    assert built.values(0, "urine_output/irrigant_alone") == {2: [1000]}


def test_respiratory_failure_falls_back_on_saturation_where_the_recipe_says_so(three_stays, build):
    three_stays.lab(0, 2.2, 52033, None, specimen_id=1, value="ART.")
    three_stays.lab(0, 2.2, 50821, 60, specimen_id=1, stored=3.5)
    three_stays.lab(0, 2.2, 50817, 85, specimen_id=1, stored=4.5)

    plain, fallback = build(three_stays), build(three_stays, saturation_fallback=True)

    assert str(plain.label(0, "event_respiratory_failure")[4]) == "nan"
    assert fallback.label(0, "event_respiratory_failure")[4] == 1


def test_there_are_27_targets_7_events_and_8_outcomes(three_stays, build):
    (block,) = build(three_stays).kept.blocks

    events = {name for name in block.labels if name.startswith("event_")}
    assert (len(block.labels) - len(events), len(events), len(block.outcomes)) == (27, 7, 8)
    families = (
        "circulatory_failure respiratory_failure kidney_failure liver_failure decompensation hyperglycaemia sepsis"
    )
    assert events == {f"event_{name}" for name in families.split()}


def test_outcomes_follow_the_times_of_death_and_discharge(three_stays, build, clock):
    tables = three_stays
    tables.stay(3, died=1, deathtime=clock(29), dod=clock(29)[:10])
    tables.stay(4, died=1, deathtime=clock(31), dod=clock(31)[:10])
    tables.stay(5, died=0, dod=clock(24 * 20)[:10])
    tables.stay(6, died=0, hours=169)
    tables.stay(7, died=1, deathtime=None)
    for number in range(3, 8):
        tables.chart(number, 1, 220045, 80)

    built = build(tables)

    names = (
        "hospital_mortality",
        "icu_mortality",
        "mortality_7d",
        "mortality_14d",
        "mortality_30d",
        "prolonged_stay_7d",
    )
    found = {number: [built.outcome(number, name) for name in names] for number in range(3, 8)}
    assert found[3] == [1, 1, 1, 1, 1, 0]
    assert found[4] == [1, 0, 1, 1, 1, 0]
    assert found[5] == [0, 0, 0, 0, 1, 0]
    assert found[6] == [0, 0, 0, 0, 0, 1]
    assert found[7][0] == 1 and np.isnan(found[7][1:5]).all(), "died, and nobody wrote down when"
    assert built.outcome(5, "mortality_90d") == 1


def test_decompensation_marks_the_last_day_before_a_death_in_intensive_care(three_stays, build, clock):
    three_stays.stay(3, died=1, hours=40.5, deathtime=clock(40))
    three_stays.chart(3, 1, 220045, 80)

    built = build(three_stays)

    assert built.label(3, "event_decompensation") == [0.0] * 17 + [1.0] * 24
    assert built.label(0, "event_decompensation") == [0.0] * 30
    assert build(three_stays, max_steps=20).label(3, "event_decompensation") == [0.0] * 17 + [1.0] * 3


def test_circulatory_failure_needs_pressure_and_lactate_to_agree():
    pressure = values((70, 4), (NAN, 4), (70, 4), (60, 4), (65, 4), (NAN, 4))
    lactate = values((1, 16), (2, 4), (3, 4))
    supported = np.repeat([False, False, False, False, False, True], 4)

    found = event_series.circulatory_failure(pressure, lactate, supported)

    assert same(found, (0, 4), (NAN, 4), (0, 4), (NAN, 4), (1, 8))


def test_the_published_example_of_circulatory_failure_gives_its_published_labels():
    found = event_series.circulatory_failure(
        values((70, 4), (60, 4), (70, 12)), values((1, 16), (3, 4)), np.arange(20) >= 12
    )  # fmt: skip

    assert same(found, (0, 4), (NAN, 4), (0, 4), (NAN, 4), (1, 4))
    assert same(eep_label(found, 8), (0, 8), (1, 8), (NAN, 4))


def test_respiratory_failure_takes_room_air_where_nobody_is_ventilated_now_or_next():
    tension = np.array([80.0, 40.0, 80, 80, NAN, NAN, 80])
    fraction = np.array([50.0, NAN, NAN, NAN, 50, NAN, NAN])
    saturation = np.array([99.0, NAN, NAN, 90, 90, 91, NAN])
    ventilated = np.array([True, False, False, True, False, False, False])

    found = event_series.respiratory_failure(grid(7), tension, fraction, saturation, ventilated)

    assert np.array_equal(found, [1, 1, NAN, 1, 1, 0, 0], equal_nan=True)


def test_ventilation_in_the_next_stay_is_not_the_next_hour():
    found = event_series.respiratory_failure(
        grid(1, 1), np.array([80.0, 80.0]), values((NAN, 2)), values((NAN, 2)), np.array([False, True])
    )  # fmt: skip

    assert np.array_equal(found, [0, NAN], equal_nan=True)


def kidney(creatinine: np.ndarray, rate: np.ndarray | float = 1.0, dialysed: np.ndarray | bool = False) -> np.ndarray:
    count = len(creatinine)
    return event_series.kidney_failure(
        grid(count), creatinine, np.broadcast_to(rate, count).astype(float), np.broadcast_to(dialysed, count)
    )  # fmt: skip


def test_the_published_example_of_kidney_failure_gives_its_published_events():
    found = kidney(values((1, 24), (NAN, 72), (2, 72), (4, 48)))

    assert same(found[:168], (NAN, 1), (0, 23), (NAN, 72), (0, 72)), "the first value has nothing to be compared with"
    assert same(found[168:], (1, 24), (0, 24)), "after a week the lowest value is 2"


def test_kidney_failure_by_a_high_creatinine_needs_a_rise():
    assert kidney(values((4.1, 2), (4.4, 1), (4.2, 1))).tolist()[1:] == [0, 1, 0]
    assert kidney(np.array([5.0, 4.5])).tolist()[1:] == [0], "a fall is no rise"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_value_that_just_reaches_a_bound_counts_in_either_precision(kind):
    def series(*shown: float) -> np.ndarray:
        return np.array(shown, kind)

    assert kidney(series(3.8, 4.1)).tolist()[1:] == [1], "a rise of 0.3"
    assert kidney(series(1.1, 3.3)).tolist()[1:] == [1], "three times the lowest"
    assert kidney(series(4.1, 4.3)).tolist()[1:] == [0]
    nobody = np.zeros(1, bool)
    pressure = series(68.4, 64.2, 62.4).sum(keepdims=True) / 3
    assert event_series.circulatory_failure(pressure, series(2.0), nobody).tolist() == [1]
    ratio = event_series.respiratory_failure(grid(1), series(56), series(0.28) * 100, series(NAN), nobody)
    assert ratio.tolist() == [0], "200 is not below 200"


def test_kidney_failure_by_urine_needs_the_whole_span_within_the_stay():
    assert same(kidney(values((1, 30)), 0.2), (NAN, 1), (0, 22), (1, 7))
    assert same(kidney(values((1, 30)), 0.0), (NAN, 1), (0, 10), (1, 19))
    assert same(kidney(values((1, 30)), np.where(np.arange(30) == 20, 0.3, 0.2)), (NAN, 1), (0, 29))
    assert same(kidney(values((1, 30)), NAN), (NAN, 1), (0, 29)), "nothing measured is not little"


def test_kidney_failure_stays_once_dialysis_has_begun():
    assert same(kidney(values((NAN, 6)), 1.0, np.arange(6) == 2), (NAN, 2), (1, 4))


def test_liver_failure_is_a_meld_of_thirty():
    bilirubin, inr, creatinine = np.array([NAN, 10.0, 0.2, 10.0]), np.array([3.0, NAN, 0.9, 3.0]), values((1.5, 4))
    nobody = np.zeros(4, bool)
    dialysed = np.array([False, False, True, False])

    found = event_series.liver_failure(grid(4), bilirubin, inr, creatinine, nobody)

    meld = 3.78 * np.log(10) + 11.2 * np.log(3) + 9.57 * np.log(1.5) + 6.43
    assert meld < 31.5
    assert np.array_equal(found, [1, 0, 0, 1], equal_nan=True), "the next hour fills in; values below 1 count as 1"
    with_dialysis = event_series.liver_failure(grid(4), bilirubin, inr, values((1.0, 4)), dialysed)
    without = event_series.liver_failure(grid(4), bilirubin, inr, values((1.0, 4)), nobody)
    assert (with_dialysis[3], without[3]) == (1, 0)
    assert np.isnan(
        event_series.liver_failure(grid(2), np.array([5.0, NAN]), values((NAN, 2)), values((1.0, 2)), nobody[:2])
    ).all()


def test_hyperglycaemia_is_above_180():
    assert np.array_equal(event_series.hyperglycaemia(np.array([180.0, 181, NAN])), [0, 1, NAN], equal_nan=True)


def test_three_valued_or_and_and_follow_the_published_table():
    series = [np.array([NAN if one == "-" else float(one) for one in row.split()]) for row in
              ("0 0 0 - - 1", "0 0 0 - - -", "0 1 - 1 0 0")]  # fmt: skip
    assert np.array_equal(either(*series), [0, 1, NAN, 1, NAN, 1], equal_nan=True)
    first, second = np.array([1, 1, 0, NAN]), np.array([1, NAN, NAN, NAN])
    assert np.array_equal(both(first, second), [1, NAN, 0, NAN], equal_nan=True)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 40])
def test_rolling_minima_are_those_of_each_window(window):
    rng = np.random.default_rng(window)
    rows = np.where(rng.random((3, 17)) < 0.4, NAN, rng.random((3, 17)))

    found = rolling(np.fmin, rows, window)

    expected = [[np.fmin.reduce(row[max(0, end - window + 1) : end + 1]) for end in range(17)] for row in rows]
    assert np.array_equal(found, expected, equal_nan=True)


def test_shifting_moves_rows_later_or_earlier_and_fills_with_nothing():
    row = np.array([[1.0, 2, 3]])
    assert np.array_equal(shifted(row, 1), [[NAN, 1, 2]], equal_nan=True)
    assert np.array_equal(shifted(row, -2), [[3, NAN, NAN]], equal_nan=True)
    assert np.isnan(shifted(row, 3)).all()


def test_windows_in_hours_become_steps_of_the_store():
    half = Grid(np.array([0, 60]), 0.5)
    found = event_series.kidney_failure(half, values((1, 60)), values((0.0, 60)), np.zeros(60, bool))

    assert same(found, (NAN, 1), (0, 22), (1, 37))


def test_events_of_the_source_see_drugs_dialysis_and_ventilation(three_stays, build):
    for hour in (2.5, 5.5):
        three_stays.chart(0, hour, 220052, 75)
        three_stays.lab(0, hour, 50813, 3.0)
    three_stays.pump(0, 5.0, 6.0, 221906, rate=0.1, rateuom="mcg/kg/min", amount=1, amountuom="mg")
    three_stays.chart(1, 3.5, 227290, None, "CVVHDF")
    three_stays.chart(2, 2.0, 226732, None, "Endotracheal tube")
    for number in (1, 2):
        three_stays.lab(number, 3.2, 52033, None, specimen_id=number, value="ART.")
        three_stays.lab(number, 3.2, 50821, 60, specimen_id=number)

    built = build(three_stays)

    circulatory = built.label(0, "event_circulatory_failure")
    assert np.isnan(circulatory[2]) and circulatory[5] == 1
    assert built.label(1, "event_kidney_failure")[3:] == [1.0] * 27
    assert built.label(1, "event_respiratory_failure")[3] == 0, "60 mmHg in room air are a ratio of 286"
    assert np.isnan(built.label(2, "event_respiratory_failure")[3]), "ventilated with an unknown fraction"
