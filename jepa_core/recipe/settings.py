"""What a recipe says besides its components: its name and seed, its windows, how it uses the machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from jepa_core.config import Config, Threads

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class HeaderConfig(Config):
    """The keys of a recipe that belong to no section."""

    name: str = Field(
        min_length=1, max_length=100, description="name of the runs made with this recipe; the file's name if not given"
    )
    description: str = Field("", description="one line about the recipe")
    seed: Seed = Field(0, description="start of every random draw")

    @field_validator("name")
    @classmethod
    def _can_name_a_folder(cls, name: str) -> str:
        if name[0] in ".-" or not name.isprintable() or set(name) & set("/\\:[]<>"):
            raise ValueError("a name must not begin with '.' or '-' nor hold '/', '\\', ':' or brackets")
        return name


class WindowsConfig(Config):
    """The windows that phases train on."""

    length: int = Field(72, ge=2, le=100_000, description="steps of a window")
    stride: int = Field(12, ge=1, le=100_000, description="steps from the start of one window to the start of the next")
    min_length: int = Field(6, ge=2, validate_default=True, description="steps below which a window is not used")
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the subjects of train that phases train on; scales and heads have all of them",
    )

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
    threads: Literal["auto"] | Threads = Field("auto", description="CPU threads")
    checkpoint_every: int = Field(200, ge=1, description="optimizer steps between checkpoints")
    divide_weights: bool = Field(
        False, description="divide the encoder's frozen weights among processes, each of which then holds its share"
    )
    latent_cache_gib: float = Field(4.0, ge=0, le=1e6, description="memory for the latents of a frozen encoder, in GiB")
    latent_cache_type: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32",
        description="how these are kept; 16 bits halve memory and disk, and round a value by 0.05 % (bf16: 0.4 %)",
    )


Counted = Literal["trainable", "total"]


class MatchConfig(Config):
    """Which parameters of another encoder one is sized to."""

    parameters: Counted = Field("trainable", description="which parameters are counted")
