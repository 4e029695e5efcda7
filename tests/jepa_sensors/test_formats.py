"""Files as other programs write them."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError
from jepa_sensors.config import TableConfig

from .conftest import Built, machines, same

Build = Callable[..., Built]
Write = Callable[..., Path]

HEADER = "machine,second,heat,speed,valve"
ROLES = {"id": "machine", "time": "second", "states": ["heat", "speed"], "actions": "valve"}


def written(write: Write) -> str:
    return write(HEADER, machines()).read_text()


@pytest.mark.parametrize(
    ("name", "separator"), [("a.psv", "|"), ("a.PSV", "|"), ("a.CSV", ","), ("a.csv.GZ", ","), ("a.Tsv.gz", "\t")]
)
def test_the_ending_tells_the_format_in_any_case(
    build: Build, write: Write, tmp_path: Path, name: str, separator: str
) -> None:
    text = written(write)
    content = text.replace(",", separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert same(build(files=str(tmp_path / name), **ROLES).all, build(**ROLES).all)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "UTF8"])
def test_another_encoding_is_read_where_the_recipe_names_it(
    build: Build, write: Write, tmp_path: Path, encoding: str
) -> None:
    text = written(write).replace("heat", "heat °C")
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    built = build(files=str(tmp_path / "a.csv"), encoding=encoding, **(ROLES | {"states": ["heat °C", "speed"]}))
    assert built.names == ["heat °C", "speed", "valve"]
    assert same(built.all, build(**ROLES).all if (tmp_path / "data.csv").exists() else built.all)


def test_a_wrong_encoding_is_told_by_line_and_only_where_it_is_read(build: Build, write: Write, tmp_path: Path) -> None:
    lines = written(write).splitlines()
    noted = [
        lines[0] + ",note",
        *(f"{line},m\u00fcde" if number == 7 else f"{line},wach" for number, line in enumerate(lines[1:])),
    ]
    (tmp_path / "a.csv").write_bytes("\n".join(noted).encode("latin-1"))
    keys: dict[str, Any] = {"files": str(tmp_path / "a.csv"), **ROLES}
    assert len(build(**keys).store) == 6
    words = {"categories": {"note": ["wach", "müde"]}, "states": ["heat", "note"]}
    with pytest.raises(DataError, match=r"a\.csv, line 9: not UTF-8 text; save it as UTF-8, or set source.encoding"):
        build(**(keys | words))
    assert len(build(**(keys | words), encoding="latin-1").store) == 6
    with pytest.raises(DataError, match=r"a\.csv, line 1: not UTF-8 text"):
        (tmp_path / "a.csv").write_bytes("m\u00e4chine,second\n1,2\n".encode("latin-1"))
        build(**keys)


def test_a_row_of_another_length_is_told_where_it_is_no_text_too(
    build: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """pyarrow asks no handler about such a row, and complains of that with a traceback."""
    (tmp_path / "a.csv").write_bytes(b"machine,second,heat,speed,valve\nm,0,1,2,3\n\xacm,1,1,2\n")
    with pytest.raises(DataError, match=r"a\.csv, line 3: not 5 cells") as told:
        build(files=str(tmp_path / "a.csv"), **ROLES)
    assert told.value.__cause__ is None, "the library's own words quote the row"
    assert capfd.readouterr().err == ""


def test_an_encoding_that_is_none_is_a_mistake_of_the_recipe() -> None:
    with pytest.raises(ValueError, match="latin1000 is no encoding; there are utf-8, latin-1"):
        TableConfig.model_validate({"files": "data.csv", "encoding": "latin1000"})


# --- row labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_row_labels_of_csv_are_no_channel_unless_asked_for(
    build: Build, write: Write, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    write(f"{name},{HEADER}", [(place, *row) for place, row in enumerate(machines())])
    keys = {key: value for key, value in ROLES.items() if key != "states"}
    with caplog.at_level(logging.INFO, "jepa"):
        assert build(**keys).names == ["heat", "speed", "valve"]
    told = name or "column_1"
    assert f"{told} was left out: row labels of whoever wrote the file" in caplog.text
    assert build(**(keys | {"states": [told, "heat"]})).names == [told, "heat", "valve"]


def test_row_labels_of_parquet_are_no_channel(build: Build, tmp_path: Path) -> None:
    columns = dict(zip(HEADER.split(","), map(list, zip(*machines(), strict=True)), strict=True))
    pq.write_table(pa.table(columns | {"__index_level_0__": np.arange(30)}), tmp_path / "data.parquet")
    keys = {key: value for key, value in ROLES.items() if key != "states"}
    assert build(files=str(tmp_path / "data.parquet"), **keys).names == ["heat", "speed", "valve"]


def test_columns_without_a_name_at_the_end_are_called_by_their_place(build: Build, write: Write) -> None:
    write(f"{HEADER},,", [(*row, None, None) for row in machines()])
    keys = {key: value for key, value in ROLES.items() if key != "states"}
    assert build(**keys).names == ["heat", "speed", "valve"]
    write(f"{HEADER},,column_6", [(*row, None, None) for row in machines()])
    with pytest.raises(DataError, match="line 1: the columns 6 and 7 have one name"):
        build(**keys)


# --- series of the .ts format -----------------------------------------------------------------------------------------

AEON = """# written as aeon 1.6.0 writes a collection
@problemName data
@timestamps false
@missing False
@univariate {univariate}
{dimension}@equalLength true
@seriesLength 3
{target}
@data
"""


def ts(path: Path, dimensions: int, target: str, ends: list[str]) -> Path:
    dimension = f"@dimension {dimensions}\n" if dimensions > 1 else ""
    head = AEON.format(univariate=str(dimensions == 1).lower(), dimension=dimension, target=target)
    body = [
        ":".join(",".join(str(10.0 * one + dim + t) for t in range(3)) for dim in range(dimensions)) + ":" + end
        for one, end in enumerate(ends)
    ]
    path.write_text(head + "\n".join(body) + "\n")
    return path


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(
    ("target", "ends", "last"),
    [
        ("@classLabel true Up down", ["Up", "down", "Up"], ["class"]),
        ("@targetlabel true", ["1.5", "2.5", "0.5"], ["target"]),
        ("@targetlabel false", ["", "", ""], []),
    ],
)
def test_series_as_aeon_writes_them_are_read(
    build: Build, tmp_path: Path, dimensions: int, target: str, ends: list[str], last: list[str]
) -> None:
    path = ts(tmp_path / "data.ts", dimensions, target, ends)
    names = [f"dim_{number}" for number in range(dimensions)]
    assert TableConfig.model_validate({"files": str(path)}).header(path).names == ["series", "sample", *names, *last]
    outcome: dict[str, Any] = {"outcomes": {"end": {"column": last[0]}}} if last else {}
    words = {"categories": {"class": ["Up", "down"]}} if last == ["class"] else {}
    built = build(files=str(path), id="series", time="sample", states=names, **outcome, **words)
    assert built.items().state[:, -1, 0].tolist() == [
        10 * one + dimensions - 1 + t for one in range(3) for t in range(3)
    ]
    if last == ["target"]:
        assert built.store.outcome("end").tolist() == [1.5, 2.5, 0.5]
    if last == ["class"]:
        assert built.store.outcome("end_Up").tolist() == [1, 0, 1]


def test_a_file_without_classes_has_no_column_of_them(tmp_path: Path) -> None:
    (tmp_path / "data.ts").write_text("@problemName x\n@classLabel false\n@data\n1,2,3:4,5,6\n")
    config = TableConfig.model_validate({"files": str(tmp_path / "data.ts")})
    assert config.header(tmp_path / "data.ts").names == ["series", "sample", "dim_0", "dim_1"]


def test_words_that_differ_in_case_are_one_where_the_recipe_says_so(build: Build, tmp_path: Path) -> None:
    path = ts(tmp_path / "data.ts", 1, "@classLabel true up UP Up", ["up", "UP", "Up", "Down"])
    keys: dict[str, Any] = {"files": str(path), "id": "series", "time": "sample", "states": "dim_0"}
    outcome = {"outcomes": {"end": {"column": "class"}}}
    with pytest.raises(DataError, match="column class holds none of source.categories.class, which are up, down"):
        build(**keys, **outcome, categories={"class": ["up", "down"]})
    folded = build(**keys, **outcome, categories={"class": ["Up", "Down"]}, lower="class")
    assert folded.store.outcome_names == ["end_down", "end_up"] and folded.store.outcome("end_up").tolist() == [
        1,
        1,
        1,
        0,
    ]
    with pytest.raises(ValueError, match="categories.class: the word up stands there twice"):
        build(**keys, **outcome, categories={"class": ["up", "UP"]}, lower="class")
