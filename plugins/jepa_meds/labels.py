"""Task labels in the MEDS schema: who, at which time, what value; placed at the steps of the trajectories.

`prediction_time` is the last moment of which anything may be used. So a label belongs to the last step that was over by
then: the state of that step, and of those before it, shows nothing later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jepa_core.errors import DataError
from jepa_core.io.columns import microseconds
from jepa_meds.layout import label_files
from jepa_meds.reading import BEYOND, WHEN, WHO, refuse_other_types, refuse_repeated, subjects
from jepa_meds.survey import Episodes

log = logging.getLogger("jepa")

_VALUES = ("boolean_value", "integer_value", "float_value", "categorical_value")
_AS_THE_SCHEMA_ASKS = "write the file as the MEDS label schema asks"


@dataclass(frozen=True)
class Due:
    """Rows of label files, by subject and time. subject, time: (R,) int64, in microseconds; value: (R,) float32."""

    subject: np.ndarray
    time: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class StepLabels:
    """Labels that have a step, in the order of the trajectories. episode, step: (L,) int64; value: (L,) float32. rows:
    of the files, those without a step included. lost: how many rows of each value of 0 and 1 have no step; empty where
    other values occur."""

    episode: np.ndarray
    step: np.ndarray
    value: np.ndarray
    rows: int
    lost: dict[int, int]

    def of(self, episodes: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Values of the steps of some successive trajectories, NaN where there is none: (S,) float32."""
        low, high = np.searchsorted(self.episode, [episodes[0], episodes[-1] + 1])
        first = np.cumsum(steps) - steps
        values = np.full(int(steps.sum()), np.nan, dtype=np.float32)
        values[first[self.episode[low:high] - episodes[0]] + self.step[low:high]] = self.value[low:high]
        return values


def read_labels(path: Path) -> Due:
    """Labels of a file, or of all files below a folder. Raises DataError naming file and row of what is no label, or if
    there is none."""
    parts = [_read(file) for file in label_files(path)]
    if not parts:
        raise DataError(f"{path} holds no label file; give a folder with *.parquet, or one such file")
    subject, time, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(subject):
        raise DataError(f"{path} holds no label: no row in {len(parts)} file(s); look at what the task asks for")
    order = np.lexsort((time, subject))
    return Due(subject[order], time[order], value[order])


def reach(due: Due, episodes: Episodes, step_length: int) -> np.ndarray:
    """Steps that each trajectory needs so that all of its labels have one: (N,) int64, 0 where it has none."""
    episode, step = _steps_of(due, episodes, step_length)
    needed = np.zeros(len(episodes), dtype=np.int64)
    known = episode >= 0
    np.maximum.at(needed, episode[known], step[known] + 1)
    return needed


def place_labels(due: Due, episodes: Episodes, steps: np.ndarray, step_length: int) -> StepLabels:
    """Labels at steps. steps: (N,) of each episode. step_length: in microseconds.

    A label goes to its subject's last trajectory that began by its time; one that is due before the first step is over,
    or after the last one, has no step. Of several at one step, the latest counts.
    """
    episode, step = _steps_of(due, episodes, step_length)
    placed = (episode >= 0) & (step >= 0) & (step < steps[episode])
    lost = due.value[~placed]
    binary = np.isin(due.value, (0, 1)).all()
    counts = {number: int((lost == number).sum()) for number in (0, 1)} if binary else {}
    episode, step, value = episode[placed], step[placed], due.value[placed]
    order = np.argsort(episode, kind="stable")
    return StepLabels(episode[order], step[order], value[order], len(due.value), counts)


def refuse_one_sided(name: str, labels: StepLabels) -> None:
    """Refuse labels of which one class has lost every row and the other has not; tell where rows have no step.

    Raises DataError: what is left would be labelled by what was dropped.
    """
    if not labels.lost or not sum(labels.lost.values()):
        return
    kept = {number: int((labels.value == number).sum()) for number in (0, 1)}
    told = ", ".join(f"{lost} of {lost + kept[number]} of value {number}" for number, lost in labels.lost.items())
    emptied = [number for number in kept if not kept[number] and labels.lost[number]]
    if emptied and kept[1 - emptied[0]]:
        raise DataError(
            f"source.labels.{name}: {told} have a prediction time at which their subject has no trajectory, so that "
            "one class is lost; let trajectories reach that time (trajectory: subject, max_steps), or leave these rows "
            "out"
        )
    log.warning("labels %s: without a step, as no trajectory of the subject is there at the time: %s", name, told)


def _steps_of(due: Due, episodes: Episodes, step_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Episode (-1 for none) and step (-1 before the first is over) of each label: (R,) int64."""
    episode = _last_begun(episodes, due.subject, due.time)
    return episode, (due.time - episodes.start[episode]) // step_length - 1


def _last_begun(episodes: Episodes, subject: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Number of the last episode of each subject that began by each time; -1 for none."""
    count = len(episodes)
    everyone = np.concatenate([episodes.subject, subject])
    moments = np.concatenate([episodes.start, time])
    order = np.lexsort((np.arange(len(everyone)) >= count, moments, everyone))
    latest = np.maximum.accumulate(np.where(order < count, np.arange(len(order)), -1))
    of_label = order >= count
    position = np.full(len(subject), -1)
    begun = np.where(latest[of_label] >= 0, order[latest[of_label]], -1)
    own = (begun >= 0) & (episodes.subject[begun] == everyone[order[of_label]])
    position[order[of_label] - count] = np.where(own, begun, -1)
    return position


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        refuse_repeated(path, pq.read_schema(path), ("subject_id", "prediction_time", *_VALUES), _AS_THE_SCHEMA_ASKS)
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet; copy it again") from error
    columns = set(table.column_names)
    if not table.num_rows and "subject_id" in columns:  # ACES writes a shard without a window so, without columns of it
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    absent = [name for name in ("subject_id", "prediction_time") if name not in columns]
    if absent or not columns & set(_VALUES):
        missing = ", ".join(absent) or "one of " + ", ".join(_VALUES[:3])
        raise DataError(f"{path}: column {missing} is missing; the MEDS label schema says what the file must hold")
    wanted = {"subject_id": WHO, "prediction_time": WHEN}
    refuse_other_types(path, table.schema, wanted, _AS_THE_SCHEMA_ASKS)
    _refuse(path, table["subject_id"].is_null().to_numpy(), "subject_id is null")
    untimed = "prediction_time is null; in a task of ACES index_timestamp in one of the windows gives it"
    _refuse(path, table["prediction_time"].is_null().to_numpy(), untimed)
    subject, beyond = subjects(table["subject_id"])
    _refuse(path, beyond, BEYOND)
    time, beyond = microseconds(table["prediction_time"])
    _refuse(path, beyond, "prediction_time is one that no clock counts to")
    return subject, time, _value(path, table)


def _value(path: Path, table: pa.Table) -> np.ndarray:
    """The one value of every row as a number. In the window statistics of ACES boolean_value is a count of events.

    Any count but 0 is 1, as ACES makes of the same column in the labels that it writes beside them.
    """
    value = np.full(table.num_rows, np.nan, dtype=np.float32)
    given = np.zeros(table.num_rows, dtype=np.int64)
    for name in _VALUES:
        if name not in table.column_names:
            continue
        known = table[name].is_valid().to_numpy()
        given += known
        if name == "categorical_value":
            _refuse(path, known, "a categorical value is no number; write one label of 0 and 1 for each category")
        elif known.any():
            kind = table[name].type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                raise DataError(f"{path}: column {name} is {kind}, and the MEDS label schema has a number or a boolean")
            number = pc.cast(table[name], pa.float64(), safe=False).to_numpy()
            if name == "boolean_value" and pa.types.is_integer(kind):
                number = np.where(known, number != 0, np.nan)
            _refuse(path, np.abs(number) > np.finfo(np.float32).max, "the value is beyond the range of float32")
            value[known] = number[known]
    _refuse(path, given != 1, "exactly one of the value columns must hold a value")
    return value


def _refuse(path: Path, wrong: np.ndarray, rule: str) -> None:
    if wrong.any():
        raise DataError(f"{path}, row {int(np.flatnonzero(wrong)[0])} (counted from 0): {rule}")


def placements(labels: Mapping[str, StepLabels]) -> Iterator[dict[str, str | int | float]]:
    """For each label, how many rows of its files have a step, and how many of each class have none."""
    for name, label in labels.items():
        steps = len(np.unique(np.stack([label.episode, label.step]), axis=1).T) if len(label.step) else 0
        row: dict[str, str | int | float] = {"label": name, "rows": label.rows, "rows with a step": len(label.step)}
        yield (
            row | {"labelled steps": steps} | {f"rows of {value} without": count for value, count in label.lost.items()}
        )
