"""A small plugin that needs no data: noisy oscillators that an action pushes, two tiny encoders and a tiny predictor.

The conformance checks test components with these, and a recipe that uses them runs offline in seconds. Nothing here is
meant to model anything well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from jepa_core.config import (
    EncoderConfig,
    ItemShape,
    Modality,
    ModelSize,
    PredictorConfig,
    SourceConfig,
    SubjectSplitConfig,
)
from jepa_core.errors import RecipeError
from jepa_core.io.files import content_of
from jepa_core.io.records import parse_json
from jepa_core.plugin import Component, hookimpl

HIDDEN = 16
"""Hidden size of the tiny encoders."""


class OscillatorsConfig(SourceConfig):
    """Noisy oscillators that an action pushes, made on the spot."""

    trajectories: int = Field(24, ge=6, le=1_000_000, description="trajectories; every oscillator has two of them")
    shortest: int = Field(3, ge=1, description="steps of the shortest trajectory, at least")
    longest: int = Field(29, ge=1, description="steps of the longest trajectory, at most")
    samples: int = Field(1, ge=1, description="samples of a channel in one step")
    repeats: int = Field(
        1, ge=1, description="times that every trajectory stands in the store, under its one oscillator"
    )
    noise: float = Field(0.05, ge=0, description="standard deviation of the noise on what is observed")
    gaps: float = Field(0.1, ge=0, lt=1, description="share of the samples of states that are not observed")
    persistence: float = Field(
        0.0, ge=0, lt=1, description="correlation of a push with the one before it; above 0, pushes last"
    )
    seed: int = Field(0, ge=0, description="seed of the oscillators")
    split: SubjectSplitConfig | None = Field(
        SubjectSplitConfig(fractions=(0.6, 0.2, 0.2), seed=0),
        description="how oscillators are divided; null: all are held_out",
    )

    @model_validator(mode="after")
    def _shortest_is_not_longer(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest ({self.shortest}) must not be more than longest ({self.longest})")
        return self

    @property
    def subject_noun(self) -> str:
        return "oscillator"

    def item_shape(self) -> ItemShape:
        return ItemShape(channels=4, samples=self.samples)

    def observations(self) -> dict[str, int]:
        return {"position": 1, "speed": 2}

    def at(self, paths: Sequence[Path]) -> Self:
        """Other oscillators, with the keys that a JSON file holds: they are made, so there is nothing else to read."""
        try:
            (path,) = paths
            keys = parse_json(content_of(path))
            return type(self).model_validate(self.model_dump() | keys | {"split": None})
        except (ValueError, TypeError, OSError, ValidationError) as error:
            raise RecipeError(
                "oscillators are made, not read: give one JSON file with the keys of the source that differ, such as "
                '{"seed": 1, "trajectories": 8}'
            ) from error


class _TinyEncoderConfig(EncoderConfig):
    """Keys of the tiny encoders."""

    width: int = Field(8, gt=0, description="size of a latent")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the hidden layer")

    @property
    def latent_dim(self) -> int:
        return self.width

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        return items * 4 * (HIDDEN + self.width)


class TinyChannelsConfig(_TinyEncoderConfig):
    """A perceptron with one hidden layer over channel values, less their mean."""

    modality: ClassVar[Modality] = "channels"

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        assert shape is not None
        count = shape.channels * shape.samples * HIDDEN + HIDDEN + HIDDEN * self.width + self.width
        return ModelSize(count, count)


class TinyTextConfig(_TinyEncoderConfig):
    """The mean of embeddings of a text's bytes, through a linear layer; as a language model, a byte tells the next."""

    modality: ClassVar[Modality] = "text"
    offers: ClassVar[frozenset[str]] = frozenset({"next_token_loss"})

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        count = 256 * HIDDEN + HIDDEN * self.width + self.width
        return ModelSize(count, count)


class TinyRecurrentConfig(PredictorConfig):
    """A GRU cell over states and actions; the static facts are not read."""

    def belief_dim(self, latent_dim: int) -> int:
        return latent_dim

    def size(self, latent_dim: int) -> ModelSize:
        count = 3 * latent_dim * 2 * latent_dim + 3 * latent_dim * latent_dim + 6 * latent_dim
        return ModelSize(count, count)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        return windows * steps * latent_dim * 32


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source, the encoders and the predictor."""
    parts = "jepa_core.testing.oscillator_parts"
    yield Component("source", "oscillators", OscillatorsConfig, f"{parts}:Oscillators")
    yield Component("encoder", "tiny_channels", TinyChannelsConfig, f"{parts}:TinyChannels")
    yield Component("encoder", "tiny_text", TinyTextConfig, f"{parts}:TinyText")
    yield Component("predictor", "tiny_recurrent", TinyRecurrentConfig, f"{parts}:TinyRecurrent")
