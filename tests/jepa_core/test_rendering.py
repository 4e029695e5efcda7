from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import open_store
from jepa_core.data.rendering import open_rendering
from jepa_core.data.store import Store
from jepa_core.errors import DataError
from jepa_core.plugin import Registry


@pytest.fixture
def source(registry: Registry):
    component = registry.component("source", "toy")
    return component.load()(component.config())


@pytest.fixture
def store(source, tmp_path: Path) -> Store:
    return open_store(source, "toy", tmp_path)


@pytest.mark.parametrize("modality", ["text", "channels"])
def test_every_state_action_and_static_item_is_what_the_source_rendered(source, store: Store, modality: str) -> None:
    rendering = open_rendering(store, source, modality)
    (block,) = store.blocks(len(store))
    rendered = source.render(block, store.channels, modality)
    for role in ("static", "state", "action"):
        taken = rendering.take(np.asarray(getattr(rendering, role)))
        if modality == "text":
            assert taken == getattr(rendered, role)
        else:
            wanted = getattr(rendered, role)
            assert wanted.ndim == 3
            assert np.array_equal(taken.observed.numpy(), ~np.isnan(wanted))
            assert np.array_equal(taken.values.numpy(), np.nan_to_num(wanted))


def test_equal_texts_are_one_item_numbered_in_order_of_first_appearance(source, store: Store) -> None:
    rendering = open_rendering(store, source, "text")
    assert len(set(rendering.take(np.arange(rendering.count)))) == rendering.count
    assert rendering.count < len(store) + 2 * int(store.steps.sum())
    first = int(store.steps[0])
    order = np.concatenate([rendering.static[:1], rendering.state[:first], rendering.action[:first]])
    assert np.array_equal(np.unique(order), np.arange(order.max() + 1))


def test_a_rendering_is_made_once_and_made_again_for_another_template(source, store: Store, monkeypatch) -> None:
    calls = []
    render = type(source).render
    monkeypatch.setattr(type(source), "render", lambda self, *given: calls.append(given) or render(self, *given))
    first = open_rendering(store, source, "text")
    made = len(calls)
    assert open_rendering(store, source, "text").folder == first.folder and len(calls) == made
    monkeypatch.setattr(type(source), "rendering_fingerprint", lambda self, modality: "another template")
    assert open_rendering(store, source, "text").folder != first.folder and len(calls) == 2 * made


def test_a_rendering_that_was_torn_is_made_again(source, store: Store) -> None:
    rendering = open_rendering(store, source, "text")
    (rendering.folder / "rendering.json").unlink()
    again = open_rendering(store, source, "text")
    assert again.take(np.arange(3)) == rendering.take(np.arange(3))


@pytest.mark.parametrize("name", ["state.npy", "texts.utf8", "rendering.json"])
def test_a_rendering_that_was_damaged_is_refused(name: str, source, store: Store) -> None:
    file = open_rendering(store, source, "text").folder / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=f"{name} is damaged.*renders anew"):
        open_rendering(store, source, "text")


def test_an_encoder_is_fitted_on_the_train_split_alone(source, store: Store, monkeypatch) -> None:
    dataset = Dataset.open(store, source, "channels")  # no two owners share an item
    taken: list[int] = []
    monkeypatch.setattr(dataset.rendering, "take", lambda ids: taken.extend(ids.tolist()))
    list(dataset.training_items(chunk=50))
    assert len(taken) == len(set(taken))
    split_of_step = np.repeat(store.split, store.steps)
    states = np.asarray(dataset.rendering.state)
    assert set(states[split_of_step == 0]) <= set(taken)
    assert not set(taken) & set(states[split_of_step > 0])


def test_a_subject_in_two_splits_is_refused(source, store: Store) -> None:
    store.split = store.split.copy()
    store.split[store.subject == store.subject[0]] = [0, 1]
    with pytest.raises(DataError, match="1 subjects stand in more than one split"):
        Dataset.open(store, source, "text")
