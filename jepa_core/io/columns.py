"""Columns of Arrow tables as NumPy arrays, where Arrow by itself would say something else than the file does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MICROS = 1_000_000


def microseconds(column: pa.Array | pa.ChunkedArray, none: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970 of a column of dates or timestamps: (R,) int64, `none` where it has no value; and (R,)
    bool, which of them lie beyond what int64 can count, where Arrow would go on from the other end. Fractions of a
    microsecond are cut off towards the past."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s")) if pa.types.is_date32(column.type) else column.cast(pa.timestamp("ms"))
    per_second = _PER_SECOND[column.type.unit]
    known = column.is_valid().to_numpy(zero_copy_only=False)
    counted = column.cast(pa.int64()).fill_null(0).to_numpy()
    if per_second > _MICROS:
        return np.where(known, counted // (per_second // _MICROS), none), np.zeros(len(counted), dtype=bool)
    factor = _MICROS // per_second
    beyond = np.abs(counted.astype(np.float64)) * factor >= 2.0**63
    return np.where(known, np.where(beyond, 0, counted) * factor, none), beyond


def to_numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The values of a column: numbers in their own type, or in float64 with NaN where one is missing; anything else as
    Python objects, with None where one is missing. Numbers may be read-only.

    pyarrow's own `to_numpy` imports pandas, which takes longer than all the columns of a small data set.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return _numbers(array)
    values = np.empty(len(array), dtype=object)
    values[:] = array.to_pylist()
    return values


def _numbers(array: pa.Array) -> np.ndarray:
    part = slice(array.offset, array.offset + len(array))
    validity, content = array.buffers()
    values = np.frombuffer(content or b"", array.type.to_pandas_dtype())[part]
    if not array.null_count:
        return values
    valid = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[part].astype(bool)
    return np.where(valid, values, np.nan)
