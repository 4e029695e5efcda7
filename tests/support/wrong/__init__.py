"""Components that are wrong in one way each, and the check that must tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jepa_core.config import Config
from jepa_core.plugin import Component, Kind

WRONG: list[tuple[str, Component]] = []


def fails(check: str, kind: Kind, config: type[Config], **example: Any) -> Callable[[type], type]:
    """Mark a class as one that must fail a check."""

    def mark(implementation: type) -> type:
        path = f"{implementation.__module__}:{implementation.__name__}"
        WRONG.append((check, Component(kind, check, config, path, example)))
        return implementation

    return mark
