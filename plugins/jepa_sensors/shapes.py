"""Which way time runs: down the rows of a table, across its columns, or along an axis of an array."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from jepa_sensors import column_names as names
from jepa_sensors.arrays import series_of
from jepa_sensors.scanning import Scan
from jepa_sensors.series_files import Axis
from jepa_sensors.stamps import read_stamps
from jepa_sensors.time_formats import ISO

_FEWEST = 8
"""Columns side by side from which on they may be samples."""
_BESIDE = 3
"""Columns beside the samples that there may be: ids, a channel, a class."""
_SMOOTH = 0.5
"""Correlation of neighbours from which on a row is a course in time."""


@dataclass(frozen=True)
class Across:
    """A table whose samples stand side by side. samples: their columns. timed: whether these are called by their times.
    beside: the other columns. channel: the one of them that names the channel of a row; empty if a row is a series.
    key: the one that names the series of a row, where several have the same channels. classes: those that seem to be
    one, and whether they stand before or behind the samples. unnamed: whether the rows seem to be channels, which no
    column names."""

    samples: list[str]
    timed: bool
    beside: list[str]
    channel: str
    key: str
    classes: dict[str, str]
    unnamed: bool


def across(scans: Sequence[Scan]) -> Across | None:
    """How a table holds its samples side by side; None if it does not."""
    samples, timed, plain = _side_by_side(scans)
    classes = _classes(scans, samples)
    samples = [name for name in samples if name not in classes]
    beside = [scan for scan in scans if scan.name not in samples]
    timely = [
        scan for scan in beside if scan.kind == "time" or scan.kind == "number" and names.TIME.fullmatch(scan.name)
    ]
    if len(samples) < _FEWEST or len(beside) > _BESIDE or timely:
        return None
    rows = np.stack([next(scan for scan in scans if scan.name == name).sample for name in samples], axis=1)
    if len(rows) < 2 or not plain and not _is_course(rows):
        return None
    unlike = _spreads_differ(rows)
    named = [scan.name for scan in beside if scan.kind == "word" and len(scan.words) == len(rows)]
    channel = next((name for name in named if unlike or names.CHANNEL.fullmatch(name)), "")
    key = "" if channel else _series_of_channels(beside)
    channel = channel or next((scan.name for scan in beside if key and names.CHANNEL.fullmatch(scan.name)), "")
    return Across(
        samples, timed, [scan.name for scan in beside], channel, key, classes, unlike and not channel and not named
    )


def _series_of_channels(beside: Sequence[Scan]) -> str:
    """The column that names the series of a row, if another one is called what channels are, and only together they
    tell all rows apart."""
    channel = next((scan for scan in beside if scan.kind == "word" and names.CHANNEL.fullmatch(scan.name)), None)
    for scan in beside if channel else ():
        assert channel is not None
        pairs = np.stack([scan.sample, channel.sample], axis=1)
        if scan is not channel and len(np.unique(pairs, axis=0)) == len(pairs) > len(np.unique(scan.sample)):
            return scan.name
    return ""


def _classes(scans: Sequence[Scan], samples: Sequence[str]) -> dict[str, str]:
    """Columns of few whole numbers that seem to be a class, and where they stand: the first or the last of those side
    by side, where most others hold fractions; and what stands behind all samples."""
    by_name = {scan.name: scan for scan in scans}
    if len(samples) < _FEWEST:
        return {}
    fractions = sum(not by_name[name].whole for name in samples) > len(samples) / 2
    order = [scan.name for scan in scans]
    ends = [(samples[0], "before")] if order[0] == samples[0] and fractions else []
    ends += [(samples[-1], "behind")] if order[-1] == samples[-1] and fractions else []
    ends += [(name, "behind") for name in order[order.index(samples[-1]) + 1 :]]
    return {name: where for name, where in ends if by_name[name].kind == "number" and _is_of_few(by_name[name])}


def _is_of_few(scan: Scan) -> bool:
    """Whether a column holds whole numbers of which most come more than once."""
    return scan.whole and 1 < len(np.unique(scan.sample)) <= len(scan.sample) / 2


def _side_by_side(scans: Sequence[Scan]) -> tuple[list[str], bool, bool]:
    """Columns of numbers that may be samples; whether they are called by times; and whether their names leave no
    doubt."""
    numbers = [scan.name for scan in scans if scan.kind == "number"]
    stamped = [name for name in numbers if not read_stamps(pa.array([name]), ISO).wrong[0]]
    if len(stamped) >= _FEWEST:
        return stamped, True, True
    counted = [name for name in numbers if re.fullmatch(r"\d+(\.\d+)?", name)]
    if len(counted) >= _FEWEST and np.all(np.diff([float(name) for name in counted]) > 0):
        return counted, True, True
    matches = [(name, match) for name in numbers if (match := re.fullmatch(r"(.*?)(\d+)", name))]
    prefixes = [match[1] for _, match in matches]
    prefix = max(prefixes, key=prefixes.count, default="")
    named = [(name, int(match[2])) for name, match in matches if match[1] == prefix]
    if any(later != before + 1 for (_, before), (_, later) in zip(named, named[1:], strict=False)):
        return [], False, False
    return [name for name, _ in named], False, bool(names.SAMPLE.fullmatch(prefix))


def _is_course(rows: np.ndarray) -> bool:
    """Whether the cells of a row follow one another, on one scale."""
    means, spreads = np.nanmean(rows, axis=0), np.nanvar(rows, axis=0)
    return bool(np.nanvar(means) < 20 * max(np.nanmean(spreads), 1e-300)) and _neighbours(rows, axis=1) >= _SMOOTH


def _neighbours(values: np.ndarray, axis: int) -> float:
    """Median correlation of neighbours along an axis."""
    moved = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])[:200].astype(np.float64)
    moved = moved[np.isfinite(moved).all(axis=1)]
    if moved.shape[1] < 4 or not len(moved):
        return 0.0
    centred = moved - moved.mean(axis=1, keepdims=True)
    whole = (centred**2).sum(axis=1)
    beside = (centred[:, 1:] * centred[:, :-1]).sum(axis=1)
    return float(np.median(beside[whole > 0] / whole[whole > 0])) if np.any(whole > 0) else 0.0


def _spreads_differ(rows: np.ndarray) -> bool:
    """Whether rows are on scales that differ twenty-fold, as channels are and series of one channel are not."""
    spread = np.nanmean(np.abs(rows), axis=1)
    spread = spread[spread > 0]
    return len(spread) > 1 and bool(spread.max() > 20 * spread.min())


def axes_of(path: Path) -> tuple[Axis, ...]:
    """The axes of an array, where they are not the usual ones: time runs along the axis whose neighbours are alike."""
    values = series_of(path, ()).values
    usual = _neighbours(values[:50, :5000, :50], 1)
    other = _neighbours(values[:50, :50, :5000], 2)
    turned = values.shape[2] > 1 and values.shape[1] > 1 and other > usual + 0.2 and values.shape[2] > values.shape[1]
    if not turned:
        return ()
    return ("series", "channel", "sample") if series_of(path, ()).many else ("channel", "sample")
