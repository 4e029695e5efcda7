"""Tables in which time runs across: a row holds the samples of one series, or of one channel, side by side.

They are turned into long tables as they are read: a row for each sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pyarrow as pa

from jepa_core.errors import RecipeError
from jepa_sensors import cells
from jepa_sensors.config import CHANNEL, SAMPLE, VALUE, TableConfig, columns_told
from jepa_sensors.config_parts import HEADER
from jepa_sensors.kinds import as_numbers, is_text
from jepa_sensors.reading import Block, TableFile


def sample_columns(config: TableConfig, names: Sequence[str], path: Path) -> list[str]:
    """The columns of a file that hold samples, in the order of the file: those that `across` names and nothing else
    does. Raises RecipeError if there is none."""
    taken = {*config.named_columns(), config.channel, *(config.states or ())}
    files = [
        name for name in names if name not in taken and any(fnmatchcase(name, pattern) for pattern in config.across)
    ]
    if not files:
        told = columns_told(names, known=not taken.isdisjoint(names))
        raise RecipeError(f"{path} has none of the columns that source.across names; {told}")
    return files


def long_blocks(file: TableFile, config: TableConfig, columns: Sequence[str]) -> Iterator[Block]:
    """The rows of a file as rows of a long table: those of its samples, and one for each of the other columns that are
    asked for, at the time of the first sample."""
    samples = sample_columns(config, file.names, file.path)
    keys = [name for name in (*config.id, config.subject) if name and name in file.names]
    others = [name for name in columns if name in file.names and name not in samples]
    channel = [config.channel] if config.channel else []
    times = samples if config.time == HEADER else None
    for block in file.blocks([*keys, *channel, *others, *samples]):
        yield _samples(block, keys, config, samples, times)
        for name in others:
            yield _facts(block, keys, name, times)


def _samples(
    block: Block, keys: Sequence[str], config: TableConfig, samples: Sequence[str], times: Sequence[str] | None
) -> Block:
    """A row for each sample up to the last one that a row has."""
    rows, width = len(block.rows), len(samples)
    columns = [block.plain(name) for name in samples]
    if any(is_text(column.type) for column in columns):
        columns = [cells.texts(block, name) for name in samples]
    else:
        columns = [as_numbers(column) for column in columns]
    known = np.stack([column.is_valid().to_numpy(zero_copy_only=False) for column in columns], axis=1)
    length = np.where(known.any(axis=1), width - np.argmax(known[:, ::-1], axis=1), 0)
    row = np.repeat(np.arange(rows), length)
    positions = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    index = pa.array(row)
    told = (
        block.column(config.channel).take(index) if config.channel else pa.array([config.value] * len(row), pa.string())
    )
    value = pa.concat_arrays(columns).take(pa.array(positions * rows + row))
    columns_of = {SAMPLE: _time(positions, times), CHANNEL: told, VALUE: value}
    return Block(block.file, block.rows[row], _with_keys(block, keys, index, columns_of))


def _facts(block: Block, keys: Sequence[str], name: str, times: Sequence[str] | None) -> Block:
    """A row for each row, that tells what another column holds."""
    positions = np.zeros(len(block.rows), dtype=np.int64)
    columns_of = {
        SAMPLE: _time(positions, times),
        CHANNEL: pa.array([name] * len(positions), pa.string()),
        VALUE: block.column(name)
    }  # fmt: skip
    return Block(block.file, block.rows, _with_keys(block, keys, pa.array(np.arange(len(positions))), columns_of))


def _with_keys(block: Block, keys: Sequence[str], index: pa.Array, columns_of: dict[str, pa.Array]) -> pa.Table:
    return pa.table({**{name: block.column(name).take(index) for name in keys}, **columns_of})


def _time(positions: np.ndarray, times: Sequence[str] | None) -> pa.Array:
    return pa.array(positions) if times is None else pa.array(times, pa.string()).take(pa.array(positions))
