"""Names that come from data or recipes stay different where files and elements are called by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from jepa_core.io.files import plain_name
from jepa_core.recipe.checks import check_names
from jepa_core.recipe.problems import KeyPath
from jepa_core.results.findings import Predictions
from jepa_core.results.predictions import predictions_path, write_predictions


def predictions(task: str, method: str, score: float) -> Predictions:
    column = np.zeros(1, dtype=np.int64)
    return Predictions(task, method, "float", column, column, column, np.zeros(1), np.zeros(1), np.full(1, score))


@given(names=st.lists(st.text(st.sampled_from("Aa9_-+. é"), min_size=1, max_size=5), unique=True, max_size=20))
def test_different_names_are_different_when_they_are_made_plain(names: list[str]) -> None:
    plain = [plain_name(name) for name in names]
    assert len(set(plain)) == len(names)
    assert all(one.isascii() and one.replace("-", "").replace("_", "").isalnum() for one in plain if one.strip("_-"))


def test_a_plain_name_stays_as_it_is() -> None:
    assert plain_name("in-hospital_death_24") == "in-hospital_death_24" and plain_name("ER+").startswith("ER_-")


def test_predictions_of_tasks_that_differ_in_a_sign_lie_in_two_files(tmp_path: Path) -> None:
    given_ = [("ER+", "latents", 1.0), ("ER-", "latents", 2.0), ("ER", "a.b", 3.0), ("ER.a", "b", 4.0)]
    write_predictions(tmp_path, "tasks", [predictions(*one) for one in given_])
    found = {one: parquet.read_table(predictions_path(tmp_path, "tasks", *one[:2])) for one in given_}
    assert all(table["predicted_float_value"].to_pylist() == [one[2]] for one, table in found.items())
    assert len(list(tmp_path.iterdir())) == 4


def test_names_that_differ_in_capitals_alone_are_refused_for_disks_that_do_not_tell_them() -> None:
    root = KeyPath()
    problems = list(check_names("evaluator", [(root / "a", "Tasks"), (root / "b", "tasks"), (root / "c", "other")]))
    assert [problem.message for problem in problems] == ["two evaluators are called 'tasks'"]
