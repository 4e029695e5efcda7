"""What breaks the standard is named by file and row, and never by subject, time or words."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_meds import reading
from jepa_meds.codes import similar_codes
from jepa_meds.layout import shards

from .conftest import CANARIES, ICU, Folder, build, cohort, stay, table

ROWS = cohort()


def swapped(rows: list[Any], one: int, other: int) -> list[Any]:
    rows = list(rows)
    rows[one], rows[other] = rows[other], rows[one]
    return rows


def retyped(column: str, kind: pa.DataType) -> pa.Table:
    whole = table(ROWS)
    place = whole.column_names.index(column)
    return whole.set_column(place, column, whole[column].cast(kind))


def revalued(values: list[float]) -> pa.Table:
    """The cohort with numbers of double precision."""
    whole = table(ROWS)
    return whole.set_column(whole.column_names.index("numeric_value"), "numeric_value", pa.array(values, pa.float64()))


def distant(subject: int) -> pa.Table:
    """Three rows whose last subject does not fit into int64."""
    whole = table(ROWS).slice(3, 3)
    return whole.set_column(0, "subject_id", pa.array([1, 1, subject], pa.uint64()))


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "subject in two shards": (
        {"a.parquet": ROWS, "b.parquet": stay(9) + stay(2)},
        r"b\.parquet, row 12 \(counted from 0\): the subject stands in .*a\.parquet too, at row 24",
    ),
    "subject broken off": (
        {"0.parquet": stay(0)[:6] + stay(1) + stay(0)[6:]},
        r"0\.parquet, row 18 .*began at row 0 and were broken off",
    ),
    "rows not sorted": ({"0.parquet": swapped(ROWS, 16, 17)}, r"0\.parquet, row 17 .*earlier than the row before"),
    "static after timed": ({"0.parquet": swapped(ROWS, 12, 13)}, r"0\.parquet, row 13 .*without a time"),
    "time zone": ({"0.parquet": retyped("time", pa.timestamp("us", "UTC"))}, r"column time is timestamp\[us, tz=UTC\]"),
    "time as text": ({"0.parquet": retyped("time", pa.string())}, "column time is string and must be timestamp"),
    "subjects as text": ({"0.parquet": retyped("subject_id", pa.string())}, "column subject_id is string"),
    "values as text": ({"0.parquet": retyped("numeric_value", pa.string())}, "column numeric_value is string"),
    "no time": ({"0.parquet": table(ROWS).drop_columns("time")}, "column time is missing"),
    "old schema": (
        {"0.parquet": table(ROWS).rename_columns({"subject_id": "patient_id"})},
        "MEDS before 0.3.* write the data set again",
    ),
    "no code": ({"0.parquet": [*ROWS[:7], (0, 1.5, None, 1.0, None), *ROWS[8:]]}, "row 7 .*code is null"),
    "no subject": ({"0.parquet": [*ROWS[:7], (None, 1.5, "A", 1.0, None), *ROWS[8:]]}, "row 7 .*subject_id is null"),
    "infinite": ({"0.parquet": [*ROWS[:4], (0, 0.5, "A", float("inf"), None), *ROWS[5:]]}, "row 4 .*infinite"),
    "beyond float32": (
        {"0.parquet": revalued([*[1.0] * 5, 1e39, *[2.0] * (len(ROWS) - 6)])},
        r"row 5 .*numeric_value is beyond 3.4e\+38, the end of float32",
    ),
    "beyond int64": ({"0.parquet": distant(2**63 + 5)}, r"row 2 .*subject_id is beyond int64"),
    "nothing in it": ({"0.parquet": []}, "gives no trajectory: 0 subjects and 0 events"),
}


def refused(folder: Folder, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        build(folder.path, tmp_path / "stores", **options)
    message = str(caught.value)
    assert not [canary for canary in CANARIES if canary in message]
    assert list((tmp_path / "stores").glob("meds-*")) == []
    return message


@pytest.mark.parametrize("batch", [7, 1 << 17])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_shard_is_refused_naming_file_row_and_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, batch: int
) -> None:
    monkeypatch.setattr(reading, "BATCH", batch)
    shards, expected = BROKEN[name]
    folder = Folder(tmp_path / "meds").write(shards).describe().split(10)
    message = refused(folder, tmp_path)
    assert re.search(expected, message), message


def test_a_damaged_shard_is_refused(folder: Folder, tmp_path: Path) -> None:
    shard = folder.path / "data" / "0.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert "0.parquet cannot be read as parquet" in refused(folder, tmp_path)
    middle = bytearray(whole)
    middle[100:400] = bytes(300)
    shard.write_bytes(bytes(middle))
    assert "0.parquet cannot be read" in refused(folder, tmp_path)


def test_whole_numbers_that_single_precision_rounds_are_told_by_their_codes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = [16_777_217.0 if code.startswith("LAB//50912") else 16_777_216.0 for _, _, code, _, _ in ROWS]
    folder = Folder(tmp_path / "meds").write({"0.parquet": revalued(values)}).describe().split()
    with caplog.at_level(logging.WARNING, "jepa"):
        build(folder.path, tmp_path / "stores")
    assert "12 values are whole numbers beyond 16,777,216" in caplog.text
    assert "the codes are LAB//50912//mg/dL" in caplog.text and "220045" not in caplog.text


def test_missing_splits_say_how_to_ask_for_seeded_ones(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "metadata" / "subject_splits.parquet").unlink()
    message = refused(folder, tmp_path)
    assert "subject_splits.parquet is missing" in message and "source.split: {from: seed" in message


def test_broken_splits_are_refused_naming_the_row(folder: Folder, tmp_path: Path) -> None:
    folder.split(names=["train", "train", "test", "train", "train", "train"])
    assert "subject_splits.parquet, row 2 (counted from 0): split must be one of train" in refused(folder, tmp_path)
    folder.split(names=["train"] * 4)
    assert "has no row for 2 of the subjects" in refused(folder, tmp_path)
    path = folder.path / "metadata" / "subject_splits.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(path), pq.read_table(path).slice(1, 1)]), path)
    assert "row 4 (counted from 0): the subject has a row already" in refused(folder, tmp_path)


@pytest.mark.parametrize("version", ["0.2.1", "0.6.0", "1.0"])
def test_another_version_of_the_standard_is_refused(folder: Folder, tmp_path: Path, version: str) -> None:
    folder.describe(meds_version=version)
    assert f"meds_version is {version}, and this reads 0.4 and 0.5" in refused(folder, tmp_path)


@pytest.mark.parametrize("version", ["0.3.3", "0.4.0", "0.5.1", ""])
def test_versions_with_the_same_columns_are_read(folder: Folder, tmp_path: Path, version: str) -> None:
    assert len(build(folder.describe(meds_version=version).path, tmp_path / "stores").store) == 6


def test_metadata_that_are_not_there_are_done_without(folder: Folder, tmp_path: Path) -> None:
    for name in ("dataset.json", "codes.parquet"):
        (folder.path / "metadata" / name).unlink()
    assert len(build(folder.path, tmp_path / "stores").store) == 6


def test_damaged_metadata_are_refused(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "metadata" / "codes.parquet").write_bytes(b"PAR1")
    assert "codes.parquet cannot be read" in refused(folder, tmp_path)
    (folder.path / "metadata" / "dataset.json").write_text("{")
    assert "dataset.json cannot be read as JSON" in refused(folder, tmp_path)


def test_an_expression_that_matches_nothing_is_refused_with_the_nearest_codes(folder: Folder, tmp_path: Path) -> None:
    message = refused(folder, tmp_path, exclude=["LAB//RESULT//50912//mg/dL"])
    assert "source.exclude: the expression LAB//RESULT//50912//mg/dL matches none of the 11 codes" in message
    assert "nearest are LAB//50912//mg/dL, LAB//" in message
    assert len(build(folder.path, tmp_path / "a", exclude=["NO"], allow_empty=["NO"]).store) == 6
    for key in ("start", "end"):
        assert f"source.trajectory.{key}" in refused(folder, tmp_path, trajectory=ICU | {key: "ADMIT//.*"})


def test_a_code_that_only_the_metadata_list_is_no_mistake(folder: Folder, tmp_path: Path) -> None:
    folder.describe({"DRG//871": None})
    assert len(build(folder.path, tmp_path / "stores", exclude=["DRG//871"]).store) == 6


def test_the_nearest_codes_look_most_like_the_expression() -> None:
    codes = ["LAB//50912//mg/dL", "LAB//50813//mmol/L", "DIAGNOSIS//ICD//9//50912", "GENDER//F"]
    assert similar_codes(r"LAB//50912//mg/dl", codes)[0] == "LAB//50912//mg/dL"
    assert similar_codes(r"GENDER//.*", codes, 1) == ["GENDER//F"]


def test_a_text_column_that_no_shard_has_is_refused(folder: Folder, tmp_path: Path) -> None:
    assert "has the column unit" in refused(folder, tmp_path, text_columns=["text_value", "unit"])


RECIPE = """\
extends: clin_jepa_ungrounded
source: {{use: meds, path: {path}, trajectory: {{start: ICU_ADMISSION//.*, end: ICU_DISCHARGE//.*}}}}
"""


def test_the_command_exits_with_3_and_prints_no_word_of_a_record(
    jepa: Callable[..., tuple[int, str, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path / "meds").write({"0.parquet": swapped(ROWS, 16, 17)}).describe().split()
    (tmp_path / "mine.yaml").write_text(RECIPE.format(path=folder.path))
    with caplog.at_level(logging.INFO):
        code, out, err = jepa("prepare", "mine.yaml")
    assert code == 3 and out == "" and "row 17" in err and "Traceback" not in err
    assert not [canary for canary in CANARIES if canary in err + caplog.text]


def test_a_prepared_store_tells_why_a_changed_input_made_another(
    jepa: Callable[..., tuple[int, str, str]], folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.format(path=folder.path))
    with caplog.at_level(logging.INFO):
        first = jepa("prepare", "mine.yaml")
        again = jepa("prepare", "mine.yaml")
        folder.write({"1.parquet": stay(6)}).split(7)
        other = jepa("prepare", "mine.yaml")
    assert first[0] == again[0] == other[0] == 0
    assert "made now" in first[1] and "made now" not in again[1]
    assert "data/1.parquet is new" in other[1] and "subject_splits.parquet had" in other[1]
    told = "".join([*first[1:], *other[1:], caplog.text])
    assert not [canary for canary in CANARIES if canary in told]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("source.actions=[LAB(]", "not a regular expression"),
        ("source.units=[LAB.*]", "must have one group"),
        ("source.allow_empty=[DRG]", "is none of the expressions"),
        ("source.trajectory=stay", "subject"),
        ("source.split.from=folder", "'file' or 'seed'"),
        ("source.path=nowhere", "nowhere is not there"),
    ],
)
def test_a_mistake_in_the_recipe_is_found_before_anything_is_read(
    jepa: Callable[..., tuple[int, str, str]], folder: Folder, tmp_path: Path, override: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.format(path=folder.path))
    code, _, err = jepa("prepare", "mine.yaml", override)
    assert code == 2 and said in err and not (tmp_path / "runs").exists()


def test_a_pipe_among_the_shards_is_refused_unopened(folder: Folder) -> None:
    os.mkfifo(folder.path / "data" / "1.parquet")
    with pytest.raises(UnsafeArtefactError, match="1.parquet is no regular file"):
        shards(folder.path)
