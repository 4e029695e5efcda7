"""One chunk of stays from its random stream to rows in every table and in the truth file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .administration import write_administration
from .charting import write_charts
from .course import run_course
from .cultures import write_cultures
from .grid import Chunk
from .labs import write_labs
from .orders import write_orders
from .pharmacy import write_pharmacy
from .physiology import draw_traits
from .population import draw_calendar, draw_structure
from .writing import TableWriters

UNOBSERVED_SHARE = 0.015
LABS_PER_CHUNK = 100_000
TRUTH = pa.schema([("stay_id", pa.int64()), ("hour", pa.int32()), ("severity", pa.float32())])


class TruthWriter:
    """Appends the hidden severity of stays to a Parquet file, one row an hour."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, TRUTH)

    def __enter__(self) -> TruthWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, chunk: Chunk) -> None:
        stay, hour = np.nonzero(chunk.course.present.T)
        severity = chunk.course.series["severity"][hour, stay]
        self._writer.write_table(
            pa.table([chunk.structure.stay_id[stay], hour.astype(np.int32), severity], schema=TRUTH)
        )


def write_chunk(
    tables: TableWriters, truth: TruthWriter, seed: int, number: int, capacity: int, stays: int, illness: float
) -> None:
    """Simulates and writes chunk `number` of `stays` stays, at most `capacity`. illness: as of `draw_traits`."""
    rng = np.random.default_rng([seed, number])
    chunk = simulate_chunk(rng, number, capacity, stays, illness)
    write_administration(rng, chunk, tables)
    write_charts(rng, chunk, tables)
    write_labs(rng, chunk, tables, first_id=number * LABS_PER_CHUNK + 1)
    write_orders(rng, chunk, tables, number)
    write_pharmacy(rng, chunk, tables)
    write_cultures(rng, chunk, tables, number)
    truth.write(chunk)


def simulate_chunk(rng: np.random.Generator, number: int, capacity: int, stays: int, illness: float = 1.0) -> Chunk:
    """Draws the people of a chunk, runs their stays and lays them out in the calendar."""
    structure = draw_structure(rng, number, capacity, stays)
    subject = structure.stay_subject
    traits = draw_traits(rng, structure.age[subject], structure.male[subject], structure.start_hour, illness)
    course = run_course(rng, traits, structure.may_die)
    calendar = draw_calendar(rng, structure, course)
    return Chunk(structure, traits, course, calendar, rng.random(stays) < UNOBSERVED_SHARE)
