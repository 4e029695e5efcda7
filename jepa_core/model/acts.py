"""Actions of a what-if: reading them, holding them against a store's channels, putting them into a trajectory."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from jepa_core.data.source import Act, Otherwise, Source
from jepa_core.data.trajectories import Channel, Events, Trajectories
from jepa_core.errors import RecipeError

_LARGEST = float(np.finfo(np.float32).max)
"""What lies beyond it is infinite where values are kept."""


class Written(BaseModel):
    """An act as plain values give it."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    channel: str
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    unit: str | None = None
    begin: Annotated[int, Field(ge=0, alias="from")]
    end: Annotated[int, Field(ge=1, alias="to")]

    def act(self) -> Act:
        """What is done."""
        return Act(self.channel, self.value, self.unit, self.begin, self.end)


_ACTS = TypeAdapter(list[Written])


def acts_of(written: Sequence[Act] | Sequence[Mapping[str, Any]]) -> list[Act]:
    """Acts as they are, or as plain values with the keys channel, value, unit, from, to. Raises RecipeError if they are
    neither."""
    if all(isinstance(act, Act) for act in written):
        return list(written)  # type: ignore[arg-type]
    try:
        read = _ACTS.validate_python(written)
    except ValidationError as error:
        problems = "; ".join(f"acts.{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors())
        raise RecipeError(
            f"actions are a list of {{channel, value, unit, from, to}}, from and to in steps from 0 ({problems})"
        ) from error
    return [act.act() for act in read]


@dataclass(frozen=True)
class PlannedActs:
    """What is done from step `at` on, against the channels of a store. otherwise: what besides."""

    acts: list[Act]
    at: int
    horizon: int
    otherwise: Otherwise

    def __post_init__(self) -> None:
        """Raises RecipeError for an act outside the steps that are imagined, or another word for what is done
        besides."""
        if self.otherwise not in get_args(Otherwise):
            raise RecipeError(f"otherwise is one of {', '.join(get_args(Otherwise))}, not {self.otherwise!r}")
        last = self.at + self.horizon - 1
        for number, act in enumerate(self.acts):
            if not self.at <= act.begin < act.end:
                raise RecipeError(
                    f"acts.{number}: the act on '{act.channel}' goes from step {act.begin} to {act.end}; what is "
                    f"imagined begins at step {self.at}, and an act ends after it begins"
                )
            if act.begin >= last:
                raise RecipeError(
                    f"acts.{number}: the act on '{act.channel}' begins at step {act.begin}; the last action that leads "
                    f"to a step imagined is that of step {last - 1}: choose a longer horizon, or an earlier step"
                )

    def told(self) -> str:
        """The plan in words."""
        acts = "; ".join(
            f"{act.channel} {'' if act.value is None else f'{act.value:g} '}{act.unit or ''}".rstrip()
            + f", steps {act.begin} to {act.end - 1}"
            for act in self.acts
        )
        besides = {"none": "nothing else is done", "recorded": "all else as recorded"}[self.otherwise]
        return f"{acts or 'no act'}; {besides}"


def known_acts(acts: Sequence[Act], channels: Sequence[Channel]) -> list[Act]:
    """The acts with their channels' units. Raises RecipeError for an unknown channel, another unit or a value that is
    not finite in float32."""
    units = {channel.name: channel.unit for channel in channels}
    taken = []
    for number, act in enumerate(acts):
        if act.channel not in units:
            near = difflib.get_close_matches(act.channel, list(units), n=3, cutoff=0.4)
            told = f"; did you mean {' or '.join(near)}?" if near else ""
            raise RecipeError(f"acts.{number}.channel: the data have no channel '{act.channel}' to act on{told}")
        if act.value is not None and not abs(act.value) <= _LARGEST:
            raise RecipeError(f"acts.{number}.value: {act.value} is no number that float32 holds; give the act's value")
        unit = units[act.channel]
        if act.unit is not None and act.unit != unit:
            raise RecipeError(
                f"acts.{number}.unit: the channel '{act.channel}' is in {unit or 'no unit'}, and the act gives it in "
                f"{act.unit or 'none'}; convert its value"
            )
        taken.append(replace(act, unit=unit))
    return taken


def acted(source: Source, trajectory: Trajectories, channels: Sequence[Channel], plan: PlannedActs) -> Trajectories:
    """A trajectory as the plan has it: its own events before step `at`, those of the acts from there on, and no state
    after. It has a step for every action that leads to a step imagined.

    trajectory: of one. Raises DataError if the source lacks what an act needs.
    """
    steps = plan.at + plan.horizon - 1
    number = {channel.name: index for index, channel in enumerate(channels)}
    events = [event for act in plan.acts for event in source.acting(act, trajectory, channels)]
    left = [event for event in events if event.value is None or not math.isnan(event.value)]
    rows = [
        (step, number[event.channel], np.nan if event.value is None else event.value, event.text)
        for event in left
        for step in range(event.begin, min(event.end, steps))
    ]
    new = _made(rows, source, len(trajectory.texts))
    texts = [event.text for event in left if event.text is not None]
    taken = {(step, number[event.channel]) for event in events for step in range(event.begin, min(event.end, steps))}
    kept = _recorded(trajectory.action, plan, steps, taken)
    return replace(
        trajectory,
        steps=np.array([steps], dtype=trajectory.steps.dtype),
        state=_first(trajectory.state, plan.at, steps),
        action=_joined(trajectory.action, kept, new, steps),
        texts=np.array([*trajectory.texts.tolist(), *dict.fromkeys(texts)], dtype=object),
        labels={},
        outcomes={},
    )


@dataclass(frozen=True)
class _Rows:
    """Events with the step of each, in any order. step, channel, text: (E,) int; value, time: (E,) float."""

    step: np.ndarray
    channel: np.ndarray
    value: np.ndarray
    text: np.ndarray
    time: np.ndarray


def _made(rows: list[tuple[int, int, float, str | None]], source: Source, texts: int) -> _Rows:
    """Events at the beginning of their steps; the texts stand behind those of the trajectory, in the order of rows."""
    step = np.array([row[0] for row in rows], dtype=np.int64)
    said = [row[3] for row in rows]
    distinct = {
        text: texts + index for index, text in enumerate(dict.fromkeys(text for text in said if text is not None))
    }
    return _Rows(
        step,
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64),
        np.array([-1 if text is None else distinct[text] for text in said], dtype=np.int64),
        source.begins(step),
    )


def _recorded(events: Events, plan: PlannedActs, steps: int, acted_on: set[tuple[int, int]]) -> np.ndarray:
    """Which of a trajectory's action events are kept: those before the plan, and those that it leaves as recorded."""
    step = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
    kept = step < plan.at
    if plan.otherwise == "recorded":
        pairs = zip(step.tolist(), events.channel.tolist(), strict=True)
        kept |= np.array([pair not in acted_on for pair in pairs], dtype=bool) & (step < steps)
    return kept


def _joined(events: Events, kept: np.ndarray, new: _Rows, steps: int) -> Events:
    """The kept events and the new ones, step by step."""
    old_step = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))[kept]
    step = np.concatenate([old_step, new.step])
    order = np.argsort(step, kind="stable")

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(events, name)[kept], getattr(new, name)])[order]

    return Events(
        _offsets(step, steps), column("channel"), column("value").astype(np.float32), column("text"),
        column("time").astype(np.float32),
    )  # fmt: skip


def _first(events: Events, at: int, steps: int) -> Events:
    """The events of the first `at` steps, and none for the others of `steps`."""
    last = int(events.offsets[at])
    offsets = np.concatenate([events.offsets[: at + 1], np.full(steps - at, last)]).astype(np.int64)
    return Events(offsets, events.channel[:last], events.value[:last], events.text[:last], events.time[:last])


def _offsets(step: np.ndarray, steps: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(step, minlength=steps))]).astype(np.int64)
