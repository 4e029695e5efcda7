"""Tables of sensor readings as a source of trajectories: CSV, Parquet and other files, wide or long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jepa_core.plugin import Component, FileDescription, hookimpl
from jepa_sensors.config import TableConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The source `table`."""
    yield Component(
        "source",
        "table",
        config=TableConfig,
        implementation="jepa_sensors.source:TableSource",
        example={
            "files": "package:jepa_sensors/example.csv",
            "id": "machine",
            "time": "second",
            "statics": "kind",
            "categories": {"kind": ["A", "B"]},
            "actions": "valve",
            "labels": {"left": {"column": "left"}},
        },
    )


@hookimpl
def jepa_describe_files(paths: Sequence[Path]) -> FileDescription | None:
    """What is in tables of readings, and a recipe to start from."""
    from jepa_sensors.files import refuse_other_kinds
    from jepa_sensors.sniffing import tables_at

    tables, others = tables_at(paths)
    if not tables:
        refuse_other_kinds(paths)
        return None
    from jepa_sensors.describe import describe_tables

    return describe_tables(paths, tables, others)
