"""Columns of an Arrow table as NumPy arrays.

pyarrow's own `to_numpy` imports pandas, which takes longer than all the columns of a small data set.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def to_numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The values of a column: numbers in their own type, or in float64 with NaN where one is missing; anything else as
    Python objects, with None where one is missing. Numbers may be read-only."""
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
