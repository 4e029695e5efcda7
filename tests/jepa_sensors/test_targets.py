"""Names that are made of words, and data in which a split would be empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import cli, plugin
from jepa_core.errors import RecipeError
from jepa_core.plugin import Registry
from jepa_sensors.config import TableConfig
from jepa_sensors.target_names import one_hot_names

from .conftest import Built

Build = Callable[..., Built]
Write = Callable[..., Path]


def test_words_that_differ_in_their_signs_alone_are_two_outcomes(build: Build, write: Write) -> None:
    write("machine,heat,er", [(m, m + t, ["ER+", "ER-", "grade 2"][m % 3]) for m in range(6) for t in range(2)])
    built = build(
        id="machine", states="heat", categories={"er": ["ER+", "ER-", "grade 2"]}, outcomes={"er": {"column": "er"}}
    )
    assert built.store.outcome_names == ["er_ER_minus", "er_ER_plus", "er_grade_2"]
    assert built.store.outcome("er_ER_plus").tolist() == [1, 0, 0] * 2
    assert built.store.outcome("er_ER_minus").tolist() == [0, 1, 0] * 2


@given(words=st.lists(st.text(st.sampled_from("ab+-<>%é _."), min_size=1, max_size=4), min_size=1, unique=True))
def test_names_made_of_words_are_different_or_refused(words: list[str]) -> None:
    names = one_hot_names("it", words)
    keys: dict[str, Any] = {"files": "data.csv", "states": ["heat"], "id": "machine", "categories": {"it": words}}
    if len(set(names)) == len(names):
        assert (
            TableConfig.model_validate(keys | {"outcomes": {"it": {"column": "it"}}}).target_names("it", "it") == names
        )
    else:
        with pytest.raises(ValueError, match="outcomes: two words of it make one called"):
            TableConfig.model_validate(keys | {"outcomes": {"it": {"column": "it"}}})


@pytest.mark.parametrize("key", ["labels", "outcomes"])
def test_two_targets_of_one_name_are_refused(key: str) -> None:
    targets = {"a": {"column": "one"}, "a_b": {"column": "two"}}
    words = {"one": ["b_c"], "two": ["c"]}
    with pytest.raises(ValueError, match=f"{key}: a and a_b make one called a_b_c; rename one of them"):
        TableConfig.model_validate({"files": "d.csv", "states": ["heat"], "categories": words, key: targets})


def test_a_word_and_a_column_of_one_name_are_refused(build: Build, write: Write) -> None:
    write("machine,mode,mode=on", [(m, "on", 1) for m in range(3)])
    with pytest.raises(RecipeError, match="two channels are called mode=on"):
        build(id="machine", states=["mode", "mode=on"], categories={"mode": ["on", "off"]})


def test_a_run_whose_held_out_split_is_empty_is_refused_before_it_trains(
    write: Write,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plugin, "shared_registry", lambda: registry)
    train = write("machine,second,heat", [(m, t, m + t) for m in range(4) for t in range(30)])
    late = write("machine,second,heat", [(m, 500 + t, m + t) for m in range(2) for t in range(30)], "late.csv")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "extends: five_phases\nencoder: {use: mlp}\nsource: {use: table, id: machine, time: second, "
        f"files: {train}, split: {{held_out: {late}}}, step: {{seconds: 1, begin: 0, count: 30}}}}\n"
    )
    assert cli.main(["run", str(recipe), "--out", str(tmp_path / "run"), "--quiet"]) == 3
    said = capsys.readouterr().err
    assert "has no trajectory in held_out, which the recipe trains or measures on" in said
    assert not (tmp_path / "run" / "checkpoints").exists() and not (tmp_path / "run" / "metrics.jsonl").exists()
