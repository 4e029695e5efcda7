"""Compressed CSV in the dialect of the MIMIC-IV files, byte-identical for identical rows."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from .catalogue import COLUMNS
from .physiology import Array

Column: TypeAlias = pa.Array | pa.ChunkedArray | Array | str | int | float | None
_ROWS = pacsv.WriteOptions(include_header=False, quoting_style="needed", batch_size=65_536)


class TableWriter:
    """Appends rows to `<folder>/<table>.csv.gz`. A column that is not given stays empty."""

    def __init__(self, folder: Path, table: str) -> None:
        self._columns = COLUMNS[table].split()
        path = folder / f"{table}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BufferedWriter = path.open("wb")
        # A file name or a time in the gzip header would make equal content differ.
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=self._file, mtime=0)
        self._gzip.write((",".join(self._columns) + "\n").encode())

    def write(self, rows: Mapping[str, Column]) -> None:
        """Writes the rows of a mapping column name -> array; scalars and None are repeated."""
        unknown = set(rows) - set(self._columns)
        if unknown:
            raise KeyError(f"not columns of this table: {sorted(unknown)}")
        count = max(len(value) for value in rows.values() if not isinstance(value, str | int | float | None))
        if count == 0:
            return
        arrays = [_column(rows.get(name), count) for name in self._columns]
        sink = pa.PythonFile(_Unclosable(self._gzip), mode="w")
        pacsv.write_csv(pa.table(arrays, names=self._columns), sink, _ROWS)

    def close(self) -> None:
        self._gzip.close()
        self._file.close()


class _Unclosable:
    """The CSV writer closes what it writes to; the gzip stream has to outlive it."""

    closed = False

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        return self._stream.write(data)

    def flush(self) -> None:
        return None

    def close(self) -> None:
        return None


class TableWriters:
    """All tables of one generation, opened together and closed together."""

    def __init__(self, folder: Path, names: Iterable[str] = tuple(COLUMNS)) -> None:
        self._writers = {name: TableWriter(folder, name) for name in names}

    def __enter__(self) -> TableWriters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, table: str, rows: Mapping[str, Column]) -> None:
        self._writers[table].write(rows)


def _column(value: Column, count: int) -> pa.Array | pa.ChunkedArray:
    if value is None:
        return pa.nulls(count, pa.string())
    if isinstance(value, str | int | float):
        return pa.repeat(value, count)
    return value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value)


def number_text(values: Array, decimals: int) -> pa.Array:
    """Numbers as MIMIC prints them ("98", "7.4"); NaN becomes empty. Shape `(N,)`."""
    scaled = np.where(np.isnan(values), np.iinfo(np.int64).min, np.round(np.nan_to_num(values) * 10.0**decimals))
    unique, inverse = np.unique(scaled.astype(np.int64), return_inverse=True)
    missing = np.iinfo(np.int64).min
    texts = [None if code == missing else _plain(int(code), decimals) for code in unique]
    return pa.array(texts, pa.string()).take(pa.array(inverse.ravel()))


def _plain(code: int, decimals: int) -> str:
    if decimals == 0:
        return str(code)
    return f"{code / 10**decimals:.{decimals}f}".rstrip("0").rstrip(".")


def time_text(seconds: Array, unit: str = "s") -> pa.Array:
    """Seconds since 1970 as `YYYY-MM-DD HH:MM:SS` (or the date, for unit "D"); negative becomes empty."""
    times = pa.array(seconds, pa.timestamp("s"), mask=np.asarray(seconds) < 0)
    return times.cast(pa.date32()).cast(pa.string()) if unit == "D" else times.cast(pa.string())


def pick(values: Iterable[str | None], codes: Array) -> pa.Array:
    """The value of each code, `(N,)`."""
    return pa.array(list(values), pa.string()).take(pa.array(codes))


def joined(parts: Sequence[Mapping[str, Column]]) -> dict[str, pa.Array]:
    """Stacks row blocks of the same columns, repeating each block's scalars."""
    blocks = [
        (part, max(len(v) for v in part.values() if not isinstance(v, str | int | float | None))) for part in parts
    ]
    names = list(parts[0])
    return {name: _stack([_column(part[name], count) for part, count in blocks if count]) for name in names}


def _stack(arrays: list[pa.Array]) -> pa.Array:
    if not arrays:
        return pa.nulls(0, pa.string())
    kind = next((array.type for array in arrays if array.null_count < len(array)), arrays[0].type)
    return pa.concat_arrays([array if array.type == kind else array.cast(kind) for array in arrays])


def grouped_by(owner: Array, rows: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Brings each owner's rows together, leaving them otherwise as they are (so not in order of time)."""
    order = pa.array(np.argsort(owner, kind="stable"))
    return {name: column.take(order) for name, column in rows.items()}
