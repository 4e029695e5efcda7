"""A store is the same wherever the machine stands: every time column of every source that reads files of others."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MAKE = """
import sys
from pathlib import Path
from jepa_core.data.preparation import open_store
from jepa_meds.config import MedsConfig
from jepa_meds.source import MedsSource
from jepa_sensors.config import TableConfig
from jepa_sensors.source import TableSource
data, out = Path(sys.argv[1]), Path(sys.argv[2])
keys = {"id": "id", "time": "time", "step": {"seconds": 3600}}
for number, name in enumerate(("local.csv", "zoned.csv", "local.parquet", "zoned.parquet")):
    source = TableSource(TableConfig.model_validate(keys | {"files": str(data / name)}))
    print(open_store(source, "table", out / str(number)).content)
source = MedsSource(MedsConfig(path=str(data / "meds"), split=None))
print(open_store(source, "meds", out / "meds").content)
"""
CLOCKS_GO_FORWARD = datetime(2024, 3, 10)
"""In New York an hour of this night is missing."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Readings of six machines through a night in which clocks change, as text and as Parquet, with and without a zone;
    and the same in MEDS."""
    times = [CLOCKS_GO_FORWARD + timedelta(hours=hour) for hour in range(9)]
    rows = [(machine, one, float(machine + place)) for machine in range(6) for place, one in enumerate(times)]
    for name, zone in (("local", ""), ("zoned", "-05:00")):
        lines = ["id,time,value", *(f"{machine},{one.isoformat()}{zone},{value}" for machine, one, value in rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    ids, stamps, values = map(list, zip(*rows, strict=True))
    for name, zone in (("local", None), ("zoned", "America/New_York")):
        columns = {"id": ids, "time": pa.array(stamps, pa.timestamp("us", zone)), "value": values}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    meds = {
        "subject_id": pa.array(ids, pa.int64()), "time": pa.array(stamps, pa.timestamp("us")),
        "code": ["PULSE"] * len(rows), "numeric_value": pa.array(values, pa.float32()),
    }  # fmt: skip
    (tmp_path / "meds" / "data").mkdir(parents=True)
    pq.write_table(pa.table(meds), tmp_path / "meds" / "data" / "0.parquet")
    return tmp_path


def contents(data: Path, out: Path, zone: str) -> list[str]:
    environment = {**os.environ, "TZ": zone}
    command = [sys.executable, "-c", MAKE, str(data), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_tables_and_meds_give_the_same_stores_wherever_the_machine_stands(data: Path, tmp_path: Path) -> None:
    west, east = (contents(data, tmp_path / zone, zone) for zone in ("America/New_York", "Asia/Kolkata"))

    assert len(west) == 5 and west == east
