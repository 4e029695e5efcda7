"""No hour knows anything of what comes after it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

HOURS = 24
CHARTED = (220045, 220050, 220179, 220210, 223761, 220277, 223900, 223901, 220739, 223835, 224639, 223834)
LABS = (52033, 50821, 50818, 50816, 50813, 51301, 51256, 52075, 51244, 50912)
WEIGHED = {"amountuom": "mg", "rateuom": "mcg/kg/min"}
DRUGS = ("Aspirin", "Heparin", "Insulin")


def observe(tables: Any, rng: np.random.Generator, number: int, since: float) -> None:
    """Chart, draw and measure something between two hours; results of a specimen are stored one by one, up to six
    hours later."""
    for _ in range(60):
        item = int(rng.choice(CHARTED))
        text = "No Response-ETT" if item == 223900 and rng.random() < 0.3 else None
        tables.chart(number, rng.uniform(since, HOURS), item, round(rng.uniform(1, 99), 1), text)
    for _ in range(15):
        drawn, specimen = rng.uniform(max(0, since - 6), HOURS), int(rng.integers(1, 9)) + 10 * number
        for item in rng.choice(LABS, 4, replace=False):
            stored = max(since, drawn + rng.uniform(0, 6))
            value = {"value": "ART."} if item == 52033 else {}
            tables.lab(
                number, drawn, int(item), round(rng.uniform(1, 99), 1), specimen_id=specimen, stored=stored, **value
            )


def act(tables: Any, rng: np.random.Generator, number: int, since: float) -> None:
    """Give infusions with a rate, pushes, orders and tablets between two hours."""
    for _ in range(8):
        start = rng.uniform(since, HOURS)
        rate, total = round(rng.uniform(0.01, 0.5), 3), rng.uniform(0.1, 5)
        tables.pump(number, start, start + rng.uniform(0.05, 6), 221906, rate=rate, amount=total, **WEIGHED)
        tables.pump(
            number, start, start + 0.5, 221794, amount=total, amountuom="mg", ordercategorydescription="Drug Push"
        )  # fmt: skip
        tables.order(number, rng.uniform(since, HOURS), str(rng.choice(DRUGS)), dose_val_rx=int(rng.integers(1, 4)))
        tables.given(number, rng.uniform(since, HOURS), str(rng.choice(DRUGS)))


def another_future(tables: Any, rng: np.random.Generator, cutoff: int, at: Any) -> Any:
    """The same tables up to an hour, and noise from then on, wherever the future can leave a trace."""
    changed, now = copy.deepcopy(tables), at(cutoff)
    keep = changed.rows
    keep["icu/chartevents"] = [row for row in keep["icu/chartevents"] if row["charttime"] < now]
    keep["hosp/labevents"] = [row for row in keep["hosp/labevents"] if max(row["charttime"], row["storetime"]) < now]
    keep["hosp/emar"] = [row for row in keep["hosp/emar"] if row["charttime"] < now]
    for table in ("icu/inputevents", "hosp/prescriptions"):
        keep[table] = [row for row in keep[table] if row["starttime"] < now]
    for row in keep["icu/inputevents"]:
        if row["endtime"] > now and row["ordercategorydescription"] != "Drug Push":
            row.update(endtime=at(cutoff + rng.uniform(0, 9)), amount=rng.uniform(0.1, 50), statusdescription="Stopped")
    for row in keep["hosp/prescriptions"]:
        row["stoptime"] = at(cutoff + rng.uniform(0, 50))
    for row in keep["icu/icustays"]:
        row["outtime"] = at(cutoff + rng.uniform(0.1, 40))
    for row in keep["hosp/admissions"]:
        row["hospital_expire_flag"] = int(rng.integers(2))
    for number in range(3):
        observe(changed, rng, number, cutoff)
        act(changed, rng, number, cutoff)
    return changed


@pytest.mark.parametrize("cutoff", [7, 12, 20])
def test_noise_in_the_future_changes_no_hour_of_the_past(three_stays, build, clock, cutoff):
    rng = np.random.default_rng(cutoff)
    for number in range(3):
        observe(three_stays, rng, number, 0)
        act(three_stays, rng, number, 0)

    real = build(three_stays)
    other = build(another_future(three_stays, rng, cutoff, clock))

    for number in range(3):
        (_, states, actions), (_, other_states, other_actions) = real.texts[number], other.texts[number]
        assert real.texts[number][0] == other.texts[number][0]
        assert states[:cutoff] == other_states[:cutoff]
        assert actions[:cutoff] == other_actions[:cutoff]
        assert states[cutoff:] != other_states[cutoff:]
        assert actions[cutoff:] != other_actions[cutoff:]


def test_an_additive_that_runs_longer_and_delivers_more_looks_the_same_before(three_stays, build, clock):
    three_stays.pump(0, 2, 4, 225166, amount=20, amountuom="mEq", ordercategorydescription="Continuous IV")
    before = build(three_stays)
    three_stays.rows["icu/inputevents"][0].update(endtime=clock(7), amount=50)

    after = build(three_stays)

    assert before.action(0, 2) == after.action(0, 2) == "Potassium Chloride: 10 mEq Continuous IV"
    assert (before.action(0, 5), after.action(0, 5)) == ("No active interventions.", after.action(0, 2))
