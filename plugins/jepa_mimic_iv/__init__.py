"""MIMIC-IV as a source of trajectories: one stay in intensive care is a trajectory, one hour is a step."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_mimic_iv.config import MimicIVConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source `mimic_iv`."""
    yield Component(
        "source",
        "mimic_iv",
        config=MimicIVConfig,
        implementation="jepa_mimic_iv.source:MimicIVSource",
        example={"tables": "synthetic", "synthetic": {"stays": 20}},
    )
