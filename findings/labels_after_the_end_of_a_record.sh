#!/usr/bin/env bash
# es-aces 0.7.3 (polars 1.44.2): a window that ends a span after its trigger is made whether or not the record reaches that far,
# and a label predicate that is not seen is 0. So the plain "24 h of input, label: death in the next 24 h" gives a row with
# label 0 to a subject who died within the input, to one who died at the index time itself, and to one whose record ends
# before the index time: three kinds of "unknown" or "too late" become "alive". A guard has to be written by hand (an input
# window with death: (None, 0), and an event that shows that the record goes on).
# Seen, subjects by what befalls them after admission at hour 0: death at 30 h -> 1; last event at 10 h -> 0; death at 24 h
# (the index time) -> 0; death at 0 h -> 0; alive with an event at 60 h -> 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check es-aces==0.7.3 polars==1.44.2
cat > "$folder/task.yaml" <<'YAML'
predicates:
  admission: {code: ADM}
  death: {code: DEATH}
trigger: admission
windows:
  input: {start: null, end: trigger + 24h, start_inclusive: true, end_inclusive: true, index_timestamp: end}
  target: {start: input.end, end: start + 24h, start_inclusive: false, end_inclusive: true, label: death}
YAML
"$folder/env/bin/python" - "$folder" <<'PY' 2> /dev/null
import datetime as dt
import sys
from pathlib import Path

import polars as pl
from aces.config import TaskExtractorConfig
from aces.predicates import get_predicates_df
from aces.query import query
from omegaconf import DictConfig

folder = Path(sys.argv[1])
subjects = {
    1: [(0, "ADM"), (30, "DEATH")],
    2: [(0, "ADM"), (10, "LAB")],
    3: [(0, "ADM"), (24, "DEATH")],
    4: [(0, "ADM"), (0, "DEATH")],
    5: [(0, "ADM"), (60, "LAB")],
}
start = dt.datetime(2020, 1, 1)
rows = [(subject, start + dt.timedelta(hours=hour), code) for subject, events in subjects.items() for hour, code in events]
events = pl.DataFrame(rows, schema={"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}, orient="row")
events.with_columns(numeric_value=pl.lit(None, pl.Float32)).write_parquet(folder / "events.parquet")
task = TaskExtractorConfig.load(folder / "task.yaml")
predicates = get_predicates_df(task, DictConfig({"path": str(folder / "events.parquet"), "standard": "meds"}))
labels = dict(query(task, predicates).select("subject_id", "label").iter_rows())
print("label by subject:", labels)
assert labels == {1: 1, 2: 0, 3: 0, 4: 0, 5: 0}, "the behaviour has changed"
PY
