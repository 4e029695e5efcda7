"""JSON of a run or a store is read by its shape: one error for whatever else lies there, with file and key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jepa_core.cli import main
from jepa_core.errors import DataError, RunError
from jepa_core.io.records import Shape, read_sealed, read_sealed_or_older, read_shaped, write_sealed

RECIPE = """\
extends: five_phases
source: {use: oscillators, shortest: 20, longest: 30, trajectories: 30}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
predictor: {use: gru, width: 8}
windows: {length: 16, stride: 8, min_length: 4}
curriculum:
  - {use: predictor_warmup, steps: 1, batch_size: 4, objectives: [{use: grounding, windows: [[0, 1]]}]}
evaluators: [{use: channel_forecast, context: 6, horizon: 4, least_values: 5, stride: 4, bootstrap: 100}]
"""


class CountShape(Shape):
    name: str
    counts: list[int] = []


BROKEN = {
    "it is no JSON": b'{"name": "a", "counts": [1, 2',
    "it holds no JSON object": b"[1, 2]",
    "name: field required": b'{"counts": [1]}',
    "name: input should be a valid string": b'{"name": 7}',
    "counts.1: input should be a valid integer": b'{"name": "a", "counts": [1, "2"]}',
    "an integer of more than 64 bits": b'{"name": "a", "more": 1' + b"0" * 40 + b"}",
    "a number that is not finite": b'{"name": "a", "more": 1e999}',
    "more than 100 levels": b'{"name": "a", "more": ' + b"[" * 200 + b"]" * 200 + b"}",
}


@pytest.mark.parametrize("problem", BROKEN)
def test_what_has_another_shape_is_refused_with_file_and_key(problem: str, tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_bytes(BROKEN[problem])
    with pytest.raises(RunError, match="counts.json is damaged") as refused:
        read_shaped(path, CountShape, "count again", RunError)
    assert problem in str(refused.value) and str(refused.value).endswith("; count again")


def test_a_sealed_record_is_refused_when_a_value_that_fits_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    write_sealed(path, {"name": "a", "counts": [1]})
    assert read_sealed(path, CountShape, "count again") == {"name": "a", "counts": [1]}
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(DataError, match="counts.json is not as it was written; count again"):
        read_sealed(path, CountShape, "count again")


def test_a_record_of_an_earlier_version_needs_no_seal_and_is_given_one_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text('{"name": "a"}')
    write_sealed(path, read_sealed_or_older(path, CountShape, "count again") | {"counts": [2]})
    write_sealed(path, json.loads(path.read_text()))
    assert read_sealed_or_older(path, CountShape, "count again") == {"name": "a", "counts": [2]}
    path.write_text(path.read_text().replace("2", "3", 1))
    with pytest.raises(DataError, match="not as it was written"):
        read_sealed_or_older(path, CountShape, "count again")


# --- of a run ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs, with one that is finished."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "toy.yaml").write_text(RECIPE)
    assert main(["run", str(folder / "toy.yaml"), "--out", str(folder / "runs" / "one"), "--quiet"]) == 0
    return folder / "runs"


def truncated(text: str) -> str:
    return text[: len(text) // 2]


def in_a_list(text: str) -> str:
    return json.dumps([json.loads(text)])


def of_other_types(text: str) -> str:
    def other(value: Any) -> Any:
        return {key: other(inner) for key, inner in value.items()} if isinstance(value, dict) else {"other": 1}

    return json.dumps(other(json.loads(text)))


CASES = [
    ("manifest.json", ("report", "evaluate", "resume", "inspect"), 1),
    ("findings/channel_forecast.json", ("report", "resume"), 1),
    ("plan.json", ("report",), 1),
    ("data.json", ("report",), 1),
    ("costs.json", ("report",), 1),
    ("fitted.json", ("evaluate",), 3),
    ("model.json", ("evaluate",), 3),
]


@pytest.mark.parametrize("change", [truncated, in_a_list, of_other_types])
@pytest.mark.parametrize(("name", "commands", "code"), CASES, ids=[name for name, *_ in CASES])
def test_a_file_of_a_run_with_another_shape_ends_in_one_message(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, commands: tuple[str, ...], code: int,
    change: Callable[[str], str],
) -> None:  # fmt: skip
    shutil.copytree(whole, tmp_path / "runs")
    path = tmp_path / "runs" / "one" / name
    path.write_text(change(path.read_text()))
    for command in commands:
        capsys.readouterr()
        assert main([command, str(tmp_path / "runs" / "one")]) == code, command
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(told) == 1 and path.name in told[0]


LOGGED = {"loss": [[]], "metrics": [None], "learning_rate": "fast", "terms": {"a": "b"}, "validation": 1}


@pytest.mark.parametrize("key", LOGGED)
def test_a_logged_step_of_another_shape_ends_in_one_message(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    shutil.copytree(whole / "one", tmp_path / "one")
    path = tmp_path / "one" / "metrics.jsonl"
    lines = [json.loads(line) | {key: LOGGED[key]} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["report", str(tmp_path / "one")]) == 1
    assert f"metrics.jsonl is damaged: line 1: {key}" in capsys.readouterr().err


def test_a_value_of_the_manifest_that_fits_and_was_changed_is_told(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole / "one", tmp_path / "one")
    path = tmp_path / "one" / "manifest.json"
    path.write_text(path.read_text().replace('"horizon": 4', '"horizon": 5'))
    for command in (["report"], ["compare", str(whole / "one")], ["evaluate"], ["inspect"], ["resume"]):
        assert main([*command, str(tmp_path / "one")]) == 1
        assert "manifest.json is not as it was written; copy the run again" in capsys.readouterr().err


def test_findings_of_too_many_levels_are_replaced_and_an_encoder_that_is_no_json_is_told(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "runs")
    run = tmp_path / "runs" / "one"
    findings = run / "findings" / "channel_forecast.json"
    before = findings.read_bytes()
    findings.write_text("[" * 100_000 + "]" * 100_000)
    assert main(["evaluate", str(run), "--quiet"]) == 0 and findings.read_bytes() == before
    (run / "encoder").mkdir()
    for content in (b"\xff{}", b"[" * 100_000):
        (run / "encoder" / "config.json").write_bytes(content)
        assert main(["audit", str(run)]) == 3
        assert "config.json is damaged: it is no JSON" in capsys.readouterr().err
