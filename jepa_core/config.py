"""What a recipe may say about a component: pydantic models that import no torch.

A plugin derives its configs from these bases. Each answers, without building anything, what `jepa plan` asks: which
files will be read, what is missing on this machine, how many parameters there will be and how much memory they need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from jepa_core.errors import RecipeError

LARGEST_INTEGER = 2**32 - 1
"""Sizes, counts and seeds beyond it overflow somewhere in the libraries that are given them."""
LARGEST_FLOAT = 1e18
"""Squares of larger numbers overflow single precision."""
SMALLEST_FLOAT = 1e-30
"""What is divided by a number nearer to 0 overflows, and in single precision it is soon 0 itself."""

BatchSize = Annotated[int, Field(gt=0, le=65_536)]
"""Windows or rows at once; more of them than any device takes."""
Draws = Annotated[int, Field(ge=100, le=100_000)]
"""Of subjects, behind an interval; more would not change a digit that is printed."""
Folds = Annotated[int, Field(ge=2, le=127)]
"""Of the subjects; the number of each is kept in a byte."""
Threads = Annotated[int, Field(ge=1, le=1024)]
"""Of one process; no machine has more cores."""


class Config(BaseModel):
    """Base of every config: unknown keys are errors, values do not change after validation, and no number is larger
    than the libraries can count, or too near to 0 to be told from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _can_be_counted(cls, value: Any) -> Any:
        for number in _numbers(value):
            if isinstance(number, int) and abs(number) > LARGEST_INTEGER:
                raise ValueError(f"is beyond {LARGEST_INTEGER:,}, the largest whole number that a recipe may hold")
            if isinstance(number, float) and not abs(number) <= LARGEST_FLOAT:
                raise ValueError(f"is beyond {LARGEST_FLOAT:g}, the largest number that a recipe may hold")
            if 0 < abs(number) < SMALLEST_FLOAT:
                raise ValueError(f"is nearer to 0 than {SMALLEST_FLOAT:g}; write 0, or a number that differs from it")
        return value

    def missing(self) -> list[str]:
        """What this component needs and does not find on this machine, one sentence each."""
        return []


@dataclass(frozen=True)
class PathText:
    """Marks a text of a config as the path of files or of a folder: `Annotated[str, PathText()]`. A key of the type
    Path needs no mark.

    A relative one in a recipe file goes by the folder of that file, any other by where the command runs. other: an
    expression that matches texts which are no path, such as a word that means something else.
    """

    other: str = ""

    def whole(self, text: str, folder: Path) -> str:
        """The path from a folder; the text as it is where it is whole, or no path. Wildcards are kept."""
        is_path = text and not (self.other and re.fullmatch(self.other, text))
        relative = is_path and not text.startswith("~") and not Path(text).is_absolute()
        return os.path.normpath(folder.absolute() / text) if relative else text


@dataclass(frozen=True)
class Input:
    """A file or folder that a source will read."""

    path: Path
    bytes: int | None
    """Size on disk; None if it is not there yet (a source that makes its own data)."""


@dataclass(frozen=True)
class ModelSize:
    """Parameters of a model, known from its config alone. divisible: frozen ones in maps, which processes may divide
    among them (`runtime.divide_weights`)."""

    parameters: int
    trainable: int
    bytes_per_frozen_parameter: int = 4
    divisible: int = 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights: trainable parameters in fp32, frozen ones in their own type."""
        return 4 * self.trainable + self.bytes_per_frozen_parameter * (self.parameters - self.trainable)

    def divided(self, processes: int) -> ModelSize:
        """What each of some processes holds that divide what they may."""
        share = -(-self.divisible // processes)
        return replace(self, parameters=self.parameters - self.divisible + share, divisible=share)


Role = Literal["static", "state", "action"]
"""Static facts belong to a trajectory; the state and the action of a step belong to the step."""

Modality = Literal["text", "channels"]
"""The form in which an encoder wants items."""

Split = Literal["train", "tuning", "held_out"]
"""What a trajectory is for: training, choosing settings, or measuring."""


@dataclass(frozen=True)
class ItemShape:
    """Shape of an item of the modality `channels`: C channels, and P samples of each in one step (1 where a step holds
    one value a channel)."""

    channels: int
    samples: int = 1


class SubjectSplitConfig(Config):
    """How subjects are divided into train, tuning and held_out (`jepa_core.data.splits.divide`)."""

    fractions: tuple[float, float, float] = Field(
        (0.70, 0.15, 0.15), description="shares of the subjects in train, tuning and held_out; they add up to 1"
    )
    seed: int = Field(42, ge=0, description="seed that shuffles the subjects")
    folds: Folds | None = Field(
        None,
        description="equal parts of the subjects, one of which is held out; train and tuning share the others as they "
        "do in `fractions`",
    )
    fold: int = Field(0, ge=0, description="which of the folds is held out, from 0")

    @field_validator("fractions")
    @classmethod
    def _are_shares(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"must be shares that add up to 1, not {', '.join(f'{share:g}' for share in fractions)}")
        return fractions

    @model_validator(mode="after")
    def _fold_is_there(self) -> Self:
        if self.folds is None and self.fold:
            raise ValueError("fold says which of the folds is held out; set folds too")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"the folds are counted from 0 to {self.folds - 1}, and fold is {self.fold}")
        if self.folds is not None and not min(self.fractions[:2]):
            raise ValueError("beside the fold that is held out train and tuning both need a share in fractions")
        return self


@dataclass(frozen=True)
class LearnerShape:
    """Sizes of what an objective may read: latents, beliefs, and the channels of observations (0 where the source
    renders no numbers)."""

    latent: int
    belief: int
    channels: int


@dataclass(frozen=True)
class StepLength:
    """How long a step is."""

    value: float = 1.0
    unit: str = "steps"


def _numbers(value: Any) -> Iterator[int | float]:
    """Numbers in a value of a config, but for those in configs within it, which are checked as they are made."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, Mapping):
        yield from _numbers(tuple(value.values()))
    elif isinstance(value, list | tuple | frozenset):
        for element in value:
            yield from _numbers(element)


class SourceConfig(Config):
    """Config of a Source."""

    modalities: ClassVar[tuple[Modality, ...]] = get_args(Modality)
    """What the source can render."""

    @property
    def in_retrospect(self) -> bool:
        """Whether actions may only be planned in retrospect, such as where they are what was done to people: whoever
        asks for a plan has to say so."""
        return False

    @property
    def subject_noun(self) -> str:
        """What one subject is called where people read of it, such as `engine`."""
        return "subject"

    @property
    def step_length(self) -> StepLength:
        """How long a step is, for the axes of arrays; 1 step where steps are counted alone."""
        return StepLength()

    def at(self, paths: Sequence[Path]) -> Self:
        """The config that reads other raw data as this one reads its own: the places are others, nothing is divided
        into splits (every trajectory is of the split `held_out`), and nothing is asked for that only training needs,
        such as labels.

        Raises RecipeError if the paths are not what the source reads, or if it reads none.
        """
        raise RecipeError(f"a source of the config {type(self).__name__} reads no other data than its own")

    def inputs(self) -> list[Input]:
        """The files that building the store will read."""
        return []

    def item_shape(self) -> ItemShape:
        """Shape of the items of the modality `channels`, without reading the data.

        Raises DataError if the file that would tell is not there.
        """
        raise NotImplementedError

    def observations(self) -> dict[str, int]:
        """Channels that a state may show of itself, by name: the place of each among the channels of an item.

        Static facts, actions and what is made of earlier steps are not among them. By default every channel is.
        Raises DataError if the file that would tell is not there.
        """
        return {f"channel {number}": number for number in range(self.item_shape().channels)}

    def observed_channels(self) -> dict[str, int]:
        """`observations`, or nothing where the source renders no numbers."""
        return self.observations() if "channels" in self.modalities else {}


LatentNorm = Annotated[
    Literal["layer", "none"],
    Field(
        description="`layer` puts a LayerNorm without parameters on the latent: a distance in latent units then means "
        "the same for every model and phase, and shrinking lowers no loss; `none` keeps the encoder's own output"
    ),
]
"""What `jepa_core.training.latent_norm` does to a latent."""


def _dense_flops(size: ModelSize, times: int, training: bool) -> int:
    """Operations of using every parameter so many times."""
    return 2 * size.parameters * times * (3 if training else 1)


class EncoderConfig(Config):
    """Config of an Encoder."""

    modality: ClassVar[Modality]
    offers: ClassVar[frozenset[str]] = frozenset()
    """What the encoder can do besides encoding, by method; see `jepa_core.contracts.LanguageEncoder`."""
    size_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that `match` may set to reach a number of parameters: whole numbers from 1, of which more is never fewer
    parameters; the coarsest first. Empty if the encoder cannot be sized to another."""
    latent_key: ClassVar[str] = ""
    """Key that sets the size of a latent, where one does."""

    @property
    def latent_dim(self) -> int:
        """Size D of a latent."""
        raise NotImplementedError

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        """Parameters of the encoder. shape: of the items it will encode; None for texts."""
        raise NotImplementedError

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Estimated peak bytes of activations when `items` distinct steps are encoded at once."""
        raise NotImplementedError

    def flops(self, items: int, training: bool, shape: ItemShape | None = None) -> int | None:
        """Estimated floating-point operations of encoding `items` items: two for each multiply-add of a matrix product,
        none for anything else. By default as if every parameter were used once an item, which is right for dense layers
        that see it at once. None if nothing can be said.

        training: with the backward pass, which costs one forward pass for the gradients of what layers read and one for
        those of the weights that train.
        """
        return _dense_flops(self.size(shape), items, training)


class PredictorConfig(Config):
    """Config of a Predictor. Its sizes and costs are those of one member (see `ensemble_size`)."""

    members: int = Field(
        1,
        ge=1,
        description="predictors, drawn and trained apart on one encoder: their mean predicts, and their spread tells "
        "what the data leave open",
    )

    size_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that `match` may set to reach a number of parameters, as those of an encoder."""

    @property
    def longest_window(self) -> int | None:
        """Most steps of a window that the predictor can take; None for no limit."""
        return None

    def belief_dim(self, latent_dim: int) -> int:
        """Size W of a belief for latents of size D."""
        raise NotImplementedError

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the predictor for latents of size D."""
        raise NotImplementedError

    def ensemble_size(self, latent_dim: int) -> ModelSize:
        """Parameters of all members."""
        of_member = self.size(latent_dim)
        return ModelSize(
            self.members * of_member.parameters,
            self.members * of_member.trainable,
            of_member.bytes_per_frozen_parameter,
        )

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """Estimated peak bytes of activations of one training step on `windows` windows of `steps` steps."""
        raise NotImplementedError

    def flops(self, windows: int, steps: int, latent_dim: int, training: bool) -> int | None:
        """Estimated floating-point operations of one pass over `windows` windows of `steps` steps, counted as an
        encoder's are: by default as if every parameter were used once a step. None if nothing can be said."""
        return _dense_flops(self.size(latent_dim), windows * steps, training)


class OptimizerConfig(Config):
    """Config of an Optimizer: the keys that every one has, which the loop reads.

    Weight decay is for matrices only, those of recurrent cells included, never for biases, norms or tables of tokens or
    positions.
    """

    encoder_lr: float = Field(1e-4, ge=0, description="peak learning rate of the encoder's trainable parameters")
    predictor_lr: float = Field(5e-4, ge=0, description="peak learning rate of the predictor")
    weight_decay: float = Field(0.04, ge=0, description="decoupled weight decay of matrices")
    encoder_clip: float = Field(1.0, gt=0, description="largest gradient norm of the encoder")
    predictor_clip: float = Field(1.0, gt=0, description="largest gradient norm of the predictor")

    @property
    def state_bytes(self) -> int:
        """Bytes that are kept of a trained parameter, beside itself and its gradient; the most, where they differ."""
        raise NotImplementedError


class ScheduleConfig(Config):
    """Config of a Schedule."""


class ObjectiveConfig(Config):
    """Config of an Objective; its terms are multiplied by `weight`."""

    observes: ClassVar[bool] = False
    """Whether it reads `learner.observations`; a recipe whose source renders no numbers is then refused."""

    weight: float = Field(1.0, ge=0, description="factor of every term of this objective")
    keep: bool = Field(
        True, description="whether a module that it trains belongs to the model, or is dropped after its last phase"
    )

    def module_size(self, shape: LearnerShape) -> ModelSize | None:
        """Parameters of the module that `Objective.build_module` makes; None if it makes none, whatever the shape."""
        return None


class ValidationConfig(Config):
    """A phase's own loss on windows of the tuning split: by it the phase may end early, and keep its best weights.

    The terms are those of training, objectives' included, with dropout off. The rates follow the schedule over all of
    the phase's steps, whether it ends early or not.
    """

    every: int = Field(
        0,
        ge=0,
        description="optimizer steps from one validation to the next; the last step is followed by one too; 0 for none",
    )
    windows: int = Field(256, gt=0, description="windows of the tuning split at most, spread evenly over it")
    watch: str = Field("loss", description="what is watched: `loss`, or one of its terms or logged metrics by name")
    better: Literal["lower", "higher"] = Field("lower", description="which way of what is watched is better")
    gain: float = Field(0.0, ge=0, description="by how much a validation must beat the best one to count as better")
    patience: int = Field(
        0, ge=0, description="validations in a row that are no better, after which the phase ends early; 0 for never"
    )
    keep: Literal["last", "best"] = Field(
        "last", description="weights that the phase ends with: its last ones, or those of its best validation"
    )

    @model_validator(mode="after")
    def _validates(self) -> Self:
        if not self.every and (self.patience or self.keep == "best"):
            key = "patience" if self.patience else "keep: best"
            raise ValueError(f"{key} goes by validations, and there are none; set every too")
        return self


class StreamConfig(Config):
    """A further stream of windows that a phase reads beside its own, in an order of its own."""

    length: int | None = Field(None, ge=2, le=100_000, description="steps of a window; the recipe's, if not given")
    stride: int | None = Field(
        None, ge=1, le=100_000, description="steps from a window's start to the next one's; the recipe's, if not given"
    )
    batch_size: BatchSize = Field(16, description="windows in a batch")


Module = Literal["encoder", "predictor"]


class PhaseConfig(Config):
    """Config of a Phase. `trains` belongs to the class, so that `jepa plan` knows it without building anything."""

    trains: ClassVar[frozenset[Module]] = frozenset()
    updates: ClassVar[str] = ""
    """What the phase changes besides its trained modules, in a few words (such as "target")."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What the encoder must offer; a recipe whose encoder does not is refused before anything is built."""

    steps: int = Field(
        0, ge=0, le=1_000_000_000, description="optimizer steps; a phase of 0 steps acts only at its end"
    )
    batch_size: BatchSize = Field(16, description="windows in a batch")
    accumulate: int = Field(
        1,
        ge=1,
        description="parts in which a batch is computed, one after another: less memory, one more forward pass, "
        "and the loss of the whole batch",
    )
    only: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        description="patterns of the parameters that train, of those of the modules that the phase trains, such as "
        "`encoder.layers.1.*` (`*` is anything); modules of the phase's or its objectives' own train whole",
    )
    validation: ValidationConfig = ValidationConfig()

    @property
    def validates(self) -> bool:
        """Whether windows of the tuning split are looked at."""
        return bool(self.steps and self.validation.every)

    @model_validator(mode="after")
    def _every_part_has_a_window(self) -> Self:
        if self.accumulate > self.batch_size:
            raise ValueError(f"a batch of {self.batch_size} windows has no {self.accumulate} parts; lower accumulate")
        if self.accumulate > 1 and self.streams():
            raise ValueError("the batches of further streams are not divided; set accumulate to 1")
        return self

    def streams(self) -> Mapping[str, StreamConfig]:
        """Further streams of windows that the phase reads, by name: their batches are `Phase.streams`. None by
        default."""
        return {}

    def module_size(self, latent_dim: int) -> ModelSize | None:
        """Parameters of the module that `Phase.build_module` makes for latents of size D; None if it makes none."""
        return None


class ListenerConfig(Config):
    """Config of a Listener that a recipe names (`trackers`)."""


class EvaluatorConfig(Config):
    """Config of an Evaluator."""

    split: Split = Field("held_out", description="split that is measured")

    def piece(self) -> tuple[Self, float]:
        """A piece of the work that can be tried by itself, such as one task of several, and how many times as long the
        whole takes: `jepa plan --time` tries no more. By default the whole, once."""
        return self, 1.0

    def memory_bytes(self, shape: LearnerShape) -> int:
        """Estimated peak bytes of the latents and inputs that it holds beside the model, at the most; 0 where these are
        a batch's. What lies in files does not count."""
        return 0
