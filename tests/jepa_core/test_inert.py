"""What is written runs nowhere, and what is no regular file is not waited for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from jepa_core.cli import main
from jepa_core.errors import RecipeError, RunError
from jepa_core.io.files import write_atomically
from jepa_core.io.locks import locked
from jepa_core.io.tensor_files import read_tensors
from jepa_core.model.request_file import read_request
from jepa_core.recipe import find_recipe
from jepa_core.report.exports import csv_text
from jepa_core.results.findings import Column, Table
from jepa_core.testing.oscillators import OscillatorsConfig


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


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_has_no_end_is_read_as_no_file_of_acts_or_of_keys(make: Callable[[str], None], tmp_path: Path) -> None:
    make(str(tmp_path / "endless.yaml"))
    with pytest.raises(RecipeError, match="endless.yaml cannot be read .no regular file."):
        read_request(tmp_path / "endless.yaml", BaseModel, "acts")
    with pytest.raises(RecipeError, match="give one JSON file"):
        OscillatorsConfig().at([tmp_path / "endless.yaml"])
    with pytest.raises(RecipeError, match="is no regular file and no link to one"):
        find_recipe(tmp_path / "endless.yaml")


def test_a_command_that_memory_does_not_suffice_for_ends_in_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("jepa_core.cli.parse_command_line", lambda argv: argparse.Namespace(command=fail))
    assert main([]) == 1
    assert capsys.readouterr().err.startswith("error: the memory of this machine does not suffice")


def test_a_link_to_nowhere_is_left_where_a_file_is_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "new.html").symlink_to("nowhere")
    with pytest.raises(RunError, match="is there and is no regular file"):
        write_atomically(tmp_path / "new.html", b"words")
    assert (tmp_path / "new.html").is_symlink()
