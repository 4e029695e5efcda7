"""What states show in numbers, whatever the encoder reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.errors import DataError, RunError
from jepa_core.testing.bench import oscillators, tiny_learner
from jepa_core.training.learner import Learner

PLACES = {"position": 1, "speed": 2}


def every_window(dataset: Dataset, split: str):
    windows = dataset.windows(split, 12, 5, 3)
    return dataset.batch(windows, np.arange(len(windows)))


def raw(dataset: Dataset, steps: np.ndarray) -> np.ndarray:
    """Means over the samples of what the states of steps show: (N, 2), NaN where nothing."""
    items = dataset.items(torch.from_numpy(np.array(dataset.rendering.state[steps])))
    return torch.where(items.observed, items.values, torch.nan)[:, list(PLACES.values())].nanmean(2).numpy()


def test_the_values_of_the_train_split_become_their_normal_scores() -> None:
    dataset = oscillators(trajectories=60)
    seen = Observer(lambda: dataset, PLACES)
    first = dataset.store.first_step
    train = np.concatenate([first[one] + np.arange(dataset.steps[one]) for one in dataset.trajectories("train")])
    observed = seen.of(torch.from_numpy(train)[None])
    values = raw(dataset, train)
    assert torch.equal(observed.observed[0], torch.from_numpy(~np.isnan(values)))
    for channel in range(2):
        shown = values[:, channel][~np.isnan(values[:, channel])]
        expected = norm.ppf((rankdata(shown) - 0.5) / len(shown))
        found = observed.values[0, :, channel][observed.observed[0, :, channel]].numpy()
        inner = np.abs(expected) < 2
        np.testing.assert_allclose(found[inner], expected[inner], atol=0.1)
    assert (observed.values[~observed.observed] == 0).all()


def test_a_step_of_many_samples_shows_their_mean() -> None:
    dataset = oscillators(samples=4, gaps=0.5)
    seen = Observer(lambda: dataset, PLACES)
    means = torch.from_numpy(raw(dataset, np.arange(20)))[..., None]
    scores = seen.scaling(means.nan_to_num(), ~means.isnan())
    torch.testing.assert_close(seen.of(torch.arange(20)[None]).values[0], scores[..., 0])


def test_other_splits_have_no_part_in_the_scale() -> None:
    dataset = oscillators()
    scale = Observer(lambda: dataset, PLACES).scaling.fitted()
    values = dataset.rendering._values  # what is on disk, of steps outside the train split
    changed = np.array(values)
    for split in ("tuning", "held_out"):
        for one in dataset.trajectories(split):
            start = int(dataset.store.first_step[one])
            changed[dataset.rendering.state[start : start + int(dataset.steps[one])]] = 1e6
    try:
        dataset.rendering._values = changed
        assert Observer(lambda: dataset, PLACES).scaling.fitted() == scale
    finally:
        dataset.rendering._values = values


def test_a_learner_of_texts_observes_the_same_steps_in_numbers() -> None:
    numbers, texts = oscillators("channels"), oscillators("text")
    own = Observer(lambda: numbers, PLACES)
    learner = tiny_learner(texts)
    grounded = Learner(learner.encoder, learner.predictor, texts, torch.device("cpu"), Path("unused"), observer=own)
    for split in ("train", "held_out"):
        batch, other = every_window(texts, split), every_window(numbers, split)
        assert torch.equal(batch.steps, other.steps)
        found, expected = grounded.observations(batch), tiny_learner(numbers).observations(other)
        torch.testing.assert_close(found.values[batch.mask], expected.values[batch.mask])
        assert found.values.abs().sum() > 0


def test_without_numbers_there_are_no_observations() -> None:
    learner = tiny_learner(oscillators("text"))
    with pytest.raises(RunError, match="does not render its steps as numbers"):
        learner.observations(every_window(oscillators("text"), "train"))
    assert learner.shape.channels == 0


def test_the_scale_is_kept_and_taken_up(tmp_path: Path) -> None:
    dataset, file = oscillators(), tmp_path / "observations.json"
    first = Observer(lambda: dataset, PLACES, file)
    first.prepare()
    steps = torch.arange(30)[None]
    other = oscillators(trajectories=40, seed=3)
    again = Observer(lambda: other, PLACES, file)
    assert again.scaling.fitted() == first.scaling.fitted() != Observer(lambda: other, PLACES).scaling.fitted()
    assert torch.equal(Observer(lambda: dataset, PLACES, file).of(steps).values, first.of(steps).values)
    with pytest.raises(DataError, match="of 1 channels"):
        Observer(lambda: dataset, {"position": 1}, file).prepare()


def test_scores_become_the_values_again_that_had_them() -> None:
    dataset = oscillators(trajectories=60)
    seen = Observer(lambda: dataset, PLACES)
    first = dataset.store.first_step
    train = np.concatenate([first[one] + np.arange(dataset.steps[one]) for one in dataset.trajectories("train")])
    observed = seen.of(torch.from_numpy(train)[None])
    again = seen.scaling.values(np.where(observed.observed, observed.values, np.nan))[0]
    values = raw(dataset, train)
    np.testing.assert_array_equal(np.isnan(again), np.isnan(values))
    knots = seen.scaling.knots.numpy()
    inner = [(row[0], row[np.isfinite(row)][-1]) for row in knots]
    shown = np.stack([np.clip(values[:, channel], *inner[channel]) for channel in range(2)], 1)
    np.testing.assert_allclose(again, shown, atol=1e-5)
    outermost = seen.scaling.values(np.array([[9.0, np.nan]]))
    assert outermost[0, 0] == inner[0][1] < np.nanmax(values[:, 0]) and np.isnan(outermost[0, 1])
