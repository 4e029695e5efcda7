"""Components as a run recorded them, found again among the installed plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jepa_core.config import Config
from jepa_core.errors import RunError
from jepa_core.plugin import Component, Kind, Registry


@dataclass(frozen=True)
class Recorded:
    """A component, and the config that it had in the run."""

    component: Component
    config: Config


def recorded_component(folder: Path, kind: Kind, told: Mapping[str, Any], registry: Registry) -> Recorded:
    """The component that a run in `folder` wrote down, of the version that made the run (its first two numbers count).

    Raises RunError if another version is installed, PluginError if none is.
    """
    component = registry.component(kind, told["use"])
    owner = registry.owner(component)
    if owner.version.split(".")[:2] != told["version"].split(".")[:2]:
        raise RunError(
            f"{folder}: the {kind} '{told['use']}' is of {told['package']} {told['version']}, and {owner.package} "
            f"{owner.version} is installed; install the former, or run the recipe again"
        )
    try:
        return Recorded(component, component.config.model_validate(told["config"]))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(
            f"{folder}: the {kind} '{told['use']}' of this version knows no such {where or 'config'}; install the "
            "version that made the run, or run the recipe again"
        ) from error
