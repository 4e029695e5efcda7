"""`jepa inspect` puts no answer into the input: what may hold it is proposed as a label, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jepa_sensors.column_names import is_label
from jepa_sensors.suspects import OrderedRows, suspects

from .test_describe import describe, recipe_of

Write = Callable[..., Path]

KEY = np.repeat(np.arange(6), 60)
TIME = np.tile(np.arange(60.0), 6)
RANDOM = np.random.default_rng(0)
HEAT = RANDOM.normal(size=360)


def told(columns: dict[str, np.ndarray], wordy: tuple[str, ...] = (), time: np.ndarray = TIME) -> dict[str, str]:
    return suspects(OrderedRows.ordered(KEY, time, columns), wordy)


@pytest.mark.parametrize(
    "name",
    ["anomaly", "changepoint", "SepsisLabel", "target", "RUL", "remaining_life", "time_to_failure", "faultNumber",
     "machine_status", "class", "heat_next", "load (t+3)", "y_label", "fail_within_24h", "is_anomaly", "heat.lead2",
     "trip_in_24h", "alarm_within_7_days", "fault in 3 cycles", "fault_flag", "isFault", "faultDetected",
     "Normal/Attack", "Attack LABEL (1:No Attack, -1:Attack)", "class_id", "y_true", "broke", "in_hospital_death"],
)  # fmt: skip
def test_a_name_that_says_label_is_one(name: str) -> None:
    assert is_label(name)


@pytest.mark.parametrize(
    "name",
    [
        "heat",
        "valve_state",
        "time",
        "classifier_speed",
        "x",
        "lag_heat",
        "event",
        "next",
        "status",
        "y_axis",
        "flow_in",
        "pressure_in_2",
        "flag",
        "valve_present",
        "pressure (bar)",
    ],
)
def test_other_names_are_none(name: str) -> None:
    assert not is_label(name)


def test_what_counts_down_within_each_id_is_told_also_where_it_is_capped_or_in_another_unit() -> None:
    lengths = np.repeat([60, 55, 50, 45, 40, 35], 60)
    left = np.maximum(lengths - TIME, 0)
    share = TIME / lengths * 100
    columns = {"heat": HEAT, "left": 60 - TIME, "hours": 1.5 * (60 - TIME) + 7, "capped": np.minimum(60 - TIME, 40)}
    found = told(columns)
    assert found.keys() == {"left", "hours", "capped"} and found["left"] == "it counts down within each id"
    assert told({"wear": -TIME * (1 + HEAT / 50), "age": TIME, "odd": left + HEAT}) == {}
    kept = lengths > TIME
    ended = OrderedRows.ordered(KEY[kept], TIME[kept], {"share": ((share + 100 / lengths)[kept])})
    assert suspects(ended, ()) == {"share": "it runs to one end in each id, however long that is"}


def test_what_is_another_column_later_or_in_another_unit_is_told_and_what_is_it_earlier_is_not() -> None:
    later = np.concatenate([np.append(HEAT[one == KEY][3:], [0.1, 0.2, 0.3]) for one in range(6)])
    earlier = np.concatenate([np.append([0.4], HEAT[one == KEY][:-1]) for one in range(6)])
    load = RANDOM.normal(size=360)
    columns = {
        "heat": HEAT,
        "load": load,
        "output": later,
        "heat_lag1": earlier,
        "heat_F": np.round(HEAT * 1.8 + 32, 4),
    }
    assert told(columns) == {"output": "it is heat 3 rows later", "heat_F": "it is heat, in whatever unit"}


def test_what_tells_a_label_by_itself_is_told_too_and_so_is_a_value_that_is_there_with_it_alone() -> None:
    anomaly = (TIME >= 40).astype(float)
    code = np.where(anomaly == 1, 3.0, np.tile([0.0, 1.0], 180))
    noted = np.where(anomaly == 1, HEAT, np.nan)
    warm = HEAT + anomaly
    found = told({"anomaly": anomaly, "alarm_code": code, "noted": noted, "warm": warm}, wordy=("alarm_code",))
    assert found.keys() == {"anomaly", "alarm_code", "noted"}
    assert found["noted"] == "it tells anomaly by itself"


def test_a_label_of_a_whole_id_needs_more_than_a_few_ids_to_be_told_by_chance() -> None:
    by_id = np.repeat([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 60)
    assert told({"outcome": by_id, "size": by_id * 3 + 1, "heat": HEAT}).keys() == {"outcome"}


def test_a_numeric_label_is_told_by_what_ranks_alike() -> None:
    columns = {"target": HEAT**3 + HEAT, "raw": np.tanh(HEAT), "heat": HEAT + RANDOM.normal(size=360)}
    assert told(columns).keys() == {"target", "raw"}


def test_labels_stay_out_of_the_states_of_the_recipe_and_the_reason_stands_beside_them(write: Write) -> None:
    rows = [
        (
            machine,
            cycle,
            round(HEAT[60 * machine + cycle], 3),
            59 - cycle,
            int(cycle > 45),
            "good" if machine % 2 else "bad",
        )
        for machine in range(5)
        for cycle in range(60)
    ]
    path = write("machine,cycle,heat,budget,anomaly,quality_label", rows)
    source = recipe_of(path)
    assert source["states"] == ["heat"] and source.get("statics", []) == []
    assert source["labels"] == {"budget": {"column": "budget"}, "anomaly": {"column": "anomaly"}}
    assert source["outcomes"] == {"quality_label": {"column": "quality_label"}}
    assert source["categories"] == {"quality_label": ["bad", "good"]}
    text = describe(path).recipe(path.parent)
    assert 'budget: {column: "budget"}     # it counts down within each id' in text
    assert "- {label: budget}     # a number, at every step" in text and "- {label: anomaly}     # 1 or 0, at" in text
    asked = '- {outcome: quality_label_bad, after: 60}     # whether it is "bad", of each machine of 60 steps or more'
    assert asked in text, "each of the two words is an outcome of its own"
    assert {"column": "budget", "why": "it counts down within each id"} in describe(path).page["proposed as labels"]


def test_no_task_is_proposed_for_what_gives_an_answer_away_or_for_one_of_several_classes(write: Write) -> None:
    rows = [
        (machine, cycle, RANDOM.normal(), value := HEAT[60 * machine + cycle], np.tanh(value), cycle // 20)
        for machine in range(5)
        for cycle in range(60)
    ]
    text = describe(write("machine,cycle,heat,target,raw,fault_type", rows)).recipe(Path("."))
    assert "it tells target by itself" in text and text.count("- {label: ") == 1
    assert "- {label: target}     # a number, at every step" in text
    assert '# No task asks for "fault_type": a task asks for one of two classes, or a number.' in text


def test_a_table_of_nothing_but_labels_keeps_them_as_states(write: Write) -> None:
    path = write("machine,cycle,target", [(m, t, round(HEAT[60 * m + t], 3)) for m in range(5) for t in range(60)])
    assert recipe_of(path)["states"] == ["target"]
