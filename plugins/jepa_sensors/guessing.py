"""What a table seems to be: which column is what, as far as names and values tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jepa_core.errors import DataError
from jepa_sensors import column_names as names
from jepa_sensors.column_names import is_label
from jepa_sensors.config import FILE
from jepa_sensors.config_parts import HEADER, ROW
from jepa_sensors.looks import SAID, digits_format
from jepa_sensors.scanning import MOST_DISTINCT, Scan, Scanned, scan_channels
from jepa_sensors.shapes import Across, across

MOST_WORDS = 20
"""Distinct values up to which a column of words is taken for categories."""

_EPOCHS = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}
"""The order of a count since 1970 by its unit."""


@dataclass
class Guess:
    """What a table seems to be.

    source: keys of a recipe's source that say so; reading: those of them that say how files are read. left_out:
    columns, and why. notes: what else is to be said. answers: columns that hold the answer by where they stand, and
    why. words: of these, where they have some.
    """

    source: dict[str, Any]
    reading: Mapping[str, Any]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


def guess(files: str | list[str], reading: Mapping[str, Any], scanned: Scanned) -> Guess:
    """Guess the roles of the columns, those of labels aside. files: as a recipe names them.

    Raises DataError if no column holds readings.
    """
    guessed = Guess({"files": files, **reading}, reading)
    value = _long(list(scanned.scans.values()))[1]  # which holds the cells of many channels, of words too
    scans = [scan for scan in scanned.scans.values() if scan is value or _is_readable(scan, guessed)]
    labels = [scan for scan in scans if scan.name in scanned.indexes]
    scans = [scan for scan in scans if scan not in labels]
    side = across(scans)
    if side:
        _guess_across(guessed, scanned, side)
    else:
        _guess_down(guessed, scanned, scans, labels)
    if not guessed.source.get("states"):
        reasons = "".join(f"\n  {name}: {why}" for name, why in guessed.left_out.items())
        raise DataError(
            f"{scanned.paths[0]}: no column holds numbers that change, so there is nothing to learn from{reasons}"
        )
    return guessed


def _is_readable(scan: Scan, guessed: Guess) -> bool:
    """Whether a column holds something that a channel, an id or a time can be made of; if not, why is noted."""
    if scan.kind == "empty":
        guessed.left_out[scan.name] = "no value in any row"
    elif scan.kind == "none":
        guessed.left_out[scan.name] = f"{scan.type}, which is no number"
    elif scan.kind == "mixed" or scan.kind == "word" and _is_spelled(scan):
        told = [
            f"{count:,} are {SAID[look]} (the first: {row})" for look, count, row in scan.looks.misfits(("number",))
        ]
        guessed.left_out[scan.name] = (
            f"of {scan.looks.total:,} cells {', '.join(told)}; correct them, or see empty_values"
        )
    else:
        return True
    return False


def _is_spelled(scan: Scan) -> bool:
    """Whether most of a column's words are numbers in another spelling."""
    odd = sum(count for look, count, _ in scan.looks.misfits(("number", "word", "time")))
    return odd + scan.looks.counts["number"] > scan.looks.total / 2


# --- time runs down ---------------------------------------------------------------------------------------------------


def _guess_down(guessed: Guess, scanned: Scanned, scans: list[Scan], labels: list[Scan]) -> None:
    time = _time(scans, labels)
    others = [scan for scan in scans if scan is not time]
    channel, value = _long(others) if time else (None, None)
    keyed = [scan for scan in others if scan not in (channel, value)]
    key = _key(scanned, keyed, time, channel)
    if time is None:
        time = _counter(scanned, key, keyed)
    guessed.source |= {"id": key} if key else {}
    answers = [scanned.scans[name] for name in key if name != FILE and is_label(name)]
    guessed.answers = {scan.name: "its name says so, and it is part of the id" for scan in answers}
    guessed.words = {scan.name: sorted(scan.words) for scan in answers if scan.kind == "word"}
    if time is not None:
        guessed.source |= {"time": time.name} | _spelled(time)
    for scan in labels:
        if scan is not time:
            guessed.left_out[scan.name] = "row labels of whoever wrote the file"
    if channel and value:
        _guess_long(guessed, scanned, channel, value, [scan for scan in keyed if scan.name not in key])
        return
    _guess_wide(guessed, scanned, [scan for scan in others if scan is not time and scan.name not in key])


def _guess_wide(guessed: Guess, scanned: Scanned, scans: list[Scan]) -> None:
    seen = [scan for scan in scans if _is_readable(scan, guessed) and not _leave_out(guessed, scan, scanned)]
    _guess_roles(guessed, [scan.name for scan in seen])
    guessed.source["categories"] = {scan.name: sorted(scan.words) for scan in seen if scan.kind == "word"}


def _guess_roles(guessed: Guess, channels: Sequence[str]) -> None:
    """Actions by their names; the rest are states, and so are all of them where nothing is left."""
    states = [name for name in channels if not names.ACTION.fullmatch(name)]
    guessed.source["states"] = states or list(channels)
    guessed.source["actions"] = [name for name in channels if name not in guessed.source["states"]]


def _leave_out(guessed: Guess, scan: Scan, scanned: Scanned) -> bool:
    why = ""
    if scan.kind == "time":
        why = "a second column of times"
    elif scan.kind == "word" and len(scan.words) > MOST_WORDS:
        why = f"more than {MOST_WORDS} different words"
    elif scan.kind == "word" and len(scan.words) == 1:
        why = "never changes"
    elif scan.kind == "number" and _counts_rows(scan, scanned):
        why = "it counts the rows of the file"
    if why:
        guessed.left_out[scan.name] = why
    return bool(why)


def _counts_rows(scan: Scan, scanned: Scanned) -> bool:
    """Whether a column is the number of the row, in order, or shuffled under such a name."""
    values = scan.sample
    if not scan.whole or len(values) < 3 or np.isnan(values).any():
        return False
    if np.all(np.diff(values) == 1):
        return len(np.unique(scanned.file)) == 1 or bool(names.ROW_NUMBER.fullmatch(scan.name))
    return bool(names.ROW_NUMBER.fullmatch(scan.name)) and len(np.unique(values)) == len(values)


def _time(scans: Sequence[Scan], labels: Sequence[Scan]) -> Scan | None:
    """The column of times: timestamps, else numbers under such a name, else row labels that are timestamps."""
    stamps = [scan for scan in scans if scan.kind == "time"]
    named = [
        scan for scan in scans if scan.kind == "number" and names.TIME.fullmatch(scan.name) and not is_label(scan.name)
    ]
    timely = [scan for scan in stamps if names.TIME.fullmatch(scan.name)]
    return next(iter([*timely, *stamps, *named, *(scan for scan in labels if scan.kind == "time")]), None)


def _spelled(time: Scan) -> dict[str, str]:
    """The format or the unit of a column of times."""
    if time.kind == "time":
        return {"time_format": time.form} if time.form else {}
    values = time.sample[np.isfinite(time.sample)]
    form = digits_format(np.unique(values[:1000]).astype(np.int64).tolist()) if time.whole and len(values) else ""
    if form:
        return {"time_format": form}
    unit = next(
        (unit for unit, name in names.UNITS if re.fullmatch(rf"(.*[_. ])?({name})([_. (].*)?", time.name, re.I)), ""
    )
    middle = float(np.median(values)) if len(values) else 0.0
    counted = next((named_unit for named_unit, order in _EPOCHS.items() if order <= middle < 10 * order), "")
    return {"time_unit": counted or unit} if (counted or unit) not in ("", "s") else {}


def _long(scans: Sequence[Scan]) -> tuple[Scan | None, Scan | None]:
    """Columns of a long table that name the channel and hold the value; none if it is wide."""
    words = [scan for scan in scans if scan.kind == "word" and 1 < len(scan.words) <= MOST_DISTINCT]
    channel = next((scan for scan in words if names.CHANNEL.fullmatch(scan.name)), None)
    value = next((scan for scan in scans if names.VALUE.fullmatch(scan.name)), None)
    return (channel, value) if channel and value else (None, None)


def _guess_long(guessed: Guess, scanned: Scanned, channel: Scan, value: Scan, beside: Sequence[Scan]) -> None:
    scans = [scan for _, scan in sorted(scan_channels(scanned, guessed.reading, channel.name, value.name).items())]
    seen = [scan for scan in scans if _is_readable(scan, guessed) and not _leave_out(guessed, scan, scanned)]
    guessed.left_out |= {scan.name: "a column beside those of a long table" for scan in beside}
    guessed.source |= {"layout": "long", "channel": channel.name, "value": value.name}
    _guess_roles(guessed, [scan.name for scan in seen])
    guessed.source["categories"] = {scan.name: sorted(scan.words) for scan in seen if scan.kind == "word"}


# --- who is who -------------------------------------------------------------------------------------------------------


def _key(scanned: Scanned, scans: Sequence[Scan], time: Scan | None, channel: Scan | None) -> list[str]:
    """The columns that name the trajectory: by their names, or the first whose values come in runs, between which the
    time leaps where there is one; several where only together they tell two rows of one time apart."""
    whole = [scan for scan in scans if scan.kind == "word" or scan.kind == "number" and scan.whole]
    named = [scan for scan in whole if (names.ID.fullmatch(scan.name) or names.CAMEL_ID.fullmatch(scan.name))]
    single = time is None and len(scanned.paths) == 1
    runs = [scan for scan in whole[:1] if single and not is_label(scan.name) and _comes_in_runs(scan)]
    apart = [scan for scan in whole if time and not is_label(scan.name) and _is_apart(scan, time)]
    key = next(([scan] for scan in [*named, *runs, *apart] if _repeats(scan)), [])
    parts = [scan.name for scan in key] or ([FILE] if len(scanned.paths) > 1 else [])
    if time is None or channel is not None or not _clashes(scanned, parts, time):
        return parts
    extra = [scan.name for scan in whole if scan.name not in parts and _may_be_part(scan)]
    for name in [*([FILE] if len(scanned.paths) > 1 and FILE not in parts else []), *extra]:
        if not _clashes(scanned, [*parts, name], time):
            return [name, *parts] if name == FILE else [scan for scan in scanned.scans if scan in (*parts, name)]
    return parts


def _may_be_part(scan: Scan) -> bool:
    """Whether a column can tell trajectories apart: a word, a number that comes in runs, or a label."""
    values = scan.sample
    few = 1 < len(np.unique(values[~np.isnan(values)])) <= max(2, len(values) / 5)
    return few and (scan.kind == "word" or bool(is_label(scan.name)) or _comes_in_runs(scan))


def _clashes(scanned: Scanned, key: Sequence[str], time: Scan) -> bool:
    """Whether more than one row in a hundred has the id and the time of another."""
    columns = [scanned.file if name == FILE else scanned.scans[name].sample for name in key]
    rows = np.stack([*columns, time.sample], axis=1)
    return len(np.unique(rows, axis=0)) < 0.99 * len(rows)


def _repeats(scan: Scan) -> bool:
    values = scan.sample
    return 1 < len(np.unique(values)) <= len(values) / 2


def _comes_in_runs(scan: Scan) -> bool:
    values = scan.sample
    return bool(np.count_nonzero(np.diff(values)) == len(np.unique(values)) - 1)


def _is_apart(scan: Scan, time: Scan) -> bool:
    """Whether a column's values come in runs, and time passes between two runs as it never does within one."""
    if len(np.unique(scan.sample)) < 3 or not _comes_in_runs(scan):
        return False
    border, passed = np.diff(scan.sample) != 0, np.diff(time.sample)
    within = passed[~border]
    return bool(len(within) and np.all((passed[border] < within.min()) | (passed[border] > within.max())))


def _counter(scanned: Scanned, key: Sequence[str], scans: Sequence[Scan]) -> Scan | None:
    """A column of whole numbers that rises from row to row of every id."""
    if not key:
        return None
    columns = [scanned.file if name == FILE else scanned.scans[name].sample for name in key]
    same = np.all([np.diff(column) == 0 for column in columns], axis=0)
    for scan in scans:
        if scan.name not in key and scan.kind == "number" and scan.whole and np.all(np.diff(scan.sample)[same] > 0):
            return scan
    return None


# --- time runs across -------------------------------------------------------------------------------------------------


def _guess_across(guessed: Guess, scanned: Scanned, side: Across) -> None:
    beside = [scanned.scans[name] for name in side.beside if name != side.channel]
    single = [scan.name for scan in beside if len(np.unique(scan.sample)) == scanned.rows]
    key = [side.key] if side.key else [] if side.channel else single[:1] or [ROW]
    guessed.source |= {"layout": "across", "across": _patterns(side), "channel": side.channel}
    guessed.source |= {"id": key} if key else {}
    guessed.source |= {"time": HEADER} if side.timed else {}
    channels = sorted(scanned.scans[side.channel].words) if side.channel else ["value"]
    facts = [scan for scan in beside if scan.name not in key and not _leave_out(guessed, scan, scanned)]
    _guess_roles(guessed, [*channels, *(scan.name for scan in facts)])
    guessed.source["categories"] = {scan.name: sorted(scan.words) for scan in facts if scan.kind == "word"}
    guessed.source["ignore"] = sorted(guessed.left_out.keys() & scanned.scans.keys())
    text = f"the channel in {side.channel}" if side.channel else "one series"
    guessed.answers = {name: f"few values {where} each series, as archives write a class"
                       for name, where in side.classes.items()}  # fmt: skip
    guessed.notes.append(f"time runs across: a row holds the {len(side.samples)} samples of {text}")
    if side.unnamed:
        guessed.notes.append(
            "the rows are on scales of their own, as channels are, and no column names them: if each is a channel "
            "of one series, save the table turned, a column a channel"
        )


def _patterns(side: Across) -> list[str]:
    """The columns of samples, by what their names begin with; all that nothing else names where they are times."""
    prefix = re.fullmatch(r"(.*?)(\d+)", side.samples[0])
    return [f"{prefix[1] if prefix and not side.timed else ''}*"]
