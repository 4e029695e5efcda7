"""The edges of labels in MIMIC-IV, row by row as docs/labels.md has them."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_downstream.events import eep_label

GLUCOSE = 50931


def test_an_event_at_the_prediction_time_is_foreseen_and_not_seen(three_stays, build):
    three_stays.lab(0, 2, GLUCOSE, 100)
    three_stays.lab(0, 3, GLUCOSE, 250)

    built = build(three_stays)
    series = np.array(built.label(0, "event_hyperglycaemia"))

    assert built.values(0, "chemistry/glucose") == {2: [100], 3: [250]}
    assert (series[2], series[3]) == (0, 1) and np.isnan(series[4:]).all()
    rows = eep_label(series, horizon=1)
    assert rows[2] == 1, "the row of hour 2 is made at 3 h, when the event begins"
    assert np.isnan(rows[3:]).all(), "on, and then nobody can tell"


@pytest.mark.parametrize(("hours", "steps"), [(30.0, 30), (29.5, 30), (30.1, 31)])
def test_the_end_of_a_stay_leaves_no_row_behind_it(three_stays, build, hours, steps):
    three_stays.stay(3, hours=hours)
    three_stays.chart(3, 0.1, 220045, 80)
    for hour in range(1, 30, 4):
        three_stays.lab(3, min(hour, hours - 0.2), GLUCOSE, 100)
    three_stays.lab(3, hours - 0.1, GLUCOSE, 100)

    series = np.array(build(three_stays).label(3, "event_hyperglycaemia"))
    rows = eep_label(series, horizon=8)

    assert len(series) == steps and series[-1] == 0
    assert rows[-2] == 0 and np.isnan(rows[-1]), "no hour follows the last"


@pytest.mark.parametrize(("late", "told"), [(0.0, 1.0), (-0.001, 1.0), (0.001, 0.0)])
def test_a_death_at_the_end_of_a_stay_is_a_death_in_it(three_stays, build, clock, late, told):
    three_stays.stay(3, hours=30, died=1, deathtime=clock(30 + late * 10))
    three_stays.chart(3, 0.1, 220045, 80)

    built = build(three_stays)

    assert built.outcome(3, "icu_mortality") == told
    assert built.label(3, "event_decompensation")[5:7] == [0.0, told], "the last 24 of 30 hours"


@pytest.mark.parametrize(("hour", "dead"), [(168, 1.0), (168.01, 0.0)])
def test_a_death_at_the_end_of_a_window_lies_in_it(three_stays, build, clock, hour, dead):
    three_stays.stay(3, hours=200, died=1, deathtime=clock(hour))
    three_stays.chart(3, 0.1, 220045, 80)

    assert build(three_stays).outcome(3, "mortality_7d") == dead


def test_what_is_known_when_a_stay_begins_is_no_event_before_it(three_stays, build):
    three_stays.lab(0, -0.01, GLUCOSE, 300)
    three_stays.lab(1, 0.0, GLUCOSE, 300)

    built = build(three_stays)

    assert np.isnan(built.label(0, "event_hyperglycaemia")[0]), "the moment was before admission"
    assert built.label(1, "event_hyperglycaemia")[0] == 1


def test_of_several_readings_of_one_hour_the_mean_is_compared(three_stays, build):
    three_stays.lab(0, 2.0, GLUCOSE, 300)
    three_stays.lab(0, 2.9, GLUCOSE, 60)

    assert build(three_stays).label(0, "event_hyperglycaemia")[2] == 0


def test_between_two_stays_nobody_can_tell(three_stays, build):
    three_stays.stay(3, subject=77_000_001, admission=88_000_009, begins=100.0)
    three_stays.chart(3, 100.1, 220045, 80)
    three_stays.lab(0, 60, GLUCOSE, 300)

    built = build(three_stays)

    for number in (0, 3):
        assert np.isnan(built.label(number, "event_hyperglycaemia")).all()
