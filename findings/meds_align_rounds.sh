#!/usr/bin/env bash
# meds 0.4.1 (flexible_schema 0.1.1): DataSchema.validate refuses a table whose numeric_value is float64 or whose time has a
# zone; DataSchema.align makes it valid by casting, and the casts lose in silence: 16,777,217 becomes 16,777,216, 1e39
# becomes infinite, and a zoned time becomes the naive time of UTC, so that the hour of the day that was charted is
# another one. A pipeline that calls align before it writes never hears of it.
# Seen: 12:00 at New York -> 17:00; [16777217.0, 1e39] -> [16777216.0, inf].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check meds==0.4.1 flexible_schema==0.1.1 pyarrow==26.0.1 tzdata==2025.2
"$folder/env/bin/python" -W error - <<'PY'
import datetime as dt
import math
from zoneinfo import ZoneInfo

import pyarrow as pa
from meds import DataSchema

noon = dt.datetime(2020, 1, 1, 12, tzinfo=ZoneInfo("America/New_York"))
table = pa.table(
    {
        "subject_id": [1, 1],
        "time": pa.array([noon, noon], type=pa.timestamp("us", "America/New_York")),
        "code": ["a", "b"],
        "numeric_value": [16_777_217.0, 1e39],
    }
)
try:
    DataSchema.validate(table)
    refused = False
except Exception as error:
    refused = type(error).__name__ == "SchemaValidationError"
rows = DataSchema.align(table).to_pylist()
print("validate refuses:", refused, "| aligned:", [(str(row["time"]), row["numeric_value"]) for row in rows])
assert refused
assert rows[0]["numeric_value"] == 16_777_216.0 and math.isinf(rows[1]["numeric_value"]), "the behaviour has changed"
assert rows[0]["time"] == dt.datetime(2020, 1, 1, 17), "the behaviour has changed"
PY
