"""Two processes that divide the frozen weights of a pretrained backbone train, keep and encode what one does, and go on
from a checkpoint to the same bits; one goes on from it, too."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from jepa_clin.baselines import NextToken
from jepa_clin.config import ActionTransformerConfig, JointRefinementConfig, NextTokenConfig, PredictorWarmupConfig
from jepa_clin.phases import JointRefinement, PredictorWarmup
from jepa_clin.predictor import ActionTransformer
from jepa_core.config import ValidationConfig
from jepa_core.contracts import Listener
from jepa_core.testing.bench import oscillators, scratch
from jepa_core.training.checkpoint import restore_checkpoint, save_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.divided_weights import divide_frozen
from jepa_core.training.learner import Learner
from jepa_core.training.processes import ALONE, ConnectedPeers, Peers
from jepa_core.training.shares import end_to_end, over_windows
from jepa_text.config import LoraConfig, Qwen3Config
from jepa_text.encoder import Qwen3Encoder

CPU, WINDOW = torch.device("cpu"), 6
VALIDATION = ValidationConfig(every=2, windows=10)
PHASES = (
    BuiltPhase("warm_up", PredictorWarmup(PredictorWarmupConfig(steps=2, batch_size=5, rollout_horizon=2))),
    BuiltPhase("tokens", NextToken(NextTokenConfig(steps=2, batch_size=5))),
    BuiltPhase("refine", JointRefinement(
        JointRefinementConfig(steps=4, batch_size=5, rollout_horizon=2, validation=VALIDATION)
    )),
)  # fmt: skip


class Losses(Listener):
    """Losses of steps and of validations; the first process leaves a checkpoint in the middle of the last phase."""

    def __init__(self, checkpoints: Path) -> None:
        self.values: list[float] = []
        self._checkpoints = checkpoints

    def step_ended(self, progress: Progress) -> None:
        self.values += [float(term) for term in progress.terms.values()]
        if progress.validated:
            self.values.append(float(progress.validated.loss))
        if (progress.index, progress.step) == (2, 2) and progress.learner.processes.first:
            save_checkpoint(self._checkpoints, progress, phase_done=False)


def trained(folder: Path, processes: Peers, checkpoints: Path) -> dict[str, Any]:
    """Losses, all weights that training changes, latents of some windows, and frozen numbers that the process holds; of
    training that goes on from a checkpoint, where there is one."""
    torch.manual_seed(0)
    dataset = oscillators("text", trajectories=24)
    config = Qwen3Config(
        weights=str(folder), lora=LoraConfig(rank=2, dropout=0.0), precision="fp32", tokens_per_pass=600,
        gradient_checkpointing=True,
    )  # fmt: skip
    encoder = Qwen3Encoder(config)
    if processes.count > 1:
        assert len(divide_frozen(encoder, processes, CPU)) == 3 * 7
    transformer = ActionTransformerConfig(width=16, layers=1, heads=2, feedforward=16, max_steps=WINDOW)
    predictor = ActionTransformer(transformer, encoder.latent_dim)
    learner, losses = Learner(encoder, predictor, dataset, CPU, scratch() / "divided"), Losses(checkpoints)
    learner.processes = processes
    windows = dataset.windows("train", WINDOW, 3, 3)
    run_curriculum(
        PHASES, learner, windows, 0, [losses], partial(restore_checkpoint, checkpoints),
        lambda split, _: dataset.windows(split, WINDOW, 3, 3),
    )  # fmt: skip
    learner.freeze()
    read = over_windows(
        learner, windows, np.arange(7), 3, lambda part, batch: {"states": learner.latents(batch).static.numpy()}
    )
    held = [each.to_local() if hasattr(each, "to_local") else each for each in encoder.parameters()]
    weights = {name: value.detach().clone() for name, value in learner.weights()}
    return {
        "losses": torch.tensor(losses.values), "weights": weights, "held": sum(each.numel() for each in held),
        "static": torch.from_numpy(end_to_end(read)["states"]),
        "planned": config.size().divided(processes.count).parameters,
    }  # fmt: skip


def require_alike(losses: torch.Tensor, alone: torch.Tensor) -> None:
    torch.testing.assert_close(losses, alone, rtol=1e-5, atol=1e-6)


def work(number: int, weights: Path, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=number, world_size=2, timeout=timedelta(minutes=5))
    processes, checkpoints = ConnectedPeers(dist.group.WORLD), Path(folder) / "checkpoints"
    both = [trained(weights, processes, checkpoints) for _ in range(2)]
    torch.save(both, f"{folder}/{number}.pt")
    dist.destroy_process_group()


def test_divided_frozen_weights_change_nothing_but_what_each_process_holds(folder: Path, tmp_path: Path) -> None:
    oscillators("text", trajectories=24), scratch()  # made before the processes part
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number, folder, str(tmp_path))) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
        assert worker.exitcode == 0
    # After them: a process that has computed with several threads is not to be forked.
    alone = trained(folder, ALONE, tmp_path / "alone")
    went_on = trained(folder, ALONE, tmp_path / "checkpoints")
    require_alike(went_on["losses"], alone["losses"][-len(went_on["losses"]) :])
    for number in range(2):
        divided, again = torch.load(tmp_path / f"{number}.pt")
        assert len(again["losses"]) == len(went_on["losses"]) < len(divided["losses"])
        assert torch.equal(again["losses"], divided["losses"][-len(again["losses"]) :])
        assert all(torch.equal(again["weights"][name], value) for name, value in divided["weights"].items())
        require_alike(divided["losses"], alone["losses"])
        torch.testing.assert_close(divided["static"], alone["static"], rtol=1e-3, atol=1e-3)
        assert divided["weights"].keys() == alone["weights"].keys()
        for name, value in alone["weights"].items():
            torch.testing.assert_close(divided["weights"][name], value, rtol=1e-3, atol=1e-4)
        assert divided["held"] == divided["planned"] < 0.75 * alone["held"], "a token table is whole, maps are divided"
