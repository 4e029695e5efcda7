"""What the commands that read print on a screen of 80 columns: no line is longer, no word is torn, no Python shows."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest
import yaml
from rich.console import Console
from rich.progress import Progress

from jepa_core.cli.pages import component_text, list_text
from jepa_core.cli.reading import _component_page
from jepa_core.io.screen import within
from jepa_core.io.terminal import Lines
from jepa_core.plugin import shared_registry
from jepa_core.recipe.keys import as_yaml


def test_a_line_goes_on_under_where_its_last_column_begins() -> None:
    listed = list_text({"phases": [{"name": "short", "summary": "a phase of many words " * 6}]})
    lines = within(listed, 60).split("\n")
    assert all(len(line) <= 60 for line in lines) and len(lines) > 3
    assert all(line.startswith("         ") and line[9] != " " for line in lines[2:])
    assert " ".join(within(listed, 60).split()) == " ".join(listed.split()), "no word is torn or lost"


def test_a_command_of_one_long_word_is_left_whole_and_what_fits_is_left_alone() -> None:
    path = "/a/folder/" + "x" * 90
    assert path in within(f"see {path} for more", 60).split("\n")[-2]
    assert within("a  table   of columns\n\n  and more", 60) == "a  table   of columns\n\n  and more"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LONG = "error: readings.csv, line 7: the value of this column is no number; give it under words, or mend the file"


def test_a_line_of_the_log_goes_on_below_between_two_words_on_a_terminal_and_is_one_line_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for stream, lines in ((_Terminal(), 3), (io.StringIO(), 1)):
        monkeypatch.setattr(sys, "stderr", stream)
        print(LONG, file=Lines())
        told = stream.getvalue().splitlines()
        assert len(told) == lines and " ".join(line.strip() for line in told) == LONG
        assert all(len(line) <= 40 for line in told) or lines == 1


def test_a_warning_while_bars_are_drawn_stands_above_them_and_leaves_no_second_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    handler = logging.StreamHandler(Lines())
    with Progress(console=Console(file=terminal, width=60, force_terminal=True), auto_refresh=False) as bars:
        bars.add_task("at work")
        bars.refresh()
        handler.emit(logging.LogRecord("jepa", logging.WARNING, "", 0, "take care", (), None))
        bars.refresh()
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-JL-Za-z]", "", terminal.getvalue())
    before = drawn[: drawn.index("take care")]
    assert before.endswith("\r\x1b[2K"), "the bar was wiped away before the line was written"


def test_what_a_recipe_may_say_beside_the_keys_of_a_phase_is_shown_with_them() -> None:
    phase = shared_registry().component("phase", "predictor_warmup")
    told = component_text(_component_page(phase)).partition("beside them in a recipe:")[2]
    for key in ("name", "optimizer", "schedule", "objectives"):
        assert f"  {key}: " in told
    encoder = shared_registry().component("encoder", "mlp")
    assert "beside them" not in component_text(_component_page(encoder))


def test_every_component_is_shown_within_80_columns_and_without_python() -> None:
    registry = shared_registry()
    for kind in ("source", "encoder", "predictor", "phase", "evaluator", "objective"):
        for component in registry.components(kind).values():
            page = _component_page(component)
            text = component_text(page)
            assert "{'" not in text
            for key in page["keys"]:
                told = key["default"].removeprefix("default ")
                assert told == "required" or yaml.safe_load(told) == key["value"], f"{page['name']}: {key['name']}"
            longest = max(text.split(), key=len)
            assert all(len(line) <= max(80, len(longest) + 10) for line in within(text, 80).split("\n")), page["name"]


def test_plain_values_are_written_as_yaml_reads_them() -> None:
    values = ["linear", "", "null", "NO", "it's", "a: b", "@file", "1e-3", "two words", "x,y", "- a", "#", "?", "100 %"]
    for value in [*values, values, {"a": values, "b": {"c": None, "d": True, "e": [0.5, 1e-05, 1.5e-7]}}]:
        assert yaml.safe_load(as_yaml(value)) == value
