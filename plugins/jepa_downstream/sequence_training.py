"""Networks over steps as baselines: one loop that trains any of them, and chooses on tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_downstream.baseline_channels import Histories, Profile
from jepa_downstream.baseline_config import SequenceConfig
from jepa_downstream.baseline_search import INFORMATION, LOSSES, best, refuse_unfit
from jepa_downstream.sequence_batches import Batches, Sequences
from jepa_downstream.sequence_models import GRUD, LSTM, TCN, Network, SequenceModel

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.model.view import View
    from jepa_downstream.config import TasksConfig
    from jepa_downstream.rows import Rows, Task


@dataclass(frozen=True)
class Likelihood:
    """How a network's outputs are trained and read.

    loss: mean over rows, of outputs (R,) and truth (R,) in its unit. score: outputs to scores in that unit. unit: mean
    and standard deviation that a truth is trained in, and the output to start from.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor], Tensor]
    unit: Callable[[np.ndarray], tuple[float, float, float]]


def _as_it_is(truth: np.ndarray) -> tuple[float, float, float]:
    return 0.0, 1.0, float(np.log(truth.mean() / (1 - truth.mean())))


def _standard(truth: np.ndarray) -> tuple[float, float, float]:
    return float(truth.mean()), float(truth.std()), 0.0


LIKELIHOODS = {
    "binary": Likelihood(F.binary_cross_entropy_with_logits, torch.sigmoid, _as_it_is),
    "regression": Likelihood(F.mse_loss, torch.Tensor.clone, _standard),
}


@dataclass(frozen=True)
class NetworkScorer:
    """A network, and what its outputs mean. mean, deviation: unit of the truth."""

    model: SequenceModel
    likelihood: Likelihood
    mean: float
    deviation: float
    device: torch.device

    def outputs(self, sequences: Sequences) -> Tensor:
        """(R,), of the rows of a batch that is on the device."""
        return self.model(sequences)[sequences.row, sequences.step]

    @torch.no_grad()
    def scores(self, batches: Batches) -> np.ndarray:
        """(R,) float64, of all rows; each trajectory is run through once, however many rows it has."""
        self.model.eval()
        scores = np.empty(batches.rows)
        for sequences in batches.in_order():
            score = self.likelihood.score(self.outputs(sequences.to(self.device)))
            scores[sequences.index.numpy()] = self.mean + self.deviation * score.double().cpu().numpy()
        return scores


@dataclass(frozen=True)
class FittedSequence:
    """A network that was chosen on tuning. name: of the baseline. kind: of the task."""

    chosen: dict[str, Any]
    name: str
    kind: str
    scorer: NetworkScorer
    histories: Histories
    profile: Profile
    config: SequenceConfig

    def scores(self, rows: Rows) -> np.ndarray:
        return self.scorer.scores(Batches.alone(self.histories, self.profile, self.config.input_clip, rows))

    def to_state(self) -> dict[str, Any]:
        weights = {name: value.cpu().numpy() for name, value in self.scorer.model.state_dict().items()}
        return {
            "kind": "sequence", "chosen": self.chosen, "name": self.name, "task_kind": self.kind,
            "mean": self.scorer.mean, "deviation": self.scorer.deviation, "profile": self.profile.to_state(),
            "config": self.config.model_dump(mode="json"), "weights": weights,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], view: View) -> FittedSequence:
        """Raises CannotFit where the source renders no channels."""
        histories, profile = Histories.of(view), Profile.from_state(state["profile"])
        config = SequenceConfig.model_validate(state["config"])
        with torch.random.fork_rng(devices=[]):
            model = _network(NETWORKS[state["name"]], histories, profile, config, 0.0)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state["weights"].items()})
        device, kind = view.frozen.device, state["task_kind"]
        scorer = NetworkScorer(model.to(device), LIKELIHOODS[kind], state["mean"], state["deviation"], device)
        return cls(state["chosen"], state["name"], kind, scorer, histories, profile, config)


def _network(
    network: Network, histories: Histories, profile: Profile, config: SequenceConfig, dropout: float
) -> SequenceModel:
    """A network for the inputs of a profile, its weights drawn from torch's random state."""
    sizes = len(profile.dynamic.chosen) * histories.samples, len(profile.static.chosen)
    return network(*sizes, config, dropout)


class SequenceBaseline:
    """A network over steps, trained on all rows of a trajectory at once."""

    name: str
    network: Network
    information = INFORMATION

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        """Raises CannotFit where the source renders no channels."""
        self._histories = Histories.of(evaluation)
        self._config = config.baseline_search.sequence
        self._device = evaluation.learner.device

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedSequence:
        refuse_unfit(train, tuning)
        profile = Profile.of(self._histories, train, seed)
        batches = partial(Batches, self._histories, profile, self._config.input_clip, self._config.batch_size)
        training = _Training(self._config, task.kind, batches(train), train.truth, batches(tuning), tuning.truth, seed)
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            chosen, scorer = best(self._candidates(task.kind, profile, train, training))
        return FittedSequence(chosen, self.name, task.kind, scorer, self._histories, profile, self._config)

    def _candidates(
        self, kind: str, profile: Profile, train: Rows, training: _Training
    ) -> Iterator[tuple[float, dict[str, Any], NetworkScorer]]:
        """Loss on tuning, settings and network of every setting."""
        mean, deviation, start = LIKELIHOODS[kind].unit(train.truth)
        for rate, dropout in product(self._config.learning_rates, self._config.dropouts):
            torch.manual_seed(training.seed)
            model = _network(self.network, self._histories, profile, self._config, dropout).to(self._device)
            nn.init.constant_(model.head.bias, start)
            scorer = NetworkScorer(model, LIKELIHOODS[kind], mean, deviation, self._device)
            loss, epochs = training.run(scorer, rate)
            yield loss, {"learning_rate": rate, "dropout": dropout, "epochs": epochs}, scorer


class LSTMBaseline(SequenceBaseline):
    """LSTM over values and masks."""

    name, network = "LSTM", LSTM


class GRUDBaseline(SequenceBaseline):
    """GRU-D, whose inputs and state decay with the time since a channel was last seen."""

    name, network = "GRU-D", GRUD


class TCNBaseline(SequenceBaseline):
    """Causal dilated convolutions over values and masks."""

    name, network = "TCN", TCN


NETWORKS: dict[str, Network] = {network.name: network.network for network in (LSTMBaseline, GRUDBaseline, TCNBaseline)}
"""Networks by the name of the baseline."""


@dataclass(frozen=True)
class _Training:
    """The loop, and what it reads."""

    config: SequenceConfig
    kind: str
    train: Batches
    truth: np.ndarray
    tuning: Batches
    tuning_truth: np.ndarray
    seed: int

    def run(self, scorer: NetworkScorer, rate: float) -> tuple[float, int]:
        """Train, and leave the network as it was after the epoch with the smallest loss on tuning: that loss, and the
        epoch, from 1."""
        optimizer = torch.optim.AdamW(_groups(scorer.model, self.config.weight_decay), lr=rate)
        random = np.random.default_rng(self.seed)
        truth = torch.from_numpy((self.truth - scorer.mean) / scorer.deviation).float()
        smallest, chosen, weights = np.inf, 0, scorer.model.state_dict()
        for epoch in range(1, self.config.epochs + 1):
            self._epoch(scorer, optimizer, truth, random)
            loss = LOSSES[self.kind](self.tuning_truth, scorer.scores(self.tuning))
            if loss < smallest:
                smallest, chosen, weights = loss, epoch, deepcopy(scorer.model.state_dict())
            if epoch - chosen >= self.config.patience:
                break
        scorer.model.load_state_dict(weights)
        return smallest, chosen

    def _epoch(
        self, scorer: NetworkScorer, optimizer: torch.optim.Optimizer, truth: Tensor, random: np.random.Generator
    ) -> None:
        scorer.model.train()
        for sequences in self.train.shuffled(random):
            outputs = scorer.outputs(sequences.to(scorer.device))
            loss = scorer.likelihood.loss(outputs, truth[sequences.index].to(scorer.device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(scorer.model.parameters(), self.config.gradient_clip)
            optimizer.step()


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for AdamW: weight decay is applied to matrices only."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
