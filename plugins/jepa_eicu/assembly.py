"""From staged events to blocks of whole trajectories, with their labels and outcomes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jepa_core.data.trajectories import Events, Trajectories
from jepa_core.io.workspace import Workspace
from jepa_eicu.labels import OUTCOMES, hourly_labels
from jepa_eicu.mapping import CHANNELS

BLOCK = 256
"""Stays that are in memory at once."""

_MEMBERS = "SELECT * FROM member ORDER BY stay LIMIT $count OFFSET $first"
_EVENTS = (
    "SELECT stay, least(step, steps - 1)::INTEGER AS step, hour, channel, value, text "
    "FROM event JOIN member USING (stay) WHERE role = $role AND stay BETWEEN $low AND $high "
    "ORDER BY stay, step, hour, channel, value, text"
)
_STATIC = ("age", "gender", "race")


def assemble_stays(work: Workspace) -> Iterator[Trajectories]:
    """Whole trajectories in the order of their identifiers, a block at a time."""
    ((members,),) = work.rows("SELECT count(*) FROM member")
    outcomes = ", ".join(f"{sql} AS {name}" for name, sql in OUTCOMES.items())
    for first in range(0, members, BLOCK):
        stays = work.columns(_MEMBERS, {"count": BLOCK, "first": first})
        span = {"low": int(stays["stay"][0]), "high": int(stays["stay"][-1])}
        ends = work.columns(f"SELECT {outcomes} FROM member WHERE stay BETWEEN $low AND $high ORDER BY stay", span)
        told = {role: work.columns(_EVENTS, {"role": role, **span}) for role in ("state", "action")}
        yield _block(stays, told, {name: values.astype(np.float32) for name, values in ends.items()})


def _block(
    stays: dict[str, np.ndarray], told: dict[str, dict[str, np.ndarray]], outcomes: dict[str, np.ndarray]
) -> Trajectories:
    steps = stays["steps"].astype(np.int32)
    first = np.cumsum(steps, dtype=np.int64) - steps
    texts: dict[str, int] = {}
    owners = {role: first[np.searchsorted(stays["stay"], rows["stay"])] + rows["step"] for role, rows in told.items()}
    events = {role: _events(rows, owners[role], int(steps.sum()), texts) for role, rows in told.items()}
    labels = hourly_labels(told, owners, int(steps.sum()))
    labels |= _decompensation(stays, steps, outcomes["icu_mortality"])
    return Trajectories(
        identifier=stays["stay_id"].astype(np.int64),
        subject=stays["subject"].astype(np.int64),
        split=stays["split"].astype(np.int8),
        steps=steps,
        static=_static(stays, texts),
        state=events["state"],
        action=events["action"],
        texts=np.array(list(texts), dtype=object),
        labels=labels,
        outcomes=outcomes,
    )


def _events(rows: dict[str, np.ndarray], owner: np.ndarray, owners: int, texts: dict[str, int]) -> Events:
    return Events(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))]).astype(np.int64),
        channel=rows["channel"].astype(np.int32),
        value=rows["value"].astype(np.float32),
        text=_numbered(rows["text"], texts),
        time=rows["hour"].astype(np.float32),
    )


def _numbered(words: np.ndarray, texts: dict[str, int]) -> np.ndarray:
    """(E,) int32 number of each text, -1 where there is none."""
    told = (word if isinstance(word, str) else None for word in words.tolist())
    return np.array([-1 if word is None else texts.setdefault(word, len(texts)) for word in told], dtype=np.int32)


def _static(stays: dict[str, np.ndarray], texts: dict[str, int]) -> Events:
    """Age, gender and race, where they are known."""
    count = len(stays["stay"])
    words = np.stack([_numbered(stays[name], texts) for name in ("gender", "race")], axis=1)
    number = np.concatenate([np.full((count, 1), -1, dtype=np.int32), words], axis=1)
    value = np.full((count, len(_STATIC)), np.nan, dtype=np.float32)
    value[:, 0] = stays["age"]
    known = (number >= 0) | ~np.isnan(value)
    channel = np.broadcast_to(np.arange(len(_STATIC), dtype=np.int32), known.shape)
    offsets = np.concatenate([[0], np.cumsum(known.sum(axis=1))]).astype(np.int64)
    time = np.full(int(known.sum()), np.nan, dtype=np.float32)
    assert all(CHANNELS[index].name.endswith(name) for index, name in enumerate(_STATIC))
    return Events(offsets, channel[known], value[known], number[known], time)


def _decompensation(stays: dict[str, np.ndarray], steps: np.ndarray, died: np.ndarray) -> dict[str, np.ndarray]:
    """1 in the last 24 hourly steps of a stay that ended with death in the unit, else 0; NaN where nobody can tell."""
    first = np.cumsum(steps, dtype=np.int64) - steps
    step = np.arange(int(steps.sum())) - np.repeat(first, steps)
    to_end = np.repeat(np.ceil(np.round(stays["hours"], 6)), steps) - step
    ended = np.repeat(died, steps)
    label = np.where(to_end <= 24, ended, np.where(np.isnan(ended), np.nan, 0.0))
    return {"event_decompensation": label.astype(np.float32)}
