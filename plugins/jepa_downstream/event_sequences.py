"""A generative baseline: a model of the next event, and risks by futures that it samples.

The family of ETHOS (Renc et al., npj Digital Medicine 2024) and Foresight (Kraljevic et al., Lancet Digital Health
2024): a trajectory is a sequence of tokens, a causal transformer learns to say the next one, and the risk of what is
asked is how often it happens in futures that are sampled behind what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_downstream.baseline_channels import Histories
from jepa_downstream.baseline_config import EventSequenceConfig
from jepa_downstream.baseline_search import INFORMATION, log_loss, refuse_unfit
from jepa_downstream.event_model import EventModel, ModelShape, sized
from jepa_downstream.event_tokens import END, Vocabulary
from jepa_downstream.methods import CannotFit

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.view import View
    from jepa_core.training.learner import Learner
    from jepa_downstream.config import TasksConfig
    from jepa_downstream.rows import Rows, Task

UNKNOWN = -1.0
"""The label of a place that has none."""


class EventSequences:
    """A causal transformer over event tokens, sized to the run's encoder and predictor together; one for each task,
    whose label it learns to tell at the end of a step (an event) or of the trajectory (an outcome), for the rows of
    train alone. Tokens are learned of the whole train split, which needs no label.
    """

    name = "event sequences"
    information = f"{INFORMATION}, as tokens; the risk is that of sampled futures"

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        """Raises CannotFit where the source renders no channels."""
        self._histories = Histories.of(evaluation)
        self._dataset, self._device = evaluation.dataset, evaluation.learner.device
        self._config = config.baseline_search.event_sequences
        self._wanted = self._config.parameters or _trainable(evaluation.learner)

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedSequences:
        refuse_unfit(train, tuning)
        if task.kind != "binary" or (task.horizon is not None and task.known is None):
            raise CannotFit("no sampled future shows whether it comes true: it is neither an outcome nor an event")
        config, dataset = self._config, self._dataset
        vocabulary = Vocabulary.fit(self._histories, dataset, config.bins, config.times, seed)
        shape = sized(ModelShape(vocabulary.size, config.context, 0, config.layers, config.heads, 0), self._wanted)
        parts = [
            _Sequences(
                self._histories, vocabulary, config.context, dataset.trajectories(name), _labels(dataset, task, rows)
            )
            for name, rows in (("train", train), ("tuning", tuning))
        ]
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(seed)
            model = EventModel(shape, config.dropout).to(self._device)
            chosen = _trained(model, parts[0], parts[1], config, np.random.default_rng(seed))
        fitted = FittedSequences(
            chosen | {"parameters": shape.parameters}, model.eval(), vocabulary, config, task.horizon, seed,
            self._histories, self._device,
        )  # fmt: skip
        loss = log_loss(tuning.truth, fitted.scores(tuning)) if len(tuning) <= config.scored_tuning_rows else None
        fitted.chosen["tuning_loss"] = loss
        return fitted


def _trainable(learner: Learner) -> int:
    """Parameters of encoder and predictor that the run trains."""
    return sum(
        parameter.numel() for parameter in (*learner.encoder_parameters().values(), *learner.predictor.parameters())
    )


@dataclass(frozen=True)
class _Labels:
    """What is known of the label. steps: by trajectory, of each of its steps, NaN for none. ends: by trajectory, of its
    end."""

    steps: Mapping[int, np.ndarray]
    ends: Mapping[int, float]


def _labels(dataset: Dataset, task: Task, rows: Rows) -> _Labels:
    """Of the trajectories of some rows."""
    known = np.unique(rows.trajectory)
    if task.known is None:
        return _Labels({}, dict(zip(rows.trajectory.tolist(), rows.truth.tolist(), strict=True)))
    series, first = dataset.store.label(task.known), dataset.store.first_step
    parts = {int(number): series[first[number] : first[number] + dataset.steps[number]] for number in known}
    return _Labels(parts, {})


class _Sequences:
    """Training sequences of trajectories: each holds the static facts, then as many tokens as its context has room for,
    of steps that follow one another; what ends a sequence begins the next."""

    def __init__(
        self, histories: Histories, vocabulary: Vocabulary, context: int, trajectories: np.ndarray, labels: _Labels
    ) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        for trajectory in trajectories.tolist():
            steps = histories.steps(trajectory)
            facts, events = vocabulary.tokens(histories, trajectory, steps)
            tokens = np.append(events, END)
            marks = _marks(vocabulary, tokens, labels, trajectory)
            room = context - len(facts)
            for begin in range(0, len(tokens), room):
                told = slice(begin, begin + room)
                own = marks[told].copy()
                own[:1] = UNKNOWN  # what comes before it is not there
                whole = np.concatenate([facts, tokens[told]])
                self._parts.append((whole, np.concatenate([np.full(len(facts), UNKNOWN), own])))

    def batches(self, size: int, order: np.ndarray) -> list[tuple[Tensor, Tensor]]:
        """Tokens (B, L), padded by -1, and the labels (B, L - 1) of what foresees the next token; in batches."""
        return [
            self._batch([self._parts[number] for number in order[begin : begin + size]])
            for begin in range(0, len(order), size)
        ]

    def __len__(self) -> int:
        return len(self._parts)

    @staticmethod
    def _batch(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
        longest = max(len(tokens) for tokens, _ in parts)
        tokens, marks = np.full((len(parts), longest), -1), np.full((len(parts), longest), UNKNOWN)
        for row, (own, told) in enumerate(parts):
            tokens[row, : len(own)], marks[row, : len(own)] = own, told
        return torch.from_numpy(tokens), torch.from_numpy(marks[:, 1:]).float()


def _marks(vocabulary: Vocabulary, tokens: np.ndarray, labels: _Labels, trajectory: int) -> np.ndarray:
    """(L,) the label of the step before, where a token begins a step or ends the trajectory; else UNKNOWN."""
    marks = np.full(len(tokens), UNKNOWN)
    borders = np.flatnonzero(vocabulary.is_time(tokens) | (tokens == END))
    if trajectory in labels.steps:
        marks[borders[1:]] = np.nan_to_num(labels.steps[trajectory], nan=UNKNOWN)
    if trajectory in labels.ends:
        marks[borders[-1]] = labels.ends[trajectory]
    return marks


def _trained(
    model: EventModel, train: _Sequences, tuning: _Sequences, config: EventSequenceConfig, random: np.random.Generator
) -> dict[str, Any]:
    """Train until tuning gets no better; the model ends with its best weights. What was chosen."""
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    smallest, chosen, weights = np.inf, 0, deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        model.train()
        for tokens, marks in train.batches(config.batch_size, random.permutation(len(train))):
            loss = torch.stack(_losses(model, tokens, marks)).sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            optimizer.step()
        loss_now = _mean_loss(model, tuning, config.batch_size)
        if loss_now < smallest:
            smallest, chosen, weights = loss_now, epoch, deepcopy(model.state_dict())
        elif epoch - chosen >= config.patience:
            break
    model.load_state_dict(weights)
    if not np.isfinite(smallest):
        raise CannotFit("training diverged")
    return {"epochs": chosen, "tuning_loss_of_tokens": float(smallest)}


@torch.no_grad()
def _mean_loss(model: EventModel, tuning: _Sequences, size: int) -> float:
    model.eval()
    batches = tuning.batches(size, np.arange(len(tuning)))
    losses = [float(torch.stack(_losses(model, *batch)).sum()) for batch in batches]
    return float(np.mean(losses))


def _losses(model: EventModel, tokens: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the next token, and of the labels that are known."""
    device = model.tokens.weight.device
    tokens, marks = tokens.to(device), marks.to(device)
    hidden, _ = model(tokens[:, :-1].clamp(min=0))
    following = F.cross_entropy(model.scores(hidden).flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=-1)
    known = marks >= 0
    wrong = F.binary_cross_entropy_with_logits(model.labels(hidden), marks.clamp(min=0), reduction="none")
    return following, torch.where(known, wrong, 0).sum() / known.sum().clamp(min=1)


@dataclass(frozen=True)
class FittedSequences:
    """A trained model of events, and the risks that it gives. horizon: steps ahead of an event; None for an outcome."""

    chosen: dict[str, Any]
    model: EventModel
    vocabulary: Vocabulary
    config: EventSequenceConfig
    horizon: int | None
    seed: int
    histories: Histories
    device: torch.device

    def scores(self, rows: Rows) -> np.ndarray:
        """Each row by itself, under draws that its step alone decides, so that no bit depends on the rows beside it."""
        return np.array(
            [
                self._risk(int(trajectory), int(step))
                for trajectory, step in zip(rows.trajectory, rows.step, strict=True)
            ]
        )

    @torch.no_grad()
    def _risk(self, trajectory: int, step: int) -> float:
        """Mean risk of the futures of a row: of an event, that any step of the horizon ends with it on; of an outcome,
        that of the end."""
        facts, events = self.vocabulary.tokens(self.histories, trajectory, step + 1)
        room = self.config.context - len(facts) - self.config.future_tokens
        given = torch.from_numpy(np.concatenate([facts, events[-room:]])).to(self.device)
        hidden, past = self.model(given[None])
        count = self.config.futures
        futures = _Futures(
            self,
            step,
            hidden[:, -1].expand(count, -1),
            [(k.expand(count, -1, -1, -1), v.expand(count, -1, -1, -1)) for k, v in past],
        )
        return futures.risk()

    def to_state(self) -> dict[str, Any]:
        weights = {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}
        return {
            "kind": "event_sequences", "chosen": self.chosen, "horizon": self.horizon, "seed": self.seed,
            "vocabulary": self.vocabulary.to_state(), "config": self.config.model_dump(mode="json"),
            "shape": dict(self.model.shape._asdict()), "weights": weights,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], view: View) -> FittedSequences:
        """Raises CannotFit where the source renders no channels."""
        config = EventSequenceConfig.model_validate(state["config"])
        with torch.random.fork_rng(devices=[]):
            model = EventModel(ModelShape(**state["shape"]), config.dropout)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state["weights"].items()})
        device, vocabulary = view.frozen.device, Vocabulary.from_state(state["vocabulary"])
        return cls(
            state["chosen"], model.to(device).eval(), vocabulary, config, state["horizon"], state["seed"],
            Histories.of(view), device,
        )  # fmt: skip


class _Futures:
    """Futures of one row, sampled token by token, all at once. Symbol: F futures."""

    def __init__(self, fitted: FittedSequences, step: int, hidden: Tensor, past: list[tuple[Tensor, Tensor]]) -> None:
        """hidden: (F, W), of the last known token."""
        self._fitted, self._hidden, self._past = fitted, hidden, past
        self._generator = torch.Generator().manual_seed(fitted.seed * 100_003 + step)
        count = len(hidden)
        self._step = torch.full((count,), step)
        self._first = step
        self._spared = torch.ones(count, dtype=torch.float64)
        self._ended = torch.full((count,), torch.nan, dtype=torch.float64)
        self._open = torch.ones(count, dtype=torch.bool)

    def risk(self) -> float:
        """Sample until every future is at its end, or the tokens are spent."""
        fitted = self._fitted
        for _ in range(fitted.config.future_tokens):
            drawn = self._drawn()
            self._settle(drawn)
            if not self._open.any():
                break
            self._hidden, self._past = self._advanced(drawn)
        if fitted.horizon is not None:
            return float(1 - self._spared.mean())
        # A future that came to no end is judged as if it ended here.
        now = torch.sigmoid(fitted.model.labels(self._hidden)).double().cpu()
        return float(torch.where(self._ended.isnan(), now, self._ended).mean())

    def _drawn(self) -> Tensor:
        """Next tokens (F,); a time is that of the step which follows."""
        chances = torch.softmax(self._fitted.model.scores(self._hidden).double(), dim=-1).cpu()
        drawn = torch.multinomial(chances, 1, generator=self._generator)[:, 0]
        vocabulary = self._fitted.vocabulary
        times = torch.tensor([vocabulary.time(step) for step in (self._step + 1).tolist()])
        return torch.where(torch.from_numpy(vocabulary.is_time(drawn.numpy())), times, drawn)

    def _settle(self, drawn: Tensor) -> None:
        """Read the label of the steps that these tokens end, and close the futures that are at their end."""
        starts = torch.from_numpy(self._fitted.vocabulary.is_time(drawn.numpy()))
        over = (starts | (drawn == END)) & self._open
        label = torch.sigmoid(self._fitted.model.labels(self._hidden)).double().cpu()
        ahead = over & (self._step > self._first)
        self._spared = torch.where(ahead, self._spared * (1 - label), self._spared)
        self._ended = torch.where(over & (drawn == END), label, self._ended)
        reached = self._step - self._first >= self._fitted.horizon if self._fitted.horizon else torch.zeros_like(over)
        self._open &= ~(over & (reached | (drawn == END)))
        self._step = self._step + (over & starts).long()

    def _advanced(self, drawn: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        hidden, past = self._fitted.model(drawn[:, None].to(self._fitted.device), self._past)
        return hidden[:, -1], past
