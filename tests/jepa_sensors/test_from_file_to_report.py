"""Files of several shapes go from `jepa inspect --write` to a report without an edit by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from jepa_core.runs.starting import run
from jepa_sensors import jepa_describe_files
from jepa_sensors.column_names import noun_of

TINY: dict[str, Any] = {
    "predictor.width": 16, "predictor.layers": 1, "predictor.heads": 2, "predictor.feedforward": 32,
    "encoder.width": 16, "encoder.latent_size": 16, "windows.stride": 24, "evaluators.rollout_drift.bootstrap": 100,
    **{f"curriculum.{phase}.steps": 2
       for phase in ("predictor_warmup", "joint_refinement", "ema_alignment", "predictor_finalization")},
}  # fmt: skip
TASKS = {"evaluators.prediction_tasks.heads.families": ["linear"], "evaluators.prediction_tasks.heads.strengths": [0.1],
         "evaluators.prediction_tasks.baselines": [], "evaluators.prediction_tasks.bootstrap": 100}  # fmt: skip
FEW = {"evaluators.anomalies.trees": 5, "evaluators.anomalies.bootstrap": 100, "evaluators.anomalies.untrained": False}

Rows = Iterator[Sequence[object]]


def waves(samples: int, channels: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 6, channels)
    noise = 0.1 * random.normal(size=(samples, channels))
    return (np.sin(np.arange(samples)[:, None] / 5 + phase) + noise).round(4)


def write(path: Path, header: str, rows: Rows, separator: str = ",") -> None:
    path.parent.mkdir(exist_ok=True)
    lines = (separator.join(map(str, row)) for row in rows)
    path.write_text("\n".join([header, *lines]) + "\n")


def pumps(folder: Path) -> Path:
    """As SKAB has them: a file an experiment, its sensors, and two columns of answers."""
    for number in range(9):
        wrong = (np.arange(80) // 15 % 3 == 1).astype(float)
        turns = np.abs(np.diff(wrong, prepend=wrong[0]))
        rows = (
            (f"2031-03-0{number + 1} 12:{row // 60:02d}:{row % 60:02d}", *values, wrong[row], turns[row])
            for row, values in enumerate(waves(80, 3, number))
        )
        write(folder / "pumps" / f"{number}.csv", "datetime;Current;Pressure;Flow;anomaly;changepoint", rows, ";")
    return folder / "pumps"


def telemetry(folder: Path) -> Path:
    """As SMAP has them: an array a channel of a spacecraft, samples by features."""
    (folder / "telemetry").mkdir()
    for number in range(9):
        np.save(folder / "telemetry" / f"A-{number + 1}.npy", waves(90, 4, number))
    return folder / "telemetry" / "*.npy"


def process(folder: Path) -> Path:
    """As the Tennessee Eastman process is published: faults by runs, measured and manipulated variables."""
    rows = (
        (fault, number, row + 1, *values)
        for fault in range(3)
        for number in range(1, 5)
        for row, values in enumerate(waves(60, 4, 4 * fault + number))
    )
    write(folder / "process.csv", "faultNumber,simulationRun,sample,xmeas_1,xmeas_2,xmv_1,xmv_2", rows)
    return folder / "process.csv"


def across(folder: Path) -> Path:
    """A row a series."""
    header = ",".join(["series", "label", *(f"t{number}" for number in range(60))])
    write(folder / "across.csv", header, ((f"s{row}", row % 2, *waves(60, 1, row)[:, 0]) for row in range(16)))
    return folder / "across.csv"


def turned(folder: Path) -> Path:
    """A row a channel, under times."""
    header = ",".join(["channel", *(f"2031-05-01 {row // 60:02d}:{row % 60:02d}" for row in range(240))])
    rows = ((name, *waves(240, 1, seed)[:, 0]) for seed, name in enumerate(("heat", "load", "oil")))
    write(folder / "turned.csv", header, rows)
    return folder / "turned.csv"


def events(folder: Path) -> Path:
    """What machines reported, whenever they did."""
    random = np.random.default_rng(0)
    rows = (
        (machine, time, ("heat", "load", "oil", "rpm")[random.integers(4)], round(random.normal(), 3))
        for machine in range(9)
        for time in np.cumsum(random.exponential(900, 120)).round(1)
    )
    write(folder / "events.csv", "machine,time,event,value", rows)
    return folder / "events.csv"


def hours(folder: Path) -> Path:
    """As PhysioNet 2019 has them: a file an admission, an hour a row, mostly unknown, the label in the last column."""
    for number in range(12):
        rows = (
            (*values[:1], values[1] if row % 2 else "NaN", values[2] if row % 5 == 0 else "NaN", 40 + number, row + 1,
             int(number % 3 == 0 and row > 18))
            for row, values in enumerate(waves(30, 3, number))
        )  # fmt: skip
        write(folder / "hours" / f"p{number:06d}.psv", "HR|O2Sat|Lactate|Age|ICULOS|SepsisLabel", rows, "|")
    return folder / "hours"


TASKS_OF = {
    pumps: [{"label": "anomaly"}, {"label": "changepoint"}],
    across: [{"outcome": "label", "after": 60}],
    hours: [{"label": "SepsisLabel"}],
}
"""What is proposed to be predicted; of several classes nothing is."""


@pytest.mark.parametrize(
    ("made_by", "source"),
    [
        (pumps, {"id": "@file", "states": ["Current", "Pressure", "Flow"],
                 "labels": {name: {"column": name} for name in ("anomaly", "changepoint")}}),
        (telemetry, {"id": "@file", "time": "sample", "states": [f"channel_{number}" for number in range(4)]}),
        (process, {"id": ["faultNumber", "simulationRun"], "states": ["xmeas_1", "xmeas_2"], "noun": "run",
                   "actions": ["xmv_1", "xmv_2"], "outcomes": {"faultNumber": {"column": "faultNumber"}}}),
        (across, {"layout": "across", "across": ["t*"], "id": "series", "outcomes": {"label": {"column": "label"}}}),
        (turned, {"layout": "across", "channel": "channel", "time": "@header", "states": ["heat", "load", "oil"]}),
        (events, {"layout": "long", "id": "machine", "noun": "machine", "history": ["last", "age"]}),
        (hours, {"id": "@file", "time": "ICULOS", "states": ["HR", "O2Sat", "Lactate"], "statics": ["Age"],
                 "labels": {"SepsisLabel": {"column": "SepsisLabel"}}}),
    ],
    ids=["pumps", "telemetry", "process", "across", "turned", "events", "hours"],
)  # fmt: skip
def test_a_file_goes_to_a_report_as_it_was_described(
    made_by: Callable[[Path], Path], source: dict[str, Any], tmp_path: Path
) -> None:
    described = jepa_describe_files([made_by(tmp_path)])
    assert described is not None
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(described.recipe(tmp_path))
    proposed = yaml.safe_load(recipe.read_text())
    assert {key: proposed["source"].get(key) for key in source} == source
    alarms, asked = made_by is pumps, TASKS_OF.get(made_by, [])
    evaluators = proposed.get("evaluators", {}) if asked else []
    assert ({"use": "anomalies", "label": "anomaly"} in evaluators) == alarms
    assert not asked or evaluators[0] == {"use": "prediction_tasks", "tasks": asked}, "the question comes first"
    few = (FEW if alarms else {}) | (TASKS if asked else {})
    ended = run(recipe, overrides=TINY | few, folder=tmp_path / "run")
    report = (ended.folder / "report.html").read_text()
    assert "rollout" in report and source.get("noun", "series") in report
    assert "No rollout could be measured" not in report, "one series too is cut so that two pieces are held out"
    assert (ended.folder / "findings" / "anomalies.json").is_file() == alarms
    assert (ended.folder / "findings" / "prediction_tasks.json").is_file() == bool(asked)


@pytest.mark.parametrize(
    ("columns", "noun"),
    [(["machine_id"], "machine"), (["engineNo"], "engine"), (["plant", "unit"], "unit"), (["id"], ""), ([], "")],
)
def test_what_a_subject_is_called_is_read_off_its_column(columns: list[str], noun: str) -> None:
    assert noun_of(columns) == noun
