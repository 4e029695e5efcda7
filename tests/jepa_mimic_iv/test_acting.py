"""What an imagined intervention would have left in the record."""

import math

import numpy as np
import pytest

from jepa_core.contracts import Act
from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.errors import DataError
from jepa_mimic_iv.acting import recorded_as

AMOUNT, RATE = "inputevents/Norepinephrine [mg]", "inputevents/Norepinephrine/rate [mcg/kg/min]"
CHANNELS = [
    Channel("weight", "kg", "weight"),
    Channel(AMOUNT, "mg", "inputevents", "Norepinephrine"),
    Channel(RATE, "mcg/kg/min", "inputevents/rate", "Norepinephrine"),
    Channel("emar/Insulin", "", "emar", "Insulin"),
]


def stay(weights: list[float]) -> Trajectories:
    """Of four hours, with a weight in each of the first ones."""
    count = len(weights)
    offsets = np.array([min(step, count) for step in range(5)])
    state = Events(offsets, np.zeros(count, int), np.array(weights), np.full(count, -1), np.arange(count) + 0.5)
    empty = np.zeros(0)
    none = Events(np.zeros(5, int), empty.astype(int), empty, empty.astype(int), empty)
    static = Events(np.zeros(2, int), empty.astype(int), empty, empty.astype(int), empty)
    return Trajectories(
        np.array([1]), np.array([1]), np.array([0]), np.array([4]), static, state, none, np.array([], dtype=object)
    )


def test_a_pumps_rate_by_weight_stands_behind_the_amount_of_each_step():
    amount, rate = recorded_as(Act(RATE, 0.1, None, 2, 4), stay([70.0, 80.0]), CHANNELS, step_hours=1.0)
    assert amount == Act(AMOUNT, pytest.approx(0.1 * 80 * 60 / 1000), "mg", 2, 4)
    assert rate == Act(RATE, 0.1, None, 2, 4, "Continuous Med")


def test_a_longer_step_receives_more():
    amount, _ = recorded_as(Act(RATE, 0.1, None, 2, 4), stay([80.0]), CHANNELS, step_hours=4.0)
    assert amount.value == pytest.approx(0.1 * 80 * 240 / 1000)


def test_a_weight_that_is_charted_only_after_the_act_begins_is_none():
    with pytest.raises(DataError, match="no weight before step 0; begin the act later"):
        recorded_as(Act(RATE, 0.1, None, 0, 2), stay([80.0]), CHANNELS, step_hours=1.0)


def test_what_is_no_rate_is_charted_as_it_is():
    act = Act("emar/Insulin", None, None, 1, 2)
    assert recorded_as(act, stay([]), CHANNELS, step_hours=1.0) == [act]


DERIVED = [
    *CHANNELS,
    Channel("vasoactive_agent/norepinephrine", "mcg/kg/min", "vasoactive_agent"),
    Channel("mean_rate/norepinephrine", "mcg/kg/min", "mean_rate"),
    Channel("norepinephrine_equivalent_dose/norepinephrine_equivalent_dose", "mcg/kg/min"),
    Channel("inputevents/Vasopressin/rate [units/hour]", "units/hour", "inputevents/rate", "Vasopressin"),
    Channel("vasoactive_agent/vasopressin", "units/hour", "vasoactive_agent"),
]


def test_a_vasoactive_drug_is_told_by_what_is_derived_from_its_rate():
    made = recorded_as(Act(RATE, 0.1, None, 2, 4), stay([80.0]), DERIVED, step_hours=1.0)
    assert {one.channel: one.value for one in made[2:]} == {
        "vasoactive_agent/norepinephrine": 0.1,
        "mean_rate/norepinephrine": 0.1,
        "norepinephrine_equivalent_dose/norepinephrine_equivalent_dose": 0.1,
    }
    act = Act("inputevents/Vasopressin/rate [units/hour]", 2.4, None, 2, 4)
    made = recorded_as(act, stay([80.0]), DERIVED, step_hours=1.0)
    assert [one.value for one in made if one.channel.startswith("norepinephrine_eq")] == [pytest.approx(0.1)]


def test_a_pump_that_is_set_to_nothing_leaves_nothing():
    """No rate of 0 is ever charted; a stay without a weight can do without."""
    made = recorded_as(Act(RATE, 0.0, None, 0, 2), stay([]), DERIVED, step_hours=1.0)
    assert {one.channel for one in made} == {AMOUNT, RATE, *(one.name for one in DERIVED[4:7])}
    assert all(one.value is not None and math.isnan(one.value) for one in made)
