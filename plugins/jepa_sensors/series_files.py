"""The `.ts` format of the time series classification archive (timeseriesclassification.com), as the archive, sktime and
aeon write it: tags, and after @data a series a line, its dimensions between colons, its class or target last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Axis = Literal["series", "sample", "channel"]
"""What an axis of an array counts."""
SERIES, SAMPLE = "series", "sample"
"""The columns that tell where a row stands in files of series and in arrays, both counted from 0."""

_COUNTS = ("@dimensions", "@dimension")
"""What the archive and aeon call the number of dimensions."""


@dataclass(frozen=True)
class SeriesLine:
    """A line after @data. line: counted from 1. dimensions: cells of each. target: what is said of the series, None
    where the file says nothing of any."""

    line: int
    dimensions: list[list[str]]
    target: str | None

    @property
    def longest(self) -> int:
        """Samples of its longest dimension."""
        return max(map(len, self.dimensions), default=0)


def ts_columns(lines: Iterable[str]) -> list[str]:
    """Names of the columns that the series of a file make: `class` is a word, `target` a number."""
    tags, series = _parts(lines)
    first = next(series, None)
    counted = next((int(tags[key][0]) for key in _COUNTS if tags.get(key, [""])[0].isdigit()), 1)
    dimensions = len(first.dimensions) if first else counted
    target = _target(tags)
    return [SERIES, SAMPLE, *(f"dim_{number}" for number in range(dimensions)), *([target] if target else [])]


def ts_series(lines: Iterable[str]) -> Iterator[SeriesLine]:
    """The series of a file."""
    return _parts(lines)[1]


def _parts(lines: Iterable[str]) -> tuple[dict[str, list[str]], Iterator[SeriesLine]]:
    """The words of each tag before @data, and the series after it."""
    numbered = enumerate(lines, start=1)
    tags: dict[str, list[str]] = {}
    for _, line in numbered:
        tag, *words = line.split() or [""]
        if tag.lower() == "@data":
            break
        tags[tag.lower()] = words or [""]
    return tags, _series(numbered, _target(tags) is not None)


def _series(numbered: Iterable[tuple[int, str]], has_target: bool) -> Iterator[SeriesLine]:
    for number, line in numbered:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        dimensions = text.split(":")
        target = dimensions.pop().strip() if has_target or not dimensions[-1] else None
        yield SeriesLine(number, [dimension.split(",") for dimension in dimensions], target if has_target else None)


def _target(tags: dict[str, list[str]]) -> str | None:
    """Name of the column of what is said of a series; the class where no tag tells, as the archive has it."""
    classes, targets = (tags.get(tag, [""])[0].lower() for tag in ("@classlabel", "@targetlabel"))
    if targets == "true":
        return "target"
    return "class" if classes == "true" or not classes + targets else None
