#!/usr/bin/env bash
# polars 2.1.0: the sum of a Float32 column by group is another from a LazyFrame than from a DataFrame. A DataFrame is summed in memory
# with care (Kahan); the streaming engine adds up in single precision, where a sum drifts and, further on, no longer moves as it
# should, and as far as the number of threads has it. From 2.0 on collect() takes the streaming engine by itself; in 1.44.2 it took the
# one in memory, so an upgrade changes sums of a script that stayed as it was. mean() of the same groups is right in both, and so is a
# sum without groups: what is off is a mean made of sums and counts, as one makes it of many shards, and a variance of sums of squares.
# numeric_value of MEDS is Float32. What helps: cast to Float64 before the sum. Upstream: pola-rs/polars issue 24755 mended the engine
# in memory (pull request 24774); issue 27662 is of cum_sum; of sums by group in the streaming engine no thread was found.
# Seen, mean 97.0, deviation 2, one thread, sum over count: of 5,000,000 rows a DataFrame 97.000, a LazyFrame 96.206; of 20,000,000
# rows 97.000 and 107.374; cast to Float64 97.000 everywhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.3.5
POLARS_MAX_THREADS=1 "$folder/env/bin/python" - <<'PY'
import numpy as np
import polars as pl


def means(rows: int) -> dict[str, float]:
    draw = np.random.default_rng(0)
    values = draw.normal(97, 2, rows).astype(np.float32)
    table = pl.DataFrame({"code": np.zeros(rows, dtype=np.int32), "numeric_value": values})
    value = pl.col("numeric_value")
    made = {"sum": value.sum() / pl.len(), "wide": value.cast(pl.Float64).sum() / pl.len(), "mean": value.mean()}
    found = {"true": float(values.mean(dtype=np.float64))}
    for kind, frame in (("eager", table), ("lazy", table.lazy())):
        row = frame.group_by("code").agg(**made).lazy().collect().row(0, named=True)
        found |= {f"{kind} {name}": round(row[name], 4) for name in made}
    return found


for rows in (5_000_000, 20_000_000):
    found = means(rows)
    print(f"polars {pl.__version__}, {rows:,} rows:", found)
    for name, mean in found.items():
        wrong = abs(mean - found["true"]) > 0.5
        assert wrong == (name == "lazy sum"), "the behaviour has changed"
PY
