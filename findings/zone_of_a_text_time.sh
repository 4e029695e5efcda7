#!/usr/bin/env bash
# DuckDB 2.0.1 (pyarrow 26.0.1): one instant, written as 2024-01-05 10:20:00+05:30, becomes three different TIMESTAMPs. Out of
# text (a cast, or a CSV column declared TIMESTAMP) the zone is dropped without a word: 10:20; so is one that does not exist
# (Nowhere/Land). Out of Parquet, where the column is a timestamp with a zone, it is moved to the zone of the session, which is that
# of the machine. So a table means something else when it is converted from CSV to Parquet, and the Parquet something else on
# another machine. What settles it is SET TimeZone = 'UTC' in every session, and to look at a column's zone before it is cast.
# Seen: text 10:20 and CSV 10:20 everywhere; Parquet 04:50 under TZ=UTC, 23:50 of the day before under TZ=America/New_York.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 pytz
cat > "$folder/read.py" <<'PY'
import datetime as dt
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
written = "2024-01-05 10:20:00+05:30"
(folder / "a.csv").write_text(f"t\n{written}\n")
instant = dt.datetime.fromisoformat(written)
pq.write_table(pa.table({"t": pa.array([instant], pa.timestamp("us", "Asia/Kolkata"))}), folder / "a.parquet")
csv = "read_csv('{}', columns = {{'t': 'TIMESTAMP'}}, auto_detect = false, header = true)".format(folder / "a.csv")
asked = {
    "text": f"SELECT '{written}'::TIMESTAMP",
    "csv": f"SELECT t FROM {csv}",
    "parquet": f"SELECT t::TIMESTAMP FROM '{folder / 'a.parquet'}'",
}
print(" ".join(f"{name}={duckdb.execute(sql).fetchone()[0]:%d-%H:%M}" for name, sql in asked.items()))
print("nowhere={:%d-%H:%M}".format(duckdb.execute("SELECT '2024-01-05 10:20:00 Nowhere/Land'::TIMESTAMP").fetchone()[0]))
PY
found=""
for zone in UTC America/New_York; do
    found+="$zone $(TZ=$zone "$folder/env/bin/python" "$folder/read.py" "$folder" | tr '\n' ' ')"
done
echo "$found"
[ "$found" = "UTC text=05-10:20 csv=05-10:20 parquet=05-04:50 nowhere=05-10:20 America/New_York text=05-10:20 csv=05-10:20 parquet=04-23:50 nowhere=05-10:20 " ] || { echo "the behaviour has changed"; exit 1; }
