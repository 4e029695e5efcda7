"""No hour knows anything of what comes after it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from jepa_mimic_iv import assembly, staging
from jepa_mimic_iv.derived import SCORES, TREATMENTS

HOURS = 24
CHARTED = (220045, 220050, 220052, 220179, 220210, 223761, 220277, 223900, 223901, 220739, 223835, 224639, 223834)
WORDS = {
    226732: ("Endotracheal tube", "Nasal cannula", "Bipap mask ", "Trach mask ", "None"),
    223849: ("CMV/ASSIST", "Standby"),
    227290: ("CVVHDF", "CVVHD"),
    224146: ("Active", "Clots Present", "Clotted", "Discontinued"),
    225965: ("In use", "Capped"),
}
LABS = (52033, 50821, 50818, 50816, 50813, 51301, 51256, 52075, 51244, 50912, 50885, 51265, 51237, 50931, 50960)
WEIGHED = {"amountuom": "mg", "rateuom": "mcg/kg/min"}
DRUGS = ("Aspirin", "Heparin", "Insulin", "Vancomycin", "Cefepime")
PUMPED = (221906, 221289, 221662, 221653, 221749, 221986, 221555, 227536)
DONE = (225792, 224263, 225752, 225802, 225441, 224270)


def observe(tables: Any, rng: np.random.Generator, number: int, since: float) -> None:
    """Chart, draw and measure something between two hours; results of a specimen are stored one by one, up to six
    hours later."""
    for _ in range(60):
        item = int(rng.choice(CHARTED))
        text = "No Response-ETT" if item == 223900 and rng.random() < 0.3 else None
        tables.chart(number, rng.uniform(since, HOURS), item, round(rng.uniform(1, 99), 1), text)
    for _ in range(20):
        item = int(rng.choice(list(WORDS)))
        tables.chart(number, rng.uniform(since, HOURS), item, None, str(rng.choice(WORDS[item])))
        tables.urine(number, rng.uniform(since, HOURS), round(rng.uniform(0, 60)))
        tables.culture(number, rng.uniform(since, HOURS))
    for _ in range(30):
        drawn, specimen = rng.uniform(max(0, since - 6), HOURS), int(rng.integers(1, 9)) + 10 * number
        for item in rng.choice(LABS, 4, replace=False):
            stored = max(since, drawn + rng.uniform(0, 6))
            value = {"value": "ART."} if item == 52033 else {}
            tables.lab(
                number, drawn, int(item), round(rng.uniform(1, 99), 1), specimen_id=specimen, stored=stored, **value
            )


def observe_before(tables: Any, rng: np.random.Generator, number: int) -> None:
    """Chart something in the two days before admission."""
    for _ in range(30):
        tables.chart(number, rng.uniform(-48, 0), int(rng.choice((*CHARTED, 226512, 226730))), rng.uniform(1, 150))
        item = int(rng.choice(list(WORDS)))
        tables.chart(number, rng.uniform(-48, 0), item, None, str(rng.choice(WORDS[item])))
        tables.urine(number, rng.uniform(-48, 0), round(rng.uniform(0, 60)))


def act(tables: Any, rng: np.random.Generator, number: int, since: float) -> None:
    """Give infusions with a rate, pushes, orders and tablets between two hours."""
    for _ in range(8):
        start = rng.uniform(since, HOURS)
        rate, total = round(rng.uniform(0.01, 0.5), 3), rng.uniform(0.1, 5)
        item = int(rng.choice(PUMPED))
        tables.pump(number, start, start + rng.uniform(0.05, 6), item, rate=rate, amount=total, **WEIGHED)
        tables.pump(
            number, start, start + 4, 222315, rate=2.4, rateuom="units/hour", amount=total, amountuom="units"
        )  # fmt: skip
        tables.procedure(number, start, start + rng.uniform(0.1, 9), int(rng.choice(DONE)), location="Left Femoral.")
        tables.pump(
            number, start, start + 0.5, 221794, amount=total, amountuom="mg", ordercategorydescription="Drug Push"
        )  # fmt: skip
        tables.order(
            number, rng.uniform(since, HOURS), str(rng.choice(DRUGS)), dose_val_rx=int(rng.integers(1, 4)), route="IV"
        )
        tables.given(number, rng.uniform(since, HOURS), str(rng.choice(DRUGS)))
        withdraw(tables, rng, number, since)
    change_bags(tables, number, since)


def change_bags(tables: Any, number: int, since: float) -> None:
    """A second order at the rate of the first, shortly before an hour ends; the first ends minutes later, or hours."""
    for hour in (6.8, 11.8, 19.8):
        if hour - 2 >= since:
            tables.pump(number, hour - 2, hour + (0.1, 0.3, 2)[number], 221662, rate=2.0, amount=1.0, **WEIGHED)
            tables.pump(number, hour, hour + 3, 221662, rate=2.0, amount=1.0, **WEIGHED)


def withdraw(tables: Any, rng: np.random.Generator, number: int, since: float) -> None:
    """An order that is stopped before it starts, and a dose of it all the same, sooner or later."""
    start, pharmacy = rng.uniform(since, HOURS), int(rng.integers(1 << 30))
    tables.order(number, start, str(rng.choice(DRUGS)), route="IV", pharmacy_id=pharmacy, lasts=-0.01)
    tables.given(number, rng.uniform(since, HOURS + 9), "Aspirin", pharmacy_id=pharmacy)


def another_future(tables: Any, rng: np.random.Generator, cutoff: int, at: Any) -> Any:
    """The same tables up to an hour, and noise from then on, wherever the future can leave a trace."""
    changed, now = copy.deepcopy(tables), at(cutoff)
    keep = changed.rows
    keep["icu/chartevents"] = [row for row in keep["icu/chartevents"] if row["charttime"] < now]
    keep["hosp/labevents"] = [row for row in keep["hosp/labevents"] if max(row["charttime"], row["storetime"]) < now]
    keep["hosp/emar"] = [row for row in keep["hosp/emar"] if row["charttime"] < now]
    keep["icu/outputevents"] = [row for row in keep["icu/outputevents"] if row["charttime"] < now]
    keep["hosp/microbiologyevents"] = [row for row in keep["hosp/microbiologyevents"] if row["charttime"] < now]
    for table in ("icu/inputevents", "icu/procedureevents", "hosp/prescriptions"):
        keep[table] = [row for row in keep[table] if row["starttime"] < now]
    for row in keep["icu/inputevents"]:
        if row["endtime"] > now and row["ordercategorydescription"] != "Drug Push":
            row.update(endtime=at(cutoff + rng.uniform(0, 9)), amount=rng.uniform(0.1, 50), statusdescription="Stopped")
    for row in keep["icu/procedureevents"]:
        if row["endtime"] > now:
            row.update(endtime=at(cutoff + rng.uniform(0, 9)), value=rng.uniform(1, 900), statusdescription="Stopped")
    for row in keep["hosp/prescriptions"]:
        if row["stoptime"] >= now:
            row["stoptime"] = at(cutoff + rng.uniform(0, 50))
    for row in keep["icu/icustays"]:
        row["outtime"] = at(cutoff + rng.uniform(0.1, 40))
    for row in keep["hosp/admissions"]:
        row.update(
            hospital_expire_flag=1 - row["hospital_expire_flag"],
            dischtime=at(cutoff + 60),
            deathtime=at(cutoff + rng.uniform(0, 9)),
        )
    for row in keep["hosp/patients"]:
        row["dod"] = at(cutoff + 48)[:10]
    for number in range(3):
        changed.diagnosis(number, str(rng.choice(("I21", "C78", "N18"))))
    for number in range(3):
        observe(changed, rng, number, cutoff)
        act(changed, rng, number, cutoff)
    return changed


def filled(tables: Any, seed: int) -> np.random.Generator:
    rng = np.random.default_rng(seed)
    for number in range(3):
        observe_before(tables, rng, number)
        observe(tables, rng, number, 0)
        act(tables, rng, number, 0)
        tables.lab(number, -30, 50912, 99.5)
        tables.lab(number, -9, 50885, 7.0)
    return rng


def same_past(real: Any, other: Any, cutoff: int) -> bool:
    """Whether two sets of stays show the same in every hour before the cutoff: in the store, in texts and on the
    grid."""
    return all(past(real, number, cutoff) == past(other, number, cutoff) for number in range(3))


def past(built: Any, number: int, cutoff: int) -> list[Any]:
    static, states, actions = built.texts[number]
    rows = [built.grid(number, role)[:cutoff].tobytes() for role in ("static", "state", "action")]
    return [built.before(number, cutoff), static, states[:cutoff], actions[:cutoff], rows]


@pytest.mark.parametrize("cutoff", [7, 12, 20])
def test_noise_in_the_future_changes_no_hour_of_the_past(three_stays, build, clock, cutoff):
    rng = filled(three_stays, cutoff)

    real = build(three_stays)
    other = build(another_future(three_stays, rng, cutoff, clock))

    assert same_past(real, other, cutoff)
    for number in range(3):
        (_, states, actions), (_, other_states, other_actions) = real.texts[number], other.texts[number]
        assert states[cutoff:] != other_states[cutoff:]
        assert actions[cutoff:] != other_actions[cutoff:]


def test_the_random_stays_of_these_tests_show_every_kind_of_derived_event(three_stays, build):
    filled(three_stays, 1)

    built = build(three_stays)

    (block,) = built.kept.blocks
    seen = {built.kept.declared[one].name for events in (block.state, block.action) for one in events.channel}
    needs_a_day_of_urine = {"urine_output_rate/uo_mlkghr_24hr", "kdigo_stages/uo_rt_24hr"}
    derived = {one.channel for one in SCORES + TREATMENTS} - needs_a_day_of_urine - {"crrt/clots_increasing"}
    assert derived <= seen


PLANTED = {
    "the total of an infusion in every hour": (
        "actions",
        "per_hour * (least(stop, (step + 1) * $step_hours) - greatest(start, step * $step_hours)) AS delivered",
        "amount AS delivered",
    ),
    "the length of a procedure": (
        "treatments",
        "channel, NULL, category, false",
        "channel, stop - start, category, false",
    ),
    "a score that looks an hour ahead": (
        "sofa",
        "ROWS BETWEEN 23 PRECEDING AND CURRENT ROW",
        "ROWS BETWEEN 23 PRECEDING AND 1 FOLLOWING",
    ),
    "a weight carried back": ("urine_output_rate", "summed.hour >= weighed.hour", "summed.hour <= weighed.hour"),
    "an episode that begins before it was charted": ("ventilation", "hour AS start", "greatest(hour - 3, 0) AS start"),
    "the lowest creatinine of the days after": (
        "kdigo_stages",
        "earlier.drawn < now.drawn\n            "
        "AND as_charted(now.drawn - earlier.drawn) <= 168 AND earlier.seen <= now.seen",
        "true",
    ),
    "a second pump that only lasting tells from a new bag": (
        "drip",
        "greatest(moment, step_of(moment + 0.5, $step_hours) * $step_hours)",
        "moment",
    ),
    "an order that was withdrawn, before it is given": ("_PRESCRIPTIONS", "greatest(begins, first)", "begins"),
    "codes of the same admission": (
        "_EARLIER_ADMISSIONS",
        "earlier.hadm_id <> member.hadm_id AND earlier.dischtime <= member.admittime",
        "true",
    ),
    "a label among the observations": (
        "states",
        "SELECT stay, hour, channel, value, text FROM shown",
        "SELECT stay, 0.5, 60, died, NULL FROM member WHERE stay BETWEEN $low AND $high "
        "UNION ALL SELECT stay, hour, channel, value, text FROM shown",
    ),
    "a weight and a device of later hours in hour 0": (
        "shown",
        "SELECT observed.stay, observed.hour,",
        "SELECT observed.stay, CASE WHEN lasts > 0 THEN least(observed.hour, 0.5) ELSE observed.hour END AS hour,",
    ),
    "how often an infection was suspected": (
        "states",
        "SELECT stay, hour, channel, value, text FROM shown",
        "SELECT stay, 0.5, 60, count(*), NULL FROM suspicion_of_infection GROUP BY stay "
        "UNION ALL SELECT stay, hour, channel, value, text FROM shown",
    ),
}
"""Leaks, as a place in the extraction (a file of sql/, or a statement of staging), what stands there, and what would
leak: each must be found."""


@pytest.mark.parametrize("leak", PLANTED)
def test_a_planted_leak_is_found(three_stays, build, clock, monkeypatch, leak):
    place, sound, leaking = PLANTED[leak]
    read = assembly._sql

    def planted(name: str) -> str:
        assert name != place or sound in read(name)
        return read(name).replace(sound, leaking) if name == place else read(name)

    if place.startswith("_"):
        assert sound in getattr(staging, place)
        monkeypatch.setattr(staging, place, getattr(staging, place).replace(sound, leaking))
    monkeypatch.setattr(assembly, "_sql", planted)
    rng = filled(three_stays, 7)

    assert not same_past(build(three_stays), build(another_future(three_stays, rng, 7, clock)), 7)


def test_an_additive_that_runs_longer_and_delivers_more_looks_the_same_before(three_stays, build, clock):
    three_stays.pump(0, 2, 4, 225166, amount=20, amountuom="mEq", ordercategorydescription="Continuous IV")
    before = build(three_stays)
    three_stays.rows["icu/inputevents"][0].update(endtime=clock(7), amount=50)

    after = build(three_stays)

    assert before.action(0, 2) == after.action(0, 2) == "Potassium Chloride: 10 mEq Continuous IV"
    assert (before.action(0, 5), after.action(0, 5)) == ("No active interventions.", after.action(0, 2))
