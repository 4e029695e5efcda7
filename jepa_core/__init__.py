"""JEPA curricula on time series, as a library: `Recipe` says what a run is made of, `run` carries it out, `load` gives
its trained model; an `Act` is something done in a what-if, a `Goal` what actions are chosen for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepa_core.contracts import Act
    from jepa_core.model.features import JepaFeatures
    from jepa_core.model.goals import Goal
    from jepa_core.model.loading import load
    from jepa_core.recipe import (
        EncoderUse,
        Match,
        PhaseUse,
        PredictorMatch,
        PredictorUse,
        Recipe,
        RuntimeConfig,
        Use,
        WindowsConfig,
        load_recipe,
    )
    from jepa_core.runs.starting import run

__all__ = [
    "Act", "EncoderUse", "Goal", "JepaFeatures", "Match", "PhaseUse", "PredictorMatch", "PredictorUse", "Recipe",
    "RuntimeConfig", "Use", "WindowsConfig", "load", "load_recipe", "run",
]  # fmt: skip

_PLACES = {
    "Act": "jepa_core.contracts",
    "Goal": "jepa_core.model.goals",
    "JepaFeatures": "jepa_core.model.features",
    "load": "jepa_core.model.loading",
    "run": "jepa_core.runs.starting",
}
"""Where what is offered here lies, if not in `jepa_core.recipe`. It is imported when it is asked for, so that the
command line starts at once."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES.get(name, "jepa_core.recipe")), name)
