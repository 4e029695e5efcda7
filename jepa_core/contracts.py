"""The interfaces of the framework, on one page: what a component is, whichever its kind.

    raw data --Source--> store --windows--> Batch --Encoder--> Latents --Predictor--> Prediction --Phase--> loss
                                                                  |
                                                                  +--> Evaluator --> Findings --> report

Phases see latents, encoders see items, sources see raw data; nobody looks past its neighbour.

Every name of a contract is imported from here. What stands elsewhere, each in a short file:

    jepa_core.tensors       what components hand one another, with shapes: Batch, Latents, Prediction, Rollout, ...
    jepa_core.data.source   Source, Simulator: without torch, which preparing data does not need
    jepa_core.kept          what an evaluator fitted, at work on other data: Head, Surprise, Readout, Intervals
    jepa_core.optimizer     Optimizer, Schedule: how the parameters that a phase trains move
    jepa_core.listener      Listener: who is told how a run goes on

Symbols in shapes: B windows, T steps of a window, N distinct items, D latent size, W belief size, M rollout origins,
H horizon.

To add a component: write a config (jepa_core.config), a class that follows one of the contracts below, and declare both
with `jepa_core.plugin.Component`. Components are built as `Class(config)`; an encoder as `Class(config, shape)`, where
shape is the `ItemShape` of what it encodes (None for texts), a predictor as `Class(config, latent_dim)`, and a listener
as `Class(config, facts)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from jepa_core.config import EvaluatorConfig, LearnerShape, ObjectiveConfig, PhaseConfig
from jepa_core.data.source import Act, Otherwise, PartitionedSource, Simulator, Source, Staged
from jepa_core.kept import Head, Intervals, Readout, Surprise
from jepa_core.listener import Listener, RunFacts
from jepa_core.optimizer import Optimizer, Schedule
from jepa_core.results.findings import Findings, KeptHead
from jepa_core.tensors import Batch, Channels, Items, ItemsT, Latents, Observations, Part, Prediction, Rollout

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner

__all__ = [
    "Act", "Batch", "Channels", "Decoder", "Encoder", "Evaluation", "Evaluator", "Head", "Intervals", "Items", "ItemsT",
    "LanguageEncoder", "Latents", "Listener", "Objective", "Observations", "Optimizer", "Otherwise", "Part",
    "PartitionedSource", "Phase", "Prediction", "Predictor", "Readout", "Rollout", "RunFacts", "Schedule", "Simulator",
    "Source", "Staged", "Surprise",
]  # fmt: skip


PhaseC = TypeVar("PhaseC", bound=PhaseConfig, covariant=True)
ObjectiveC = TypeVar("ObjectiveC", bound=ObjectiveConfig, covariant=True)
EvaluatorC = TypeVar("EvaluatorC", bound=EvaluatorConfig, covariant=True)
"""The config of a component: a phase says `class Mine(Phase[MineConfig])`, and `self.config` is one."""


class Encoder(nn.Module, ABC, Generic[ItemsT]):
    """Makes a latent of an item. Time belongs to the predictor: no item sees another.

    Parameters that require a gradient after construction are the trainable ones; only these are optimized, averaged
    into the target and checkpointed. The rest is rebuilt from the config.
    """

    latent_dim: int
    passes_of_all: Callable[[int], int] | None = None
    """Where processes divide the frozen weights: how many passes over these all make, given how many this one would; it
    makes that many, of which what is too much counts nothing, and lets gradient flow."""

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

    def memory_for(self, latents: Latents, origins: Tensor) -> Any:
        """The memory of a `forward`, for `rollout` from these origins (B, M) and nothing else: a predictor may leave
        out what no rollout from there reads."""
        return self(latents).memory

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
