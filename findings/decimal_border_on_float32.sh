#!/usr/bin/env bash
# duckdb 2.0.1, pyarrow 26.0.1, pandas 3.0.6: whether a value that was charted as 7.2 and is kept in single precision (numeric_value of
# MEDS) is at least 7.2 depends on who asks, and in DuckDB on how the number is given. NumPy, polars, pandas and DuckDB's literal round
# the border to single precision, and every reading at the border is in; pyarrow's filters, pandas columns of type float[pyarrow] and
# DuckDB's bound parameter widen the value, and every one is out, or, where single precision lies above the border (2.2), out of
# <=. Clinical readings and borders have one decimal, so a border holds many rows: a cohort of pH >= 7.2 loses all of exactly 7.2.
# What helps: cast the border to the type of the column. Upstream: duckdb/duckdb-python issue 229 (open when this was written); of
# pyarrow no thread was found.
# Seen of 7.2, 38.3, 0.7 (>=) and 2.2, 0.1 (<=): pyarrow, float[pyarrow] and the parameter keep 0 of 5, all others 5 of 5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 pandas==3.0.6 polars==2.1.0 numpy==2.3.5
"$folder/env/bin/python" - "$folder" <<'PY'
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

BORDERS = [(7.2, ">="), (38.3, ">="), (0.7, ">="), (2.2, "<="), (0.1, "<=")]
file = f"{sys.argv[1]}/values.parquet"


def kept(border: float, sign: str) -> dict[str, int]:
    values = np.array([border], dtype=np.float32)
    pq.write_table(pa.table({"value": values}), file)
    above, field, column = sign == ">=", ds.field("value"), pl.col("value")
    plain, arrow = pd.Series(values), pd.Series(values, dtype="float[pyarrow]")
    query = f"SELECT count(*) FROM '{file}' WHERE value {sign} "
    return {
        "numpy": int(np.sum(values >= border if above else values <= border)),
        "polars": pl.scan_parquet(file).filter(column >= border if above else column <= border).collect().height,
        "pandas": int(sum(plain >= border if above else plain <= border)),
        "duckdb literal": duckdb.execute(query + str(border)).fetchone()[0],
        "duckdb parameter": duckdb.execute(query + "?", [border]).fetchone()[0],
        "pyarrow": pq.read_table(file, filters=field >= border if above else field <= border).num_rows,
        "pandas float[pyarrow]": int(sum(arrow >= border if above else arrow <= border)),
    }


rows = [kept(border, sign) for border, sign in BORDERS]
counts = {name: sum(row[name] for row in rows) for name in rows[0]}
print("kept of", len(BORDERS), "values at their border:", counts)
widened = {"duckdb parameter", "pyarrow", "pandas float[pyarrow]"}
assert counts == {name: 0 if name in widened else 5 for name in counts}, "the behaviour has changed"
PY
