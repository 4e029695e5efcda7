"""Kept heads on disk: one format, whole or not there, and nothing that could execute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.model.kept import KeptTask, find_task
from jepa_core.results.findings import KeptHead
from jepa_core.results.heads import kept_evaluators, read_heads, write_heads

TREES = "tree\nsplit_feature=0 1\n"


def head(name: str, **state: Any) -> KeptHead:
    return KeptHead(name, "boolean", task=name, method="latents", target="fell", state=state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = np.arange(6.0).reshape(2, 3)
    heads = [
        head("fell_after_3", scaling={"mean": weights, "kept": np.array([2, 0])}, head={"trees": TREES, "rounds": 7}),
        head("fell_after_9", scaling={"mean": weights.copy()}, bias=0.1, known=None),
    ]
    write_heads(tmp_path / "heads" / "tasks", heads, {"use": "toy"})
    return tmp_path / "heads" / "tasks"


def test_heads_come_back_as_they_were(folder: Path) -> None:
    evaluator, (first, second) = read_heads(folder)
    assert evaluator == {"use": "toy"}
    assert first.about() == head("fell_after_3").about() and second.name == "fell_after_9"
    assert first.state["head"] == {"trees": TREES, "rounds": 7} and second.state["bias"] == 0.1
    np.testing.assert_array_equal(first.state["scaling"]["mean"], np.arange(6.0).reshape(2, 3))
    assert first.state["scaling"]["kept"].tolist() == [2, 0] and first.state["scaling"]["kept"].dtype == np.int64
    np.testing.assert_array_equal(second.state["scaling"]["mean"], first.state["scaling"]["mean"])


def test_an_array_that_several_heads_share_is_written_once(folder: Path) -> None:
    from safetensors.numpy import load_file

    assert sorted(load_file(folder / "heads.safetensors")) == ["0/scaling/kept", "0/scaling/mean"]


def test_files_are_for_their_owner_and_are_found_by_their_index(folder: Path, tmp_path: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == {"heads.json", "heads.safetensors", "0.head.trees.txt"}
    assert (folder / "0.head.trees.txt").read_text() == TREES
    (tmp_path / "heads" / "half").mkdir()
    assert list(kept_evaluators(tmp_path)) == ["tasks"]


def test_heads_of_another_evaluation_take_their_place_and_none_leave_nothing(folder: Path) -> None:
    write_heads(folder, [head("slept", bias=1.0)], {"use": "toy"})
    assert [one.name for one in read_heads(folder)[1]] == ["slept"] and not (folder / "0.head.trees.txt").exists()
    write_heads(folder, [], {})
    assert not folder.exists()


@pytest.mark.parametrize("name", ["heads.safetensors", "0.head.trees.txt", "heads.json"])
def test_a_file_that_is_missing_or_damaged_is_named(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1))
    with pytest.raises(DataError, match=f"{name} is (damaged|not as it was written)"):
        read_heads(folder)
    path.unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        read_heads(folder)


def test_heads_of_another_format_are_refused(folder: Path) -> None:
    path = folder / "heads.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(RunError, match="has the format 9, and this version reads 1"):
        read_heads(folder)


def test_a_key_that_would_be_read_as_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not hold '/'"):
        write_heads(tmp_path / "heads", [head("fell", **{"a/b": 1})], {})


# --- which head is meant ----------------------------------------------------------------------------------------------


class Maker:
    """Makes heads that score the step that their name ends with."""

    def head(self, kept: KeptHead) -> Any:
        from jepa_core.contracts import Head

        class At(Head):
            def steps(self, length: int) -> np.ndarray:
                after = int(kept.task.rpartition("_")[2])
                return np.arange(after - 1, min(after, length))

            def scores(self, view: Any, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
                raise NotImplementedError

        return At()


def kept(task: str, method: str = "latents", evaluator: str = "tasks") -> KeptTask:
    about = KeptHead(task, "boolean", task=task, method=method, target="fell")
    return KeptTask(evaluator, task, method, "fell", "boolean", about, Maker())  # type: ignore[arg-type]


HEADS = [kept("fell_3"), kept("fell_3", "LightGBM"), kept("fell_9")]


def test_a_task_is_found_by_its_name_by_what_it_is_about_and_by_its_step() -> None:
    assert find_task(HEADS, "fell_9", None, None, None) is HEADS[2]
    assert find_task(HEADS, "fell", None, None, 9) is HEADS[2]
    assert find_task(HEADS, "fell", None, None, 3) is HEADS[0]
    assert find_task(HEADS, "fell_3", "LightGBM", None, None) is HEADS[1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("slept", None, None, None), "no head for the task 'slept'; it has fell_3, fell_9"),
        (("fell", None, None, None), "'fell' may be fell_3 of tasks, fell_9 of tasks; name the task"),
        (("fell", None, None, 5), "'fell' may be fell_3 of tasks, fell_9 of tasks; name the task"),
        (("fell_3", "LSTM", None, None), "the task 'fell_3' has no method 'LSTM'; it has latents, LightGBM"),
        (("fell_3", None, "others", None), "no head for the task 'fell_3'"),
    ],
)
def test_a_head_that_is_not_there_or_not_the_only_one_is_asked_for_again(asked: tuple, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find_task(HEADS, *asked)


def test_the_evaluator_tells_tasks_of_one_name_apart() -> None:
    twice = [*HEADS, kept("fell_9", evaluator="others")]
    assert find_task(twice, "fell_9", None, "others", None) is twice[3]
    with pytest.raises(RecipeError, match="fell_9 of tasks, fell_9 of others"):
        find_task(twice, "fell_9", None, None, None)
