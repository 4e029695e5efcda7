"""Who enters the cohort, and how that is counted."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_core.errors import DataError


def counts(built) -> list[tuple[int, int]]:
    """Of the rules; the last row tells about orders."""
    return [(row["trajectories"], row["subjects"]) for row in built.kept.records["attrition"][:-1]]


def test_every_rule_removes_its_stay_and_is_counted(three_stays, build):
    three_stays.stay(3, age=17)
    three_stays.stay(4, hours=5.9)
    three_stays.stay(5)
    three_stays.stay(6, subject=77_000_001, admission=88_000_000, begins=100)
    three_stays.stay(7, subject=77_000_002)
    three_stays.rows["icu/icustays"][-1]["outtime"] = None
    for number in (3, 4, 7):
        three_stays.chart(number, 1, 220045, 70)
    three_stays.chart(6, 101, 220045, 70)

    built = build(three_stays)

    assert counts(built) == [(8, 6), (7, 6), (7, 6), (6, 5), (5, 5), (4, 4), (3, 3)]
    assert [row["step"] for row in built.kept.records["attrition"][:-1]] == [
        "intensive care stays",
        "times of admission and discharge known",
        "discharge not before admission",
        "at least 18 years old",
        "first stay of the hospital admission",
        "at least 6 h long",
        "has vital signs",
    ]
    assert sorted(built.texts) == [0, 1, 2]


def test_options_change_the_rules(three_stays, build):
    three_stays.stay(3, age=17)
    three_stays.chart(3, 1, 220045, 70)
    three_stays.stay(4, subject=77_000_001, admission=88_000_000, begins=100)
    three_stays.chart(4, 101, 220045, 70)

    assert sorted(build(three_stays, min_age=16, first_icu_stay=False).texts) == [0, 1, 2, 3, 4]


def test_a_stay_with_no_credible_vital_sign_is_left_out(three_stays, build):
    three_stays.stay(3)
    three_stays.chart(3, 1, 220045, 0)
    three_stays.chart(3, 1, 220048, None, "SR (Sinus Rhythm)")
    three_stays.chart(3, 1, 223835, 40)

    built = build(three_stays)

    assert 3 not in built.texts
    assert counts(built)[-2:] == [(4, 4), (3, 3)]


def test_age_is_counted_at_admission_to_intensive_care(three_stays, build):
    three_stays.rows["hosp/patients"][0]["anchor_year"] = 2145

    assert build(three_stays).texts[0][0] == "Age: 65 years. Gender: Female. Race: WHITE."


def test_steps_are_hours_begun_up_to_the_limit(three_stays, build):
    three_stays.stay(3, hours=6.01)
    three_stays.chart(3, 1, 220045, 70)
    three_stays.stay(4, hours=500)
    three_stays.chart(4, 1, 220045, 70)
    three_stays.chart(4, 400, 220045, 70)

    built = build(three_stays)

    assert [len(built.texts[number][1]) for number in (0, 3, 4)] == [30, 7, 336]
    assert "Heart rate" not in built.state(4, 335)


def test_no_subject_stands_in_two_splits(build, three_stays):
    for number in range(3, 30):
        three_stays.stay(number, subject=77_000_001 + number % 10)
        three_stays.chart(number, 1, 220045, 70)

    built = build(three_stays)

    (block,) = built.kept.blocks
    splits = [set(block.split[block.subject == subject].tolist()) for subject in np.unique(block.subject)]
    assert all(len(found) == 1 for found in splits)
    assert set().union(*splits) == {0, 1, 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outtime": "2150-02-01 00:00:00"}, "outtime is before intime"),
        ({"stay_id": 99_000_000}, "its stay_id stands in another row too"),
        ({"subject_id": 76_123_456}, "its subject_id is not in the table hosp/patients"),
        ({"hadm_id": 76_123_456}, "its hadm_id is not in the table hosp/admissions"),
        ({"hadm_id": None}, "stay_id, subject_id or hadm_id is empty"),
    ],
)
def test_a_broken_stay_is_named_by_its_row_alone(three_stays, build, change, said):
    three_stays.rows["icu/icustays"][2].update(change)

    with pytest.raises(DataError) as raised:
        build(three_stays)

    row = 1 if "stay_id" in change else 3
    assert f"icustays.csv, row {row} " in str(raised.value)
    assert said in str(raised.value)
    assert "7612" not in str(raised.value) and "9900" not in str(raised.value) and "2150" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "rule"), [({"min_age": 99}, "at least 99 years old"), ({"min_hours": 300}, "at least 300 h long")]
)
def test_an_empty_cohort_names_the_rule_that_emptied_it(three_stays, build, options, rule):
    with pytest.raises(DataError, match=f"no stay is left after the rule '{rule}'"):
        build(three_stays, **options)


def test_a_stay_that_ends_before_it_begins_is_left_out_and_counted_up_to_a_share(three_stays, build):
    three_stays.stay(3)
    three_stays.chart(3, 1, 220045, 70)
    three_stays.rows["icu/icustays"][3]["outtime"] = "2150-02-01 00:00:00"

    built = build(three_stays, reversed_stays=0.25)

    assert counts(built)[1:3] == [(4, 4), (3, 3)]
    assert sorted(built.texts) == [0, 1, 2]
    with pytest.raises(DataError, match="row 4 .* there are 1 such rows of 4, and up to 24% are left out"):
        build(three_stays, reversed_stays=0.24)


def test_a_cohort_without_vital_signs_says_so(three_stays, build):
    three_stays.rows["icu/chartevents"].clear()

    with pytest.raises(DataError, match="no stay is left after the rule 'has vital signs'"):
        build(three_stays)
