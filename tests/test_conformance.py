"""Every component that is installed keeps its contract: the checks that authors of plugins run, on our own."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.plugin import Component, shared_registry
from jepa_core.scaffold import TEMPLATES
from jepa_core.testing import Check, checks_of

COMPONENTS = [component for plugin in shared_registry().plugins for component in plugin.components]


@cache
def _meds() -> str:
    """A small data set in the form that the source `meds` reads, with nothing real in it."""
    folder = Path(tempfile.mkdtemp(prefix="meds-"))
    start = datetime(2150, 3, 1)
    rows = [
        (77_000_001 + subject, start + timedelta(hours=hour), f"LAB//{hour % 3}", float(hour))
        for subject in range(8)
        for hour in range(4 + subject)
    ]
    columns = dict(zip(("subject_id", "time", "code", "numeric_value"), zip(*rows, strict=True), strict=True))
    types = {"time": pa.timestamp("us"), "numeric_value": pa.float32()}
    for place in ("data", "metadata"):
        (folder / place).mkdir()
    data = pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})
    pq.write_table(data, folder / "data" / "0.parquet")
    pq.write_table(pa.table({"code": [f"LAB//{one}" for one in range(3)]}), folder / "metadata" / "codes.parquet")
    (folder / "metadata" / "dataset.json").write_text('{"dataset_name": "made up", "meds_version": "0.4.0"}')
    return str(folder)


def _keys(component: Component) -> dict[str, Any]:
    """Keys of the sources that need data to be checked on."""
    if component.name == "meds":
        return {"path": _meds(), "split": {"from": "seed"}}
    if component.name == "table":
        rooms = {"id": ["room"], "time": "hour", "time_unit": "h", "statics": ["floor"], "actions": ["heating"]}
        return {"files": [str(TEMPLATES / "source" / "example.csv")], **rooms}
    return {}


CHECKS = [check for component in COMPONENTS for check in checks_of(component, _keys(component))]


def test_no_plugin_is_broken() -> None:
    assert [plugin.name for plugin in shared_registry().plugins if plugin.error] == []


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check) -> None:
    check()
