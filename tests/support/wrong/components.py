from __future__ import annotations

from pathlib import Path

import torch  # noqa: F401 - what check_declared_without_heavy_imports must find
from pydantic import Field

from jepa_core.config import PhaseConfig
from toy import ToyFitConfig
from toy.parts import ToyFit
from wrong import fails


class BareKeyConfig(ToyFitConfig):
    """Has a key without a description."""

    pace: int = 1


class ImportsTorchConfig(PhaseConfig):
    """Stands in a module that imports torch."""


class PositiveConfig(PhaseConfig):
    """Has a key whose example is refused."""

    pace: int = Field(1, gt=0, description="must be positive")


fails("check_keys_documented", "phase", BareKeyConfig)(ToyFit)
fails("check_declared_without_heavy_imports", "phase", ImportsTorchConfig)(ToyFit)
fails("check_example_is_valid", "phase", PositiveConfig, pace=-1)(ToyFit)
fails("check_implementation_is_there", "phase", PhaseConfig)(Path)
