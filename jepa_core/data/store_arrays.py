"""Arrays of a store as they are written: some grow, shard by shard, and texts are written at once."""

from __future__ import annotations

import hashlib

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

CHUNK = 65_536
"""Rows of a chunk: what one read decompresses. Training never reads the store itself, so chunks suit reading in
order."""
SHARD = 64 * CHUNK
"""Rows of a shard, which is one file: 200 million events are 48 files an array."""

LABEL_SHARD = 16 * CHUNK
"""Rows of a shard of labels and outcomes. There may be many of them, and a shard is held back until it is full."""


class GrowingArray:
    """One growing array: rows are held back until they fill a shard, so that every shard is written once. It is made
    when its first rows are written: most are shorter than a shard, and never grow."""

    def __init__(self, group: zarr.Group, name: str, dtype: str, dimension: str, shard: int = SHARD) -> None:
        self._group, self._name, self._dimension = group, name, dimension
        self._array: zarr.Array | None = None
        self._dtype, self._shard = np.dtype(dtype), shard
        self._held: list[np.ndarray] = []
        self._rows_held = 0
        self._digest = hashlib.sha256()

    def append(self, values: np.ndarray) -> None:
        """More rows (N,). Raises ValueError if one is a number that the array's type does not hold."""
        kept = _as_type(self._name, np.ascontiguousarray(values), self._dtype)
        self._held.append(kept)
        self._rows_held += len(values)
        if self._rows_held >= self._shard:
            self._write(self._rows_held - self._rows_held % self._shard)

    def close(self) -> bytes:
        """Write what is held back, and give the digest of all rows."""
        self._write(self._rows_held)
        return self._digest.digest()

    def _write(self, rows: int) -> None:
        if rows == 0 and self._array is not None:
            return
        held = np.concatenate([np.empty(0, self._dtype), *self._held])
        array, start = self._grown(rows)
        if rows:
            array[start : start + rows] = held[:rows]
        self._digest.update(held[:rows].tobytes())
        self._held, self._rows_held = [held[rows:]], len(held) - rows

    def _grown(self, rows: int) -> tuple[zarr.Array, int]:
        """The array with room for so many rows more, and where they begin."""
        if self._array is None:
            self._array = self._group.create_array(
                self._name, shape=(rows,), dtype=self._dtype, chunks=(CHUNK,), shards=(self._shard,),
                dimension_names=(self._dimension,), compressors=ZstdCodec(level=3), fill_value=0,
            )  # fmt: skip
            return self._array, 0
        start = self._array.shape[0]
        self._array.resize((start + rows,))
        return self._array, start


def write_strings(group: zarr.Group, name: str, values: list[str], dimension: str) -> None:
    """An array of texts, whole."""
    array = group.create_array(
        name, shape=(len(values),), dtype="string", chunks=(max(1, min(CHUNK, len(values))),),
        dimension_names=(dimension,), compressors=ZstdCodec(level=3),
    )  # fmt: skip
    if values:
        array[:] = np.array(values, dtype=np.dtypes.StringDType())


def _as_type(name: str, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values in the array's type. NumPy cuts a whole number that the type does not hold to its last bits, and makes
    a great one infinite (findings/channels_renamed_by_an_append.sh shows it of another store)."""
    if values.dtype == dtype:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        kept = values.astype(dtype)
    same = np.array_equal(kept, values) if dtype.kind == "i" else np.array_equal(np.isinf(kept), np.isinf(values))
    if not same:
        raise ValueError(f"{name} holds a number that {dtype}, its type in the store, does not")
    return kept
