"""What evaluators keep by subject, on disk, in `samples/` of a run: `<evaluator>.parquet` has one row a metric and
subject, `<evaluator>.redrawn.parquet` one row a metric that is drawn rather than averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jepa_core.errors import RunError
from jepa_core.io.files import write_atomically
from jepa_core.results.evaluated import check_evaluation
from jepa_core.results.findings import Redrawn, Samples
from jepa_core.results.paired import DRAWS

PLACE = [("metric", pa.string()), ("unit", pa.string()), ("axis", pa.string()), ("at", pa.float64())]
SCHEMA = pa.schema([*PLACE, ("subject", pa.int64()), ("value", pa.float64()), ("weight", pa.float64())])
REDRAWN_SCHEMA = pa.schema(
    [*PLACE, ("value", pa.float64()), ("subjects", pa.list_(pa.int64())), ("draws", pa.list_(pa.float64()))]
)


def samples_path(folder: Path, evaluator: str) -> Path:
    """Where the samples of an evaluator lie in a run directory."""
    return folder / "samples" / f"{evaluator}.parquet"


def redrawn_path(folder: Path, evaluator: str) -> Path:
    """Where the redrawn metrics of an evaluator lie in a run directory."""
    return folder / "samples" / f"{evaluator}.redrawn.parquet"


def write_kept(folder: Path, evaluator: str, samples: Sequence[Samples], redrawn: Sequence[Redrawn]) -> None:
    """Write what an evaluator kept by subject in place of anything earlier; no file for what there is none of.

    Raises ValueError if two of them have one key.
    """
    keys = [*(sample.key for sample in samples), *(drawn.key for drawn in redrawn)]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the evaluator '{evaluator}' keeps the metric '{twice}' twice; give each a name of its own")
    _write(samples_path(folder, evaluator), [_table(sample) for sample in samples], SCHEMA)
    _write(redrawn_path(folder, evaluator), [_redrawn_table(drawn) for drawn in redrawn], REDRAWN_SCHEMA)


def _write(path: Path, tables: Sequence[pa.Table], schema: pa.Schema) -> None:
    path.unlink(missing_ok=True)
    if not tables:
        return
    path.parent.mkdir(exist_ok=True)
    content = pa.BufferOutputStream()
    with pq.ParquetWriter(content, schema, compression="zstd") as writer:
        writer.write_table(pa.concat_tables(tables).combine_chunks())
    write_atomically(path, content.getvalue().to_pybytes())


def read_kept(folder: Path, evaluator: str) -> dict[str, Samples | Redrawn]:
    """What an evaluator kept by subject, by key; empty if nothing. Raises RunError if a file is not what it should
    be."""
    return {**read_samples(folder, evaluator), **read_redrawn(folder, evaluator)}


def read_redrawn(folder: Path, evaluator: str) -> dict[str, Redrawn]:
    """The redrawn metrics of an evaluator by key; empty if it has none. Raises RunError if the file is not what it
    should be."""
    path = redrawn_path(folder, evaluator)
    by_metric = {}
    for row in _read(path, REDRAWN_SCHEMA).to_pylist() if path.is_file() else []:
        if len(row["draws"] or ()) != DRAWS or not row["subjects"] or row["metric"] is None or row["value"] is None:
            raise RunError(f"{path} does not hold {DRAWS} draws of every metric; run the evaluation again")
        row |= {name: np.array(row[name], dtype) for name, dtype in (("subjects", np.int64), ("draws", np.float64))}
        drawn = Redrawn(**row)
        by_metric[drawn.key] = drawn
    return by_metric


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    check_evaluation(path, path.parent.parent)
    try:
        return pq.read_table(path, schema=schema)
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"{path} is damaged; run the evaluation again") from error


def read_samples(folder: Path, evaluator: str) -> dict[str, Samples]:
    """The samples of an evaluator by key; empty if it has none. Raises RunError if the file is not what it should
    be."""
    path = samples_path(folder, evaluator)
    if not path.is_file():
        return {}
    table = _read(path, SCHEMA)
    columns = {name: table[name].to_pylist() for name in ("metric", "unit", "axis", "at")}
    names = list(zip(*columns.values(), strict=True))
    starts = [row for row in range(len(names)) if row == 0 or names[row] != names[row - 1]]
    subject, value, weight = (table[name].to_numpy() for name in ("subject", "value", "weight"))
    by_metric = {}
    for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
        metric, unit, axis, at = names[start]
        part = slice(start, stop)
        samples = Samples(metric, subject[part], value[part], weight[part], unit, axis, at)
        by_metric[samples.key] = samples
    return by_metric


def subject_numbers(subjects: np.ndarray, everyone: np.ndarray) -> np.ndarray:
    """The place of each subject among all those of the split: what may be written down where no identifier may.

    subjects: (N,), each of them in `everyone` (M,), in any order and number.
    """
    return np.searchsorted(np.unique(everyone), subjects)


def ratio_samples(
    metric: str, subjects: np.ndarray, numerators: np.ndarray, denominators: np.ndarray, **place: Any
) -> Samples:
    """Samples of a ratio of sums, from the two sums of each subject: (S,) each. A subject without a denominator weighs
    nothing. place: unit, axis, at."""
    values = np.divide(numerators, denominators, out=np.zeros(len(subjects)), where=denominators > 0)
    return Samples(metric, subjects, values, denominators, **place)


def _redrawn_table(drawn: Redrawn) -> pa.Table:
    return pa.Table.from_pylist([{name: getattr(drawn, name) for name in REDRAWN_SCHEMA.names}], REDRAWN_SCHEMA)


def _table(samples: Samples) -> pa.Table:
    rows = len(samples.subjects)
    named = [samples.metric, samples.unit, samples.axis, samples.at]
    columns = [pa.array([value] * rows, field.type) for value, field in zip(named, SCHEMA, strict=False)]
    numbers = [pa.array(part) for part in (samples.subjects, samples.values, samples.weights)]
    return pa.table([*columns, *numbers], schema=SCHEMA)
