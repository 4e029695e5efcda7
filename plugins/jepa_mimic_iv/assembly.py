"""From sorted rows to blocks of whole trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jepa_core.data.trajectories import Events, Trajectories
from jepa_core.io.columns import to_numpy
from jepa_core.io.workspace import Workspace
from jepa_mimic_iv import labels
from jepa_mimic_iv.cohort import Stays
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.event_series import Grid

BLOCK = 128
"""Stays that are in memory at once."""

_SQL = Path(__file__).parent / "sql"

_DERIVED = {
    "observed": "observations",
    "shown": "shown",
    "ventilation": "ventilation",
    "drip": "drip",
    "vasoactive_agent": "vasoactive_agent",
    "norepinephrine_equivalent_dose": "norepinephrine_equivalent_dose",
    "neuroblock": "neuroblock",
    "invasive_line": "invasive_line",
    "urine_output_rate": "urine_output_rate",
    "kdigo_stages": "kdigo_stages",
    "sofa": "sofa",
    "rrt": "rrt",
    "crrt": "crrt",
    "suspicion_of_infection": "suspicion_of_infection",
    "sepsis3": "sepsis3",
    "charlson": "charlson",
    "treatment": "treatments",
}
"""What is computed of a block of stays before its events, in an order in which each finds what it is made of."""

_STEPS = """
SELECT
    stay, greatest(least(step_of(hour, $step_hours), steps - 1), 0)::INTEGER AS step, channel, value, text,
    hour::FLOAT AS time
FROM ({events}) AS event JOIN member USING (stay)
ORDER BY stay, step, hour, {ties}
"""
_STATE_TIES = "channel, value, text"
_ACTION_TIES = "place, category, rate, delivered, segment, part, value, text"
"""Every column takes part, so that the order depends on the data alone, not on how the rows came out of the database.
The number of a segment is arbitrary: it only keeps the two rows of each of several identical segments together."""

_STATIC = """
SELECT stay, channel, value::FLOAT AS value, text FROM (
    SELECT stay, 0 AS channel, age AS value, NULL::VARCHAR AS text FROM member
    UNION ALL SELECT stay, 1, NULL, tidy(gender) FROM member WHERE tidy(gender) IS NOT NULL
    UNION ALL SELECT stay, 2, NULL, tidy(race) FROM member WHERE tidy(race) IS NOT NULL
    UNION ALL SELECT stay, 3, value, NULL FROM charlson
) WHERE stay BETWEEN $low AND $high ORDER BY stay, channel
"""

_URINE_RATE = """
SELECT stay, least(step_of(hour, $step_hours), steps - 1)::INTEGER AS step,
    sum(uo ORDER BY hour) / greatest(sum(urine_output_rate.hours ORDER BY hour), 1) / arg_max(weight, hour) AS value
FROM urine_output_rate JOIN member USING (stay) WHERE weight > 0 GROUP BY ALL ORDER BY ALL
"""
"""mL/kg/h of a step; a charting covers an hour at least."""

_VENTILATED = """
SELECT DISTINCT stay, unnest(range(greatest(step_of(start, $step_hours), 0), steps_until(stop, $step_hours))) AS step
FROM ventilation WHERE supported OR status = 'NonInvasiveVent' ORDER BY ALL
"""


def assemble(work: Workspace, cohort: Stays, numbers: dict[str, int], config: MimicIVConfig) -> Iterator[Trajectories]:
    """Whole trajectories in the order of the cohort, a block at a time. numbers: of the channels, by name."""
    statements = {
        "static": _STATIC,
        "state": _STEPS.format(events=_sql("states"), ties=_STATE_TIES),
        "action": _STEPS.format(events=_sql("actions"), ties=_ACTION_TIES),
    }
    derived = {name: _sql(file) for name, file in _DERIVED.items()}
    for start in range(0, len(cohort.stay), BLOCK):
        part = slice(start, start + BLOCK)
        block = _Block(work, cohort, part, config)
        for name, statement in derived.items():
            work.keep(name, block.read(statement))
        yield block.trajectories({role: block.read(statement) for role, statement in statements.items()}, numbers)


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text()


class _Block:
    """Some stays of the cohort, and the steps they have."""

    def __init__(self, work: Workspace, cohort: Stays, part: slice, config: MimicIVConfig) -> None:
        self._work, self._cohort, self._part, self._step_hours = work, cohort, part, config.step_hours
        self._by_saturation = config.saturation_fallback
        self._stays, self._steps = cohort.stay[part], cohort.steps[part].astype(np.int64)
        self._first = np.cumsum(self._steps) - self._steps
        self._total = int(self._steps.sum())

    def read(self, statement: str) -> pa.Table:
        """The rows of a statement for these stays."""
        given: dict[str, Any] = {"low": int(self._stays[0]), "high": int(self._stays[-1])}
        given["step_hours"] = self._step_hours
        return self._work.arrow(statement, {name: value for name, value in given.items() if f"${name}" in statement})

    def trajectories(self, tables: dict[str, pa.Table], numbers: dict[str, int]) -> Trajectories:
        """The block out of the events of each role."""
        texts: list[np.ndarray] = []
        events: dict[str, Events] = {}
        owners: dict[str, np.ndarray] = {}
        for role, table in tables.items():
            owners[role] = self._trajectory(table) if role == "static" else self._step(table)
            count = len(self._stays) if role == "static" else self._total
            events[role] = _events(table, owners[role], count, sum(map(len, texts)))
            texts.append(to_numpy(_dictionary(table).dictionary))
        shown = labels.ShownEvents.of(
            ((tables[role], owners[role]) for role in ("state", "action")), numbers, self._total
        )
        outcomes = self._outcomes()
        return Trajectories(
            identifier=self._cohort.identifier[self._part],
            subject=self._cohort.subject[self._part],
            split=self._cohort.split[self._part],
            steps=self._steps.astype(np.int32),
            texts=np.concatenate(texts).astype(object),
            labels=self._labels(shown, outcomes["icu_mortality"]),
            outcomes=outcomes,
            **events,
        )

    def _labels(self, shown: labels.ShownEvents, died: np.ndarray) -> dict[str, np.ndarray]:
        grid = Grid(np.append(self._first, self._total), self._step_hours)
        begins = (np.arange(self._total) - np.repeat(self._first, self._steps)) * self._step_hours
        hours = self._column("SELECT hours FROM member WHERE stay BETWEEN $low AND $high ORDER BY stay")
        whole = np.ceil(np.round(hours / self._step_hours, 6)) * self._step_hours
        to_end = np.repeat(whole, self._steps) - begins
        onset = self.read("SELECT stay, onset FROM sepsis3 ORDER BY stay")
        since = np.full(len(self._stays), np.inf)
        since[self._trajectory(onset)] = to_numpy(onset["onset"])
        septic = (np.round(begins + self._step_hours - np.repeat(since, self._steps), 6) > 0).astype(np.float32)
        saturation = shown.mean("bg/so2") if self._by_saturation else np.full(self._total, np.nan)
        course = labels.SeriesInputs(self._urine_rate(), self._ventilated(), saturation, to_end, died, septic)
        return labels.hourly_targets(shown) | labels.events(shown, grid, course)

    def _urine_rate(self) -> np.ndarray:
        table = self.read(_URINE_RATE)
        rate = np.full(self._total, np.nan)
        rate[self._step(table)] = to_numpy(table["value"])
        return rate

    def _ventilated(self) -> np.ndarray:
        ventilated = np.zeros(self._total, dtype=bool)
        ventilated[self._step(self.read(_VENTILATED))] = True
        return ventilated

    def _outcomes(self) -> dict[str, np.ndarray]:
        table = self.read(_sql("outcomes")).drop_columns(["stay"])
        return {
            name: to_numpy(table[name]).astype(np.float32) for name in table.column_names
        }  # fmt: skip

    def _column(self, statement: str) -> np.ndarray:
        return to_numpy(self.read(statement).column(0))

    def _trajectory(self, table: pa.Table) -> np.ndarray:
        return np.searchsorted(self._stays, to_numpy(table["stay"]))

    def _step(self, table: pa.Table) -> np.ndarray:
        return self._first[self._trajectory(table)] + to_numpy(table["step"])


def _events(table: pa.Table, owner: np.ndarray, owners: int, first_text: int) -> Events:
    text = to_numpy(_dictionary(table).indices) + first_text
    time = to_numpy(table["time"]) if "time" in table.column_names else np.full(len(owner), np.nan)
    return Events(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))]).astype(np.int64),
        channel=to_numpy(table["channel"]).astype(np.int32),
        value=to_numpy(table["value"]).astype(np.float32),
        text=np.where(np.isnan(text), -1, text).astype(np.int32),
        time=time.astype(np.float32),
    )


def _dictionary(table: pa.Table) -> pa.DictionaryArray:
    return table["text"].combine_chunks().cast(pa.string()).dictionary_encode()
