"""Who is who: ids that are equal are one wherever they meet, and what may or may not be one is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError

from .conftest import Built

Build = Callable[..., Built]
Write = Callable[..., Path]

KEYS = {"id": "machine", "time": "second", "states": "heat"}
TYPES = [
    pa.int64(),
    pa.float64(),
    pa.float32(),
    pa.string(),
    pa.decimal128(21, 2),
    pa.dictionary(pa.int32(), pa.int16()),
]


def months(write: Write, tmp_path: Path, second: list[str] | pa.Array) -> str:
    """Two files of the same four machines, whose ids are plain in the first; a pattern that finds both."""
    rows = [(machine, time, machine + time) for machine in range(1, 5) for time in range(3)]
    write("machine,second,heat", rows, "1.csv")
    if isinstance(second, list):
        write("machine,second,heat", [(second[m - 1], 3 + time, m - time) for m, time, _ in rows], "2.csv")
        return str(tmp_path / "?.csv")
    times, heats = ([3 + time for _, time, _ in rows], [machine - time for machine, time, _ in rows])
    pq.write_table(pa.table({"machine": second, "second": times, "heat": heats}), tmp_path / "2.parquet")
    return str(tmp_path / "?.*")


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_equal_numbers_are_one_id_in_files_of_any_type(
    build: Build, write: Write, tmp_path: Path, kind: pa.DataType
) -> None:
    ids = pa.array(np.repeat([1, 2, 3, 4], 3))
    files = months(write, tmp_path, ids.dictionary_encode() if pa.types.is_dictionary(kind) else ids.cast(kind))
    built = build(files=files, **KEYS)
    assert built.store.steps.tolist() == [6] * 4
    assert built.items().state[built.part(2), 0, 0].tolist() == [3, 4, 5, 3, 2, 1]


def test_whole_numbers_with_a_point_are_the_same_ids(build: Build, write: Write, tmp_path: Path) -> None:
    assert len(build(files=months(write, tmp_path, ["1.0", "2.", "3.00", "4"]), **KEYS).store) == 4


@pytest.mark.parametrize("spelling", ["01", "1e0", "+1", "1.0e0"])
def test_the_same_number_in_another_spelling_is_refused_and_not_told(
    build: Build, write: Write, tmp_path: Path, spelling: str
) -> None:
    with pytest.raises(DataError, match=r"2\.csv, line 2: machine is the same number as another one") as caught:
        build(files=months(write, tmp_path, [spelling, "2", "3", "4"]), **KEYS)
    assert spelling not in str(caught.value).replace(str(tmp_path), "")


def test_a_subject_is_not_torn_apart_by_its_spelling(build: Build, write: Write) -> None:
    rows = [(m, t, m + t, ["7", "7.0", "8", "9", "10", "11"][m]) for m in range(6) for t in range(2)]
    write("machine,second,heat,site", rows)
    built = build(**KEYS, subject="site")
    assert len(built.store) == 6 and len(np.unique(built.store.subject)) == 5
    write("machine,second,heat,site", [(*row[:3], "07" if row[3] == "7.0" else row[3]) for row in rows])
    with pytest.raises(DataError, match="line 4: site is the same number as another one"):
        build(**KEYS, subject="site")


def test_outcomes_find_their_ids_in_any_type_and_name_a_spelling_that_does_not_fit(
    build: Build, write: Write, tmp_path: Path
) -> None:
    write("machine,second,heat", [(machine, time, machine + time) for machine in range(1, 5) for time in range(3)])
    pq.write_table(pa.table({"who": [4.0, 3.0, 2.0, 1.0], "end": [40, 30, 20, 10]}), tmp_path / "end.parquet")
    outcome = {"file": str(tmp_path / "end.parquet"), "id": "who", "column": "end"}
    assert build(**KEYS, outcomes={"end": outcome}).store.outcome("end").tolist() == [10, 20, 30, 40]
    write("who,end", [("01", 1), ("02", 1), ("03", 1), ("04", 1)], "end.csv")
    with pytest.raises(DataError, match="4 of them are there in another spelling"):
        build(**KEYS, outcomes={"end": outcome | {"file": str(tmp_path / "end.csv")}})


def test_no_number_is_no_id(build: Build, tmp_path: Path) -> None:
    for strange in (np.nan, np.inf, None):
        machine = pa.array([0.0, 0.0, 1.0, strange, 2.0, 2.0])
        pq.write_table(pa.table({"machine": machine, "second": range(6), "heat": range(6)}), tmp_path / "data.parquet")
        with pytest.raises(DataError, match="row 4: column machine is empty"):
            build(files=str(tmp_path / "data.parquet"), **KEYS)


@pytest.mark.parametrize(("kind", "large"), [(pa.float64(), 2.0**53), (pa.float32(), 2.0**24)], ids=str)
def test_a_float_that_does_not_tell_an_id_from_the_next_is_refused(
    build: Build, tmp_path: Path, kind: pa.DataType, large: float
) -> None:
    machine = pa.array([0.0, 0.0, 1.0, 1.0, large, large]).cast(kind)
    pq.write_table(pa.table({"machine": machine, "second": range(6), "heat": range(6)}), tmp_path / "data.parquet")
    with pytest.raises(
        DataError, match="row 5: column machine is (double|float), which does not tell so large a number"
    ):
        build(files=str(tmp_path / "data.parquet"), **KEYS)


def test_large_whole_numbers_are_ids_to_the_last_digit(build: Build, tmp_path: Path) -> None:
    machine = np.repeat(2**60 + np.arange(4), 2)
    pq.write_table(pa.table({"machine": machine, "second": [0, 1] * 4, "heat": range(8)}), tmp_path / "data.parquet")
    assert build(files=str(tmp_path / "data.parquet"), **KEYS).store.steps.tolist() == [2] * 4


def test_ids_of_two_columns_are_not_run_together(build: Build, write: Write) -> None:
    write(
        "plant,machine,second,heat", [(p, m, t, t) for p, m in (("a", "b c"), ("a b", "c"), ("d", "e")) for t in (0, 1)]
    )
    assert len(build(**(KEYS | {"id": ["plant", "machine"]})).store) == 3
    write("plant,machine,second,heat", [("a\x1fb", "c", 0, 0)])
    with pytest.raises(DataError, match="line 2: column plant holds the control character 1F"):
        build(**(KEYS | {"id": ["plant", "machine"]}))
