"""The trained model out of a run's folder alone: what loads, what it gives, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import jepa_core
from commands import environment
from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError, JepaError, PluginError, RecipeError, RunError
from jepa_core.model.data import Data, compare_channels
from jepa_core.model.folder import write_record
from jepa_core.model.loading import load
from jepa_core.model.model import Model
from jepa_core.plugin import Registry


@pytest.fixture
def alone(finished: Path, tmp_path: Path) -> Path:
    """The run's folder without the stores beside it, and without what only training needs."""
    run = tmp_path / "elsewhere" / "run"
    shutil.copytree(finished / "run", run)
    shutil.rmtree(run / "checkpoints")
    return run


@pytest.fixture
def model(alone: Path, registry: Registry) -> Model:
    return installed(alone, registry)


def installed(run: Path, registry: Registry) -> Model:
    """The model of a run that an installed package made; the registry of tests has it without a version."""
    told(run, lambda record: [part.update(version="?") for part in record["components"].values()])
    return load(run, "cpu", registry)


def told(run: Path, change: Callable[[dict], object]) -> None:
    """Write the run's record again with a change, as a whole one."""
    record = json.loads((run / "model.json").read_text())
    change(record)
    kept = {name: record[name] for name in record if name not in ("sha256", "files", "format")}
    write_record(run, kept)


def oscillators(folder: Path, **keys: object) -> Path:
    path = folder / "oscillators.json"
    path.write_text(json.dumps(keys))
    return path


def test_a_model_loads_from_its_folder_alone_without_yaml_training_or_planning(alone: Path, toy_package: Path) -> None:
    script = (
        "import sys, jepa_core; light = sorted(name for name in sys.modules if name.startswith('jepa_core.'));"
        "model = jepa_core.load('run', 'cpu'); print(light, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=alone.parent, env=environment(toy_package), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    light, _, loaded = done.stdout.partition("]")
    heavy = ("ruamel", "jepa_core.recipe", "jepa_core.runs", "jepa_core.report", "jepa_core.study", "sklearn",
             "transformers", "duckdb", "matplotlib", "lightgbm")  # fmt: skip
    parts = ("curriculum", "learner", "checkpoint", "target", "latent_cache")
    assert light == "["
    assert not [name for name in loaded.split() if name.startswith(heavy)]
    assert not {f"jepa_core.training.{part}" for part in parts} & set(loaded.split())


def test_what_is_not_offered_is_no_attribute() -> None:
    assert jepa_core.load is load
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        jepa_core.lod  # noqa: B018


def test_latents_have_names_and_places_and_end_with_their_trajectory(model: Model, tmp_path: Path) -> None:
    data = model.read(oscillators(tmp_path, seed=9, trajectories=10))
    latents = model.encode(data)
    assert latents["state"].dims == latents["action"].dims == ("trajectory", "step", "latent")
    assert latents.sizes == {"trajectory": 10, "step": data.steps.max(), "latent": 8}
    known = latents["state"].notnull().all("latent").sum("step")
    assert np.array_equal(known, data.steps)
    assert np.array_equal(latents["subject"], data.dataset.subject)
    assert latents["time"].attrs["units"] == "steps" and latents["time"].values[0] == 1


def test_latents_of_a_trajectory_do_not_change_a_bit_with_what_stands_beside_it(model: Model, tmp_path: Path) -> None:
    few, many = (
        model.read(oscillators(tmp_path, seed=3, trajectories=6, repeats=repeats, shortest=10)) for repeats in (1, 3)
    )
    assert len(many) == 3 * len(few)
    for trajectory in range(6):
        one, other = (model.frozen.latents(data.dataset, trajectory) for data in (few, many))
        assert all((getattr(one, part) == getattr(other, part)).all() for part in ("static", "states", "actions"))


def test_the_weights_are_those_of_the_run(model: Model, finished: Path) -> None:
    from safetensors.torch import load_file

    weights = load_file(finished / "run" / "model.safetensors")
    for name, value in model.frozen.predictor.state_dict().items():
        assert (value == weights[f"predictor.{name}"]).all()
    for name, value in model.frozen.encoder.named_parameters():
        assert (value == weights[f"encoder.{name}"]).all() and not value.requires_grad


def test_a_forecast_goes_on_from_what_was_seen_under_the_recorded_actions(model: Model, tmp_path: Path) -> None:
    data = model.read(oscillators(tmp_path, seed=9, trajectories=10, shortest=6, longest=9))
    made = model.forecast(data, at=5, horizon=4)
    assert made["state"].dims == ("trajectory", "horizon", "latent") and made.sizes["horizon"] == 4
    assert np.isfinite(made["state"]).all()
    latents = model.frozen.latents(data.dataset, 0)
    prediction = model.frozen.predictor(latents)
    assert np.allclose(made["state"][0, 0], prediction.next_states[0, 4].numpy(), atol=1e-6)
    recorded = made["action_recorded"]
    assert np.array_equal(recorded.sum("horizon"), np.minimum(data.steps - 4, 4))
    assert f"{int((~recorded).sum())} under the last recorded action" in made.attrs["actions"]


def test_steps_taken_one_at_a_time_give_the_batch_answer(model: Model, tmp_path: Path) -> None:
    data = model.read(oscillators(tmp_path, seed=9, trajectories=6, shortest=8))
    rendering, steps = data.dataset.rendering, int(data.steps[0])
    latents = model.view(data).latents(0)
    wanted = model.frozen.predictor(latents).next_states[0].numpy()

    def item(number: int) -> np.ndarray:
        items = data.dataset.items(torch.tensor([number]))
        return np.where(items.observed[0], items.values[0], np.nan)

    state = model.begin(item(int(rendering.static[0])))
    assert state.next_state is None
    for step in range(steps):
        before, state = state, model.step(state, item(int(rendering.state[step])), item(int(rendering.action[step])))
        assert state.steps == step + 1 == before.steps + 1
        assert np.abs(state.next_state - wanted[step]).max() < 1e-5


def test_trajectories_that_are_too_short_to_be_foreseen_are_left_out_and_counted(model: Model, tmp_path: Path) -> None:
    data = model.read(oscillators(tmp_path, seed=9, trajectories=20, shortest=3))
    made = model.forecast(data, at=12, horizon=2)
    assert np.array_equal(made["trajectory"], np.flatnonzero(data.steps >= 12))
    assert made.attrs["too_short"] == (data.steps < 12).sum() > 0
    with pytest.raises(DataError, match="no trajectory has 99 steps; the longest has"):
        model.forecast(data, at=99, horizon=2)
    with pytest.raises(RecipeError, match="at least 1 step"):
        model.forecast(data, at=0, horizon=2)


def test_the_data_go_with_their_object(model: Model, tmp_path: Path) -> None:
    data: Data | None = model.read(oscillators(tmp_path, trajectories=6))
    assert data is not None
    folder = data.dataset.store.path.parent
    assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
    del data
    assert not folder.exists()


def test_every_trajectory_of_new_data_is_read_whatever_its_split(model: Model, tmp_path: Path) -> None:
    data = model.read(oscillators(tmp_path, trajectories=6))
    assert len(data.dataset.trajectories("held_out")) == len(data) == 6
    assert data.channels is not None and len(data.channels.steps) == 6


@pytest.mark.parametrize("content", ["{", '{"shortest": 50}', '{"colour": 1}'])
def test_what_is_no_data_of_the_source_is_refused(model: Model, tmp_path: Path, content: str) -> None:
    path = tmp_path / "oscillators.json"
    path.write_text(content)
    with pytest.raises(RecipeError, match="give one JSON file"):
        model.read(path)


def test_a_folder_that_is_no_run_or_did_not_finish_is_told_apart(alone: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not the folder of a run"):
        load(tmp_path)
    (alone / "model.json").unlink()
    with pytest.raises(RunError, match=f"write it with: jepa evaluate {alone}"):
        load(alone)
    (alone / "model.safetensors").unlink()
    with pytest.raises(RunError, match=f"jepa resume {alone}"):
        load(alone)


@pytest.mark.parametrize("name", ["model.safetensors", "fitted.json"])
def test_a_file_that_is_missing_or_damaged_is_named(alone: Path, name: str) -> None:
    path = alone / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=f"{name} is damaged"):
        load(alone)
    path.unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        load(alone)


@pytest.mark.parametrize(
    ("before", "after", "error", "message"),
    [
        ('"format": 1', '"format": 2', RunError, "has the format 2, and this version reads 1"),
        ('"seed": 1', '"seed": 2', DataError, "model.json is not as it was written"),
        ('"seed": 1', '"seed" 1', DataError, "model.json is damaged: it is no JSON"),
    ],
)
def test_a_record_of_another_format_or_that_was_changed_is_refused(
    alone: Path, before: str, after: str, error: type[JepaError], message: str
) -> None:
    path = alone / "model.json"
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(error, match=message):
        load(alone)


def test_a_run_of_another_version_or_without_its_plugin_is_refused(alone: Path, registry: Registry) -> None:
    told(alone, lambda record: record["components"]["encoder"].update(version="0.9.1"))
    told(alone, lambda record: [record["components"][kind].update(version="?") for kind in ("source", "predictor")])
    with pytest.raises(RunError, match=r"the encoder 'toy' is of toy-plugin 0.9.1, and toy \? is installed"):
        load(alone, "cpu", registry)
    with pytest.raises(PluginError, match="unknown encoder 'toy'"):
        load(alone, "cpu", Registry())


def test_data_that_are_rendered_in_another_way_than_those_of_training_are_refused(
    alone: Path, registry: Registry, tmp_path: Path
) -> None:
    told(alone, lambda record: record.update(rendering="0" * 64))
    with pytest.raises(DataError, match="rendered in another way than it does in this version"):
        installed(alone, registry).read(oscillators(tmp_path, seed=9, trajectories=10))


def test_a_key_that_this_version_does_not_know_is_refused_with_what_to_do(alone: Path, registry: Registry) -> None:
    told(alone, lambda record: record["components"]["encoder"]["config"].update(colour="red"))
    with pytest.raises(RunError, match="knows no such colour; install the version that made the run"):
        installed(alone, registry)


def test_a_channel_that_the_model_does_not_name_is_read_as_any_other(
    alone: Path, registry: Registry, tmp_path: Path
) -> None:
    data = oscillators(tmp_path, seed=9, trajectories=10)
    model = installed(alone, registry)
    assert model.record["least_subjects"] == 5 and model.record["channels_left_out"] == 0
    before = model.encode(model.read(data))
    told(alone, lambda record: record.update(channels=[one for one in record["channels"] if one["name"] != "push"]))
    model = load(alone, "cpu", registry)
    assert model.encode(model.read(data)).identical(before)


def test_a_run_of_before_gets_its_record_when_it_is_evaluated_again(
    jepa: Callable[..., subprocess.CompletedProcess[str]], finished: Path, tmp_path: Path
) -> None:
    for name in ("run", "stores"):
        shutil.copytree(finished / name, tmp_path / name)
    before = (tmp_path / "run" / "model.json").read_bytes()
    (tmp_path / "run" / "model.json").unlink()
    done = jepa("evaluate", "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.json").read_bytes() == before


def test_channels_in_another_unit_are_refused_and_unknown_ones_are_told(caplog: pytest.LogCaptureFixture) -> None:
    fitted = [Channel("height", "m"), Channel("mass", "kg")]
    with pytest.raises(DataError, match="height is in mm, and the data that the encoder was fitted on have it in m"):
        compare_channels([Channel("height", "mm")], fitted)
    compare_channels([*fitted, Channel("speed", "m/s")], fitted)
    assert "1 of 3 channels are not among those that the encoder was fitted on: speed" in caplog.text
    compare_channels([Channel("speed", "m/s")], fitted, 7)
    assert "fitted on, or are of 7 that few subjects had and it does not name: speed" in caplog.text


def test_channels_of_which_no_unit_can_be_compared_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jepa")
    fitted = [Channel("height", "m"), Channel("score", "")]
    compare_channels(fitted, fitted)
    assert caplog.messages == ["1 of 2 channels have no unit, then as now, so that none is compared: score"]
    caplog.clear()
    compare_channels([Channel("height", "m")], fitted)
    assert not caplog.messages


def test_the_folder_of_an_export_is_told_from_that_of_its_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    with pytest.raises(RunError, match=r"is an export, .*; give .*/model$"):
        jepa_core.load(tmp_path, "cpu")
