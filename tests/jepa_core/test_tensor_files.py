"""Tensors that share memory are written under each of their names, and read back by them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from jepa_core.data.dataset import Dataset
from jepa_core.io.tensor_files import read_tensors, savable, write_tensors
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress
from jepa_core.training.learner import Learner
from toy import ToyFitConfig
from toy.parts import ToyEncoder, ToyFit, ToyPredictor


class Tied(ToyPredictor):
    """A predictor with two names for one weight, and a buffer that is a view of another."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.read = nn.Linear(self.belief_dim, self.belief_dim)
        self.write = nn.Linear(self.belief_dim, self.belief_dim)
        self.write.weight = self.read.weight
        self.register_buffer("table", torch.arange(6.0))
        self.register_buffer("part", self.table[2:4])


def test_tied_weights_and_views_are_read_back_by_each_name(tmp_path: Path) -> None:
    table = torch.arange(6.0).view(2, 3)
    tensors = {"whole": table, "again": table, "turned": table.T, "part": table[1]}
    write_tensors(tmp_path / "shared.safetensors", tensors)
    found = read_tensors(tmp_path / "shared.safetensors")
    assert found is not None and all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_what_shares_nothing_is_not_copied() -> None:
    one, other = torch.zeros(3), torch.zeros(3)
    kept = savable([("one", one), ("other", other)])
    assert kept["one"].data_ptr() == one.data_ptr() and kept["other"].data_ptr() == other.data_ptr()


def test_a_predictor_with_tied_weights_is_checkpointed_and_restored(dataset: Dataset, registry, tmp_path: Path) -> None:
    def progress(seed: int) -> Progress:
        torch.manual_seed(seed)
        configs = {kind: registry.component(kind, "toy").config() for kind in ("encoder", "predictor")}
        encoder = ToyEncoder(configs["encoder"], registry.component("source", "toy").config().item_shape())
        predictor = Tied(configs["predictor"], encoder.latent_dim)
        learner = Learner(encoder, predictor, dataset, torch.device("cpu"), tmp_path / "scratch")
        return Progress([BuiltPhase("fit", ToyFit(ToyFitConfig(steps=2)))], learner)

    saved, restored = progress(seed=0), progress(seed=1)
    save_checkpoint(tmp_path / "checkpoints", saved, phase_done=True)
    assert restore_checkpoint(tmp_path / "checkpoints", restored) is not None
    weights = restored.learner.predictor
    assert torch.equal(weights.read.weight, saved.learner.predictor.read.weight)
    assert weights.write.weight is weights.read.weight
