"""What must hold between the keys of a table: each check tells the rules that are broken, the key first."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jepa_sensors.config_parts import HEADER, ROW, ColumnTarget, FileTarget, RemainingTarget

if TYPE_CHECKING:
    from jepa_sensors.config import TableConfig


def broken_rules(config: TableConfig) -> Iterator[str]:
    """Every rule that the keys break."""
    for check in (
        _of_states,
        _of_series,
        _of_time,
        _of_roles,
        _of_across,
        _of_numbers,
        _of_spans,
        _of_remains,
        _of_words,
    ):
        yield from check(config)


def _of_states(config: TableConfig) -> Iterator[str]:
    if config.is_long and not config.states:
        named = "[temperature, pressure]" if config.channel else f"[{config.value}]"
        table = "a table across" if config.layout == "across" else "a long table"
        yield f"states: {table} needs the names of its channels, such as {named}"
    if config.states == ():
        yield "states: at least one channel"


def _of_series(config: TableConfig) -> Iterator[str]:
    if config.id:
        return
    if config.subject:
        yield "subject: one series (no `id`) has no subjects; name the `id` too"
    if config.split and config.split.folds is not None:
        yield "split: without an `id` there is one series, cut in order of time; leave out folds"
    if config.split and (config.split.tuning or config.split.held_out):
        yield "split: without an `id` all files are one series, so a split cannot have files of its own"


def _of_time(config: TableConfig) -> Iterator[str]:
    needing = [key for key, given in (("calendar", config.calendar), ("step.seconds", config.step.seconds)) if given]
    needing += ["layout: long"] if config.layout == "long" else []
    if needing and not config.time_column:
        yield f"{needing[0]}: needs the column `time`"
    if config.repeats == "mean" and config.layout == "wide" and config.step.seconds is None:
        yield "repeats: a mean over rows of a wide table is taken within step.seconds; set it"


def _of_roles(config: TableConfig) -> Iterator[str]:
    roles = [*(config.states or ()), *config.actions, *config.statics]
    for name in sorted({name for name in roles if roles.count(name) > 1 or name in (*config.id, config.time)}):
        yield f"the column {name} has two roles; it is one of states, actions, statics, id and time"


def _of_across(config: TableConfig) -> Iterator[str]:
    across = config.layout == "across"
    if across != bool(config.across):
        yield "across: goes with layout: across, and names the columns that hold the samples"
    if across and config.time not in ("", HEADER):
        yield f"time: the samples of a row are in order; leave it out, or set it to {HEADER}"
    if not across and (config.time == HEADER or ROW in config.id):
        yield f"layout: {HEADER} and {ROW} are of a table across"
    if not across and not config.channel:
        yield "channel: only a table across can do without it"


def _of_numbers(config: TableConfig) -> Iterator[str]:
    """Ranges and offsets are of columns of numbers."""
    known = (*(config.states or ()), *config.actions, *config.statics, *config.target_columns())
    for key, given in (("ranges", config.ranges), ("offsets", config.offsets)):
        for name in given:
            if name in config.categories:
                yield f"{key}.{name}: a column of words has no numbers"
            elif config.states is not None and name not in known:
                yield f"{key}.{name}: no such column of numbers{_nearest(name, known)}"
    for name, (low, high) in config.ranges.items():
        if low is not None and high is not None and low > high:
            yield f"ranges.{name}: the least value, {low:g}, is above the largest, {high:g}"


def _of_spans(config: TableConfig) -> Iterator[str]:
    for key in ("begin", "count"):
        if getattr(config.step, key) is None:
            continue
        if config.step.seconds is None:
            yield f"step.{key}: steps of equal time begin and end together; set step.seconds too"
        if not config.id:
            yield f"step.{key}: one series (no `id`) is cut by split.pieces; leave the key out"


def _of_remains(config: TableConfig) -> Iterator[str]:
    for name, target in config.labels.items():
        if not isinstance(target, RemainingTarget):
            continue
        if not config.id:
            yield f"labels.{name}: nothing remains of one series; name the `id` of the trajectories"
        if target.ends_at and not isinstance(config.outcomes.get(target.ends_at), FileTarget):
            yield f"labels.{name}.ends_at: {target.ends_at} is no outcome with a file"
        if config.step.count is not None:
            yield f"step.count: rows that are left out would be missing in labels.{name}"


def _of_words(config: TableConfig) -> Iterator[str]:
    """No two words are one channel, no two labels or outcomes have one name."""
    for name in config.lower:
        if name not in config.categories:
            yield f"lower: {name} is no column of words; name it in categories"
    for name in config.categories:
        words = config.words(name)
        for again in sorted({word for word in words if words.count(word) > 1}):
            yield f"categories.{name}: the word {again} stands there twice"
    for key, targets in (("labels", config.labels), ("outcomes", config.outcomes)):
        owner: dict[str, str] = {}
        for target, target_config in targets.items():
            for name in config.target_names(
                target, target_config.column if isinstance(target_config, ColumnTarget) else ""
            ):
                if name in owner:
                    other = "two words of " if owner[name] == target else f"{owner[name]} and "
                    yield f"{key}: {other}{target} make one called {name}; rename one of them"
                owner[name] = target


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
