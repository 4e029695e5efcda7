"""What trackers write, read back out of the local stores of the real packages."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import REPOSITORY
from jepa_core.errors import Preempted
from jepa_core.plugin import shared_registry
from jepa_core.recipe import load_recipe
from jepa_core.runs.interrupt import Interrupt
from jepa_core.runs.listeners import RunDisplay, listeners_of
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run
from jepa_core.runs.starting import run
from jepa_core.training.curriculum import Progress

TRACKERS = ("tensorboard", "mlflow", "wandb")
(PAGE,) = re.findall(r"```yaml\n# tracked.yaml\n(.*?)```", (REPOSITORY / "docs" / "trackers.md").read_text(), re.DOTALL)

Values = dict[str, dict[int, float]]


def tracked(folder: Path, tracker: str, *further: str) -> Run:
    """A whole run of the recipe on the page, with one of its trackers."""
    recipe = folder / "tracked.yaml"
    recipe.write_text(PAGE.replace("[tensorboard, mlflow, wandb]", f"[{tracker}]"))
    return run(recipe, overrides=further, folder=folder / "runs" / "first")


def of_tensorboard(runs: Path) -> Values:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(runs / "tensorboard" / "first")).Reload()
    assert "predictor_warmup.steps" in str(events.Tensors("plan/text_summary"))
    return {name: {one.step: one.value for one in events.Scalars(name)} for name in events.Tags()["scalars"]}


def of_mlflow(runs: Path) -> Values:
    mlflow = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("jepa")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == "first" and kept.info.status == "FINISHED"
    assert kept.data.params["predictor_warmup.steps"] == "20"
    history = {name: client.get_metric_history(kept.info.run_id, name) for name in kept.data.metrics}
    return {name: {one.step: one.value for one in points} for name, points in history.items()}


def of_wandb(runs: Path) -> Values:
    wandb = pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # the process that writes goes on for a moment after the end of a run
    values: Values = {}
    for path in sorted((runs / "wandb").glob("offline-run-*/*.wandb")):
        for content in leveldb_records(path.read_bytes(), header=7):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            numbers = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            for name, value in numbers.items():
                if "/" in name:
                    values.setdefault(name, {})[record.history.step.num] = float(json.loads(value))
    return values


def leveldb_records(log: bytes, header: int) -> Iterator[bytes]:
    """Records of a log of LevelDB, as W&B writes one behind a header: blocks of 32 KiB, in them parts of records, each
    behind four bytes of a checksum, two of its length, and its kind (1 whole, 2 first, 3 middle, 4 last)."""
    at, parts = header, b""
    while at + 7 <= len(log):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(log[at + 4 : at + 6], "little"), log[at + 6]
        parts += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


READ: dict[str, Callable[[Path], Values]] = {
    "tensorboard": of_tensorboard,
    "mlflow": of_mlflow,
    "wandb": of_wandb,
}


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_tracker_holds_the_numbers_of_the_metrics_and_the_headlines(tracker: str, tmp_path: Path) -> None:
    pytest.importorskip(tracker)
    done = tracked(tmp_path, tracker)
    values = READ[tracker](tmp_path / "runs")
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    losses = {line["total_step"]: line["loss"] for line in lines}
    assert len(losses) == 20 and values["predictor_warmup/loss"] == pytest.approx(losses, rel=1e-6)
    assert {"predictor_warmup/learning_rate", "predictor_warmup/rank"} < values.keys()
    assert any(name.startswith("rollout_drift/") and list(points) == [20] for name, points in values.items())
    assert load_recipe(done.folder / "recipe.resolved.yaml") == done.recipe


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_resumed_run_goes_on_as_the_same_run_of_the_tracker(tracker: str, tmp_path: Path) -> None:
    pytest.importorskip(tracker)
    recipe = tmp_path / "tracked.yaml"
    recipe.write_text(PAGE.replace("[tensorboard, mlflow, wandb]", f"[{tracker}]"))
    first = Run.create(tmp_path / "runs" / "first", load_recipe(recipe), shared_registry(), recipe.read_text())
    interrupt = Interrupt()

    class Stop(RunDisplay):
        def step_ended(self, progress: Progress) -> None:
            interrupt.requested = progress.step == 7

    listeners = listeners_of(first, Stop(), interrupt)
    with pytest.raises(Preempted):
        execute(first, listeners)
    for listener in listeners:
        listener.close()
    again = listeners_of(first, RunDisplay(), Interrupt())
    execute(first, again)
    for listener in again:
        listener.close()
    assert list(READ[tracker](tmp_path / "runs")["predictor_warmup/loss"]) == list(range(1, 21))


@pytest.mark.parametrize("tracker", TRACKERS)
def test_nothing_of_a_record_reaches_a_tracker(tracker: str, tmp_path: Path) -> None:
    """Subjects, words, times, places of files: the canary is in all of them, and in no byte of the tracker's."""
    pytest.importorskip(tracker)
    rows = ["ward,hour,pulse,mood"]
    for number in range(12):
        rows += [f"CANARY-{number},{hour},{60 + (number * hour) % 17},CANARY{hour % 2}" for hour in range(16)]
    (tmp_path / "CANARY.csv").write_text("\n".join(rows) + "\n")
    source = "{use: table, files: CANARY.csv, id: ward, time: hour, categories: {mood: [CANARY0, CANARY1]}}"
    text = PAGE.replace("{use: oscillators}", source).replace("[tensorboard, mlflow, wandb]", f"[{tracker}]")
    (tmp_path / "tracked.yaml").write_text(text)
    run(tmp_path / "tracked.yaml", folder=tmp_path / "runs" / "first")
    kept = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and _is_of_tracker(path, tmp_path)]
    assert kept and not [path for path in kept if b"CANARY" in path.read_bytes()]
    assert not [path for path in kept if path.name == "requirements.txt"], "nor which packages are installed"


def _is_of_tracker(path: Path, folder: Path) -> bool:
    top, *_ = path.relative_to(folder / "runs").parts
    return top in ("tensorboard", "wandb", "mlflow.db") or path.parent.name == "trackers"


@pytest.mark.parametrize(
    ("tracker", "broken"),
    [
        ("tensorboard", "trackers.tensorboard.folder=/dev/null/away"),
        ("mlflow", "trackers.mlflow.uri=sqlite:////dev/null/away/mlflow.db"),
        ("wandb", "trackers.wandb.folder=/dev/null/away"),
    ],
)
def test_a_tracker_that_cannot_write_costs_one_warning_and_nothing_else(
    tracker: str, broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip(tracker)
    with caplog.at_level(logging.WARNING, logger="jepa"):
        done = tracked(tmp_path, tracker, broken)
    told = [record.getMessage() for record in caplog.records if "tracker" in record.getMessage()]
    assert len(told) == 1 and told[0].startswith(f"tracker '{tracker}' failed and is told no more of this run")
    assert (done.folder / "report.html").is_file()


def test_no_tracker_is_used_unless_a_recipe_names_one(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PAGE.replace("trackers: [tensorboard, mlflow, wandb]", ""))
    recipe = load_recipe(tmp_path / "plain.yaml")
    assert recipe.trackers == () and recipe.resolved()["trackers"] == []


def test_trackers_are_named_alone_or_with_keys_and_changed_by_name(tmp_path: Path) -> None:
    (tmp_path / "tracked.yaml").write_text(PAGE)
    changes = ["trackers.mlflow.experiment=icu", "trackers.wandb=null"]
    recipe = load_recipe(tmp_path / "tracked.yaml", changes)
    assert [use.resolved() for use in recipe.trackers] == [
        {"use": "tensorboard", "folder": ""},
        {"use": "mlflow", "uri": "", "experiment": "icu"},
    ]
