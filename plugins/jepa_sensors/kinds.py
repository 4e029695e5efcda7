"""What the types of columns mean: numbers, words, times, or nothing that a table of readings can hold."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

Kind = Literal["number", "text", "time", "none"]

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def kind_of(kind: pa.DataType) -> Kind:
    """What a column of a type holds. Durations and times of day are numbers of seconds; a column of nothing but nulls
    holds numbers that are not there."""
    if is_text(kind):
        return "text"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    return "number" if plain or _is_span(kind) or types.is_null(kind) else "none"


def is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_span(kind: pa.DataType) -> bool:
    return types.is_duration(kind) or types.is_time(kind)


def as_numbers(column: pa.Array, decimal: str = ".") -> pa.Array:
    """float64 of a column of numbers or text, null where it has no value. decimal: the sign before decimals in text.

    Raises pyarrow.ArrowException if a text is no number.
    """
    kind = column.type
    if _is_span(kind):
        whole = column.cast(pa.int32()).cast(pa.int64()) if types.is_time32(kind) else column.cast(pa.int64())
        return pc.divide(whole.cast(pa.float64(), safe=False), float(_PER_SECOND[kind.unit]))
    if is_text(kind) and decimal != ".":
        column = pc.replace_substring(pc.replace_substring(column, ".", "?"), decimal, ".")
    return column.cast(pa.float64(), safe=types.is_null(kind) or is_text(kind))


def as_words(column: pa.Array) -> pa.Array | None:
    """Text of a column, null where it has no value; None if its type makes no word. A whole number has no point."""
    kind = column.type
    if is_text(kind):
        return column
    if types.is_floating(kind):
        encoded = column.dictionary_encode()
        told = pa.array([_word(value) for value in encoded.dictionary.to_pylist()], pa.string())
        return told.take(encoded.indices)
    if types.is_decimal(kind):
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0*$", "")
    if kind_of(kind) == "none" or _is_span(kind):
        return None
    return column.cast(pa.string())


def _word(value: float | None) -> str | None:
    if value is None or not math.isfinite(value):
        return None
    return str(int(value)) if value == int(value) else repr(value)


def most_exact(kind: pa.DataType) -> float:
    """The number from which on whole numbers of a type are not told from their neighbours."""
    if not types.is_floating(kind):
        return math.inf
    return float(2 ** (np.finfo(kind.to_pandas_dtype()).nmant + 1))
