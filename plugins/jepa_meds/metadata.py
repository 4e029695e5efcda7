"""What lies in metadata/: the data set's name, the codes' descriptions, the subjects' splits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jepa_core.data.trajectories import SPLITS as SPLIT_NAMES
from jepa_core.errors import DataError
from jepa_meds.layout import CODES, DATASET, SPLITS
from jepa_meds.reading import BEYOND, WHO, WORD, WORDS, Wanted, refuse_other_types, subjects

FIELDS = ("dataset_name", "dataset_version", "etl_name", "etl_version", "meds_version")

_SEED = "to deal the subjects anew, set source.split: {from: seed, seed: 42, fractions: [0.7, 0.15, 0.15]}"


def read_dataset(folder: Path) -> dict[str, str | int | float]:
    """Name and version of the data set, of its ETL and of the standard; an empty word for what is not given.

    Files of 0.3 that have the columns of 0.4 are read, since nothing in them differs. Raises DataError if
    dataset.json cannot be read, or names a version that is not among 0.3, 0.4 and 0.5.
    """
    path = folder / DATASET
    content: object = {}
    if path.is_file():
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} cannot be read as JSON; copy it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold one JSON object; copy it again")
    facts = {field: str(content.get(field) or "") for field in FIELDS}
    version = facts["meds_version"]
    if version and not re.match(r"0\.[345](\D|$)", version):
        raise DataError(
            f"{path}: meds_version is {version}, and this reads 0.4 and 0.5 (and 0.3 where its columns are the same); "
            "write the data set again with a version of its ETL for one of them"
        )
    return dict(facts)


def read_descriptions(folder: Path) -> dict[str, str]:
    """Description of every code that the metadata list; an empty one where there is none.

    Raises DataError if codes.parquet cannot be read or has no column `code` of text.
    """
    path = folder / CODES
    if not path.is_file():
        return {}
    table = _read(path, {"code": WORD}, {"description": WORDS})
    names = table["code"].to_pylist()
    words = table["description"].to_pylist() if "description" in table.column_names else [None] * len(names)
    return {name: " ".join((text or "").split()) for name, text in zip(names, words, strict=True) if name}


def read_splits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Subjects in ascending order, and the split of each: (K,) int64 and (K,) int8.

    Raises DataError if the file is missing, a split has another name, or a subject stands in two.
    """
    path = folder / SPLITS
    if not path.is_file():
        raise DataError(f"{path} is missing, so nothing says which subjects to train on; {_SEED}")
    table = _read(path, {"subject_id": WHO, "split": WORD}, {})
    if table["subject_id"].null_count:
        raise DataError(f"{path}: column subject_id must be int64 without nulls; correct it, or, {_SEED}")
    names = table["split"].to_pylist()
    for row, name in enumerate(names):
        if name not in SPLIT_NAMES:
            raise DataError(
                f"{path}, row {row} (counted from 0): split must be one of {', '.join(SPLIT_NAMES)}; correct it, or, "
                f"{_SEED}"
            )
    subject, beyond = subjects(table["subject_id"])
    if beyond.any():
        raise DataError(
            f"{path}, row {int(np.flatnonzero(beyond)[0])} (counted from 0): {BEYOND}; correct it, or, {_SEED}"
        )
    split = np.array([SPLIT_NAMES.index(name) for name in names], dtype=np.int8)
    order = np.argsort(subject, kind="stable")
    twice = np.flatnonzero(subject[order][1:] == subject[order][:-1])
    if len(twice):
        raise DataError(
            f"{path}, row {order[twice[0] + 1]} (counted from 0): the subject has a row already; keep one row a subject"
        )
    return subject[order], split[order]


def split_of(subjects: np.ndarray, folder: Path) -> np.ndarray:
    """Split of each of the subjects, from the file: (N,) int8.

    Raises DataError if the file leaves any of them out.
    """
    known, split = read_splits(folder)
    nearest = np.minimum(np.searchsorted(known, subjects), max(len(known) - 1, 0))
    lost = subjects[known[nearest] != subjects] if len(known) else subjects
    if len(lost):
        raise DataError(
            f"{folder / SPLITS} has no row for {len(np.unique(lost))} of the subjects with trajectories; add them, "
            f"or, {_SEED}"
        )
    return split[nearest]


def _read(path: Path, wanted: Mapping[str, Wanted], optional: Mapping[str, Wanted]) -> pa.Table:
    """The columns that must be there, and those of the others that are."""
    try:
        schema = pq.read_schema(path)
        absent = [name for name in wanted if name not in schema.names]
        if absent:
            raise DataError(f"{path}: column {', '.join(absent)} is missing; MEDS 0.4 says what the file must hold")
        refuse_other_types(path, schema, {**wanted, **optional}, "MEDS 0.4 says what the file must hold")
        table = pq.read_table(path, columns=[*wanted, *(name for name in optional if name in schema.names)])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet; copy it again") from error
    for name in table.column_names:
        try:
            table[name].validate(full=True)
        except pa.ArrowInvalid:
            raise DataError(f"{path}: column {name} is no UTF-8 text; copy the file again") from None
    return table
