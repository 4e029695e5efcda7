"""The first pass: every file checked and typed, and its rows brought into the order of trajectory and time.

Rows go to a parquet file in the scratch folder as they are read. Those that do not stand in order are sorted, and those
of a long table gathered, by DuckDB, which spills there too, so memory does not grow with their number.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jepa_core.errors import DataError, RunError, some_of
from jepa_core.io.ticker import Ticker
from jepa_sensors import cells
from jepa_sensors.across import long_blocks
from jepa_sensors.cells import Clock
from jepa_sensors.config import TableConfig, refuse_unknown
from jepa_sensors.config_parts import Group, SeenColumn
from jepa_sensors.reading import Block, Files, TableFile

MEMORY = "2GB"
GROUPS: tuple[Group, ...] = get_args(Group)

log = logging.getLogger("jepa")


class RepeatedReading(DataError):
    """A channel has several values at one id and time."""


class Database:
    """DuckDB in a scratch folder, where it spills. Use as a context manager."""

    def __init__(self, scratch: Path) -> None:
        self._connection = duckdb.connect()
        self._connection.execute(f"SET memory_limit = '{MEMORY}'")
        self._connection.execute(f"SET temp_directory = {quoted(scratch / 'spill')}")

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement; rows of its result. Raises RunError if memory or disk do not suffice."""
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise RunError(
                f"sorting the readings failed ({type(error).__name__}): memory or disk do not suffice"
            ) from None

    def one(self, sql: str) -> Any:
        """The first value of the first row of a result; None if there is none."""
        rows = self.rows(sql)
        return rows[0][0] if rows else None

    def give(self, name: str, table: pa.Table) -> None:
        """Make a table known under a name."""
        self._connection.register(name, table)


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


@dataclass(frozen=True)
class StagedRows:
    """Rows in the order of their key and time.

    path: parquet with the columns key (number of the trajectory), time, row and v0, v1, ..., null where there is no
    value. columns: what these are. clock: what `time` is; None where rows stand in order. group: (N,) index into GROUPS
    of each key. subject: (N,) int64. names: what the keys' ids are. files: where a row stands. skipped: channels of a
    long table that the recipe does not name.
    """

    path: Path
    columns: tuple[SeenColumn, ...]
    clock: Clock | None
    group: np.ndarray
    subject: np.ndarray
    names: list[str]
    files: Files
    skipped: list[str]

    def number(self, name: str) -> int:
        """Number of a column."""
        return next(number for number, column in enumerate(self.columns) if column.name == name)


class Staging:
    """Reads the files of a recipe's source once."""

    def __init__(self, config: TableConfig, scratch: Path) -> None:
        self._config = config
        self._scratch = scratch
        calendar = config.calendar_columns()
        seen = [column for column in config.seen_columns() if column.name not in calendar]
        names = {column.name for column in seen}
        extra = [name for name in config.target_columns() if name not in names]
        self.columns = (
            *seen,
            *(SeenColumn(name, "state", "", config.words(name), name in config.lower) for name in extra),
        )
        self.files = Files()
        self._clock: Clock | None = None
        self._keys: dict[str, int] = {}
        self._group: list[int] = []
        self._subject: list[str] = []
        self._last: tuple[int, float] = (-1, 0)
        self._ordered = True
        self._skipped: set[str] = set()
        self._outside: Counter[str] = Counter()

    def run(self, database: Database) -> StagedRows:
        """Stage every row. Raises DataError naming file and line of the first that cannot be, RecipeError for the range
        of a column that is not read."""
        limited = {**self._config.ranges, **self._config.offsets}
        refuse_unknown(limited, [column.name for column in self.columns], self._config.table_files()[0][1])
        raw = self._scratch / "rows.parquet"
        count = self._write(raw)
        if count == 0:
            raise DataError(f"{some_of(self._config.files)}: there is a header and no row")
        for name, left_out in sorted(self._outside.items()):
            log.info("%s: %s values outside of its range count as not recorded", name, f"{left_out:,}")
        self._refuse_respelled(database, raw)
        rank, names = self._ranks()
        self._refuse_changing_statics(database, raw)
        if self._config.is_long or not self._ordered or names != list(self._keys):
            if not self._ordered:
                log.info("the rows do not stand in the order of id and time; they were sorted")
            raw = self._arranged(database, raw, rank)
        back = np.argsort(rank)
        group = np.array(self._group, dtype=np.int64)[back]
        subject = self._subjects(group, [self._subject[old] for old in back.tolist()])
        return StagedRows(raw, self.columns, self._clock, group, subject, names, self.files, sorted(self._skipped))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _write(self, path: Path) -> int:
        """Write the typed rows of all files; their number."""
        writer: pq.ParquetWriter | None = None
        first, number = 0, 0
        ticker = Ticker("reading the table")
        try:
            for group, file_of_group in self._config.table_files():
                file = TableFile(file_of_group, self._config)
                self.files.add(file, first)
                end = first
                for block in self._blocks(file):
                    table = self._typed(block, first, GROUPS.index(group), number)
                    writer = writer or pq.ParquetWriter(path, table.schema, compression="lz4")
                    writer.write_table(table)
                    end = first + int(block.rows[-1]) + 1 if len(block.rows) else end
                    ticker.add(rows=len(block.rows))
                first, number = end, number + 1
        finally:
            if writer:
                writer.close()
        return first

    def _blocks(self, file: TableFile) -> Iterator[Block]:
        if self._config.layout == "across":
            return long_blocks(file, self._config, [column.name for column in self.columns])
        return file.blocks(self._wanted())

    def _wanted(self) -> list[str]:
        config = self._config
        values = [config.channel, config.value] if config.is_long else [column.name for column in self.columns]
        return [name for name in (*config.id, config.subject, config.time, *values) if name]

    def _typed(self, block: Block, first: int, group: int, file: int) -> pa.Table:
        config = self._config
        key = self._key(block, group, file)
        row = block.rows + first
        time = row
        if config.time_column:
            time, self._clock = cells.times(block, config, self._clock)
        self._watch_order(key, time)
        table = {"key": pa.array(key), "time": pa.array(time), "row": pa.array(row)}
        if config.is_long:
            channel, value = self._readings(block)
            table |= {"channel": pa.array(channel), "value": _nullable(value)}
            return pa.table(table).filter(pa.array(channel >= 0))
        return pa.table(table | {f"v{number}": _nullable(values) for number, values in enumerate(self._values(block))})

    def _values(self, block: Block) -> Iterator[np.ndarray]:
        for column in self.columns:
            if column.categories:
                yield cells.categories(block, column.name, column)
            else:
                yield self._read(column.name, cells.numbers(block, column.name))

    def _read(self, name: str, values: np.ndarray) -> np.ndarray:
        """The values less the column's offset, NaN in place of those outside of its range. A border is inside also as a
        column of single precision has it, which may lie on either side of the border as it is written."""
        low, high = self._config.ranges.get(name, (None, None))
        outside = np.zeros(len(values), dtype=bool)
        if low is not None:
            outside |= (values < low) & (values != _in_single(low))
        if high is not None:
            outside |= (values > high) & (values != _in_single(high))
        if outside.any():
            self._outside[name] += int(outside.sum())
        return np.where(outside, np.nan, values - self._config.offsets.get(name, 0.0))

    def _readings(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Number of the channel (-1 for one that the recipe does not name) and value of every row of a long table."""
        config = self._config
        named = cells.required_texts(block, config.channel_column).dictionary_encode()
        dictionary = named.dictionary.to_pylist()
        known = {column.name: number for number, column in enumerate(self.columns)}
        self._skipped |= set(dictionary) - known.keys()
        channel = np.array([known.get(name, -1) for name in dictionary], dtype=np.int32)[named.indices.to_numpy()]
        value = np.full(len(channel), np.nan)
        words = np.array([bool(column.categories) for column in self.columns] + [False])
        parts = {number: (channel == number) for number in np.flatnonzero(words[:-1]).tolist()}
        parts[-1] = (channel >= 0) & ~words[channel]
        for number, mask in parts.items():
            own = Block(block.file, block.rows[mask], block.table.filter(pa.array(mask)))
            if number < 0:
                value[mask] = cells.numbers(own, config.value_column)
            else:
                value[mask] = cells.categories(own, config.value_column, self.columns[number])
        for name in {**config.ranges, **config.offsets}:
            mask = channel == known[name]
            value[mask] = self._read(name, value[mask])
        return channel, value

    def _key(self, block: Block, group: int, file: int) -> np.ndarray:
        """Number of the trajectory of every row, in the order in which they turn up."""
        config = self._config
        if not config.id:
            return np.full(len(block.rows), self._take("", group, ""), dtype=np.int32)
        named = cells.names(block, (*config.id, *([config.subject] if config.subject else [])), file)
        numbers = np.empty(len(named.dictionary), dtype=np.int32)
        for at, name in enumerate(named.dictionary.to_pylist()):
            own, _, subject = name.rpartition(cells.SEPARATOR) if config.subject else (name, "", "")
            numbers[at] = self._take(f"{group}{cells.SEPARATOR}{own}", group, subject)
            if self._subject[numbers[at]] != subject:
                index = int(np.flatnonzero(named.indices.to_numpy() == at)[0])
                raise block.error(index, f"column {config.subject} is not the one that this id had before")
        return numbers[named.indices.to_numpy()]

    def _take(self, name: str, group: int, subject: str) -> int:
        number = self._keys.setdefault(name, len(self._keys))
        if number == len(self._group):
            self._group.append(group)
            self._subject.append(subject)
        return number

    def _watch_order(self, key: np.ndarray, time: np.ndarray) -> None:
        """Note rows that do not stand in the order of the first appearance of their trajectory, and of time in it."""
        if len(key) == 0 or self._config.layout == "across":
            return
        keys, times = np.append(self._last[0], key), np.append(self._last[1], time)
        same = keys[1:] == keys[:-1]
        if np.any(keys[1:] < keys[:-1]) or np.any(same & (times[1:] < times[:-1])):
            self._ordered = False
        self._last = (int(key[-1]), time[-1])

    # --- arranging ----------------------------------------------------------------------------------------------------

    def _ranks(self) -> tuple[np.ndarray, list[str]]:
        """(N,) place of each key among all in order; and the names in that order."""
        names = cells.in_order(list(self._keys))
        rank = np.empty(len(names), dtype=np.int32)
        rank[[self._keys[name] for name in names]] = np.arange(len(names))
        return rank, names

    def _subjects(self, group: np.ndarray, given: list[str]) -> np.ndarray:
        """(N,) number of the subject of each key in order. Raises DataError if one has files of two splits."""
        if not self._config.subject:
            return np.arange(len(given), dtype=np.int64)
        number = {name: index for index, name in enumerate(cells.in_order(sorted(set(given))))}
        subject = np.array([number[name] for name in given], dtype=np.int64)
        pairs = np.unique(np.stack([subject, group], axis=1), axis=0)
        torn = len(pairs) - len(number)
        if torn:
            raise DataError(
                f"{torn} values of the column {self._config.subject} stand in files of two splits; a subject belongs "
                "to one"
            )
        return subject

    def _refuse_respelled(self, database: Database, raw: Path) -> None:
        """Refuse an id, or a subject, that is the same number as another in another spelling: it may be the same one,
        and then it would stand in two splits."""
        config = self._config
        for columns, name_of in ((config.id, list(self._keys)), ((config.subject,), self._subject)):
            again = cells.respelled(dict.fromkeys(name_of))
            if again:
                keys = [str(key) for key, name in enumerate(name_of) if name == next(iter(again))]
                row = database.one(f"SELECT min(row) FROM read_parquet({quoted(raw)}) WHERE key IN ({', '.join(keys)})")
                raise DataError(
                    f"{self.files.place(row)}: {some_of(columns)} is the same number as another one in another "
                    f"spelling, as {len(again)} are; write each in one way, for nothing tells whether they are the same"
                )

    def _refuse_changing_statics(self, database: Database, raw: Path) -> None:
        for number, column in enumerate(self.columns):
            if column.role != "static":
                continue
            value, only = (f"v{number}", "") if self._config.layout == "wide" else ("value", f"AND channel = {number}")
            row = database.one(f"""
                WITH own AS (SELECT key, row, {value} AS v FROM read_parquet({quoted(raw)})
                             WHERE {value} IS NOT NULL {only})
                SELECT min(row) FROM own JOIN (SELECT key, arg_min(v, row) AS first FROM own GROUP BY key)
                USING (key) WHERE v::FLOAT <> first::FLOAT""")
            if row is not None:
                raise DataError(
                    f"{self.files.place(row)}: {column.name} is not what it was for this id before, and source.statics "
                    "says that it is constant; make it a state or an action"
                )

    def _arranged(self, database: Database, raw: Path, rank: np.ndarray) -> Path:
        ranks = pa.table({"key": pa.array(np.arange(len(rank), dtype=np.int32)), "rank": pa.array(rank)})
        database.give("ranks", ranks)
        path = self._scratch / "arranged.parquet"
        ranked = (
            f"SELECT ranks.rank AS key, own.* EXCLUDE (key) FROM read_parquet({quoted(raw)}) own JOIN ranks USING (key)"
        )
        if self._config.is_long:
            if self._config.repeats == "refuse":
                self._refuse_repeated_readings(database, raw)
            ranked = self._gathered(ranked)
        database.rows(
            f"COPY (SELECT * FROM ({ranked}) ORDER BY key, time, row) TO {quoted(path)} (FORMAT parquet, CODEC lz4)"
        )
        raw.unlink()
        return path

    def _gathered(self, ranked: str) -> str:
        """A row for each time of a long table: of a channel the mean of its numbers, or the last of its words. What is
        constant is no reading, so it makes no row of its own."""
        static = [number for number, column in enumerate(self.columns) if column.role == "static"]
        listed = ", ".join(map(str, static)) or "-1"
        readings = [
            f"{'arg_max(value, row)' if column.categories else 'avg(value)'} FILTER (channel = {n}) AS v{n}"
            for n, column in enumerate(self.columns)
            if n not in static
        ]
        facts = "".join(f", max(value) FILTER (channel = {n}) AS v{n}" for n in static)
        named = ", ".join(f"v{n}" for n in range(len(self.columns)))
        return f"""
            WITH ranked AS MATERIALIZED ({ranked}),
            steps AS (SELECT key, time, min(row) AS row, {", ".join(readings)} FROM ranked
                      WHERE channel NOT IN ({listed}) GROUP BY key, time),
            facts AS (SELECT key{facts} FROM ranked GROUP BY key)
            SELECT key, time, row, {named} FROM steps JOIN facts USING (key)"""

    def _refuse_repeated_readings(self, database: Database, raw: Path) -> None:
        static = [str(number) for number, column in enumerate(self.columns) if column.role == "static"]
        row = database.one(f"""
            SELECT min(last) FROM (SELECT max(row) AS last FROM read_parquet({quoted(raw)})
            WHERE value IS NOT NULL AND channel NOT IN ({", ".join(static) or "-1"})
            GROUP BY key, time, channel HAVING count(*) > 1)""")
        if row is not None:
            raise RepeatedReading(
                f"{self.files.place(row)}: the channel has a value already at the same id and time; keep one row, or "
                "set source.repeats to mean (of words, the last is taken)"
            )


def _in_single(border: float) -> float:
    """The number that single precision has nearest to a border."""
    with np.errstate(over="ignore"):
        return float(np.float32(border))


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
