"""What a recipe is once it is valid: typed, complete, and able to say where each of its values came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from jepa_core.config import Config, EncoderConfig, ItemShape, LearnerShape, PredictorConfig, SourceConfig
from jepa_core.plugin import Component


class HeaderConfig(Config):
    """The keys of a recipe that belong to no section."""

    name: str = Field(min_length=1, description="name of the runs made with this recipe; the file's name if not given")
    description: str = Field("", description="one line about the recipe")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="start of every random draw")

    @field_validator("name")
    @classmethod
    def _can_name_a_folder(cls, name: str) -> str:
        if name.startswith(".") or not name.isprintable() or set(name) & set("/\\:"):
            raise ValueError("a name must not begin with '.' nor hold '/', '\\' or ':'")
        return name


class WindowsConfig(Config):
    """The windows that phases train on."""

    length: int = Field(72, ge=2, description="steps of a window")
    stride: int = Field(12, ge=1, description="steps from the start of one window to the start of the next")
    min_length: int = Field(6, ge=2, validate_default=True, description="steps below which a window is not used")

    @field_validator("min_length")
    @classmethod
    def _fits_into_a_window(cls, min_length: int, info: ValidationInfo) -> int:
        length = info.data.get("length", min_length)
        if min_length > length:
            raise ValueError(f"min_length ({min_length}) must not be more than length ({length})")
        return min_length


class RuntimeConfig(Config):
    """How a run uses the machine. None of it changes what is learned, beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU if there is one")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="type of activations")
    threads: Literal["auto"] | Annotated[int, Field(ge=1)] = Field("auto", description="CPU threads")
    checkpoint_every: int = Field(200, ge=1, description="optimizer steps between checkpoints")
    latent_cache_gib: float = Field(4.0, ge=0, description="memory for the latents of a frozen encoder, in GiB")


@dataclass(frozen=True)
class Use:
    """A component that a recipe uses, under a name, with its config."""

    component: Component
    config: Config
    name: str

    def build(self, *arguments: Any) -> Any:
        """The component itself, imported now. arguments: what its contract adds to the config.

        Raises PluginError if it cannot be imported.
        """
        return self.component.load()(self.config, *arguments)

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        named = {} if self.name == self.component.name else {"name": self.name}
        return {"use": self.component.name, **named, **_plain(self.config)}


@dataclass(frozen=True)
class PhaseUse(Use):
    """A phase that a recipe uses, and the objectives added to its loss."""

    objectives: tuple[Use, ...] = ()

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return {**super().resolved(), "objectives": [use.resolved() for use in self.objectives]}


class MatchConfig(Config):
    """Which parameters of another encoder this one is sized to."""

    parameters: Literal["trainable", "total"] = Field("trainable", description="which parameters are counted")

    def count(self, encoder: EncoderConfig, source: SourceConfig) -> int:
        """Parameters of an encoder, for items of a source. Raises DataError if a file that would tell is not there."""
        size = encoder.size(item_shape(source, encoder))
        return size.trainable if self.parameters == "trainable" else size.parameters


@dataclass(frozen=True)
class Match:
    """The encoder that another one is sized to."""

    encoder: Use
    config: MatchConfig

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return {"encoder": self.encoder.resolved(), **_plain(self.config)}


@dataclass(frozen=True)
class EncoderUse(Use):
    """The encoder that a recipe uses, and what it is sized to, if anything."""

    match: Match | None = None

    def resolved(self) -> dict[str, Any]:
        """Plain values, defaults included."""
        return super().resolved() | ({"match": self.match.resolved()} if self.match else {})


def item_shape(source: SourceConfig, encoder: EncoderConfig) -> ItemShape | None:
    """Shape of a source's items as an encoder wants them; None for texts.

    Raises DataError if the file that would tell is not there.
    """
    return source.item_shape() if encoder.modality == "channels" else None


@dataclass(frozen=True)
class Recipe:
    """A valid recipe."""

    name: str
    description: str
    seed: int
    source: Use
    windows: WindowsConfig
    encoder: EncoderUse
    predictor: Use
    curriculum: tuple[PhaseUse, ...]
    evaluators: tuple[Use, ...]
    runtime: RuntimeConfig
    written: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each key that somebody wrote stands, by dotted key."""

    def uses(self) -> Iterator[Use]:
        """Every component that the recipe names, in its order."""
        yield from (self.source, self.encoder)
        if self.encoder.match is not None:
            yield self.encoder.match.encoder
        yield self.predictor
        for phase in self.curriculum:
            yield from (phase, *phase.objectives)
        yield from self.evaluators

    def item_shape(self) -> ItemShape | None:
        """Shape of the items that the encoder will encode; None for texts.

        Raises DataError if the file that would tell is not there.
        """
        assert isinstance(self.source.config, SourceConfig) and isinstance(self.encoder.config, EncoderConfig)
        return item_shape(self.source.config, self.encoder.config)

    def learner_shape(self) -> LearnerShape:
        """Sizes of what objectives read.

        Raises DataError if the file that would tell is not there.
        """
        source, encoder, predictor = self.source.config, self.encoder.config, self.predictor.config
        assert isinstance(source, SourceConfig) and isinstance(encoder, EncoderConfig)
        assert isinstance(predictor, PredictorConfig)
        latent = encoder.latent_dim
        return LearnerShape(latent, predictor.belief_dim(latent), len(source.observed_channels()))

    def resolved(self) -> dict[str, Any]:
        """The whole recipe as plain values, every default filled in. In a file, it is a recipe that means the same."""
        return {
            "name": self.name,
            "description": self.description,
            "seed": self.seed,
            "source": self.source.resolved(),
            "windows": _plain(self.windows),
            "encoder": self.encoder.resolved(),
            "predictor": self.predictor.resolved(),
            "curriculum": [use.resolved() for use in self.curriculum],
            "evaluators": [use.resolved() for use in self.evaluators],
            "runtime": _plain(self.runtime),
        }

    def origins(self) -> dict[str, str]:
        """For each dotted key of the resolved recipe: `default`, `file:line` or `command line`. Phases go by name."""
        return {key: self.written.get(key, "default") for key in _leaves(self.resolved())}


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", by_alias=True, round_trip=True)


def _leaves(value: Any, dotted: str = "") -> Iterator[str]:
    """Dotted keys of everything that holds no further key. Components in a list go by `name`, or what they use."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "use" in item for item in value):
        value = {item.get("name", item["use"]): item for item in value}
    if not isinstance(value, dict) or not value:
        yield dotted
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{dotted}.{key}" if dotted else str(key))
