"""From cells to numbers, categories, times and names; a cell that is none of it is told by file and line."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_core.errors import DataError
from jepa_sensors.config import FILE
from jepa_sensors.reading import Block, is_text

Clock = Literal["number", "local", "zoned"]
"""What a column of times holds: numbers, timestamps without a zone, timestamps with one."""

ZONE = r"\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
_CLOCKS = {"number": "a number", "local": "a timestamp without a time zone", "zoned": "a timestamp with a time zone"}


def numbers(block: Block, name: str) -> np.ndarray:
    """(R,) float32, NaN where there is no value. Raises DataError at the first cell that is no finite number."""
    column = block.column(name)
    try:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        if not is_text(column.type):
            raise DataError(
                f"{block.file.path}: column {name} is {column.type}, which is no number; leave it out"
            ) from None
        rule = f"column {name} holds no number there; correct it, or add it to source.empty_values if it means none"
        raise block.error(_first_failing(column, pa.float64()), rule) from None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    infinite = np.flatnonzero(np.isinf(single))
    if len(infinite):
        raise block.error(int(infinite[0]), f"column {name} is infinite there; leave the cell empty if it means none")
    return single


def categories(block: Block, name: str, known: tuple[str, ...]) -> np.ndarray:
    """(R,) float32, number of the category, NaN where there is no value. Raises DataError at the first other value."""
    column = block.column(name).cast(pa.string())
    code = pc.index_in(column, pa.array(known, pa.string()))
    strange = np.flatnonzero(pc.and_(code.is_null(), column.is_valid()).to_numpy(zero_copy_only=False))
    if len(strange):
        rule = f"column {name} holds none of source.categories.{name}, which are {', '.join(known)}"
        raise block.error(int(strange[0]), rule)
    return code.cast(pa.float32()).to_numpy(zero_copy_only=False)


def times(block: Block, name: str, form: str, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    """(R,) int64 microseconds since 1970 (UTC where they have a zone), or float64 numbers; and which of them.

    clock: what the rows before held. Raises DataError at the first cell that is no time, or of another kind.
    """
    column = block.column(name)
    if column.null_count:
        raise block.error(_first(column.is_null()), f"column {name} is empty; every row must have a time")
    kind = pa.types
    if is_text(column.type) and form:
        return _formed(block, name, column, form), "local"
    if kind.is_timestamp(column.type) or kind.is_date(column.type):
        found: Clock = "zoned" if kind.is_timestamp(column.type) and column.type.tz else "local"
        return _same(block, name, column.cast(_type(found), safe=False), found, clock)
    try:
        return _same(block, name, column.cast(pa.float64()), "number", clock)
    except pa.ArrowException:
        return _stamps(block, name, column, clock)


def _stamps(block: Block, name: str, column: pa.Array, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    """Timestamps written in ISO 8601."""
    zoned = pc.match_substring_regex(column, ZONE)
    first: Clock = clock or ("zoned" if zoned[0].as_py() else "local")
    other = pc.invert(zoned) if first == "zoned" else zoned
    if first != "number" and pc.any(other).as_py():
        found: Clock = "zoned" if first == "local" else "local"
        raise block.error(_first(other), _mixed(name, found, first))
    wanted = pa.float64() if first == "number" else _type(first)
    try:
        return _same(block, name, column.cast(wanted), first, clock)
    except pa.ArrowException:
        raise block.error(
            _first_failing(column, wanted),
            f"column {name} is not {_CLOCKS[first]} there; write ISO 8601, or set source.time_format",
        ) from None


def _formed(block: Block, name: str, column: pa.Array, form: str) -> np.ndarray:
    stamps = pc.strptime(column, format=form, unit="us", error_is_null=True)
    if stamps.null_count:
        raise block.error(_first(stamps.is_null()), f"column {name} does not fit source.time_format there")
    return stamps.cast(pa.int64()).to_numpy()


def _same(block: Block, name: str, column: pa.Array, found: Clock, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    if clock not in (None, found):
        raise block.error(0, _mixed(name, found, clock))
    values = column.to_numpy() if found == "number" else column.cast(pa.int64()).to_numpy()
    strange = np.flatnonzero(~np.isfinite(values))
    if len(strange):
        raise block.error(int(strange[0]), f"column {name} is not a finite number; every row must have a time")
    return values, found


def _mixed(name: str, found: Clock, clock: Clock) -> str:
    return f"column {name} is {_CLOCKS[found]} there and {_CLOCKS[clock]} in the rows before; write all in one way"


def _type(clock: Clock) -> pa.DataType:
    return pa.timestamp("us", "UTC" if clock == "zoned" else None)


def names(block: Block, columns: tuple[str, ...], number: int) -> pa.DictionaryArray:
    """The names that some columns make together. number: of the file. Raises DataError where one is empty."""
    parts = []
    for name in columns:
        if name == FILE:
            parts.append(pa.array([f"{number:06d}"] * len(block.rows), pa.string()))
            continue
        column = block.column(name).cast(pa.string())
        if column.null_count:
            raise block.error(_first(column.is_null()), f"column {name} is empty; every row must say whose it is")
        parts.append(column)
    return pc.binary_join_element_wise(*parts, SEPARATOR).dictionary_encode()


SEPARATOR = "\x1f"


def in_order(found: list[str]) -> list[str]:
    """Names in the order of the numbers that they are, or of the letters; column by column."""
    split = [name.split(SEPARATOR) for name in found]
    keys = [_ordered(list(column)) for column in zip(*split, strict=True)]
    return [name for _, name in sorted(zip(zip(*keys, strict=True), found, strict=True))]


def _ordered(column: list[str]) -> list[float] | list[str]:
    try:
        return [float(name) for name in column]
    except ValueError:
        return column


def _first(mask: pa.BooleanArray) -> int:
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])


def _first_failing(column: pa.Array, kind: pa.DataType) -> int:
    """Index of the first cell that cannot be cast, found by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            column.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowException:
            high = middle
    return low
