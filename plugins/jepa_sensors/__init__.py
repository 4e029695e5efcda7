"""Tables of sensor readings as a source of trajectories: CSV, Parquet and other files, wide or long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jepa_core.plugin import Component, FileDescription, hookimpl
from jepa_sensors.config import TableConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source `table`."""
    yield Component("source", "table", config=TableConfig, implementation="jepa_sensors.source:TableSource")


@hookimpl
def jepa_describe_file(path: Path) -> FileDescription | None:
    """What is in a table of readings, and a recipe to start from."""
    from jepa_sensors.files import is_table

    if not is_table(path):
        return None
    from jepa_sensors.describe import describe

    return describe(path)
