"""From cells to numbers, categories, times and names; a cell that is none of it is told by file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from jepa_core.errors import DataError, some_of
from jepa_core.io.columns import microseconds
from jepa_sensors.config import FILE, SECONDS, TableConfig
from jepa_sensors.config_parts import ROW, SeenColumn
from jepa_sensors.kinds import as_numbers, as_words, is_text, kind_of, most_exact
from jepa_sensors.reading import Block
from jepa_sensors.stamps import WRONG, Stamps, read_stamps
from jepa_sensors.time_formats import ISO, pattern_of

Clock = Literal["number", "local", "zoned"]
"""What a column of times holds: numbers, timestamps without a zone, timestamps with one."""

ZONE = r"[Tt ]\s*\d{1,2}(:\d\d.*)?(Z|z|UTC|[+-]\d\d(:?\d\d)?( UTC)?)$"
_CLOCKS = {"number": "a number", "local": "a timestamp without a time zone", "zoned": "a timestamp with a time zone"}
_ISO_SPELLING = "YYYY-MM-DD, or YYYY-MM-DD hh:mm:ss with a fraction and a zone if need be"


def numbers(block: Block, name: str) -> np.ndarray:
    """(R,) float64, NaN where there is no value. Raises DataError at the first cell that is no finite number."""
    column = block.plain(name)
    try:
        values = as_numbers(column, block.file.decimal).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        rule = f"column {name} holds no number there; correct it, or add it to source.empty_values if it means none"
        wrong = _first_failing(column, lambda part: as_numbers(part, block.file.decimal))
        raise block.error(wrong, rule) from None
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise block.error(int(infinite[0]), f"column {name} is infinite there; leave the cell empty if it means none")
    large = np.flatnonzero(np.abs(values) > _LARGEST)
    if len(large):
        rule = f"column {name} is larger there than {_LARGEST:.2g}, the end of single precision; give it another unit"
        raise block.error(int(large[0]), rule)
    return values


_LARGEST = float(np.finfo(np.float32).max)


def categories(block: Block, name: str, column: SeenColumn) -> np.ndarray:
    """(R,) float64, number of the category, NaN where there is no value. name: of the column of the file that holds
    the words of `column`. Raises DataError at the first other value."""
    words = texts(block, name)
    code = pc.index_in(pc.utf8_lower(words) if column.lower else words, pa.array(column.categories, pa.string()))
    strange = np.flatnonzero(pc.and_(code.is_null(), words.is_valid()).to_numpy(zero_copy_only=False))
    if len(strange):
        known = some_of(column.categories)
        rule = f"column {name} holds none of source.categories.{column.name}, which are {known}"
        raise block.error(int(strange[0]), rule)
    return code.cast(pa.float64()).to_numpy(zero_copy_only=False)


def texts(block: Block, name: str) -> pa.Array:
    """(R,) text. Whole numbers are written without a point, so that 1 and 1.0 are one word.

    Raises DataError if the column holds neither text nor numbers.
    """
    column = block.column(name)
    written = as_words(column)
    if written is None:
        raise DataError(f"{block.file.path}: column {name} is {column.type}, which makes no word; leave it out")
    return written


# --- times ------------------------------------------------------------------------------------------------------------


def times(block: Block, config: TableConfig, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    """(R,) int64 microseconds since 1970 (UTC where they have a zone), or float64 numbers; and which of them.

    clock: what the rows before held. Raises DataError at the first cell that is no time, or of another kind.
    """
    name, column = config.time_column, block.column(config.time_column)
    if column.null_count:
        raise block.error(_first(column.is_null()), f"column {name} is empty; every row must have a time")
    if types.is_timestamp(column.type) or types.is_date(column.type):
        named_clock: Clock = "zoned" if types.is_timestamp(column.type) and column.type.tz else "local"
        micros, beyond = microseconds(column)
        if beyond.any():
            raise block.error(int(np.flatnonzero(beyond)[0]), f"column {name} is a time that no clock counts to")
        return _same(block, name, pa.array(micros), named_clock, clock)
    if config.time_format:
        return _formed(block, config, clock)
    if types.is_time(column.type) or kind_of(column.type) not in ("number", "text"):
        rule = "a time of day without a day" if types.is_time(column.type) else f"{column.type}, which is no time"
        raise DataError(f"{block.file.path}: column {name} is {rule}; give numbers or timestamps")
    try:
        return _same(block, name, _counted(block, config, column), "number", clock)
    except pa.ArrowException:
        if is_text(column.type):
            return _stamps(block, name, column, clock)
        failing = _first_failing(column, lambda part: part.cast(pa.int64()))
        rule = (
            f"column {name} is no whole number of nanoseconds there that 64 bits hold; set source.time_unit to its own"
        )
        raise block.error(failing, rule) from None


def _counted(block: Block, config: TableConfig, column: pa.Array) -> pa.Array:
    """A column of numbers as counts of `time_unit`: float64, but int64 for nanoseconds, which have more digits.

    Raises pyarrow.ArrowException if a text is no number.
    """
    whole = config.time_unit == "ns"
    if whole and not types.is_floating(column.type) and not types.is_duration(column.type):
        return column.cast(pa.int64())
    values = as_numbers(column, block.file.decimal).to_numpy(zero_copy_only=False)
    if types.is_duration(column.type):
        values = values / SECONDS[config.time_unit]
    strange = np.flatnonzero(~np.isfinite(values))
    if len(strange):
        rule = f"column {config.time_column} is not a finite number; every row must have a time"
        raise block.error(int(strange[0]), rule)
    return pa.array(np.rint(values).astype(np.int64) if whole else values)


def _stamps(block: Block, name: str, column: pa.Array, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    """Timestamps written in ISO 8601."""
    zoned = pc.match_substring_regex(column, ZONE)
    first: Clock = clock or ("zoned" if zoned[0].as_py() else "local")
    other = pc.invert(zoned) if first == "zoned" else zoned
    if first != "number" and pc.any(other).as_py():
        clock_seen: Clock = "zoned" if first == "local" else "local"
        raise block.error(_first(other), _mixed(name, clock_seen, first))
    if first == "number":
        wrong = _first_failing(column, lambda part: as_numbers(part, block.file.decimal))
        raise block.error(wrong, f"column {name} is not {_CLOCKS[first]} there, as in the rows before")
    try:
        return column.cast(_type(first)).cast(pa.int64()).to_numpy(), first
    except pa.ArrowException:
        stamps = read_stamps(column, ISO)
        hint = f"{_CLOCKS[first]} there; write it as {_ISO_SPELLING}, or set source.time_format"
        micros = _instants(block, name, stamps, f"is not {hint}")
    other = np.flatnonzero(stamps.zoned != (first == "zoned"))
    if len(other):
        raise block.error(int(other[0]), f"column {name} is not {_CLOCKS[first]} there; write all in one way")
    return micros, first


def _formed(block: Block, config: TableConfig, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    """Times in the spelling of `time_format`, whatever the type of the column."""
    column = as_words(block.column(config.time_column))
    if column is None:
        kind = block.column(config.time_column).type
        raise DataError(
            f"{block.file.path}: column {config.time_column} is {kind}, which source.time_format does not read"
        )
    stamps = read_stamps(column, pattern_of(config.time_format))
    hint = f"is not of the spelling {config.time_format} there, as source.time_format has it"
    micros = _instants(block, config.time_column, stamps, hint)
    told_clock: Clock = "zoned" if bool(stamps.zoned[:1].any()) else "local"
    return _same(block, config.time_column, pa.array(micros), told_clock, clock)


def _instants(block: Block, name: str, stamps: Stamps, hint: str) -> np.ndarray:
    wrong = np.flatnonzero(stamps.wrong)
    if len(wrong):
        rule = hint if stamps.wrong[wrong[0]] == 1 else WRONG[stamps.wrong[wrong[0]]]
        raise block.error(int(wrong[0]), f"column {name} {rule}")
    return stamps.micros


def _same(block: Block, name: str, column: pa.Array, own: Clock, clock: Clock | None) -> tuple[np.ndarray, Clock]:
    if clock not in (None, own):
        raise block.error(0, _mixed(name, own, clock))
    return column.to_numpy() if own == "number" else column.cast(pa.int64()).to_numpy(), own


def _mixed(name: str, own: Clock, clock: Clock) -> str:
    return f"column {name} is {_CLOCKS[own]} there and {_CLOCKS[clock]} in the rows before; write all in one way"


def _type(clock: Clock) -> pa.DataType:
    return pa.timestamp("us", "UTC" if clock == "zoned" else None)


# --- names ------------------------------------------------------------------------------------------------------------

SEPARATOR = "\x1f"
"""Between the parts of a name."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def names(block: Block, columns: tuple[str, ...], number: int) -> pa.DictionaryArray:
    """The names that some columns make together, a whole number without a point. number: of the file.

    Raises DataError where one is empty, holds the separator, or is a number whose neighbours would have the same name.
    """
    parts = []
    for name in columns:
        if name == FILE:
            parts.append(pa.array([f"{number:06d}"] * len(block.rows), pa.string()))
            continue
        if name == ROW:
            parts.append(pa.array([f"{number:06d}-{row:012d}" for row in block.rows.tolist()], pa.string()))
            continue
        column = required_texts(block, name)
        _refuse_vague(block, name)
        apart = pc.match_substring(column, SEPARATOR)
        if pc.any(apart).as_py():
            raise block.error(_first(apart), f"column {name} holds the control character 1F; an id is plain text")
        if is_text(block.column(name).type):
            point = re.escape(block.file.decimal)
            column = pc.replace_substring_regex(column, rf"^([+-]?\d+){point}0*$", r"\1")
        parts.append(column)
    return pc.binary_join_element_wise(*parts, SEPARATOR).dictionary_encode()


def required_texts(block: Block, name: str) -> pa.Array:
    """(R,) text of a column that must say in every row whose or what it is. Raises DataError where it does not."""
    column = texts(block, name)
    if column.null_count:
        raise block.error(_first(column.is_null()), f"column {name} is empty; every row must say whose it is")
    return column


def _refuse_vague(block: Block, name: str) -> None:
    column = block.column(name)
    limit = most_exact(column.type)
    if math.isfinite(limit):
        vague = np.flatnonzero(np.abs(column.to_numpy(zero_copy_only=False)) >= limit)
        if len(vague):
            rule = f"column {name} is {column.type}, which does not tell so large a number from the next"
            raise block.error(int(vague[0]), f"{rule}; write the ids as whole numbers or as text")


def respelled(found: Iterable[str]) -> dict[str, str]:
    """Names that are the same numbers as names before them, in another spelling, as 01 and 1e0 are 1; and these."""
    before: dict[tuple[str, ...], str] = {}
    again = {}
    for name in found:
        first = before.setdefault(tuple(map(_as_number, name.split(SEPARATOR))), name)
        if first != name:
            again[name] = first
    return again


def _as_number(part: str) -> str:
    return str(Decimal(part).normalize() + 0) if _NUMBER.fullmatch(part) else part


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


def _first_failing(column: pa.Array, read: Callable[[pa.Array], object]) -> int:
    """Index of the first cell that cannot be read, found by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            read(column.slice(low, middle - low))
            low = middle
        except pa.ArrowException:
            high = middle
    return low
