"""What the commands that read print on a screen of 80 columns: no line is longer, no word is torn, no Python shows."""

from __future__ import annotations

import yaml

from jepa_core.cli.pages import component_text, list_text
from jepa_core.cli.reading import _component_page
from jepa_core.cli.screen import within
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
