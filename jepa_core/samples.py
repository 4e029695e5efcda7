"""Samples on disk: `samples/<evaluator>.parquet` in a run directory, one row a metric and subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jepa_core.errors import RunError
from jepa_core.files import write_atomically
from jepa_core.findings import Samples

SCHEMA = pa.schema(
    [
        ("metric", pa.string()), ("unit", pa.string()), ("axis", pa.string()), ("at", pa.float64()),
        ("subject", pa.int64()), ("value", pa.float64()), ("weight", pa.float64()),
    ]
)  # fmt: skip


def samples_path(folder: Path, evaluator: str) -> Path:
    """Where the samples of an evaluator lie in a run directory."""
    return folder / "samples" / f"{evaluator}.parquet"


def write_samples(folder: Path, evaluator: str, samples: Sequence[Samples]) -> None:
    """Write an evaluator's samples in place of any earlier ones; no file if there are none."""
    path = samples_path(folder, evaluator)
    path.unlink(missing_ok=True)
    if not samples:
        return
    path.parent.mkdir(exist_ok=True)
    content = pa.BufferOutputStream()
    with pq.ParquetWriter(content, SCHEMA, compression="zstd") as writer:
        writer.write_table(pa.concat_tables([_table(one) for one in samples]).combine_chunks())
    write_atomically(path, content.getvalue().to_pybytes())


def read_samples(folder: Path, evaluator: str) -> dict[str, Samples]:
    """The samples of an evaluator by key; empty if it has none. Raises RunError if the file is not what it should
    be."""
    path = samples_path(folder, evaluator)
    if not path.is_file():
        return {}
    try:
        table = pq.read_table(path, schema=SCHEMA)
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"{path} is damaged; run the evaluation again") from error
    columns = {name: table[name].to_pylist() for name in ("metric", "unit", "axis", "at")}
    names = list(zip(*columns.values(), strict=True))
    starts = [row for row in range(len(names)) if row == 0 or names[row] != names[row - 1]]
    subject, value, weight = (table[name].to_numpy() for name in ("subject", "value", "weight"))
    found = {}
    for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
        metric, unit, axis, at = names[start]
        part = slice(start, stop)
        one = Samples(metric, subject[part], value[part], weight[part], unit, axis, at)
        found[one.key] = one
    return found


def subject_numbers(subjects: np.ndarray, everyone: np.ndarray) -> np.ndarray:
    """The place of each subject among all those of the split: what may be written down where no identifier may.

    subjects: (N,), each of them in `everyone` (M,), in any order and number.
    """
    return np.searchsorted(np.unique(everyone), subjects)


def ratio_samples(
    metric: str, subjects: np.ndarray, numerators: np.ndarray, denominators: np.ndarray, **place: str | float
) -> Samples:
    """Samples of a ratio of sums, from the two sums of each subject: (S,) each. A subject without a denominator weighs
    nothing. place: unit, axis, at."""
    values = np.divide(numerators, denominators, out=np.zeros(len(subjects)), where=denominators > 0)
    return Samples(metric, subjects, values, denominators, **place)


def _table(samples: Samples) -> pa.Table:
    rows = len(samples.subjects)
    named = [samples.metric, samples.unit, samples.axis, samples.at]
    columns = [pa.array([one] * rows, field.type) for one, field in zip(named, SCHEMA, strict=False)]
    numbers = [pa.array(part) for part in (samples.subjects, samples.values, samples.weights)]
    return pa.table([*columns, *numbers], schema=SCHEMA)
