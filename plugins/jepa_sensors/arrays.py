"""Arrays as numpy saves them (`.npy`), as series of samples of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jepa_core.errors import DataError
from jepa_sensors.series_files import SAMPLE, SERIES, Axis

USUAL: dict[int, tuple[Axis, ...]] = {
    1: ("sample",), 2: ("sample", "channel"), 3: ("series", "sample", "channel")
}  # fmt: skip
"""Axes of an array of one, two and three dimensions, unless a recipe says other."""


@dataclass(frozen=True)
class ArraySeries:
    """values: (series, samples, channels), mapped into memory. many: whether series are an axis of the array."""

    values: np.ndarray
    many: bool


def series_of(path: Path, axes: Sequence[Axis]) -> ArraySeries:
    """The array in a file. axes: its own, in order; the usual ones if there are none.

    Raises DataError if it cannot be read, holds no numbers, or has other axes.
    """
    array = _mapped(path)
    given = tuple(axes) or USUAL.get(array.ndim)
    if given is None or len(given) != array.ndim:
        raise DataError(f"{path} has {array.ndim} axes; set source.axes to what they are, of series, sample, channel")
    if 0 in array.shape:
        raise DataError(f"{path} is empty: the shape of its array is {array.shape}")
    order: tuple[Axis, ...] = ("series", "sample", "channel")
    ordered = array.transpose([given.index(axis) for axis in order if axis in given])
    shape = [array.shape[given.index(axis)] if axis in given else 1 for axis in order]
    return ArraySeries(ordered.reshape(shape) if array.ndim < 3 else ordered, "series" in given)


def array_columns(path: Path, axes: Sequence[Axis]) -> list[str]:
    """Names of the columns that an array makes."""
    series = series_of(path, axes)
    keys = [SERIES, SAMPLE] if series.many else [SAMPLE]
    return [*keys, *(f"channel_{number}" for number in range(series.values.shape[2]))]


def _mapped(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        rule = (
            "holds Python objects, which are not loaded" if "Python objects" in str(error) else "cannot be read as .npy"
        )
        raise DataError(f"{path} {rule}; save an array of numbers by numpy.save") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = getattr(array, "dtype", "an archive of arrays")
        raise DataError(f"{path} holds {kind}, which is no array of numbers; save one by numpy.save")
    return array
