"""Latents of a frozen encoder are made once, whatever the number of processes, and kept once for those of a machine:
while they train, and while they evaluate."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from jepa_core.contracts import Batch
from jepa_core.data.dataset import Dataset
from jepa_core.testing.bench import oscillators, scratch, tiny_learner
from jepa_core.training.latent_cache import BLOCK
from jepa_core.training.learner import Learner
from jepa_core.training.processes import ConnectedPeers

PROCESSES = 3


def counting(dataset: Dataset) -> tuple[Learner, list[int]]:
    """A learner, and the items that its encoder was given."""
    learner = tiny_learner(dataset, 0, False)
    given: list[int] = []
    encode = learner._encode

    def count(ids: Tensor) -> Tensor:
        given.extend(ids.tolist())
        return encode(ids)

    learner._encode = count  # type: ignore[method-assign]
    return learner, given


def whole_batches(dataset: Dataset) -> list[Batch]:
    windows = dataset.windows("train", 10, 4, 3)
    return [dataset.batch(windows, rows) for rows in np.array_split(np.arange(len(windows)), 4)]


def work(number: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", PROCESSES)
    dist.init_process_group("gloo", store=store, rank=number, world_size=PROCESSES, timeout=timedelta(minutes=5))
    processes = ConnectedPeers(dist.group.WORLD)
    dataset = oscillators("channels", trajectories=72)
    learner, given = counting(dataset)
    learner.freeze()
    learner.processes = processes
    batch = whole_batches(dataset)[0]
    learner.encode_together(batch.items)
    in_training = (len(given), learner.latents(batch).states)
    assert len(given) == in_training[0], "what was encoded together is not encoded again"
    every = torch.arange(dataset.rendering.count)
    latents = learner._cached(every)
    assert not list(scratch().glob("latents/*")), "the file of the latents is gone with the processes"
    torch.save((given, in_training[1], latents), f"{folder}/{number}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[list[int], Tensor, Tensor]]:
    """Of each process: the items that it encoded, states of a batch, latents of all items."""
    folder = tmp_path_factory.mktemp("encoding")
    oscillators("channels", trajectories=72), scratch()  # made before the processes part
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number, str(folder))) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
        assert worker.exitcode == 0
    return [torch.load(folder / f"{number}.pt") for number in range(PROCESSES)]


def test_every_item_is_encoded_by_one_process_alone(ends: list[tuple[list[int], Tensor, Tensor]]) -> None:
    encoded = [item for given, _, _ in ends for item in given]
    assert sorted(encoded) == list(range(oscillators("channels", trajectories=72).rendering.count))


def test_each_process_encodes_its_share(ends: list[tuple[list[int], Tensor, Tensor]]) -> None:
    counts = [len(given) for given, _, _ in ends]
    assert max(counts) - min(counts) <= 2 * BLOCK


def test_all_have_the_bits_that_one_process_has(ends: list[tuple[list[int], Tensor, Tensor]]) -> None:
    dataset = oscillators("channels", trajectories=72)
    alone, _ = counting(dataset)
    alone.freeze()
    states = alone.latents(whole_batches(dataset)[0]).states
    every = alone._cached(torch.arange(dataset.rendering.count))
    for _, batch, latents in ends:
        assert torch.equal(batch, states) and torch.equal(latents, every)
