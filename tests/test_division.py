"""However a step is divided, among processes or into parts, training ends where it would undivided: every shipped
phase, objective and regularizer, in double precision, with dropout, on ragged windows."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from jepa_clin.config import (
    ActionTransformerConfig,
    CotrainingConfig,
    EmaAlignmentConfig,
    GroundingConfig,
    JointRefinementConfig,
    MaskedPredictionConfig,
    MaskedPredictorConfig,
    NextTokenConfig,
    PredictorFinalizationConfig,
    PredictorWarmupConfig,
    SigregConfig,
    VarianceCovarianceConfig,
)
from jepa_clin.further_config import HiddenChannelsConfig, PooledFutureConfig, RssmConfig
from jepa_core.config import Config, ObjectiveConfig, PhaseConfig, StreamConfig
from jepa_core.contracts import Batch, Channels, Encoder, Listener, Objective, Phase
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.errors import RecipeError, RunError
from jepa_core.plugin import shared_registry
from jepa_core.testing.bench import oscillators, scratch
from jepa_core.testing.oscillator_parts import TinyText
from jepa_core.testing.oscillators import OscillatorsConfig, TinyTextConfig
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.division import refuse_undivided
from jepa_core.training.learner import Learner
from jepa_core.training.parts import parts_of
from jepa_core.training.processes import ALONE, ConnectedPeers, Peers
from jepa_core.training.totals import total

LATENT, WINDOW = 8, 10
TRANSFORMER = ActionTransformerConfig(
    width=16, layers=2, heads=2, feedforward=16, max_steps=WINDOW, dropout=0.2, attention_dropout=0.2
)
RSSM = RssmConfig(width=8, variables=2, classes=3)
MASKED = MaskedPredictorConfig(width=16, layers=1, heads=2, feedforward=16, dropout=0.2)
NEAR = GroundingConfig(windows=((0, 1), (1, 4)))
AHEAD = PooledFutureConfig(windows=((0, 3), (3, 6)))

CASES: dict[str, tuple[PhaseConfig, list[ObjectiveConfig], Config]] = {
    "predictor_warmup": (PredictorWarmupConfig(rollout_horizon=4, rollout_origins=2), [], TRANSFORMER),
    "joint_refinement": (JointRefinementConfig(rollout_horizon=3), [VarianceCovarianceConfig(), NEAR], TRANSFORMER),
    "ema_alignment": (EmaAlignmentConfig(), [HiddenChannelsConfig(hidden_size=8)], TRANSFORMER),
    "predictor_finalization": (PredictorFinalizationConfig(rollout_horizon=3), [AHEAD], RSSM),
    "cotraining": (CotrainingConfig(rollout_horizon=0), [SigregConfig(projections=16)], RSSM),
    "masked_prediction": (MaskedPredictionConfig(predictor=MASKED), [VarianceCovarianceConfig()], TRANSFORMER),
    "next_token": (NextTokenConfig(), [], TRANSFORMER),
}


class Doubles(Encoder[Channels]):
    """Channels to latents in double precision."""

    latent_dim = LATENT

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 12), nn.Tanh(), nn.Linear(12, LATENT)).double()

    def forward(self, items: Channels) -> Tensor:
        return self.net(items.values.flatten(1).double())


def built(config: Config) -> Any:
    """The component of a config."""
    components = [component for plugin in shared_registry().plugins for component in plugin.components]
    return next(component for component in components if component.config is type(config)).load()


class Kept(Listener):
    """Keeps the terms of every step."""

    def __init__(self) -> None:
        self.terms: list[dict[str, float]] = []

    def step_ended(self, progress: Progress) -> None:
        self.terms.append({name: float(term) for name, term in progress.terms.items()})


def learner_of(name: str, predictor: Config, processes: Peers) -> Learner:
    torch.manual_seed(0)
    dataset: Dataset = oscillators("text" if name == "next_token" else "channels")
    if name == "next_token":
        encoder: Encoder = TinyText(TinyTextConfig(width=LATENT, dropout=0.0), None)
        encoder.fit(dataset.training_items())
        encoder, observer = encoder.double(), None
    else:
        encoder = Doubles(int(dataset.items(torch.arange(1)).values[0].numel()))
        observer = Observer(lambda: dataset, OscillatorsConfig().observations())
    model = built(predictor)(predictor, LATENT).double()
    device = torch.device("cpu")
    learner = Learner(encoder, model, dataset, device, scratch() / name, observer=observer, cached_as=torch.float64)
    learner.processes = processes
    return learner


def trained(name: str, steps: int, accumulate: int = 1, processes: Peers = ALONE) -> tuple[list, dict[str, Tensor]]:
    """Terms of every step, and the weights at the end."""
    config, objectives, predictor = CASES[name]
    torch.set_default_dtype(torch.float64)  # of the modules that phases and objectives build
    try:
        learner, kept = learner_of(name, predictor, processes), Kept()
        whole = config.model_copy(update={"steps": steps, "batch_size": 7, "accumulate": accumulate})
        phase: Phase = built(config)(whole)
        added: dict[str, Objective] = {f"objective_{n}": built(each)(each) for n, each in enumerate(objectives)}
        windows = learner.dataset.windows("train", WINDOW, 4, 3)
        run_curriculum([BuiltPhase("divided", phase, added)], learner, windows, 0, [kept])
        return kept.terms, {key: value.detach().clone() for key, value in learner.weights()}
    finally:
        torch.set_default_dtype(torch.float32)


def require_equal(name: str, first: tuple, second: tuple) -> None:
    for step, (one_whole, divided) in enumerate(zip(first[0], second[0], strict=True)):
        assert divided == pytest.approx(one_whole, rel=1e-10, abs=1e-10), (name, step)
    for key, value in first[1].items():
        torch.testing.assert_close(second[1][key], value, rtol=0, atol=1e-8, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_parts_trains_as_the_whole_does(name: str) -> None:
    require_equal(name, trained(name, 5), trained(name, 5, accumulate=3))


def _train_in_process(number: int, count: int, folder: str, names: list[str], steps: int, accumulate: int) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", count)
    dist.init_process_group("gloo", store=store, rank=number, world_size=count, timeout=timedelta(minutes=10))
    group = ConnectedPeers(dist.group.WORLD)
    ends = {name: trained(name, steps, accumulate, group) for name in names}
    torch.save(ends, f"{folder}/{number}.pt")
    dist.destroy_process_group()


def in_processes(count: int, folder: Path, names: list[str], steps: int, accumulate: int = 1) -> list[dict[str, Any]]:
    """What each of some processes ends with."""
    for name in names:  # what is made once is there before the processes part
        learner_of(name, CASES[name][2], ALONE)
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_train_in_process, args=(number, count, str(folder), names, steps, accumulate))
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=600)
        assert worker.exitcode == 0
    return [torch.load(folder / f"{number}.pt") for number in range(count)]


@pytest.mark.parametrize(("count", "steps", "accumulate"), [(2, 50, 1), (3, 8, 2)])
def test_processes_train_as_one_does(count: int, steps: int, accumulate: int, tmp_path: Path) -> None:
    names = list(CASES)
    alone = {name: trained(name, steps) for name in names}
    for ends in in_processes(count, tmp_path, names, steps, accumulate):
        for name in names:
            require_equal(name, alone[name], ends[name])


class NotOfTotals(Phase[PhaseConfig]):
    """A mean over the windows at hand."""

    def loss(self, learner: Learner, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        return {"mean": learner.prediction(batch).next_states[batch.mask].abs().mean()}


class TotalOfTotal(Phase[PhaseConfig]):
    """A total of distances from a mean that is made of totals."""

    def loss(self, learner: Learner, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        values = learner.prediction(batch).next_states[batch.mask].mean(-1)
        mean = total(values.sum()) / total(batch.mask.sum())
        return {"spread": total((values - mean).square().sum()) / total(batch.mask.sum())}


def refused(phase: Callable[[PhaseConfig], Phase]) -> str:
    config = CotrainingConfig(steps=1, batch_size=6, accumulate=2)
    learner = learner_of("predictor_warmup", TRANSFORMER, ALONE)
    windows = learner.dataset.windows("train", WINDOW, 4, 3)
    with pytest.raises(RunError) as error:
        run_curriculum([BuiltPhase("wrong", phase(config))], learner, windows, 0)
    return str(error.value)


def test_windows_are_divided_by_what_their_items_cost() -> None:
    own = torch.arange(6)
    batch = Batch(own, own, own[:, None], own[:, None], own[:, None], torch.ones(6, 1, dtype=torch.bool))
    costs = torch.tensor([10, 9, 8, 1, 1, 1])
    parts = parts_of(batch, 2, lambda ids: costs[ids])
    assert [len(part.mask) for part in parts] == [3, 3]
    assert sorted(int(costs[part.items].sum()) for part in parts) == [12, 18]  # 27 and 3 if they were cut in two
    assert sorted(torch.cat([part.own(own) for part in parts]).tolist()) == own.tolist()


def test_a_loss_that_is_a_mean_of_its_part_is_refused() -> None:
    assert "the terms mean are not those of the whole batch" in refused(NotOfTotals)


class WithStream(PhaseConfig):
    """A phase with a second stream of windows."""

    def streams(self) -> dict[str, StreamConfig]:
        return {"other": StreamConfig()}


class Three(Peers):
    """Three processes that do nothing."""

    count = 3


def test_phases_that_three_processes_cannot_divide_are_refused() -> None:
    small = CotrainingConfig(steps=1, batch_size=4, accumulate=2)
    with pytest.raises(RecipeError, match="'small' has batches of 4 windows"):
        refuse_undivided(Three(), "small", small)
    streaming = WithStream(steps=1, batch_size=4)
    with pytest.raises(RecipeError, match="'streaming' reads further streams"):
        refuse_undivided(Three(), "streaming", streaming)
    refuse_undivided(ALONE, "streaming", streaming)


def test_a_total_that_is_made_of_another_is_refused_in_parts() -> None:
    assert "made of another total" in refused(TotalOfTotal)
