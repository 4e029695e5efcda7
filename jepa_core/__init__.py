"""JEPA curricula on time series. `load` gives the trained model of a run; an `Act` is something done in a what-if."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepa_core.contracts import Act
    from jepa_core.model.loading import load

__all__ = ["Act", "load"]

_PLACES = {"Act": "jepa_core.contracts", "load": "jepa_core.model.loading"}
"""Where what is offered here lies. It is imported when it is asked for, so that the command line starts at once."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
