"""MEDS data sets as a source of trajectories: a subject's record, or each of its episodes, cut into steps."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_meds.config import MedsConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source `meds`."""
    yield Component("source", "meds", config=MedsConfig, implementation="jepa_meds.source:MedsSource")
