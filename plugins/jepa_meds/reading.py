"""Reading shards, a few whole subjects at a time, and refusing what breaks the standard: file and row, never a value.

A shard is `subject_id` (integer), `time` (timestamp without a zone, null for what has no time), `code` (text), and
optionally `numeric_value` (number), `text_value` and any other column. A subject's rows stand together in one shard, in
the order of their times, those without a time first. Rows are counted from 0, as pandas and polars do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from jepa_core.errors import DataError
from jepa_core.io.columns import microseconds

NO_TIME = np.iinfo(np.int64).min
"""The time of a static row."""
BATCH = 1 << 17
"""Rows read at once; a subject with more is held whole."""

_LARGEST = float(np.finfo(np.float32).max)
_LAST_SUBJECT = np.uint64(np.iinfo(np.int64).max)

_DAMAGED = "copy the file again, or run the ETL again"


@dataclass(frozen=True)
class ShardRows:
    """R rows of whole subjects, in the order of the shard.

    row: index of the first one in the shard. starts: (K,) index of the first row of each of the K subjects. time: (R,)
    int64, microseconds since 1970, NO_TIME for static rows. code: dictionary of codes. value: (R,) float64, NaN for
    none. texts: a column of words each.
    """

    row: int
    starts: np.ndarray
    subject: np.ndarray
    time: np.ndarray
    code: pa.DictionaryArray
    value: np.ndarray
    texts: tuple[pa.Array, ...]

    @property
    def ends(self) -> np.ndarray:
        """(K,) index after the last row of each subject."""
        return np.append(self.starts[1:], len(self.subject))


class Shard:
    """A file of events whose columns are those of the standard.

    Raises DataError naming the file and the column that is missing or has the wrong type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read as parquet; {_DAMAGED}") from error
        self.schema = schema
        self.columns = set(schema.names)
        _check_schema(path, schema)

    def rows(self, text_columns: Sequence[str]) -> Iterator[ShardRows]:
        """All rows, some whole subjects at a time. Raises DataError if one of them breaks the standard."""
        wanted = ["subject_id", "time", "code", "numeric_value", *text_columns]
        held, first = None, 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(BATCH, columns=[column for column in wanted if column in self.columns]):
                    table = pa.Table.from_batches([batch])
                    held = table if held is None else pa.concat_tables([held, table])
                    cut = _start_of_last_subject(held)
                    if cut:
                        yield self._rows(held.slice(0, cut), first, text_columns)
                        held, first = held.slice(cut), first + cut
            if held is not None and held.num_rows:
                yield self._rows(held, first, text_columns)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} cannot be read to its end; {_DAMAGED}") from error

    def _rows(self, table: pa.Table, first: int, text_columns: Sequence[str]) -> ShardRows:
        for column in ("subject_id", "code"):
            if table[column].null_count:
                row = int(np.flatnonzero(table[column].is_null().to_numpy())[0])
                raise self.error(first + row, f"{column} is null, and every row must have one")
        subject = self._subjects(table, first)
        time, beyond = microseconds(table["time"], none=NO_TIME)
        if beyond.any():
            raise self.error(first + int(np.flatnonzero(beyond)[0]), "time is one that no clock counts to")
        starts = np.concatenate([[0], np.flatnonzero(subject[1:] != subject[:-1]) + 1])
        self._check_order(subject, time, first)
        return ShardRows(
            row=first,
            starts=starts,
            subject=subject,
            time=time,
            code=self._words(table, "code").dictionary_encode(),
            value=self._values(table, first),
            texts=tuple(self._words(table, name) for name in text_columns if name in self.columns),
        )

    def _words(self, table: pa.Table, name: str) -> pa.Array:
        """A column of text. Raises DataError if its bytes are none."""
        column = table[name].cast(pa.large_string()).combine_chunks()
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            raise DataError(f"{self.path}: column {name} is no UTF-8 text; {_DAMAGED}") from None
        return column

    def _subjects(self, table: pa.Table, first: int) -> np.ndarray:
        subject, beyond = subjects(table["subject_id"])
        if beyond.any():
            raise self.error(first + int(np.flatnonzero(beyond)[0]), BEYOND)
        return subject

    def _values(self, table: pa.Table, first: int) -> np.ndarray:
        if "numeric_value" not in self.columns:
            return np.full(table.num_rows, np.nan)
        value = table["numeric_value"].cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
        infinite = np.flatnonzero(np.isinf(value))
        if len(infinite):
            raise self.error(first + int(infinite[0]), "numeric_value is infinite; write null where there is no number")
        large = np.flatnonzero(np.abs(value) > _LARGEST)
        if len(large):
            rule = f"numeric_value is beyond {_LARGEST:.2g}, the end of float32, which the standard gives it"
            raise self.error(first + int(large[0]), f"{rule}; write it in another unit, or null")
        return value

    def _check_order(self, subject: np.ndarray, time: np.ndarray, first: int) -> None:
        wrong = np.flatnonzero((subject[1:] == subject[:-1]) & (time[1:] < time[:-1]))
        if len(wrong):
            row = int(wrong[0]) + 1
            rule = "without a time, and such rows come first" if time[row] == NO_TIME else "earlier than the row before"
            raise self.error(first + row, f"the row is {rule}; a subject's rows must be sorted by time")

    def error(self, row: int, rule: str) -> DataError:
        """What is wrong with a row."""
        return DataError(f"{self.path}, row {row} (counted from 0): {rule}")


BEYOND = "subject_id is beyond int64, which the standard gives it"


def subjects(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Subjects of a column of whole numbers without nulls: (R,) int64; and (R,) bool, which of them int64 cannot
    hold."""
    if not types.is_uint64(column.type):
        return column.cast(pa.int64()).to_numpy(), np.zeros(len(column), dtype=bool)
    given = column.to_numpy()
    return given.astype(np.int64), given > _LAST_SUBJECT


def _start_of_last_subject(table: pa.Table) -> int:
    """Where the rows begin that may go on in the next batch."""
    subject = table["subject_id"].combine_chunks()
    changes = pc.indices_nonzero(pc.not_equal(subject.slice(1), subject.slice(0, len(subject) - 1)))
    return int(changes[-1].as_py()) + 1 if len(changes) else 0


def refuse_other_types(path: Path, schema: pa.Schema, types_of: Mapping[str, Wanted], advice: str) -> None:
    """Refuse a file that has a column of another type than it must be, or two of one name.

    Raises DataError naming file, column and both types.
    """
    refuse_repeated(path, schema, types_of, advice)
    for name, (fits, wanted) in types_of.items():
        if name in schema.names and not fits(schema.field(name).type):
            raise DataError(f"{path}: column {name} is {schema.field(name).type} and must be {wanted}; {advice}")


def refuse_repeated(path: Path, schema: pa.Schema, names: Iterable[str], advice: str) -> None:
    """Refuse a file in which one of the names stands for several columns. Raises DataError naming file and column."""
    for name in names:
        if schema.names.count(name) > 1:
            raise DataError(f"{path}: column {name} is there twice, and nothing says which counts; {advice}")


def _check_schema(path: Path, schema: pa.Schema) -> None:
    missing = [name for name in ("subject_id", "time", "code") if name not in schema.names]
    if missing and {"patient_id", "events"} & set(schema.names):
        raise DataError(
            f"{path}: these columns are those of MEDS before 0.3 (patient_id, nested events); this reads 0.4 and 0.5: "
            "write the data set again with a current version of its ETL"
        )
    if missing:
        raise DataError(f"{path}: column {', '.join(missing)} is missing; every shard of a MEDS data set has it")
    refuse_other_types(path, schema, _TYPES, "write the data set as MEDS 0.4 asks")


def is_time(kind: pa.DataType) -> bool:
    """Whether a column can hold times: timestamps without a zone, or nothing at all."""
    return types.is_null(kind) or (types.is_timestamp(kind) and kind.tz is None)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(plain) or types.is_large_string(plain) or types.is_string_view(plain)


def _is_number(kind: pa.DataType) -> bool:
    return types.is_null(kind) or types.is_floating(kind) or types.is_integer(kind)


Wanted: TypeAlias = tuple[Callable[[pa.DataType], bool], str]
"""Whether a type fits, and what it should be in words."""

WHO: Wanted = (types.is_integer, "int64")
WHEN: Wanted = (is_time, "timestamp[us] without a time zone")
WORD: Wanted = (_is_text, "string")
WORDS: Wanted = (lambda kind: types.is_null(kind) or _is_text(kind), "large_string")
"""Text, or nothing in any row."""
WRITTEN: Wanted = (lambda kind: WORDS[0](kind) or _is_number(kind) or types.is_boolean(kind), "text or numbers")
"""What can be written after a number."""

_TYPES: dict[str, Wanted] = {
    "subject_id": WHO, "time": WHEN, "code": WORD, "numeric_value": (_is_number, "float32"), "text_value": WORDS,
}  # fmt: skip
