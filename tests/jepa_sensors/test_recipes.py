"""The shipped recipes of sensors: one curriculum, four sources."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.plugin import Registry, discover
from jepa_core.recipe import Recipe, find_recipe, load_recipe

SHARED = ("curriculum", "predictor", "windows", "runtime", "seed")
SENSORS = ("cmapss", "etth1", "basic_motions")
CLINICAL = re.compile(
    r"(?<![a-z])(patient|icu|stay|mimic|qwen|clinical|hospital|sepsis|mortality|vital|medic|disease|nurse)", re.I
)
REPOSITORY = Path(__file__).parents[2]


def load(name: str, registry: Registry) -> Recipe:
    return load_recipe(name, [], registry)


def dataset(name: str, registry: Registry, folder: Path) -> Dataset:
    source = load(name, registry).source.build()
    return Dataset.open(open_store(source, "table", folder), source, "channels")


@pytest.mark.parametrize("name", SENSORS)
def test_only_source_and_encoder_change_from_one_data_set_to_another(name: str, registry: Registry) -> None:
    """Of what is trained. The recordings of basic_motions are shorter than the windows of the others, so it changes
    these too."""
    shared = [key for key in SHARED if name != "basic_motions" or key != "windows"]
    clin, own = load_recipe("clin_jepa_ungrounded", [], discover()).resolved(), load(name, registry).resolved()
    assert {key: own[key] for key in shared} == {key: clin[key] for key in shared}


def test_the_shared_curriculum_is_the_five_phases(registry: Registry) -> None:
    phases = load("etth1", registry).resolved()["curriculum"]
    assert [(one["use"], one["steps"], one["batch_size"]) for one in phases] == [
        ("predictor_warmup", 40, 8), ("joint_refinement", 120, 8), ("ema_alignment", 20, 8), ("hard_sync", 0, 16),
        ("predictor_finalization", 120, 8),
    ]  # fmt: skip
    joint = phases[1]
    assert joint["tau"] == phases[2]["tau"] == 0.95 and phases[4]["rollout_horizon"] == 10
    assert joint["optimizer"]["encoder_lr"] == 3e-3 and joint["optimizer"]["predictor_lr"] == 1e-3
    assert [(one["use"], one["weight"]) for one in joint["objectives"]] == [("variance_covariance", 0.01)]


@pytest.mark.parametrize("name", SENSORS)
def test_no_clinical_word_stands_in_a_recipe_of_sensors(name: str) -> None:
    assert not CLINICAL.findall(find_recipe(name).read_text())


def test_no_clinical_word_stands_in_the_plugin() -> None:
    files = sorted((REPOSITORY / "plugins" / "jepa_sensors").glob("*.py"))
    assert len(files) > 5 and not [word for path in files for word in CLINICAL.findall(path.read_text())]


def test_engines_run_to_failure_with_the_published_test_set_held_out(
    real_data: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMAPSS", str(real_data / "cmapss"))
    data = dataset("cmapss", registry, tmp_path)
    store = data.store
    assert np.bincount(store.split).tolist() == [80, 20, 100] and store.steps.sum() == 20_631 + 13_096
    assert load("cmapss", registry).item_shape().channels == len(store.channels) == 16
    truth = np.loadtxt(real_data / "cmapss" / "RUL_FD001.txt")
    assert (
        np.array_equal(store.outcome("remaining_at_end")[100:], truth)
        and np.isnan(store.outcome("remaining_at_end")[:100]).all()
    )
    label, last = store.label("remaining_life"), store.first_step + store.steps - 1
    assert np.array_equal(label[last], np.minimum(np.concatenate([np.zeros(100), truth]), 125))
    assert label[last[0] - 10] == 10 and label.max() == 125
    raw = np.loadtxt(real_data / "cmapss" / "train_FD001.txt")
    items = data.rendering.take(data.rendering.state[:192])
    assert np.allclose(items.values[:, 0, 0], raw[:192, 6]) and bool(items.observed[:, :14].all())


def test_two_years_of_hours_are_cut_into_months(
    real_data: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETT", str(real_data / "ett"))
    store = dataset("etth1", registry, tmp_path).store
    assert np.bincount(store.split).tolist() == [16, 4, 4] and set(store.steps.tolist()) == {723}
    assert 17_420 - 24 * 723 - 2 * 24 == 20  # hours left over, the earliest
    column = np.loadtxt(real_data / "ett" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=7)
    assert np.allclose(store.label("oil_temperature")[:723], column[20:743])
    assert np.allclose(store.label("oil_temperature")[-723:], column[-723:])


def test_the_recordings_that_a_package_brings_need_nothing_given(registry: Registry, tmp_path: Path) -> None:
    if importlib.util.find_spec("sktime") is None:
        pytest.skip("sktime is not installed: pip install jepa-core[sensors]")
    data = dataset("basic_motions", registry, tmp_path)
    assert np.bincount(data.store.split).tolist() == [32, 8, 40] and set(data.store.steps.tolist()) == {20}
    assert [data.store.outcome(name).sum() for name in data.store.outcome_names] == [20] * 4
    values = data.rendering.take(data.rendering.state[:1]).values[0]
    assert values.shape == (6, 5) and values[0, :3].tolist() == pytest.approx([0.079106, 0.079106, -0.903497])


def test_the_plugin_is_declared_where_it_is_installed_from() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert 'jepa_sensors = "jepa_sensors"' in text and '"plugins/jepa_sensors"' in text
