"""From sorted rows to blocks of whole trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jepa_core.trajectories import Events, Trajectories
from jepa_mimic_iv.cohort import Cohort
from jepa_mimic_iv.tables import Workspace

BLOCK = 128
"""Stays that are in memory at once."""

_SQL = Path(__file__).parent / "sql"

_STEPS = """
SELECT
    stay, least(floor(round(hour, 6) / $step_hours)::INTEGER, steps - 1) AS step, channel, value::FLOAT AS value,
    text, hour::FLOAT AS time
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
) WHERE stay BETWEEN $low AND $high ORDER BY stay, channel
"""


def assemble(work: Workspace, cohort: Cohort, step_hours: float) -> Iterator[Trajectories]:
    """Whole trajectories in the order of the cohort, a block at a time."""
    state = _STEPS.format(events=(_SQL / "observations.sql").read_text(), ties=_STATE_TIES)
    action = _STEPS.format(events=(_SQL / "actions.sql").read_text(), ties=_ACTION_TIES)
    for start in range(0, len(cohort.stay), BLOCK):
        part = slice(start, start + BLOCK)
        yield _block(work, cohort, part, {"static": _STATIC, "state": state, "action": action}, step_hours)


def _block(work: Workspace, cohort: Cohort, part: slice, statements: dict[str, str], step_hours: float) -> Trajectories:
    stays, steps = cohort.stay[part], cohort.steps[part]
    first = np.cumsum(steps, dtype=np.int64) - steps
    texts: list[np.ndarray] = []
    events: dict[str, Events] = {}
    for role, statement in statements.items():
        parameters: dict[str, Any] = {"low": int(stays[0]), "high": int(stays[-1])}
        if "$step_hours" in statement:
            parameters["step_hours"] = step_hours
        table = work.arrow(statement, parameters)
        trajectory = np.searchsorted(stays, table["stay"].to_numpy())
        owner = trajectory if role == "static" else first[trajectory] + table["step"].to_numpy()
        owners = len(stays) if role == "static" else int(steps.sum())
        events[role] = _events(table, owner, owners, sum(map(len, texts)))
        texts.append(_dictionary(table).dictionary.to_numpy(zero_copy_only=False))
    return Trajectories(
        identifier=cohort.identifier[part],
        subject=cohort.subject[part],
        split=cohort.split[part],
        steps=steps.astype(np.int32),
        texts=np.concatenate(texts).astype(object),
        **events,
    )


def _events(table: pa.Table, owner: np.ndarray, owners: int, first_text: int) -> Events:
    text = _dictionary(table).indices.fill_null(-1 - first_text).to_numpy() + first_text
    time = table["time"].to_numpy() if "time" in table.column_names else np.full(len(owner), np.nan)
    return Events(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))]).astype(np.int64),
        channel=table["channel"].to_numpy().astype(np.int32),
        value=table["value"].to_numpy(zero_copy_only=False).astype(np.float32),
        text=text.astype(np.int32),
        time=time.astype(np.float32),
    )


def _dictionary(table: pa.Table) -> pa.DictionaryArray:
    return table["text"].combine_chunks().cast(pa.string()).dictionary_encode()
