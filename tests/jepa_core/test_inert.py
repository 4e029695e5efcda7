"""What is written runs nowhere, and what is no regular file is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jepa_core.errors import RunError
from jepa_core.io.locks import locked
from jepa_core.io.tensor_files import read_tensors
from jepa_core.report.exports import csv_text
from jepa_core.results.findings import Column, Table


def test_a_spreadsheet_takes_no_cell_for_a_formula_and_numbers_stay_numbers() -> None:
    rows: list[list[str | int | float | None]] = [["=1+1", -2], ["@SUM(A1)", -0.5], ["plain", None]]
    text = csv_text(Table("t", "A table", [Column("-name"), Column("value", "mm")], rows))
    assert text == "'-name,value (mm)\n'=1+1,-2\n'@SUM(A1),-0.5\nplain,\n"


def test_a_pipe_in_place_of_a_lock_or_of_shared_tensors_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert read_tensors(pipe) is None
    with pytest.raises(RunError, match="pipe is there and is no regular file"), locked(pipe, "busy"):
        raise AssertionError("it was opened")
