"""What is wrong with a table is told once, by file and line, without an id or a time of a record."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError, JepaError, RecipeError

from .conftest import Built

Build = Callable[..., Built]

HEADER = "machine,at,heat,speed"
KEYS = {"id": "machine", "time": "at", "states": ["heat", "speed"]}
SECRETS = ("M-77", "2031")


def good(machines: int = 4, length: int = 3) -> list[list[str]]:
    """Cells whose ids and times can be looked for in messages."""
    return [
        [f"M-77{machine}", f"2031-05-0{1 + second}T00:00:00", f"{machine}", f"{second}"]
        for machine in range(machines)
        for second in range(length)
    ]


def changed(row: int, column: int, cell: str) -> list[list[str]]:
    rows = good()
    rows[row][column] = cell
    return rows


def lines(rows: list[list[str]], header: str = HEADER) -> str:
    return "\n".join([header, *map(",".join, rows)]) + "\n"


def refused(build: Build, kind: type[JepaError] = DataError, **keys: Any) -> str:
    with pytest.raises(kind) as caught:
        build(**(KEYS | keys))
    said = str(caught.value)
    assert not any(secret in said for secret in SECRETS)
    return said


@pytest.mark.parametrize(
    ("row", "column", "cell", "rule"),
    [
        (4, 2, "warm", "line 6: column heat holds no number there"),
        (4, 2, "1,5", "line 6: not 4 cells"),
        (0, 3, "inf", "line 2: column speed is infinite there"),
        (11, 3, "1e39", "line 13: column speed is larger there than 3.4e+38"),
        (7, 0, "", "line 9: column machine is empty"),
        (7, 1, "", "line 9: column at is empty"),
        (5, 1, "noon", "line 7: column at is not a timestamp without a time zone there"),
        (
            5,
            1,
            "2031-05-03T00:00:00Z",
            "line 7: column at is a timestamp with a time zone there and a timestamp without",
        ),
        (5, 1, "12.5", "line 7: column at is not a timestamp without a time zone there"),
    ],
)
def test_a_cell_that_cannot_be_read_is_told_by_line(
    build: Build, tmp_path: Path, row: int, column: int, cell: str, rule: str
) -> None:
    (tmp_path / "data.csv").write_text(lines(changed(row, column, cell)))
    assert f"data.csv, {rule}" in refused(build)


def test_a_blank_line_does_not_shift_the_line_that_is_told(build: Build, tmp_path: Path) -> None:
    text = lines(changed(6, 2, "warm")).splitlines()
    (tmp_path / "data.csv").write_text("\n".join([*text[:3], "", *text[3:]]) + "\n\n")
    assert "data.csv, line 9: column heat" in refused(build)


def test_the_line_is_right_in_the_second_block_and_in_the_second_file(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jepa_sensors.text_blocks.BLOCK_BYTES", 200)
    (tmp_path / "a.csv").write_text(lines(good()))
    (tmp_path / "b.csv").write_text(lines(changed(10, 3, "fast")).replace("M-77", "M-778"))
    assert "b.csv, line 12: column speed" in refused(build, files=str(tmp_path / "?.csv"))
    assert "b.txt, line 11: column speed" in refused(
        build, files=[str(_blanks(tmp_path, name)) for name in "ab"], columns=HEADER.split(",")
    )


def _blanks(folder: Path, name: str) -> Path:
    text = (folder / f"{name}.csv").read_text().replace(",", "  ")
    path = folder / f"{name}.txt"
    path.write_text("".join(text.splitlines(keepends=True)[1:]))
    return path


def test_a_row_of_parquet_is_told_by_its_number(build: Build, tmp_path: Path) -> None:
    rows = changed(4, 2, "warm")
    table = pa.table(dict(zip(HEADER.split(","), map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, tmp_path / "data.parquet")
    assert "data.parquet, row 5: column heat" in refused(build, files=str(tmp_path / "data.parquet"))


def test_a_repeated_time_names_both_lines_wherever_they_stand(build: Build, tmp_path: Path) -> None:
    rows = good()
    rows.append(rows[4])
    (tmp_path / "data.csv").write_text(lines(rows))
    said = refused(build)
    assert "data.csv, line 14: the id and the time are those of" in said and "data.csv, line 6;" in said
    long = [[row[0], row[1], "heat", row[2]] for row in rows]
    (tmp_path / "data.csv").write_text(lines(long, "machine,at,channel,value"))
    assert "line 14: the channel has a value already" in refused(build, layout="long", states=["heat"])


def test_a_static_that_changes_is_told_by_line(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(changed(4, 2, "8")))
    assert "line 6: heat is not what it was for this id" in refused(build, states="speed", statics="heat")


def test_a_word_that_is_no_category_is_not_repeated(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines([[*row[:2], "on", row[3]] for row in changed(0, 0, "M-770")]))
    said = refused(build, categories={"heat": ["up", "down"]})
    assert "line 2: column heat holds none of source.categories.heat, which are up, down" in said


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_a_channel_without_a_value_is_refused_and_one_that_never_changes_is_told(
    build: Build, tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [[row[0], row[1], "", "5"] for row in good()]
    if layout == "long":
        rows = [[row[0], row[1], "speed", row[3]] for row in rows]
    (tmp_path / "data.csv").write_text(lines(rows, HEADER if layout == "wide" else "machine,at,channel,value"))
    said = refused(build, layout=layout)
    assert "heat has no value in any row; leave it out" in said
    with caplog.at_level("WARNING", "jepa"):
        build(**(KEYS | {"layout": layout, "states": "speed"}))
    assert "the column speed never changes" in caplog.text


def test_an_unknown_channel_of_a_long_table_names_the_nearest(build: Build, tmp_path: Path) -> None:
    rows = [[row[0], row[1], name, row[2]] for row in good() for name in ("heat", "speed")]
    (tmp_path / "data.csv").write_text(lines(rows, "machine,at,channel,value"))
    assert "sped has no value in any row; did you mean 'speed'?" in refused(
        build, layout="long", states=["heat", "sped"]
    )


def test_an_unknown_column_is_a_mistake_of_the_recipe_that_names_the_nearest(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(good()))
    said = refused(build, RecipeError, states=["heat", "sped"])
    assert "has no column 'sped'" in said and "did you mean 'speed'?" in said
    assert "did you mean 'machine'?" in refused(build, RecipeError, id="machin", states=None)


@pytest.mark.parametrize("first", ["", "a,at,b,heat\n"])
def test_the_first_record_of_a_file_without_a_header_is_not_told_as_its_columns(
    build: Build, tmp_path: Path, first: str
) -> None:
    records = lines(good()[5:], first.rstrip()).lstrip()
    (tmp_path / "data.csv").write_text(records)
    said = refused(build, RecipeError)
    assert ("there are: a, at, b, heat" if first else "if its first line is no header") in said
    (tmp_path / "data.csv").write_text("M-770,M-770\n" + records)
    assert "the columns 1 and 2 have one name" in refused(build)


def test_of_many_columns_a_message_names_few_and_of_a_long_name_its_beginning(build: Build, tmp_path: Path) -> None:
    names = ["t", "a\x1b[2J", "n" * 300, *(f"c{number}" for number in range(40))]
    (tmp_path / "data.csv").write_text(",".join(names) + "\n" + ",".join(["1"] * 43) + "\n")
    said = refused(build, RecipeError, id=(), time="t")
    assert "n...," in said and "c8 and 31 more" in said
    assert len(said) < 400 + len(str(tmp_path)) and said.isprintable()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "is empty"),
        (HEADER + "\n", "there is a header and no row"),
        ("a,b,a\n1,2,3\n", "line 1: the columns 1 and 3 have"),
    ],
)
def test_a_file_without_rows_is_refused(build: Build, tmp_path: Path, content: str, rule: str) -> None:
    (tmp_path / "data.csv").write_text(content)
    assert rule in refused(build)


def test_damaged_files_are_refused_without_a_traceback(build: Build, tmp_path: Path) -> None:
    packed = gzip.compress(lines(good(400)).encode())
    (tmp_path / "data.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert "cannot be read to its end" in refused(build, files=str(tmp_path / "data.csv.gz"))
    (tmp_path / "data.parquet").write_bytes(b"PAR1 no")
    assert "cannot be read as parquet" in refused(build, files=str(tmp_path / "data.parquet"))
    (tmp_path / "data.csv").write_bytes(lines(good()).encode().replace(b"M-772", b"\xff\xfe"))
    assert "data.csv, line 8: not UTF-8 text" in refused(build)


def test_too_little_to_split_is_refused(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(good(machines=2)))
    assert "2 subjects cannot be split 3 ways" in refused(build)
    said = refused(build, id=(), time="", split={"pieces": 3, "gap": 1})
    assert "line 2: the series that begins there has 6 steps, which give no 3 pieces" in said


def test_a_wild_time_does_not_fill_the_memory(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(changed(2, 1, "9031-05-03T00:00:00")))
    assert "source.step.seconds" in refused(build, step={"seconds": 1})


def test_a_file_of_outcomes_must_fit_the_trajectories(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(good()))
    (tmp_path / "left.txt").write_text("1\n2\n3\n")
    outcome = {"file": str(tmp_path / "left.txt")}
    assert "has 3 rows for 4 trajectories" in refused(build, outcomes={"left": outcome})
    (tmp_path / "left.csv").write_text("machine,left\nM-770,1\nM-771,1\nM-773,1\n")
    outcome = {"file": str(tmp_path / "left.csv"), "id": "machine"}
    assert "no row for 1 of 4 ids" in refused(build, outcomes={"left": outcome})


def test_a_missing_file_is_named_before_anything_runs(build: Build, tmp_path: Path) -> None:
    assert "no file is at" in refused(build, files=str(tmp_path / "nowhere*.csv"))
    assert "the package no_such_thing is not installed" in refused(build, files="package:no_such_thing/data.csv")


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"layout": "long", "states": None}, "a long table needs the names"),
        ({"states": ["heat", "at"]}, "the column at has two roles"),
        ({"time": "", "step": {"seconds": 5}}, "needs the column `time`"),
        ({"id": (), "labels": {"left": {"remaining": True}}}, "nothing remains of one series"),
        ({"labels": {"left": {"remaining": True, "ends_at": "x"}}}, "no outcome with a file"),
        ({"repeats": "mean"}, "set it"),
        ({"id": (), "split": {"held_out": "more.csv"}}, "all files are one series"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(build: Build, keys: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        build(**(KEYS | keys))


def test_a_block_boundary_changes_nothing(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_text(lines(good()))
    whole = build(**KEYS).all
    monkeypatch.setattr("jepa_sensors.text_blocks.BLOCK_BYTES", 150)
    monkeypatch.setattr("jepa_sensors.assembly.BLOCK_ROWS", 2)
    cut = build(**KEYS, empty_values=["", "none"])  # another option, so another store
    assert np.array_equal(cut.all.state.value, whole.state.value) and len(cut.store) == 4
