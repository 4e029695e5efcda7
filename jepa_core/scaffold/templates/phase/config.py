"""Keys of the phase my_component."""

from typing import ClassVar

from pydantic import Field

from jepa_core.config import Module, PhaseConfig


class MyComponentConfig(PhaseConfig):
    """Trains the predictor on slightly noisy latents of the frozen encoder."""

    trains: ClassVar[frozenset[Module]] = frozenset({"predictor"})

    noise: float = Field(0.1, ge=0, description="standard deviation of the noise on states")
