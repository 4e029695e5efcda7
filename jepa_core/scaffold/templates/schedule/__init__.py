"""Brings the schedule my_component."""

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_my_component.config import MyComponentConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component("schedule", "my_component", MyComponentConfig, "jepa_my_component.schedule:MyComponent")
