"""Every interface of the framework, on one page; that of a source stands in `jepa_core.data.source`, without torch.

    raw data --Source--> store --windows--> Batch --Encoder--> Latents --Predictor--> Prediction --Phase--> loss
                                                                  |
                                                                  +--> Evaluator --> Findings --> report

Phases see latents, encoders see items, sources see raw data; nobody looks past its neighbour.

Symbols in shapes: B windows, T steps of a window, N distinct items, D latent size, W belief size, M rollout origins,
H horizon.

To add a component: write a config (jepa_core.config), a class that follows one of the contracts below, and declare both
with `jepa_core.plugin.Component`. Components are built as `Class(config)`; an encoder as `Class(config, shape)`, where
shape is the `ItemShape` of what it encodes (None for texts), and a predictor as `Class(config, latent_dim)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import (
    EvaluatorConfig,
    LearnerShape,
    ObjectiveConfig,
    OptimizerConfig,
    PhaseConfig,
    ScheduleConfig,
)
from jepa_core.data.source import (  # noqa: F401 - they belong to this page
    Act,
    Otherwise,
    PartitionedSource,
    Simulator,
    Source,
    Staged,
)
from jepa_core.data.trajectories import Channel
from jepa_core.results.findings import Findings, KeptHead

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.model.view import View
    from jepa_core.training.curriculum import Progress
    from jepa_core.training.learner import Learner


PhaseC = TypeVar("PhaseC", bound=PhaseConfig, covariant=True)
ObjectiveC = TypeVar("ObjectiveC", bound=ObjectiveConfig, covariant=True)
OptimizerC = TypeVar("OptimizerC", bound=OptimizerConfig, covariant=True)
ScheduleC = TypeVar("ScheduleC", bound=ScheduleConfig, covariant=True)
EvaluatorC = TypeVar("EvaluatorC", bound=EvaluatorConfig, covariant=True)
"""The config of a component: a phase says `class Mine(Phase[MineConfig])`, and `self.config` is one."""


# --- data that the components exchange --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Channels:
    """Items of the modality `channels`.

    values: (N, C, P) float32, 0 where nothing was observed. observed: (N, C, P) bool. C counts the channels of states,
    actions and static facts together, so an item needs no mark of its role. P counts the samples of a channel in one
    step, in their order: 1 unless a step is a patch of samples.
    """

    values: Tensor
    observed: Tensor


Items: TypeAlias = Sequence[str] | Channels
"""What an encoder encodes: texts (modality `text`) or channel values (modality `channels`). A state, an action and the
static facts of a trajectory are one item each."""

ItemsT = TypeVar("ItemsT", Sequence[str], Channels)
"""Which of the two an encoder reads: `class Mine(Encoder[Channels])`."""


@dataclass(frozen=True)
class Part:
    """Which windows of a step's batch a batch has, where that is divided; S windows in all, of M items.

    rows: (B,) int64, their places among all. mask: (S, T) bool, of all. items: (M,) int64, ascending ids of the items
    of all. first: (N,) bool, the batch's own items that no earlier part has.
    """

    rows: Tensor
    mask: Tensor
    items: Tensor
    first: Tensor


@dataclass(frozen=True)
class Batch:
    """B windows of up to T steps. Each distinct item stands once; index arrays place it in the windows.

    items: (N,) int64, ascending ids of the distinct items in the dataset. static: (B,), states: (B, T), actions: (B,
    T), int64 positions in `items`. steps: (B, T) int64, number of each step among all of the store. mask: (B, T) bool,
    true where the window has a step (beyond its end its first step is repeated, and never read). part: which windows of
    the step these are; None for all of them.
    """

    items: Tensor
    static: Tensor
    states: Tensor
    actions: Tensor
    steps: Tensor
    mask: Tensor
    part: Part | None = None

    @property
    def whole_mask(self) -> Tensor:
        """The mask of all S windows of the step: (S, T). A phase draws for these and keeps its `own`, so that the draws
        of a window do not depend on how the step is divided."""
        return self.mask if self.part is None else self.part.mask

    def own(self, values: Tensor) -> Tensor:
        """Of values for all windows of the step (S, ...), those of this batch: (B, ...)."""
        return values if self.part is None else values[self.part.rows.to(values.device)]


@dataclass(frozen=True)
class Latents:
    """What an encoder made of a batch. static: (B, D), states: (B, T, D), actions: (B, T, D), mask: (B, T) bool."""

    static: Tensor
    states: Tensor
    actions: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Observations:
    """What the states of a batch show in numbers, whatever the encoder reads.

    values: (B, T, C) float32, normal scores of each channel among the observed values of the train split, 0 where
    nothing was observed. observed: (B, T, C) bool. C counts the channels that the source's config names in
    `observations`.
    """

    values: Tensor
    observed: Tensor


@dataclass(frozen=True)
class Prediction:
    """What a predictor made of latents.

    next_states: (B, T, D); position t holds the prediction of the state at t + 1, from static, states <= t and actions
    <= t. belief: (B, T, W); what the predictor knows at t, of the same: its hidden state, which that prediction is read
    from. memory: whatever the predictor keeps of the real steps so that a rollout computes none of them again (keys and
    values, say). terms: of a predictor that has a loss of its own (a divergence, say), each a scalar, weighted; the
    loop adds them to the loss of a phase that trains the predictor.
    """

    next_states: Tensor
    belief: Tensor
    memory: Any
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """What a predictor imagined from M origins a window.

    states: (B, M, H, D); entry h - 1 is the state at origin + h. belief: (B, M, H, W); entry h - 1 is the belief which
    that state was read from, at origin + h - 1: the first is that of the last real step.
    """

    states: Tensor
    belief: Tensor


# --- components -------------------------------------------------------------------------------------------------------


class Encoder(nn.Module, ABC, Generic[ItemsT]):
    """Makes a latent of an item. Time belongs to the predictor: no item sees another.

    Parameters that require a gradient after construction are the trainable ones; only these are optimized, averaged
    into the target and checkpointed. The rest is rebuilt from the config.
    """

    latent_dim: int

    def fit(self, items: Iterable[ItemsT]) -> None:  # noqa: B027 - most encoders have nothing to fit
        """See the distinct items of the train split once, in order, before training (to make a tokenizer, to find a
        mean)."""

    def forget_rare(self, owned: Iterable[tuple[int, ItemsT]]) -> None:  # noqa: B027 - see fit
        """Forget what `fit` learned of too few subjects to be given away. Called once, after `fit`. owned: a number for
        a subject of the train split, and items of it; all of one subject's come one after another."""

    def fitted(self) -> dict[str, Any]:
        """What `fit` found, as plain values that JSON holds. `least_subjects` among them says that nothing else in it
        is known from fewer subjects of the train split."""
        return {}

    def load_fitted(self, fitted: dict[str, Any]) -> None:  # noqa: B027 - see fit
        """Take up what another instance's `fit` found, instead of fitting."""

    def export(self, folder: Path) -> None:  # noqa: B027 - most encoders have nothing that other tools read
        """Write what was trained into `folder` (made if there is something to write) in a form that other tools read;
        called once, at the end of a run. `model.safetensors` of the run holds every weight already."""

    @abstractmethod
    def forward(self, items: ItemsT) -> Tensor:
        """Encode items: (N, D) float32. An item's latent must not depend on the items beside it by more than
        rounding."""


class LanguageEncoder(Encoder[Sequence[str]]):
    """An encoder of texts that can also train as a language model. Its config says so: `next_token_loss` in `offers`.

    A phase reaches it by `learner.next_token_loss(batch)` and has `next_token_loss` in its config's `needs`; a recipe
    that puts such a phase on another encoder is refused when it is validated.
    """

    @abstractmethod
    def next_token_loss(self, items: Sequence[str]) -> Tensor:
        """Mean cross-entropy, a scalar in nats, of every token of the texts but their first, given those before it in
        the same text. 0 if no text has two tokens. The mean is that of two totals (jepa_core.training.totals)."""


class Predictor(nn.Module, ABC):
    """Predicts the next state of every step in one pass, and rolls out under given actions.

    belief_dim: size W of a belief.
    """

    belief_dim: int

    @abstractmethod
    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t. Static, states <= t and actions <= t are seen, nothing else."""

    @abstractmethod
    def rollout(self, latents: Latents, memory: Any, origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and their beliefs (B, M, H, W).

        memory: of a `forward` on windows that hold every step up to the origins. origins: (B, M) int64, the last real
        state that is seen. Actions up to origin + H - 1 are read from `latents.actions`, which may be longer than the
        windows of that `forward`; states beyond an origin are the predictor's own. Gradients flow through them.
        `memory` is left as it is.
        """

    def extend(self, step: Latents, memory: Any) -> Prediction:
        """Take one more real step (T = 1) behind those of a memory, at the cost of that step: the prediction at it,
        next_states (B, 1, D) and belief (B, 1, W), as `forward` on all steps would give it, with the memory of all.

        memory: of `forward` or `extend` on windows without padding; it is left as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no steps one at a time; it has no `extend`")


class Phase(ABC, Generic[PhaseC]):  # noqa: B024 - a phase without steps needs no loss
    """One part of the curriculum.

    Its config (a `PhaseConfig`) says which modules it trains, for how many steps, with which optimizer and schedule;
    the loop reads it. A phase of zero steps acts only in `finish`. To write one, `loss` is enough:

        class WarmUp(Phase[WarmUpConfig]):
            def loss(self, learner, batch, generator):
                latents = learner.latents(batch)                  # encodes; from the cache while the encoder is frozen
                predicted = learner.prediction(batch).next_states
                return {"prediction": masked_l1(predicted[:, :-1], latents.states[:, 1:], latents.mask[:, 1:])}

    What a learner offers: `latents(batch)`, `prediction(batch)` (what the predictor makes of them),
    `observations(batch)`, `target_states(batch)` and `target_latents(batch)` (no gradient), `predictor`,
    `update_target(tau)`, `sync_target()`; and `log(name, number)`, for what is to be recorded and shown beside the loss
    and is no term of it.
    """

    module: nn.Module | None = None
    """What `build_module` made, while the phase runs."""
    streams: Mapping[str, Batch] = MappingProxyType({})
    """The batches of the config's `streams` that go with the one `loss` is given: the learner takes them as it does
    that one."""

    def __init__(self, config: PhaseC) -> None:
        self.config = config

    def build_module(self, latent_dim: int) -> nn.Module | None:
        """A module that only this phase needs, such as a predictor that is thrown away after it; none by default.

        The loop builds it when the phase begins, with torch seeded from (seed, phase name), keeps it as `self.module`,
        trains it with the settings of the predictor, has its state in checkpoints, and drops it when the phase is done.
        The config's `module_size` counts its parameters.
        """
        return None

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms of the loss, each a scalar; the loop minimises their sum.

        `generator` (on the CPU) is the source of a phase's own draws. The loop seeds it, and torch, from (seed, phase
        name, step) before every step, so a step's randomness depends on no step before it: resuming needs no random
        state, and removing a phase changes no other.
        """
        raise NotImplementedError(f"{type(self).__name__} has steps but no loss")

    def after_step(self, learner: Learner) -> None:  # noqa: B027 - optional
        """Called after each optimizer step."""

    def finish(self, learner: Learner) -> None:  # noqa: B027 - optional
        """Called once, when the phase's steps are done."""

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors that the phase must have back after a resume."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: B027 - optional
        """Take up what `state_dict` gave."""


class Objective(ABC, Generic[ObjectiveC]):
    """A loss term that a recipe adds to any phase (`objectives:`): against collapse, or to tie beliefs to the data.

        class Spread(Objective[SpreadConfig]):
            def terms(self, learner, batch, generator):
                states = learner.latents(batch).states[batch.mask]
                return {"spread": (1 - states.std(0)).relu().mean()}

    `learner.latents(batch)` and `learner.prediction(batch)` are those that the phase made, if it made them.
    """

    module: nn.Module | None = None
    """What `build_module` made, while a phase runs."""

    def __init__(self, config: ObjectiveC) -> None:
        self.config = config

    def build_module(self, shape: LearnerShape) -> nn.Module | None:
        """A module that is trained with the objective, such as heads that read beliefs; none by default.

        It is made where the curriculum first takes an objective of that name, with torch seeded from (seed, name), and
        goes on training in every later phase that takes one of the same name, with the settings of the predictor.
        Checkpoints hold its state. After its last phase the model keeps it as `learner.modules[name]`, or it is dropped
        (`keep` in the config). The config's `module_size` counts its parameters.
        """
        return None

    @abstractmethod
    def terms(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms to add to the loss, each a scalar, before the config's `weight` is applied.

        `generator` and torch are seeded from (seed, phase name, objective's name, step), so that no draw depends on
        what else is in the loss.
        """


class Optimizer(ABC, Generic[OptimizerC]):
    """How the parameters that a phase trains move along their gradients.

        class Descent(Optimizer[DescentConfig]):
            def over(self, groups):
                return torch.optim.SGD(groups, lr=0.0)

    The loop sets the rates before every step, clips the gradients before it, and keeps what the optimizer knows of each
    parameter in checkpoints.
    """

    def __init__(self, config: OptimizerC) -> None:
        self.config = config

    @abstractmethod
    def over(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over groups of parameters, as torch takes them: of one module each, with the keys `params`,
        `weight_decay`, `matrices` (whether they map one vector onto another) and `peak_lr`. Every group keeps its keys.

        Its state holds tensors alone, by name. Parameters without a gradient do not move.
        """


class Schedule(ABC, Generic[ScheduleC]):
    """The course of the learning rates over a phase, in shares of their peaks. Each phase has its own, so that dropping
    one changes no other."""

    def __init__(self, config: ScheduleC) -> None:
        self.config = config

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """What the peaks are multiplied by at step `step` of `steps`, counted from 0: a function of these two alone."""


class Decoder(nn.Module, ABC):
    """A module of an objective that reads beliefs, real or imagined, in terms of the data. Kept with the model."""

    @abstractmethod
    def forward(self, belief: Tensor) -> Tensor:
        """All that is read from beliefs (..., W), the same numbers in the same order for any: (..., F)."""

    @abstractmethod
    def next_values(self, belief: Tensor) -> Tensor:
        """Values of the next step that are expected in beliefs (..., W): (..., C), scaled as `Observations` are."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator may use.

    learner: frozen, in evaluation mode, with the data that it encodes. window_length: steps of a window in training.
    seed: for every draw. untrained: makes (once) the control learner: the encoder as it was before training, with a
    predictor trained on its latents for as many steps as the curriculum trained the predictor; None where the
    curriculum has no phase that could train it. channels: opens (once) the same trajectories as numbers, whatever the
    encoder reads: the modality `channels`, fitted on nothing; None where the source cannot render it. scratch: a folder
    for temporary files on the run's disk; None for the system's own. source: that built the trajectories, for what-ifs;
    None where there is none to ask.
    """

    learner: Learner
    window_length: int
    seed: int
    untrained: Callable[[], Learner] | None
    channels: Callable[[], Dataset] | None = None
    scratch: Path | None = None
    source: Source | None = None

    @property
    def dataset(self) -> Dataset:
        """All splits, as the learner encodes them."""
        return self.learner.dataset


class Head(ABC):
    """Something that an evaluator fitted, at work again on any data that the run's source reads: made by
    `Evaluator.head` of what it kept."""

    @abstractmethod
    def steps(self, length: int) -> np.ndarray:
        """Numbers from 0 of the steps at which a trajectory of so many steps is scored as it was in the run (or would
        have been, if its truth were known): (r,) int64."""

    @abstractmethod
    def scores(self, view: View, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Scores (R,) float64 of rows ordered by (trajectory, step), both (R,) int64: what the run's `Predictions` say
        of them, to the bit, whatever other rows and trajectories are there. Nothing is read that comes after a row's
        step, beyond rounding.

        Raises DataError if the data lack what the head reads.
        """

    def truth(self, dataset: Dataset, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        """What was to be predicted at rows (R,), as far as the data tell it: (R,) float64, 1 or 0 of a class, NaN
        where nobody can tell; nothing, by default."""
        return np.full(len(step), np.nan)


class Surprise(Head):
    """Scores every step by how far it is from what was foreseen of it; made by `Evaluator.head` of what it kept.

    channels: whose surprises there are. threshold: of scores, beyond which a step raises an alarm; infinite where too
    little was seen to find one.
    """

    channels: list[Channel]
    threshold: float

    @abstractmethod
    def by_channel(self, view: View, trajectory: int) -> np.ndarray:
        """Surprise of every step and channel of a trajectory, in what it usually is on the train split: (T, C) float64,
        NaN where nothing was observed, or nothing foreseen. Nothing is read that comes after a step.

        Raises DataError if the data lack what the head reads.
        """


class Readout(ABC):
    """Reads values off states, latent by latent; made by `Evaluator.head` of what it kept. It was fitted on a frozen
    model, where a `Decoder` is trained with it.

    channels: what the values are, with their units.
    """

    channels: list[Channel]

    @abstractmethod
    def decode(self, states: np.ndarray) -> np.ndarray:
        """States (..., D) to values (..., C), in the units of the channels."""


@dataclass(frozen=True)
class Intervals:
    """Intervals around what a kept decoder reads of a forecast, fitted where nothing else was; made by `Evaluator.head`
    of what it kept.

    level: share of the values that they are to cover. names: (C,) of the channels. widths: (H, C) half-widths in normal
    scores, infinite where too few values were seen to tell. noise: (H, C) standard deviation in normal scores of what
    no member of an ensemble foresees: of the forecast's errors, less that of the members among themselves.
    """

    level: float
    names: list[str]
    widths: np.ndarray
    noise: np.ndarray

    def at(self, names: Sequence[str], horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Half-widths and noise (horizon, len(names)); NaN beyond the horizon and the channels that they were fitted
        for, and where they are infinite."""
        return self._placed(self.widths, names, horizon), self._placed(self.noise, names, horizon)

    def _placed(self, fitted: np.ndarray, names: Sequence[str], horizon: int) -> np.ndarray:
        placed = np.full((horizon, len(names)), np.nan)
        steps = min(horizon, len(fitted))
        for column, name in enumerate(names):
            if name in self.names:
                placed[:steps, column] = fitted[:steps, self.names.index(name)]
        return np.where(np.isfinite(placed), placed, np.nan)


class Evaluator(ABC, Generic[EvaluatorC]):
    """Measures a learner on a split."""

    def __init__(self, config: EvaluatorC) -> None:
        self.config = config

    def check(self, dataset: Dataset) -> None:  # noqa: B027 - most evaluators read nothing that may be missing
        """Called before training. Raises DataError if the data have not what the recipe asks for, such as a label."""

    @abstractmethod
    def evaluate(self, evaluation: Evaluation) -> Findings:
        """Findings, a function of the learner, the data and the seed alone. Intervals resample subjects; n stands
        beside every figure.

        What cannot be measured (one class, no window long enough) is null with the reason, never dropped. What was
        fitted on the way is among them (`Findings.heads`), in a form that `head` takes.
        """

    def head(self, kept: KeptHead) -> Head | Readout | Intervals:
        """What `evaluate` kept, ready for data that it was not fitted on."""
        raise NotImplementedError(f"{type(self).__name__} keeps no heads")


# --- who is told how a run goes on ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunFacts:
    """What a listener that a recipe names may know of its run.

    folder: the run's own; what is shared by runs lies beside it. plan: models, phases and seed by name, in plain
    values; nothing of the data.
    """

    folder: Path
    plan: Mapping[str, str | int]


class Listener:
    """Is told how one run goes on: writes metrics or checkpoints, shows progress, feeds a tracker.

    A listener belongs to one run, and is made anew when an interrupted run goes on. All of a run's listeners are told
    in the order in which the run was given them. None of them may change what a run finds.

    A recipe names listeners under `trackers`: components like others, built as `Class(config, facts)` with the
    `RunFacts` of the run. One that raises an error is told no more, and the run goes on. A plugin may also bring
    listeners to every run, by the hook `jepa_listeners` (jepa_core.plugin); an error that one of these raises ends the
    run.
    """

    def run_started(self) -> None:
        """The data are ready, the learner is built, the first phase has not begun."""

    def phase_started(self, progress: Progress) -> None:
        """A phase begins, or goes on after a resume."""

    def step_ended(self, progress: Progress) -> None:
        """An optimizer step is done. `progress.terms` holds tensors: reading one waits for the device."""

    def logged(self, record: Mapping[str, Any]) -> None:
        """A step was written down, with what its line in `metrics.jsonl` says: numbers, read off the device."""

    def phase_ended(self, progress: Progress) -> None:
        """A phase is done, its `finish` included."""

    def evaluation_started(self, name: str, index: int, count: int) -> None:
        """An evaluator begins, the one at `index` (from 0) of so many; not told of one that was done before."""

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        """An evaluator has returned its findings, and they are written; also when a finished run is evaluated again,
        and, when a run goes on, of evaluators that were done before."""

    def run_ended(self) -> None:
        """Everything is done, the report included."""

    def close(self) -> None:
        """The run is over, however it ended: whole, stopped, or in an error."""
