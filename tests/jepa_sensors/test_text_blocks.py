"""Text is cut into blocks of whole records, and every record is told by the line that an editor shows."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import environment
from jepa_sensors import text_blocks

from .conftest import Built
from .test_violations import KEYS, good, lines, refused

Build = Callable[..., Built]

CELLS = st.text(st.sampled_from('ab1 ",\n\r'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=12), size=st.integers(1, 40), end=st.booleans())
def test_records_and_their_lines_are_those_of_a_reader_of_csv(rows: list[list[str]], size: int, end: bool) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    text = written.getvalue() if end else written.getvalue()[:-1]
    reader = csv.reader(io.StringIO(text, newline=""))
    wanted, before = [], 0
    for row in reader:
        wanted.append((row, before + 1))
        before = _line_breaks(text, reader.line_num)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", size)
        for block in text_blocks.text_blocks(io.BytesIO(text.encode()), ",", True):
            records = list(csv.reader(io.StringIO(block.text.decode(), newline="")))
            found += [(record, block.line_of(number)) for number, record in enumerate(records)]
    assert found == wanted


def _line_breaks(text: str, lines: int) -> int:
    """Line breaks in the first lines of a text, as csv counts lines."""
    return len("".join(text.splitlines(keepends=True)[:lines]).splitlines()) if lines else 0


def test_a_carriage_return_and_a_line_feed_are_one_line_break_wherever_the_block_ends() -> None:
    text = b"a,b\r\n1,2\r\n3,4\r5,6\n"
    for size in range(1, len(text) + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_blocks, "BLOCK_BYTES", size)
            blocks = list(text_blocks.text_blocks(io.BytesIO(text), ",", True))
        assert b"".join(block.text for block in blocks) == text
        assert [block.line_at(len(block.text)) for block in blocks][-1] == 5


def test_a_line_break_in_a_quoted_cell_makes_no_row_and_shifts_no_line(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[*row, '"it said ""no""\nand, later, yes"'] for row in good()]
    (tmp_path / "data.csv").write_text(lines(rows, "machine,at,heat,speed,note"))
    monkeypatch.setattr("jepa_sensors.text_blocks.BLOCK_BYTES", 70)
    assert build(**KEYS).store.steps.tolist() == [3, 3, 3, 3]
    rows[6][2] = "warm"
    (tmp_path / "data.csv").write_text(lines(rows, "machine,at,heat,speed,note"))
    assert "data.csv, line 14: column heat holds no number" in refused(build)
    rows[6] = [*rows[6], "more"]
    (tmp_path / "data.csv").write_text(lines(rows, "machine,at,heat,speed,note"))
    assert "data.csv, line 14: not 5 cells" in refused(build)


def test_a_header_may_have_line_breaks_too(build: Build, tmp_path: Path) -> None:
    rows = [[*row[:2], "warm" if place == 4 else row[2], row[3]] for place, row in enumerate(good())]
    (tmp_path / "data.csv").write_text(lines(rows, 'machine,at,"heat\n(°C)",speed'))
    assert "data.csv, line 7: column heat (°C) holds no number" in refused(build, states=["heat (°C)", "speed"])


def test_a_quote_that_is_never_closed_is_told_where_it_opens_and_swallows_no_row(build: Build, tmp_path: Path) -> None:
    rows = good()
    rows[5][3] = '"' + rows[5][3]
    (tmp_path / "data.csv").write_text(lines(rows))
    assert "data.csv, line 7: the row that begins there does not end" in refused(build)


def test_memory_is_not_filled_by_a_row_that_does_not_end(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jepa_sensors.text_blocks.BLOCK_BYTES", 100)
    monkeypatch.setattr("jepa_sensors.text_blocks.LONGEST_RECORD", 1000)
    rows = good()
    rows[5][3] = '"' + "0\n" * 2000 + '"'
    (tmp_path / "data.csv").write_text(lines(rows))
    assert "data.csv, line 7: the row that begins there does not end" in refused(build)


_REFUSED_ROW = """
import sys
from jepa_core.errors import DataError
from jepa_sensors.config import TableConfig
from jepa_sensors.reading import TableFile
from jepa_sensors import text_blocks
text_blocks.BLOCK_BYTES = 4096
config = TableConfig.model_validate({"files": sys.argv[1]})
try:
    list(TableFile(config.table_files()[0][1], config).blocks(["heat"]))
except DataError as error:
    sys.exit(3)
"""


def test_a_process_ends_in_order_after_a_row_was_refused_while_there_is_more_to_read(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["M", 0, place, place] for place in range(100_000)]
    rows[9].append(1)
    (tmp_path / "data.csv").write_text(
        "machine,at,heat,speed\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows)
    )
    asked = [sys.executable, "-c", _REFUSED_ROW, tmp_path / "data.csv"]
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
