"""The eICU Collaborative Research Database as a source of trajectories, in the channels and outcomes of `mimic_iv`."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_eicu.config import EICUConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source `eicu`."""
    yield Component(
        "source",
        "eicu",
        config=EICUConfig,
        implementation="jepa_eicu.source:EICUSource",
        example={"tables": "synthetic", "synthetic": {"stays": 20}},
    )
