"""What was given: amounts of each hour, rates as charted, orders and administrations."""

from __future__ import annotations

import pytest

from jepa_mimic_iv.infusions import HourlyFactor, hourly_factor

NOREPINEPHRINE, SALINE, SOLUTION, FUROSEMIDE, POTASSIUM = 221906, 225158, 225943, 221794, 225166


@pytest.mark.parametrize(
    ("rate", "amount", "factor"),
    [
        ("mL/hour", "ml", HourlyFactor(1.0, False)),
        ("mcg/kg/min", "mg", HourlyFactor(0.06, True)),
        ("mcg/kg/hour", "mcg", HourlyFactor(1.0, True)),
        ("mg/min", "mg", HourlyFactor(60.0, False)),
        ("mEq./hour", "mEq", HourlyFactor(1.0, False)),
        ("grams/hour", "mg", HourlyFactor(1000.0, False)),
        ("units/hour", "dose", None),
        ("mL/hour", "mg", None),
        ("mg", "mg", None),
        ("mg/kg/day/x", "mg", None),
    ],
)
def test_rates_become_hourly_amounts_only_where_the_units_meet(rate, amount, factor):
    found = hourly_factor(rate, amount)

    if factor is None:
        assert found is None
    else:
        assert (found.amount, found.per_kg) == (pytest.approx(factor.amount), factor.per_kg)


def test_an_infusion_shows_in_each_hour_what_that_hour_received(three_stays, build):
    three_stays.pump(0, 1.5, 3.25, NOREPINEPHRINE, rate=0.1, rateuom="mcg/kg/min", amount=0.84, amountuom="mg")

    built = build(three_stays)

    assert built.action(0, 0) == "No active interventions."
    assert built.action(0, 1) == "Norepinephrine: 0.24 mg, rate 0.1 mcg/kg/min Continuous Med"
    assert built.action(0, 2) == "Norepinephrine: 0.48 mg, rate 0.1 mcg/kg/min Continuous Med"
    assert built.action(0, 3) == "Norepinephrine: 0.12 mg, rate 0.1 mcg/kg/min Continuous Med"
    assert built.action(0, 4) == "No active interventions."


def test_without_a_rate_the_total_is_spread_evenly(three_stays, build):
    three_stays.pump(0, 1.5, 3.5, POTASSIUM, amount=20, amountuom="mEq", ordercategorydescription="Continuous IV")

    built = build(three_stays)

    assert [built.action(0, hour) for hour in (1, 2, 3)] == [
        f"Potassium Chloride: {amount} mEq Continuous IV" for amount in (5, 10, 5)
    ]


def test_without_a_weight_a_rate_per_kg_falls_back_to_the_total(three_stays, build):
    three_stays.pump(
        0, 1, 3, NOREPINEPHRINE, rate=0.1, rateuom="mcg/kg/min", amount=0.6, amountuom="mg", patientweight=None
    )  # fmt: skip

    assert build(three_stays).action(0, 1) == "Norepinephrine: 0.3 mg, rate 0.1 mcg/kg/min Continuous Med"


def test_an_infusion_begun_before_admission_runs_from_hour_0(three_stays, build):
    three_stays.pump(0, -3, 1.5, SALINE, rate=100, rateuom="mL/hour", amount=450, amountuom="ml")
    three_stays.pump(0, -3, -1, SALINE, rate=200, rateuom="mL/hour", amount=400, amountuom="ml")

    built = build(three_stays)

    assert built.action(0, 0) == "NaCl 0.9%: 100 ml, rate 100 mL/hour Continuous Med"
    assert built.action(0, 1) == "NaCl 0.9%: 50 ml, rate 100 mL/hour Continuous Med"


def test_changed_rates_are_kept_and_amounts_stay_beside_their_rates(three_stays, build):
    for start, stop, rate in ((2.0, 2.25, 0.05), (2.25, 2.5, 0.1), (2.5, 3.0, 0.2)):
        three_stays.pump(
            0, start, stop, NOREPINEPHRINE, rate=rate, rateuom="mcg/kg/min", amountuom="mg",
            amount=rate * 80 * 0.06 * (stop - start), statusdescription="ChangeDose/Rate",
        )  # fmt: skip
    three_stays.pump(0, 2.0, 3.0, SALINE, rate=10, rateuom="mL/hour", amount=10, amountuom="ml")
    three_stays.pump(0, 2.0, 3.0, SALINE, rate=20, rateuom="mL/hour", amount=20, amountuom="ml")

    assert build(three_stays).action(0, 2) == (
        "NaCl 0.9%: 10 ml, rate 10 mL/hour Continuous Med. NaCl 0.9%: 20 ml, rate 20 mL/hour Continuous Med. "
        "Norepinephrine: 0.06 mg, rate 0.05 mcg/kg/min Continuous Med. "
        "Norepinephrine: 0.12 mg, rate 0.1 mcg/kg/min Continuous Med. "
        "Norepinephrine: 0.48 mg, rate 0.2 mcg/kg/min Continuous Med"
    )


def test_pushes_and_boluses_count_once_and_rewritten_rows_never(three_stays, build):
    push = {"ordercategorydescription": "Drug Push"}
    three_stays.pump(0, 2.99, 3.01, FUROSEMIDE, amount=20, amountuom="mg", **push)
    three_stays.pump(0, 5.5, 7.5, SALINE, amount=500, amountuom="ml", ordercategorydescription="Bolus")
    three_stays.pump(0, 9, 9.1, FUROSEMIDE, amount=40, amountuom="mg", statusdescription="Rewritten", **push)
    three_stays.pump(0, -0.1, 0.1, FUROSEMIDE, amount=60, amountuom="mg", **push)

    built = build(three_stays)

    assert built.action(0, 2) == "Furosemide (Lasix): 20 mg Drug Push"
    assert built.action(0, 5) == "NaCl 0.9%: 500 ml Bolus"
    assert {built.action(0, hour) for hour in (0, 3, 6, 7, 9)} == {"No active interventions."}


def test_an_infusion_ends_with_the_stay(three_stays, build):
    three_stays.pump(0, 29.5, 40, SALINE, rate=100, rateuom="mL/hour", amount=1050, amountuom="ml")

    built = build(three_stays)

    assert built.action(0, 29) == "NaCl 0.9%: 50 ml, rate 100 mL/hour Continuous Med"
    assert len(built.texts[0][2]) == 30


def test_orders_show_dose_strength_and_route_when_they_start_and_once_per_stay(three_stays, build):
    order = {"dose_val_rx": "25,000", "dose_unit_rx": "UNIT", "prod_strength": "25,000 unit  Bag", "route": "IV DRIP"}
    three_stays.order(0, 2, "Heparin ", **order)
    three_stays.order(0, 9, "Heparin", **order)
    three_stays.order(0, 4, "OxyCODONE", dose_val_rx="1-2", dose_unit_rx="TAB", prod_strength="5mg Tablet", route="PO")
    three_stays.order(0, 5, "Insulin", dose_val_rx="0", dose_unit_rx="UNIT", prod_strength="Sliding Scale", route="SC")
    three_stays.order(0, -1, "Aspirin", dose_val_rx="81", dose_unit_rx="mg")
    three_stays.order(0, 6, "Senna", stoptime="2150-03-01 11:00:00")

    built = build(three_stays)

    assert built.action(0, 2) == "Heparin: 25000 UNIT 25,000 unit Bag IV DRIP"
    assert built.action(0, 4) == "OxyCODONE: 1-2 TAB 5mg Tablet PO"
    assert built.action(0, 5) == "Insulin: Sliding Scale SC"
    assert {built.action(0, hour) for hour in (0, 6, 9)} == {"No active interventions."}


def test_an_order_that_stops_before_it_starts_is_kept_from_its_first_dose_on_and_else_left_out(three_stays, build):
    for number, (pharmacy, given) in enumerate(((71, -0.5), (72, 6.5), (73, None))):
        three_stays.order(number, 4, "Senna", pharmacy_id=pharmacy, lasts=-1, dose_val_rx="1")
        if given is not None:
            three_stays.given(number, given, "Senna", pharmacy_id=pharmacy)
            three_stays.given(number, given + 8, "Senna", pharmacy_id=pharmacy)
    three_stays.given(2, 5, "Senna", pharmacy_id=74)
    three_stays.given(2, 5, "Senna", "Not Given", pharmacy_id=73)
    three_stays.order(2, 8, "Senna", lasts=0, dose_val_rx="2")

    built = build(three_stays)

    shown = [built.values(number, "prescriptions/Senna") for number in range(3)]
    assert shown == [{4: [1]}, {6: [1]}, {8: [2]}], "a dose given before the start shows the order at its start"
    assert built.values(0, "emar/Senna") == {7: ["Administered"]}
    assert built.values(1, "emar/Senna") == {6: ["Administered"], 14: ["Administered"]}
    assert built.kept.records["attrition"][-1] == {
        "step": "drug orders of these stays: 4, of which 3 stop before they start; 2 of these were given and are kept, "
        "1 are left out",
        "trajectories": 3,
        "subjects": 3,
    }


def test_administrations_show_what_reached_the_patient(three_stays, build):
    three_stays.given(0, 2, "Metoprolol Tartrate")
    three_stays.given(0, 2, "Metoprolol Tartrate")
    three_stays.given(0, 3, "Lidocaine 5% Patch", "Applied", hadm_id=None)
    three_stays.given(0, 4, "Heparin", "Started")
    three_stays.given(0, 5, "Heparin", "Not Given")
    three_stays.given(0, 6, None)

    built = build(three_stays)

    assert built.action(0, 2) == "Metoprolol Tartrate: Administered"
    assert built.action(0, 3) == "Lidocaine 5% Patch: Applied"
    assert built.action(0, 4) == "Heparin: Started"
    assert {built.action(0, hour) for hour in (5, 6)} == {"No active interventions."}


def test_containers_and_flushes_are_stored_but_not_written_out(three_stays, build):
    three_stays.pump(0, 2, 3, SOLUTION, rate=10, rateuom="mL/hour", amount=10, amountuom="ml")
    three_stays.order(0, 2, "Sodium Chloride 0.9%  Flush", dose_val_rx="3", dose_unit_rx="mL")
    three_stays.order(0, 2, "Heparin Flush CVL  (100 units/ml)")
    three_stays.order(0, 2, "Syringe (0.9% Sodium Chloride)")
    three_stays.order(0, 2, "BAG")
    three_stays.given(0, 2, "Heparin Flush (10 units/ml)")

    built = build(three_stays)

    assert built.action(0, 2) == "No active interventions."
    (block,) = built.kept.blocks
    assert len(block.action.channel) == 7
