#!/usr/bin/env bash
# MEDS-transforms 0.7.0 (Python 3.12, polars 1.44.2): bin_numeric_values puts a numeric_value that is NaN into the highest bin. The
# stage before it, aggregate_code_metadata, leaves NaN out of the quantiles that make the bins; binning then asks only for null, and a
# sorted search takes NaN for greater than every border. So a reading that is missing, which an ETL by way of NumPy or pandas writes
# as NaN, becomes the code of the highest values, and with drop_numeric_value nothing is left that tells. The schema of MEDS allows
# NaN: DataSchema.align passes the table with it. What helps: fill_nan(None) before the stage. Upstream: no thread was found.
# Seen of heart rates 50, 90, NaN and null with borders 60 and 80: [-inf,60.0), [80.0,inf), [80.0,inf), and the plain code for null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON312:-python3.12}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check MEDS-transforms==0.7.0 meds==0.4.1 polars==1.44.2 numpy==2.3.5
"$folder/env/bin/python" - <<'PY'
import datetime as dt
import math

import polars as pl
from meds import DataSchema
from MEDS_transforms.stages.aggregate_code_metadata.aggregate_code_metadata import mapper_fntr, reducer_fntr
from MEDS_transforms.stages.bin_numeric_values.bin_numeric_values import bin_numeric_values_fntr
from omegaconf import DictConfig


def events(values: list[float | None]) -> pl.DataFrame:
    start = dt.datetime(2020, 1, 1)
    times = [start + dt.timedelta(hours=hour) for hour in range(len(values))]
    columns = {"subject_id": [1] * len(values), "time": times, "code": ["HEART_RATE"] * len(values)}
    return pl.DataFrame(columns).with_columns(pl.Series("numeric_value", values, dtype=pl.Float32))


asked = events([50.0, 90.0, float("nan"), None])
kept = DataSchema.align(asked.to_arrow())["numeric_value"].to_pylist()
aggregation = DictConfig({"aggregations": [{"name": "values/quantiles", "quantiles": [0.25, 0.75]}]})
seen = mapper_fntr(aggregation, None)(events([50.0, 60.0, 70.0, 80.0, 90.0, float("nan")]).lazy())
codes = reducer_fntr(aggregation, None)(seen).collect()
stage = getattr(bin_numeric_values_fntr, "main_fn", None) or bin_numeric_values_fntr
binned = stage(DictConfig({}), codes)(asked)["code"].to_list()
print("aligned:", kept, "| borders:", codes["values/quantiles"].to_list(), "| codes:", binned)
low, high, missing, null = (code.removeprefix("HEART_RATE") for code in binned)
assert (low, high, null) == ("//value_[-inf,60.0)", "//value_[80.0,inf)", "")
assert math.isnan(kept[2]) and missing == high, "the behaviour has changed"
PY
