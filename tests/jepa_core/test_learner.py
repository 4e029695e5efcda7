from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core.config import ItemShape
from jepa_core.contracts import Batch
from jepa_core.data.dataset import Dataset
from jepa_core.errors import RunError
from jepa_core.io.files import disk_errors
from jepa_core.plugin import Registry
from jepa_core.training.latent_cache import BLOCK, TYPES, LatentCache
from jepa_core.training.learner import Learner
from jepa_core.training.target import EncoderUnder


@pytest.fixture
def learner(registry: Registry, dataset: Dataset, tmp_path: Path) -> Learner:
    torch.manual_seed(0)
    encoder_component, predictor_component = (
        registry.component("encoder", "toy"),
        registry.component("predictor", "toy"),
    )
    encoder = encoder_component.load()(encoder_component.config(), ItemShape(channels=4))
    encoder.fit(dataset.training_items())
    predictor = predictor_component.load()(predictor_component.config(), encoder.latent_dim)
    return Learner(encoder, predictor, dataset, torch.device("cpu"), tmp_path)


@pytest.fixture
def batch(dataset: Dataset) -> Batch:
    windows = dataset.windows("train", length=12, stride=4, min_length=3)
    return dataset.batch(windows, np.arange(5))


def count_encoded(learner: Learner) -> list[int]:
    """Numbers of items that the encoder is called with from here on."""
    calls: list[int] = []
    learner.encoder.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    return calls


def test_a_batch_holds_each_distinct_item_once_and_places_it_rightly(dataset: Dataset) -> None:
    windows = dataset.windows("train", length=12, stride=4, min_length=3)
    index = np.array([0, 1, 2])
    batch = dataset.batch(windows, index)
    assert len(np.unique(batch.items)) == len(batch.items)
    state_value = dataset.items(batch.items).values[batch.states][..., 1, 0]
    events, offsets = dataset.store.to_xarray(), dataset.store.event_offsets("state")
    position = np.where(events["state_channel"].values == 1, events["state_value"].values, 0)
    for row, window in enumerate(index):
        trajectory, start, length = (int(getattr(windows, one)[window]) for one in ("trajectory", "start", "length"))
        first = int(dataset.store.first_step[trajectory]) + start
        wanted = [position[offsets[step] : offsets[step + 1]].sum() for step in range(first, first + length)]
        assert np.array_equal(state_value[row, :length].numpy(), wanted)
        assert batch.mask[row].sum() == length


def test_a_frozen_encoder_encodes_each_item_once(learner: Learner, dataset: Dataset) -> None:
    learner.begin(frozenset({"predictor"}))
    calls = count_encoded(learner)
    windows = dataset.windows("train", length=12, stride=4, min_length=3)
    for _ in range(3):
        for start in range(0, len(windows), 4):
            learner.latents(dataset.batch(windows, np.arange(start, min(start + 4, len(windows)))))
    assert sum(calls) <= dataset.rendering.count


def test_cached_latents_are_those_of_the_encoder(learner: Learner, batch: Batch) -> None:
    learner.begin(frozenset({"predictor"}))
    cached = learner.latents(batch)
    direct = learner.encoder(learner.dataset.items(batch.items))
    assert torch.allclose(cached.states, direct[batch.states], atol=1e-6)
    assert not cached.states.requires_grad


def test_cached_latents_do_not_depend_on_what_was_asked_before(learner: Learner, dataset: Dataset) -> None:
    windows = dataset.windows("train", length=12, stride=4, min_length=3)
    wanted = dataset.batch(windows, np.array([3]))
    learner.freeze()
    alone = learner.latents(wanted).states
    learner.begin(frozenset({"encoder"}))  # drops the cache
    learner.freeze()
    for start in (7, 1, 5):
        learner.latents(dataset.batch(windows, np.array([start])))
    assert torch.equal(learner.latents(wanted).states, alone)


def test_training_the_encoder_drops_the_cache(learner: Learner, batch: Batch) -> None:
    learner.freeze()
    before = learner.latents(batch).states
    learner.begin(frozenset({"encoder", "predictor"}))
    with torch.no_grad():
        for parameter in learner.encoder_parameters().values():
            parameter.add_(0.1)
    learner.freeze()
    assert not torch.allclose(learner.latents(batch).states, before)


def test_gradients_flow_to_what_trains_and_nowhere_else(learner: Learner, batch: Batch) -> None:
    learner.begin(frozenset({"predictor"}))
    learner.predictor(learner.latents(batch)).next_states.sum().backward()
    assert all(parameter.grad is None for parameter in learner.encoder.parameters())
    assert all(parameter.grad is not None for parameter in learner.predictor.parameters())
    learner.begin(frozenset({"encoder", "predictor"}))
    learner.predictor(learner.latents(batch)).next_states.sum().backward()
    assert all(parameter.grad is not None for parameter in learner.encoder.parameters())
    assert not learner.target_states(batch).requires_grad


def test_a_batch_is_predicted_once_and_whoever_asks_gets_the_same_pass(learner: Learner, batch: Batch) -> None:
    learner.begin(frozenset({"encoder", "predictor"}))
    calls: list[int] = []
    learner.predictor.register_forward_hook(lambda module, inputs, output: calls.append(1))
    first = learner.prediction(batch)
    assert learner.prediction(batch) is first and len(calls) == 1
    first.belief.sum().backward()
    assert learner.predictor.cell.weight_ih_l0.grad.any()
    assert learner.prediction(replace(batch)) is not first and len(calls) == 2


def test_without_belief_gradient_predictions_train_the_predictor_and_beliefs_do_not(
    learner: Learner, batch: Batch
) -> None:
    control = Learner(
        learner.encoder, learner.predictor, learner.dataset, learner.device, Path(), belief_gradient=False
    )
    control.begin(frozenset({"predictor"}))
    prediction = control.prediction(batch)
    assert prediction.next_states.requires_grad and not prediction.belief.requires_grad
    assert torch.equal(prediction.belief, learner.predictor(control.latents(batch)).belief)


def test_a_cache_too_large_for_its_memory_goes_to_a_file_that_leaves_nothing_behind(tmp_path: Path) -> None:
    def encode(ids: torch.Tensor) -> torch.Tensor:
        return ids[:, None].float() * torch.ones(3)

    ids = torch.tensor([0, 5, BLOCK, 2 * BLOCK + 3])
    small = LatentCache(3 * BLOCK, 3, encode, torch.device("cpu"), 10, tmp_path).take(ids)
    large = LatentCache(3 * BLOCK, 3, encode, torch.device("cpu"), 1 << 30, tmp_path).take(ids)
    assert torch.equal(small, large) and small[:, 0].tolist() == ids.tolist()
    assert list(tmp_path.iterdir()) == []


def test_latents_that_find_no_room_on_the_disk_are_an_error_and_not_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def room_for_two_blocks(file: int, begin: int, length: int) -> None:
        asked.append((begin, length))
        if begin + length > 2 * BLOCK * 12:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", room_for_two_blocks, raising=False)
    cache = LatentCache(3 * BLOCK - 1, 3, lambda ids: torch.ones(len(ids), 3), torch.device("cpu"), 0, tmp_path)
    assert cache.take(torch.tensor([0, 5, BLOCK])).shape == (3, 3)
    assert asked == [(0, BLOCK * 12), (BLOCK * 12, BLOCK * 12)]
    with pytest.raises(RunError, match=f"the disk is full: nothing more.*{tmp_path}"), disk_errors(tmp_path):
        cache.take(torch.tensor([2 * BLOCK]))
    assert asked[-1] == (2 * BLOCK * 12, (BLOCK - 1) * 12)


@pytest.mark.parametrize(("kept_as", "error"), [("fp32", 0.0), ("fp16", 2**-11), ("bf16", 2**-8)])
def test_latents_are_rounded_once_to_the_type_they_are_kept_in(kept_as: str, error: float, tmp_path: Path) -> None:
    latents = torch.randn(3 * BLOCK, 5, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([1, 5, BLOCK, 2 * BLOCK + 3])

    def cache(memory_bytes: int) -> LatentCache:
        cpu = torch.device("cpu")
        return LatentCache(3 * BLOCK, 5, lambda ids: latents[ids], cpu, memory_bytes, tmp_path, None, TYPES[kept_as])

    taken = cache(1 << 30).take(ids)
    assert taken.dtype == torch.float32 and torch.equal(taken, cache(0).take(ids))
    assert torch.equal(taken, latents[ids].to(TYPES[kept_as]).float())
    assert ((taken - latents[ids]).abs() <= error * latents[ids].abs()).all()
    assert torch.equal(taken, latents[ids]) is (kept_as == "fp32")


def test_a_cache_of_16_bits_fits_into_half_the_memory(tmp_path: Path) -> None:
    def in_a_file(kept_as: str) -> bool:
        bytes_at_most = BLOCK * 3 * 2
        made = LatentCache(
            BLOCK, 3, lambda ids: torch.ones(len(ids), 3), torch.device("cpu"), bytes_at_most, tmp_path / kept_as, None,
            TYPES[kept_as],
        )  # fmt: skip
        assert made.take(torch.arange(4)).tolist() == [[1.0] * 3] * 4
        return (tmp_path / kept_as).exists()

    assert in_a_file("fp32") and not in_a_file("fp16") and not in_a_file("bf16")


def test_a_latent_beyond_fp16_is_one_clear_error(tmp_path: Path) -> None:
    cache = LatentCache(
        BLOCK, 1, lambda ids: 1e5 * torch.ones(len(ids), 1), torch.device("cpu"), 1 << 20, tmp_path, None, TYPES["fp16"]
    )
    with pytest.raises(RunError, match=r"65,504.*latent_cache_type to bf16"):
        cache.take(torch.arange(3))


def test_the_target_follows_the_formula_in_fp32(learner: Learner) -> None:
    target = EncoderUnder(learner.encoder, learner.trainable)
    start = [copy.clone() for copy in target.copies]
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.add_(1.0)
    for _ in range(3):
        target.move(0.9)
    for copy, began, parameter in zip(target.copies, start, target.online, strict=True):
        assert copy.dtype == torch.float32
        assert torch.allclose(copy, parameter + 0.9**3 * (began - parameter), atol=1e-6)


def test_the_target_encodes_under_its_own_weights_and_leaves_the_encoder_alone(learner: Learner, batch: Batch) -> None:
    learner.begin(frozenset({"encoder", "predictor"}))
    items = learner.dataset.items(batch.items)
    learner.encoder.eval()
    before = learner.encoder(items).detach()
    learner.encoder.train()
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.mul_(1.5)
    assert torch.allclose(learner.target(items), before, atol=1e-6)
    assert learner.encoder.training
    learner.sync_target()
    assert not torch.allclose(learner.target(items), before)


def test_target_states_are_placed_like_the_online_ones(learner: Learner, batch: Batch) -> None:
    learner.freeze()
    states = learner.latents(batch)
    assert torch.allclose(learner.target_states(batch)[states.mask], states.states[states.mask], atol=1e-6)


def test_target_latents_are_placed_like_the_online_ones_and_hold_the_target_states(
    learner: Learner, batch: Batch
) -> None:
    learner.begin(frozenset({"encoder"}))
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.mul_(1.5)
    target, states = learner.target_latents(batch), learner.target_states(batch)
    assert not target.states.requires_grad
    assert torch.allclose(target.states, states, atol=1e-6)
    learner.sync_target()
    learner.freeze()
    online, target = learner.latents(batch), learner.target_latents(batch)
    for part in ("static", "states", "actions"):
        assert torch.allclose(getattr(target, part), getattr(online, part), atol=1e-6)


def test_the_target_averages_in_fp32_over_a_bf16_encoder() -> None:
    linear = torch.nn.Linear(2, 2).bfloat16()
    linear.latent_dim = 2
    target = EncoderUnder(linear, ["weight", "bias"])
    with torch.no_grad():
        linear.weight.fill_(1.0)
        target.copies[0].fill_(1.01)
    target.move(0.996)
    assert torch.allclose(target.copies[0], torch.tensor(1.00996), atol=1e-6)


def test_a_weight_that_two_layers_share_is_averaged_once_and_is_the_target_s_own_in_both() -> None:
    encoder = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    encoder[1].weight = encoder[0].weight
    encoder.latent_dim = 2
    with torch.no_grad():
        encoder[0].weight.zero_()
    target = EncoderUnder(encoder, [name for name, _ in encoder.named_parameters()])
    with torch.no_grad():
        encoder[0].weight.copy_(torch.eye(2))
    target.move(0.9)
    assert torch.allclose(target.copies[0], 0.1 * torch.eye(2)) and len(target.copies) == 1
    assert torch.allclose(target(torch.ones(1, 2)), torch.tensor(0.1 * 0.1))
    assert torch.equal(encoder(torch.ones(1, 2)), torch.ones(1, 2))


def test_a_target_that_is_interrupted_leaves_the_encoder_its_own_weights() -> None:
    encoder = torch.nn.Linear(2, 2)
    encoder.latent_dim = 2
    target = EncoderUnder(encoder, ["weight", "bias"])
    own = encoder.weight
    with torch.no_grad():
        own.fill_(3.0)

    def interrupt(*_: object) -> None:
        assert not torch.equal(encoder.weight, own), "the target's weights are in place"
        raise KeyboardInterrupt

    handle = encoder.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        target(torch.ones(1, 2))
    handle.remove()
    assert encoder.weight is own and encoder.training and torch.equal(own, torch.full((2, 2), 3.0))


def test_the_target_goes_on_with_its_decay_while_the_encoder_is_frozen(learner: Learner) -> None:
    start = [copy.clone() for copy in learner.target.copies]
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.add_(1.0)
    learner.begin(frozenset({"predictor"}))
    learner.target.move(0.9)
    for copy, began in zip(learner.target.copies, start, strict=True):
        assert torch.allclose(copy, began + 0.1, atol=1e-6)
